"""What a server takes of a package: nothing that its passport does not seal, whoever sealed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy_package
from PIL import Image

from core.errors import ModelError
from core.files import write_json
from ops import passport
from serving.package import load
from serving.settings import Settings


@pytest.mark.parametrize("name", ["../../secret.png", "/{secret}", "../model/../golden/../../secret.png", ["0.png"]])
def test_a_sample_that_names_a_file_of_the_server_is_refused(tmp_path: Path, name: str | list[str]) -> None:
    """It would be shown on the page; its digest holds, since nobody need sign a package."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (50, 20), (40, 40, 40)).save(secret)
    package = toy_package.make(tmp_path / "package")
    assert set(load(package, Settings({})).files) == {"0.png", "1.png"}
    path = package / "golden" / "samples.json"
    samples = json.loads(path.read_text(encoding="utf-8"))
    samples[0]["file"] = name.format(secret=secret) if isinstance(name, str) else name
    write_json(path, samples)
    passport.seal(package, passport.read(package)["links"][:-1])
    assert passport.verify(package) == []
    with pytest.raises(ModelError, match=r"sample 0 names .* no file of golden/ that the passport seals"):
        load(package, Settings({}))
