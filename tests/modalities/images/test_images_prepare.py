"""Folders of classes and manifests are read, and what is wrong with them is said with file, row and field."""

from __future__ import annotations

import gzip
import json
import os
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import SourceError
from core.files import read_json, read_jsonl
from modalities.images.augment import augment
from modalities.images.inputs.canonical import read_split
from modalities.images.prepare import canonical, coco, folders, manifest, voc, yolo
from modalities.splits import SPLITS

FORMATS = {"folders": folders, "manifest": manifest}


def params(**data: Any) -> Any:
    settings = {"format": "auto", "classes": None, "kind": "path", "splits": SimpleNamespace(val=0.2, test=0.2)}
    limits = SimpleNamespace(max_pixels=10**6)
    return SimpleNamespace(data=SimpleNamespace(**settings | data), validation=limits)


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(path)
    return path


def prepared(source: Path, folder: Path, **data: Any) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Summary, and sorted names of the labels of each split."""
    summary = canonical.prepare(source, folder, params(**data), 7, FORMATS)
    labels = {}
    for split in ("train", "val", "test"):
        records, categories = read_split(folder, split)
        names = {entry["id"]: entry["name"] for entry in categories}
        labels[split] = sorted(names[label] for record in records for label in record["whole"].tolist())
        assert all(len(record["boxes"]) == 0 for record in records)
    return summary, labels


@pytest.mark.parametrize("around", ["", "flowers", "archive/flowers"])
def test_folders_of_splits_and_classes(tmp_path: Path, around: str) -> None:
    root = tmp_path / "raw" / around
    for i, name in enumerate(
        ("train/a/1.png", "train/a/2.png", "train/b/deep/1.png", "validation/a/1.png", "test/b/1.png")
    ):
        picture(root / name, i)
    summary, labels = prepared(tmp_path / "raw", tmp_path / "out")
    assert labels == {"train": ["a", "a", "b"], "val": ["a"], "test": ["b"]}
    assert summary["format"] == "folders" and summary["labels"] == {"train": 3, "val": 1, "test": 1}
    assert {image["source_file"] for image in read_json(tmp_path / "out" / "test.json")["images"]} == {"test/b/1.png"}


def test_folders_without_splits_are_drawn_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    for i in range(20):
        picture(tmp_path / "raw" / "ab"[i % 2] / f"{i}.png", i)
    for name in ("a/Thumbs.db", "b/.DS_Store", "b/._1.png", "notes.txt"):
        (tmp_path / "raw" / name).write_bytes(b"x")
    picture(tmp_path / "raw" / "lost.jpg", 99)
    summary, labels = prepared(tmp_path / "raw", tmp_path / "out")
    assert [len(labels[split]) for split in ("train", "val", "test")] == [12, 4, 4]
    notes = " ".join(summary["notes"])
    assert "3 hidden files left out, e.g. a/Thumbs.db, b/.DS_Store, b/._1.png" in notes
    assert "1 files that are no pictures left out, e.g. notes.txt" in notes
    assert "1 pictures in no class's folder left out, e.g. lost.jpg" in notes


def test_equal_pictures_leave_train_for_the_held_out_split(tmp_path: Path) -> None:
    for i, name in enumerate(
        ("train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png", "val/a/1.png", "test/b/1.png")
    ):
        picture(tmp_path / "raw" / name, i)
    picture(tmp_path / "raw/train/b/same.png", 5)
    summary, labels = prepared(tmp_path / "raw", tmp_path / "out")
    assert summary["removed"] == 1 and labels["train"] == ["a", "a", "b", "b"]
    assert [row["file"] for row in read_jsonl(tmp_path / "out" / "removed.jsonl")] == ["train/b/same.png"]


def test_a_folder_that_is_no_class_of_data_classes_is_refused(tmp_path: Path) -> None:
    for i, name in enumerate(("a/1.png", "rosse/1.png")):
        picture(tmp_path / name, i)
    with pytest.raises(SourceError, match=r"rosse/: folder: unknown class 'rosse'; did you mean"):
        prepared(tmp_path, tmp_path / "out", classes=["a", "rose"])


def test_a_manifest_of_all_splits_with_bad_rows(tmp_path: Path) -> None:
    for i in range(8):
        picture(tmp_path / "raw" / "images" / f"{i}.png", i)
    rows = ["File Name,Label,Split".replace("File Name", "filename")]
    rows += [f"{i}.png,{'ab'[i % 2]},{('train', 'train', 'train', 'train', 'val', 'test')[i]}" for i in range(6)]
    rows += [",a,train", "6.png,,train", "6.png,a,elsewhere", "6.png,a", "gone.png,b,train"]
    (tmp_path / "raw" / "labels.csv").write_text("\n".join(rows) + "\n")
    summary, labels = prepared(tmp_path / "raw", tmp_path / "out")
    assert labels == {"train": ["a", "a", "b", "b", "b"], "val": ["a"], "test": ["b"]}
    bad = [(row["row"], row["field"]) for row in read_jsonl(tmp_path / "out" / "rejected.jsonl")]
    assert bad == [(8, "filename"), (9, "label"), (10, "split"), (11, "row")]
    assert "2 pictures that no row names left out, e.g. images/6.png, images/7.png" in " ".join(summary["notes"])


def test_a_manifest_a_split_with_several_labels(tmp_path: Path) -> None:
    for i in range(6):
        picture(tmp_path / "raw" / f"{i}.png", i)
    (tmp_path / "raw" / "train.jsonl").write_text(
        '{"path": "0.png", "labels": ["a", "b"]}\n{"path": "1.png", "labels": []}\n{"path": "2.png", "labels": "a|c"}\n'
        'no json\n[1]\n{"path": "0.png", "labels": ["c"]}\n{"path": "2.png", "labels": 3.5}\n'
    )
    (tmp_path / "raw" / "val.jsonl").write_text('{"path": "3.png", "labels": ["b"]}\n')
    (tmp_path / "raw" / "test.jsonl").write_text('{"path": "4.png", "labels": ["c"]}\n')
    summary, labels = prepared(tmp_path / "raw", tmp_path / "out")
    assert summary["classes"] == ["a", "b", "c"] and summary["images"] == {"train": 3, "val": 1, "test": 1}
    assert labels == {"train": ["a", "a", "b", "c", "c"], "val": ["b"], "test": ["c"]}
    assert [row["row"] for row in read_jsonl(tmp_path / "out" / "rejected.jsonl")] == [4, 5, 7]


def test_two_tables_that_are_no_splits_are_refused(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("path,label\n1.png,a\n")
    with pytest.raises(SourceError, match="several tables of pictures"):
        prepared(tmp_path, tmp_path / "out")


def test_a_manifest_reaches_no_file_outside(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png", 0)
    picture(tmp_path / "raw" / "1.png", 1)
    (tmp_path / "raw" / "labels.csv").write_text("path,label\n../secret.png,a\n/etc/hostname,a\n1.png,a\n")
    for trusted in (True, False):
        files = manifest.find(tmp_path / "raw")
        raw = manifest.read(tmp_path / "raw", files, None, trusted)
        assert [one.path is not None for one in raw.pictures] == [False, False, True]


def test_labels_of_the_whole_picture_survive_every_transform(tmp_path: Path) -> None:
    for i in range(10):
        picture(tmp_path / "raw" / "ab"[i % 2] / f"{i}.png", i)
    prepared(tmp_path / "raw", tmp_path / "out")
    names = ("flip", "rotate", "scale", "crop", "colour", "erase")
    strengths = {"rotate_degrees": 40.0, "scale_range": [0.3, 3.0], "brightness": 0.2, "contrast": 0.2, "hue": 0.1}
    settings = SimpleNamespace(copies=2, **dict.fromkeys(names, 1.0), **strengths)
    counts = augment(tmp_path / "out", tmp_path / "augmented", SimpleNamespace(augment=settings), 7)
    records, _ = read_split(tmp_path / "augmented" / "dataset", "train")
    plain = len(records) // 3
    assert counts["augmented_labels"] == 2 * plain and set(counts["transforms"]) == set(names)
    assert [r["whole"].tolist() for r in records[plain:]] == 2 * [r["whole"].tolist() for r in records[:plain]]
    assert (tmp_path / "augmented" / "contact_sheet.png").stat().st_size > 0


# What strangers' data has, found by test_fuzz_readers.py.


def coco_content(**changes: Any) -> dict[str, Any]:
    """Twelve pictures with a box each; changes: keys of the first picture, category and annotation."""
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    for i in range(12):
        content["images"].append({"id": i, "file_name": f"{i}.png", "width": 24, "height": 20})
        content["annotations"].append({"id": i, "image_id": i, "category_id": 1, "bbox": [2, 3, 8, 9]})
    for key, values in changes.items():
        content[key][0] |= values
    return content


def write_coco(root: Path, **changes: Any) -> Path:
    for i in range(12):
        picture(root / f"{i}.png", i)
    (root / "data.json").write_text(json.dumps(coco_content(**changes)))
    return root


@pytest.mark.parametrize("name", ["a.json", "a/b.json", "data.yaml", "a/b.yml", "a.data", "a.csv", "a.tsv", "a.jsonl"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_called_like_a_file_and_is_none_is_no_data(tmp_path: Path, name: str, kind: str) -> None:
    place = tmp_path / "raw" / name
    place.parent.mkdir(parents=True)
    {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "link": lambda: place.symlink_to("nowhere")}[kind]()
    formats = {"coco": coco, "yolo": yolo, **FORMATS}
    with pytest.raises(SourceError, match="no data of format 'auto'"):
        canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, formats)


def test_folders_of_classes_that_are_links_are_read(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / "disk" / "ab"[i % 2] / f"{i}.png", i)
    (tmp_path / "raw").mkdir()
    for name in "ab":
        (tmp_path / "raw" / name).symlink_to(tmp_path / "disk" / name)
    (tmp_path / "disk/a/back").symlink_to(tmp_path / "raw")
    summary, labels = prepared(tmp_path / "raw", tmp_path / "out")
    assert sorted(chain.from_iterable(labels.values())) == ["a"] * 6 + ["b"] * 6
    assert summary["format"] == "folders"


def test_pictures_behind_a_link_that_no_row_names_are_told(tmp_path: Path) -> None:
    table = "path,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(12))
    for i in range(12):
        picture(tmp_path / "raw" / f"{i}.png", i)
    (tmp_path / "raw/labels.csv").write_text(table)
    picture(tmp_path / "disk/more.png", 99)
    (tmp_path / "raw/linked").symlink_to(tmp_path / "disk")
    summary, _ = prepared(tmp_path / "raw", tmp_path / "out")
    assert "1 pictures that no row names left out, e.g. linked/more.png" in summary["notes"]


def test_names_of_files_that_are_no_utf8_are_spelt(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / "raw" / "ab"[i % 2] / os.fsdecode(b"k\xfcche%d.png" % i), i)
    picture(tmp_path / "raw" / os.fsdecode(b"\xff.png"), 99)
    summary, _ = prepared(tmp_path / "raw", tmp_path / "out")
    assert "1 pictures in no class's folder left out, e.g. \\udcff.png" in summary["notes"]
    images = read_json(tmp_path / "out/train.json")["images"]
    assert all(image["source_file"][2:].startswith("k\\udcfcche") for image in images)


def test_a_class_whose_name_is_no_unicode_is_refused(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / "raw" / ("a", os.fsdecode(b"k\xfcche"))[i % 2] / f"{i}.png", i)
    with pytest.raises(SourceError, match=r"row 1, class 'k.+udcfcche': its name is no valid Unicode; rename it"):
        prepared(tmp_path / "raw", tmp_path / "out")
    write_coco(tmp_path / "coco", categories={"name": "\ud800"})
    with pytest.raises(SourceError, match=r"data\.json: row 1, class '.+ud800'"):
        canonical.prepare(tmp_path / "coco", tmp_path / "other", params(), 7, {"coco": coco})


def test_a_class_without_a_name_is_refused(tmp_path: Path) -> None:
    write_coco(tmp_path / "raw", categories={"name": " "})
    with pytest.raises(SourceError, match="class 1 of 1 has an empty name; name it"):
        canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"coco": coco})


def test_half_a_character_in_the_name_of_a_picture_is_spelt(tmp_path: Path) -> None:
    write_coco(tmp_path / "raw", images={"file_name": "\ud800.png"}, annotations={"image_id": "\ud801"})
    canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"coco": coco})
    images = [image for split in SPLITS for image in read_json(tmp_path / f"out/{split}.json")["images"]]
    assert sum("missing file: \\ud800.png" in image.get("missing", "") for image in images) == 1
    assert "ud801" in read_jsonl(tmp_path / "out/rejected.jsonl")[0]["found"]


def test_a_size_beyond_all_numbers_is_none(tmp_path: Path) -> None:
    write_coco(
        tmp_path / "raw", images={"width": 10**400}, annotations={"bbox": [{"x": 1}, 10**400, 1e308, "x" * 5000]}
    )
    canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"coco": coco})
    contents = [read_json(tmp_path / f"out/{split}.json") for split in SPLITS]
    (image,) = [image for content in contents for image in content["images"] if image["width"] is None]
    (box,) = [box for content in contents for box in content["annotations"] if box["image_id"] == image["id"]]
    assert box["bbox"] == [None, None, 1e308, None]
    assert box["stated"].startswith('{"x": 1}, 1000') and len(box["stated"]) <= 120


@pytest.mark.parametrize("orientation", [1, 6])
def test_boxes_beyond_all_numbers_are_bad_boxes(tmp_path: Path, orientation: int) -> None:
    """The product of a share and a side, or the sum of two coordinates, has no end."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(12):
        path = picture(tmp_path / "raw" / f"{i}.jpg", i)
        with Image.open(path) as image:
            image.save(path, exif=exif)
        (tmp_path / "raw" / f"{i}.txt").write_text("0 0.5 0.5 1.5e308 1.5e308\n0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "raw/classes.txt").write_text("cat\n")
    canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"yolo": yolo})
    boxes = [box for split in SPLITS for box in read_json(tmp_path / f"out/{split}.json")["annotations"]]
    assert [box.get("stated", "") != "" for box in boxes] == [True, False] * 12


