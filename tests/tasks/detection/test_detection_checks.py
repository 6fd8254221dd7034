"""Bad images and boxes reach quarantine through the real Great Expectations; clean data comes out."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from detection_raw import coco, picture, save, settings, splits
from PIL import Image

from core.errors import SourceError
from modalities.images.inputs.probe import probe
from modalities.splits import SPLITS
from ops.ingest.local import fingerprint
from tasks.detection import checks
from tasks.detection.prepare import prepare
from validation import suites


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bad_images(images: Path, content: dict[str, Any]) -> dict[int, tuple[str, str]]:
    """Damage images 1-10; return field and part of what is found, by row."""
    files = {n: images / f"{n:03d}.png" for n in range(1, 11)}
    jpeg = images / "001.jpg"
    picture(1).save(jpeg, quality=90)
    jpeg.write_bytes(jpeg.read_bytes()[:300])
    files[1].unlink()
    content["images"][0]["file_name"] = "001.jpg"
    files[2].write_bytes(files[2].read_bytes()[:2000])
    files[3].write_bytes(b"")
    files[4].write_bytes(png_claiming(60000, 60000))
    files[5].write_bytes(png_claiming(9000, 9000))
    picture(6).save(files[6], format="JPEG")
    picture(7).save(files[7], save_all=True, append_images=[picture(70)])
    Image.new("RGB", (1, 1)).save(files[8])
    content["images"][7] |= {"width": 1, "height": 1}
    files[9].unlink()
    picture(10, 60, 40).save(files[10])
    return {
        1: ("content", "unreadable"),  # docs/faults.md 1
        2: ("content", "unreadable"),  # docs/faults.md 2
        3: ("content", "empty file"),  # docs/faults.md 3
        4: ("content", "bomb"),  # docs/faults.md 4
        5: ("content", "bomb"),  # docs/faults.md 4, below Pillow's own limit
        6: ("content", "wrong extension: JPEG named .png"),  # docs/faults.md 5
        7: ("content", "animated: 2 frames"),  # docs/faults.md 10
        8: ("short_side", "1"),  # docs/faults.md 11
        9: ("content", "missing file"),  # docs/faults.md 19
        10: ("size", "60x40, stated 64x48"),  # docs/faults.md 21
    }


BOXES: dict[int, tuple[Any, str]] = {
    11: ([50, 8, 20, 16], "overhang"),  # docs/faults.md 13
    12: ([float("nan"), 8, 20, 16], "bbox"),  # docs/faults.md 14
    13: ([8, float("inf"), 20, 16], "bbox"),
    14: ([28, 8, -20, 16], "width"),  # docs/faults.md 15
    15: ([8, 8, 20, 0], "height"),  # docs/faults.md 16
    16: ([8, 8], "bbox"),
    17: ("text", "bbox"),
    18: ([8, 8, "20", 10**400], "bbox"),
    19: ([-1e308, 8, 1e308, 1e308], "overhang"),
}


def test_every_fault_is_quarantined_by_file_row_and_field(tmp_path: Path) -> None:
    """docs/faults.md 1-5, 10, 11, 13-16, 19, 21, 25."""
    content = coco(tmp_path / "raw", 40)
    images = bad_images(tmp_path / "raw/images", content)
    for row, (box, _) in BOXES.items():
        content["annotations"][row - 1]["bbox"] = box
    content["annotations"].append(
        {**content["annotations"][20], "id": 41}
    )  # docs/faults.md 25: a box that stands twice
    save(tmp_path / "raw", content)
    params = settings()
    prepare(tmp_path / "raw", tmp_path / "out", params, 7)
    tables = checks.tables(tmp_path / "out", params)
    outcomes = suites.run("detection", tables, checks.expectations(params, tables), tmp_path / "docs")
    assert not outcomes["images"].broken + outcomes["boxes"].broken
    found = {row["row"]: row for row in outcomes["images"].quarantine}
    assert {row: entry["field"] for row, entry in found.items()} == {row: field for row, (field, _) in images.items()}
    for row, (_, text) in images.items():
        assert text in found[row]["found"], found[row]
        assert found[row]["file"] == "data.json"
    wrong = {(row["row"], row["field"]) for row in outcomes["boxes"].quarantine if row["row"] > 10}
    expected = {(row, field) for row, (_, field) in BOXES.items()} | {(41, "copies_before")}
    assert expected <= wrong
    assert {row for row, _ in wrong} == {row for row, _ in expected}

    bad = {name: outcome.bad_ids for name, outcome in outcomes.items()}
    counts = checks.clean(tmp_path / "out", bad, tmp_path / "clean", params)
    kept = {image["source_row"] for part in splits(tmp_path / "clean").values() for image in part["images"]}
    assert kept == set(range(20, 41))
    assert sum(counts[split]["boxes"] for split in SPLITS) == 21
    again = checks.tables(tmp_path / "clean", params)
    outcomes = suites.run("detection", again, checks.expectations(params, again), tmp_path / "docs2")
    assert not outcomes["images"].quarantine + outcomes["boxes"].quarantine


@pytest.mark.parametrize("shut", ["raw/images/003.png", "raw/images"], ids=["file", "folder"])
def test_an_image_that_may_not_be_read_is_refused(tmp_path: Path, shut: str) -> None:
    """docs/faults.md 12: no fault of the data, so no quarantine; checked as a user who is not root."""
    save(tmp_path / "raw", coco(tmp_path / "raw"))
    mode = (tmp_path / shut).stat().st_mode
    (tmp_path / shut).chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        for folder in (tmp_path, *tmp_path.parents):
            if not folder.stat().st_mode & 0o005:
                folder.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(SourceError, match=r"images/003\.png cannot be read: permission denied"):
            probe(tmp_path / "raw/images/003.png", 10**6, decode=True)
        with pytest.raises(SourceError, match=r"images(/003\.png)? cannot be read"):
            fingerprint(tmp_path / "raw")
    finally:
        if was_root:
            os.seteuid(0)
        (tmp_path / shut).chmod(mode)


@pytest.mark.parametrize(("policy", "images"), [("keep", 12), ("drop", 11), ("quarantine", 11)])
def test_unannotated_images_follow_the_policy(tmp_path: Path, policy: str, images: int) -> None:
    """docs/faults.md 20."""
    content = coco(tmp_path / "raw")
    del content["annotations"][5]
    save(tmp_path / "raw", content)
    params = settings(data={"unannotated": policy})
    prepare(tmp_path / "raw", tmp_path / "out", params, 7)
    tables = checks.tables(tmp_path / "out", params)
    suite = checks.expectations(params, tables)["images"]
    flagged = any(expectation.kwargs["column"] == "boxes" for expectation in suite)
    assert flagged == (policy == "quarantine")
    empty = set(tables["images"].query("boxes == 0")["id"]) if flagged else set()
    counts = checks.clean(tmp_path / "out", {"images": empty}, tmp_path / "clean", params)
    assert sum(counts[split]["images"] for split in SPLITS) == images


def drifting(classes: float, side: float) -> dict[str, Any]:
    """Splits of 400 and 200 boxes; in `test` a share `classes` is of the first class, and boxes have another side."""
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    contents = {}
    for split, count, share, length in (("train", 400, 0.5, 20), ("val", 200, 0.5, 20), ("test", 200, classes, side)):
        boxes = [
            {"image_id": 1, "category_id": 1 if i < share * count else 2, "bbox": [0, 0, length + i % 10, length]}
            for i in range(count)
        ]
        contents[split] = {
            "images": [{"id": 1, "width": 100, "height": 100}],
            "annotations": boxes,
            "categories": categories,
        }
    return contents


def test_drift_of_classes_and_sizes_is_a_warning() -> None:
    """docs/faults.md 44."""
    assert checks.warnings(drifting(0.5, 20)) == []
    (classes,) = checks.warnings(drifting(0.95, 20))
    assert (
        classes.startswith("classes of test differ in frequency from train's")
        and "5% of the boxes there and 50%" in classes
    )
    (sizes,) = checks.warnings(drifting(0.5, 60))
    assert sizes.startswith("boxes of test differ in size from train's")


def test_drift_is_not_told_of_a_split_without_boxes() -> None:
    contents = drifting(0.5, 20)
    contents["val"]["annotations"] = []
    assert checks.warnings(contents) == []


def clean_set(tmp_path: Path) -> Path:
    save(tmp_path / "raw", coco(tmp_path / "raw"))
    prepare(tmp_path / "raw", tmp_path / "out", settings(), 7)
    assert checks.refuse(tmp_path / "out", settings()) == []
    return tmp_path / "out"


def test_leak_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 41."""
    out = clean_set(tmp_path)
    parts = splits(out)
    one, other = (parts[split]["images"][0]["file_name"] for split in ("train", "test"))
    (out / "images" / other).write_bytes((out / "images" / one).read_bytes())
    assert checks.refuse(out, settings()) == [
        f"1 images stand in both train and test ({one} = {other}); remove them from one of the splits"
    ]


def test_class_absent_in_train_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 42."""
    out = clean_set(tmp_path)
    train = splits(out)["train"]
    train["annotations"] = [entry for entry in train["annotations"] if entry["category_id"] == 1]
    (out / "train.json").write_text(json.dumps(train))
    (problem,) = checks.refuse(out, settings())
    assert "no box in train has the class 'dog'" in problem


def test_empty_split_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 43."""
    out = clean_set(tmp_path)
    (out / "val.json").write_text(json.dumps(splits(out)["val"] | {"images": [], "annotations": []}))
    assert checks.refuse(out, settings()) == ["the split 'val' has no image left"]
