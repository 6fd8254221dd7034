"""What a server takes of a package: nothing that its passport does not seal, whoever sealed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy_package
from PIL import Image

from core import cpu
from core.errors import ModelError
from core.files import write_json
from evaluation import succession
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


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        (
            "sse4_2 avx2",
            r"processor, Old, shows no instructions for products .* make int8 with `quantize.weight_bits: 7`",
        ),
        ("avx2 avx512_vnni", "compare the versions of ONNX Runtime"),
    ],
)
def test_a_processor_that_computes_otherwise_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, advice: str
) -> None:
    package = toy_package.make(tmp_path / "package")
    write_json(package / succession.NAME, toy_package.FIGURES | {"precision": "int8"})
    path = package / "golden" / "samples.json"
    samples = json.loads(path.read_text(encoding="utf-8"))
    samples[0]["output"] = []
    write_json(path, samples)
    passport.seal(package, passport.read(package)["links"][:-1])
    (tmp_path / "cpuinfo").write_text(f"model name : Old\nflags : {flags}\n")
    monkeypatch.setattr(cpu, "INFO", tmp_path / "cpuinfo")
    with pytest.raises(ModelError, match=rf"golden sample 0 is not predicted .* {advice}"):
        load(package, Settings({}))
