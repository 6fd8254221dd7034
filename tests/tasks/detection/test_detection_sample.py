"""The embedded sample: real digits, given splits, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from detection_raw import settings, splits

from modalities.images.inputs.decode import decode
from tasks.detection import checks
from tasks.detection.prepare import prepare, sample


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_sample_is_seeded_and_prepares_cleanly(tmp_path: Path) -> None:
    params = settings(data={"sample": {"images": 60, "size": [96, 128]}})
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        (tmp_path / name).mkdir()
        sample(tmp_path / name, params, seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "same") != digests(tmp_path / "other")
    summary = prepare(tmp_path / "one", tmp_path / "out", params, 7)
    assert summary["images"] == {"train": 39, "val": 9, "test": 12}
    assert summary["classes"] == [str(digit) for digit in range(10)]
    tables = checks.tables(tmp_path / "out", params)
    assert set(tables["images"]["content"]) == {"an image"}
    assert tables["boxes"]["overhang"].max() == 0
    assert tables["boxes"][["width", "height"]].min().min() >= 4
    assert checks.refuse(tmp_path / "out", params) == []


def test_a_box_differs_from_its_surroundings(tmp_path: Path) -> None:
    params = settings(data={"sample": {"images": 20, "size": [96, 128]}})
    sample(tmp_path / "raw", params, 3)
    prepare(tmp_path / "raw", tmp_path / "out", params, 3)
    train = splits(tmp_path / "out")["train"]
    image = train["images"][0]
    pixels = decode(tmp_path / "out/images" / image["file_name"]).mean(2)
    for entry in (entry for entry in train["annotations"] if entry["image_id"] == image["id"]):
        x, y, w, h = (int(value) for value in entry["bbox"])
        assert np.ptp(pixels[y : y + h, x : x + w]) > 20
