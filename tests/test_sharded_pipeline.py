"""The whole pipeline on pictures in shards makes what it makes of files: weights, graphs, figures, golden samples.

Slow: the pipeline runs twice for each task.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pipeline_copy
import pytest
from pipeline_copy import Copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
SAME = (
    *("models/*/*/checkpoint/*.safetensors", "models/*/*/*/*.onnx", "evaluations/*/*/metrics.json"),
    *("evaluations/*/*/predictions.jsonl", "evaluations/*/*/samples/*", "data/*/augmented/contact_sheet.png"),
    *("data/*/validated/validation.json", "packages/*/golden/[0-9]*", "packages/*/statistics.json"),
)


def finished(folder: Path, task: str, sharded: bool) -> Copy:
    copy = pipeline_copy.make(folder)
    if sharded:
        path = copy.folder / "modalities" / "images" / "inputs" / "shards.py"
        text = path.read_text(encoding="utf-8")
        assert "FOLDER = 10_000" in text and "PICTURES, BYTES = 4_096," in text
        text = text.replace("FOLDER = 10_000", "FOLDER = 20").replace(
            "PICTURES, BYTES = 4_096,", "PICTURES, BYTES = 16,"
        )
        path.write_text(text, encoding="utf-8")
    copy.only(task)
    copy.params({f"{task}.prune": {}, f"{task}.distill": {}, f"{task}.precisions": ["fp32", "int8"]})
    copy.plan()
    copy.run("dvc", "repro", timeout=2400)
    return copy


def made(copy: Copy, pattern: str) -> dict[str, str]:
    paths = sorted(copy.folder.glob(pattern))
    return {path.relative_to(copy.folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_shards_make_what_files_make(task: str, tmp_path: Path) -> None:
    files, packed = (finished(tmp_path / name, task, name == "packed") for name in ("files", "packed"))
    for pattern in SAME:
        assert made(files, pattern) == made(packed, pattern), pattern
        assert made(files, pattern), pattern
    for folder in ("prepared", "validated/dataset", "augmented/dataset"):
        pictures = list((packed.folder / "data" / task / folder / "images").rglob("*"))
        assert len(pictures) > 2 and {path.suffix for path in pictures} == {".tar"}, folder
