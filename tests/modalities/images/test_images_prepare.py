"""Folders of classes and manifests are read, and what is wrong with them is said with file, row and field."""

from __future__ import annotations

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
from modalities.images.prepare import canonical, folders, manifest

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