def test_names_as_long_as_a_file_system_takes_stay_apart(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / "raw/train" / "ab"[i % 2] / str(i) / f"{'x' * 251}.png", i)
    prepared(tmp_path / "raw", tmp_path / "out")
    names = [path.name for path in (tmp_path / "out/images").iterdir()]
    assert len(names) == 12 and max(map(len, names)) < 220


def test_a_table_with_a_header_without_end_is_no_table(tmp_path: Path) -> None:
    for name, text in (("a.csv", f"path,label,{'x' * 200_000}\n"), ("b.jsonl", "[" * 30_000)):
        (tmp_path / "raw").mkdir(exist_ok=True)
        (tmp_path / "raw" / name).write_text(text)
    with pytest.raises(SourceError, match=r"found: a\.csv, b\.jsonl"):
        prepared(tmp_path / "raw", tmp_path / "out")


def test_annotations_that_are_damaged_gzip_are_bad_rows(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    xml = f"<annotation><object><name>cat</name>{box}</object></annotation>".encode()
    for i in range(12):
        picture(tmp_path / "raw" / f"{i}.png", i)
        (tmp_path / "raw" / f"{i}.xml").write_bytes(gzip.compress(xml) if i < 4 else xml)
    (tmp_path / "raw/1.xml").write_bytes(gzip.compress(xml)[:-9])
    (tmp_path / "raw/2.xml").write_bytes(b"\x1f\x8b\x00\x00\x00")
    (tmp_path / "raw/3.xml").write_bytes(gzip.compress(xml)[:20] + b"junk" * 9)
    canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"voc": voc})
    assert [row["file"] for row in read_jsonl(tmp_path / "out/rejected.jsonl")] == ["1.xml", "2.xml", "3.xml"]


