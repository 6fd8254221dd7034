"""Near-duplicates across splits, unbalanced classes, and one label a picture."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import classification_tiny as tiny
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from core.files import read_json, write_json
from modalities.images.checks import labels, near, pictures
from modalities.splits import SPLITS
from validation import suites


def test_the_same_photograph_in_another_size_and_compression_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    photo = Image.fromarray(load_sample_images().images[0])
    parts = [photo.crop((x, y, x + 200, y + 150)) for x in (0, 150, 300, 440) for y in (0, 130, 260)]
    contents = {split: {"images": [{"file_name": f"{split}_{i}.png"} for i in range(4)]} for split in SPLITS}
    for number, (split, i) in enumerate((split, i) for split in SPLITS for i in range(4)):
        parts[number].save(tmp_path / "images" / f"{split}_{i}.png")
    assert near.warnings(tmp_path, contents) == []
    contents["val"]["images"].append({"file_name": "again.jpg"})
    parts[1].resize((130, 97), Image.Resampling.LANCZOS).save(tmp_path / "images" / "again.jpg", quality=60)
    (told,) = near.warnings(tmp_path, contents)
    assert told.startswith("1 images of val are nearly the same as one of train (train_1.png = again.jpg)")


def test_pictures_that_show_nothing_are_like_no_other(tmp_path: Path) -> None:
    names = ("one.png", "two.png")
    (tmp_path / "images").mkdir()
    for name in names:
        Image.new("RGB", (40, 40), "white").save(tmp_path / "images" / name)
    assert near.looks(tmp_path, [[{"file_name": name} for name in names]])[0].names == []


def test_the_time_for_sixty_thousand_pictures_is_bounded() -> None:
    """A twentieth of the comparisons, in far less than a twentieth of a minute; and what is alike stops at a number."""
    rng = np.random.default_rng(0)

    def looks(count: int, alike: bool) -> near.Looks:
        hashes = np.zeros(count, np.uint64) if alike else rng.integers(0, 1 << 63, count).astype(np.uint64)
        return near.Looks([str(i) for i in range(count)], hashes, rng.integers(0, 256, (count, 256)).astype(np.uint8))

    start = time.process_time()
    assert near.pairs(looks(5000, False), looks(5000, False)) == ([], False)
    assert near.pairs(looks(3000, True), looks(3000, True)) == ([], True)
    assert time.process_time() - start < 20


def test_one_rare_class_is_told() -> None:
    assert labels.imbalance(Counter({"a": 100, "b": 11})) == []
    (told,) = labels.imbalance(Counter({"a": 1100, "b": 100, "rare": 10}))
    assert told.startswith("classes of train are unbalanced: 'a' has 1,100 images, 'rare' 10 (110 times fewer)")


def test_a_picture_with_two_labels_is_quarantined_where_one_is_asked_for(tmp_path: Path) -> None:
    dataset = tiny.edges(tmp_path / "edges")
    content = read_json(dataset / "train.json")
    content["annotations"].append({"id": 99, "image_id": 1, "category_id": 5})
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] != 2]
    write_json(dataset / "train.json", content)
    tables = labels.tables(dataset, 10**6)
    outcome = suites.run("classification", tables, labels.expectations(8, several=False), tmp_path / "docs")["images"]
    assert outcome.bad_ids == {1, 2}
    assert {row["field"] for row in outcome.quarantine} == {"labels"}
    counts = labels.clean(dataset, {"images": outcome.bad_ids}, tmp_path / "clean")
    assert counts["train"] == {"images": 22, "labels": 22, "left_out": {"quarantined": 2}}
    assert not pictures.refuse(tmp_path / "clean", "image")
    assert len(labels.expectations(8, several=True)["images"]) == len(pictures.expectations(8))
