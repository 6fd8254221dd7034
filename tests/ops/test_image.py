from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import StillhouseError
from ops import image

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("stillhouse-train-cpu:latest", "image-stillhouse-train-cpu"),
        ("registry.example.org:5000/team/trainer:2.1", "image-registry-example-org-5000-team-trainer"),
        (f"localhost/x_y@{DIGEST}", "image-localhost-x-y"),
        ("plain", "image-plain"),
    ],
)
def test_an_image_has_one_note_whatever_its_tag(name: str, note: str) -> None:
    assert image.note(name) == f"requirements/{note}.lock"
    assert image.NOTE.fullmatch(image.note(name))


def test_a_stage_runs_in_the_image_that_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(image.VARIABLE, raising=False)
    note = image.note("trainer:1")
    Path("requirements").mkdir()
    Path(note).write_text(image.text({"trainer:1": DIGEST}))
    image.check("requirements/train-cpu.lock")
    with pytest.raises(StillhouseError, match=r"environment is requirements/image-trainer.lock.*--in docker"):
        image.check(note)
    monkeypatch.setenv(image.VARIABLE, f"trainer:1 {DIGEST}")
    image.check(note)
    monkeypatch.setenv(image.VARIABLE, f"trainer:2 {DIGEST}")
    with pytest.raises(StillhouseError, match="this is trainer:2"):
        image.check(note)