def test_names_without_end_are_cut_in_what_is_told(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / "raw/images" / f"{i}.png", i)
        (tmp_path / f"raw/images/{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    lines = [f"/home/{'a/' * 9000}images/{i}.png\n" for i in range(12)] + ["b" * 9000 + ".png\n"]
    (tmp_path / "raw/train.txt").write_text("".join(lines))
    (tmp_path / "raw/data.yaml").write_text("train: train.txt\nnames: [cat]\n")
    summary = canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"yolo": yolo})
    assert max(map(len, summary["notes"])) < 1000
    images = [image for split in SPLITS for image in read_json(tmp_path / f"out/{split}.json")["images"]]
    assert len(images) == 13 and max(len(image["source_file"]) for image in images) < 300


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_lists_of_splits_that_are_no_files_are_no_lists(tmp_path: Path, kind: str) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    for i in range(12):
        picture(tmp_path / "raw/JPEGImages" / f"{i}.png", i)
        path = tmp_path / "raw/Annotations" / f"{i}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<annotation><object><name>cat</name>{box}</object></annotation>")
    place = tmp_path / "raw/ImageSets/Main/train.txt"
    place.parent.mkdir(parents=True)
    {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "link": lambda: place.symlink_to(place.name)}[kind]()
    summary = canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"voc": voc})
    assert sum(summary["images"].values()) == 12


def test_pictures_outside_of_the_folder_that_holds_the_data_are_told(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / "raw/set" / "ab"[i % 2] / f"{i}.png", i)
    picture(tmp_path / "raw/more.png", 99)
    summary, _ = prepared(tmp_path / "raw", tmp_path / "out")
    assert "1 files outside of set/ left out, e.g. more.png" in summary["notes"]


@pytest.mark.parametrize("value", ["[" * 30_000, "'" + "<a>" * 9000 + "'"])
def test_yaml_without_end_is_refused_in_few_words(tmp_path: Path, value: str) -> None:
    for i in range(12):
        picture(tmp_path / "raw/images" / f"{i}.png", i)
    (tmp_path / "raw/data.yaml").write_text(f"names: [cat]\ntrain: {value}\n")
    with pytest.raises(SourceError, match=r"^data\.yaml") as refused:
        canonical.prepare(tmp_path / "raw", tmp_path / "out", params(), 7, {"yolo": yolo})
    assert len(str(refused.value)) < 1000
