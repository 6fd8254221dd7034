"""Transforms carry their boxes along exactly, stay in the image, and are a function of the seed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detection_raw import coco, save, settings, splits
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from PIL import Image

from modalities.images.augment import TRANSFORMS, augment, geometry, make
from modalities.images.augment.blend import erase
from modalities.images.augment.view import View, area, clip, settle
from modalities.images.inputs.canonical import read_split
from tasks.detection.prepare import prepare

SIZE = (40, 60)
OFF = dict.fromkeys(TRANSFORMS, 0.0)


def view(boxes: list[list[float]]) -> View:
    """A black picture with white boxes."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    for x1, y1, x2, y2 in np.array(boxes, int):
        pixels[y1:y2, x1:x2] = 255
    return View(pixels, np.array(boxes, float).reshape(-1, 4), np.arange(len(boxes)), np.ones(len(boxes)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("augment")
    save(folder / "raw", coco(folder / "raw"))
    prepare(folder / "raw", folder / "out", settings(), 7)
    return folder / "out"


def test_two_flips_are_none() -> None:
    start = view([[3, 5, 20, 30], [40, 0, 60, 9]])
    once = geometry.warp(start, geometry.flip(SIZE))
    assert np.array_equal(once.pixels, start.pixels[:, ::-1])
    np.testing.assert_allclose(once.boxes, [[40, 5, 57, 30], [0, 0, 20, 9]])
    twice = geometry.warp(once, geometry.flip(SIZE))
    assert np.array_equal(twice.pixels, start.pixels)
    np.testing.assert_allclose(twice.boxes, start.boxes)


@pytest.mark.parametrize("matrix", [geometry.scale(SIZE, 0.5), geometry.crop(SIZE, 0.8, 0.3, 0.6)])
def test_boxes_stay_on_their_pixels(matrix: Any) -> None:
    moved = geometry.warp(view([[20, 12, 40, 28]]), matrix)
    rows, columns = np.nonzero(moved.pixels[..., 0] > 150)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(moved.boxes[0], seen, atol=1)


def test_a_circle_turned_keeps_its_box_but_for_its_place() -> None:
    boxes = geometry.transform(np.array([[10.0, 10, 20, 20]]), geometry.rotate(SIZE, 30))
    np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], [10, 10])


@given(
    st.lists(st.tuples(*[st.floats(-80, 120)] * 2, *[st.floats(1, 60)] * 2), min_size=1, max_size=8),
    st.floats(-45, 45),
    st.floats(0.5, 2),
)
@tries(max_examples=60, deadline=None)
def test_boxes_end_inside_and_areas_add_up(rows: list[tuple[float, ...]], degrees: float, factor: float) -> None:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in rows])
    whole = geometry.transform(boxes, geometry.rotate(SIZE, degrees) @ geometry.scale(SIZE, factor))
    start = View(np.zeros((*SIZE, 3), np.uint8), whole, np.zeros(len(rows), int), np.ones(len(rows)))
    cut = clip(start)
    assert (cut.boxes >= 0).all()
    assert (cut.boxes <= [SIZE[1], SIZE[0]] * 2).all()
    np.testing.assert_allclose(cut.visible * area(whole), area(cut.boxes), atol=1e-6)
    assert (settle(cut).visible >= 0.3).all()


def test_erased_share_counts_as_unseen() -> None:
    covered = view([[0, 0, 60, 40]])
    erased = erase(covered, np.random.default_rng(0))
    changed = (erased.pixels != covered.pixels).any(2).mean()
    assert erased.visible[0] == pytest.approx(1 - changed, abs=0.005)
    assert 0.01 < changed < 0.15


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_same_seed_same_bytes_and_boxes_inside(dataset: Path, tmp_path: Path) -> None:
    params = settings(augment=dict.fromkeys(TRANSFORMS, 0.7))
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        (tmp_path / name).mkdir()
        counts = augment(dataset, tmp_path / name, params, seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "same") != digests(tmp_path / "other")
    assert (counts["images"], counts["augmented_images"]) == (8, 24)
    records, _ = read_split(tmp_path / "one/dataset", "train")
    assert len(records) == len({record["id"] for record in records}) == 32
    for record in records:
        with Image.open(record["file"]) as image:
            assert image.size == (record["width"], record["height"])
        assert (record["boxes"] >= 0).all()
        assert (record["boxes"] <= [record["width"], record["height"]] * 2).all()
        assert (area(record["boxes"]) > 0).all()


def test_no_copies_is_the_clean_split(dataset: Path, tmp_path: Path) -> None:
    counts = augment(dataset, tmp_path, settings(augment={"copies": 0}), 7)
    assert counts["augmented_images"] == 0
    assert (tmp_path / "dataset/train.json").read_bytes() == (dataset / "train.json").read_bytes()
    for image in splits(dataset)["train"]["images"]:
        name = image["file_name"]
        assert (tmp_path / "dataset/images" / name).read_bytes() == (dataset / "images" / name).read_bytes()
    assert (tmp_path / "contact_sheet.png").is_file()


def test_everything_off_changes_nothing(dataset: Path) -> None:
    records, _ = read_split(dataset, "train")
    copy = make(records, 0, 1, settings(augment=OFF).augment, 7)
    with Image.open(records[0]["file"]) as image:
        assert np.array_equal(copy.pixels, np.asarray(image))
    np.testing.assert_array_equal(copy.boxes, records[0]["boxes"])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_switch_acts_when_on_and_leaves_the_others_alone(dataset: Path, name: str) -> None:
    records, _ = read_split(dataset, "train")
    plain = make(records, 0, 1, settings(augment=OFF).augment, 7)
    alone = make(records, 0, 1, settings(augment={**OFF, name: 1.0}).augment, 7)
    assert not np.array_equal(alone.pixels, plain.pixels)
    other = "flip" if name != "flip" else "scale"
    both_off = make(records, 0, 1, settings(augment={**OFF, other: 1.0, name: 0.0}).augment, 7)
    assert np.array_equal(both_off.pixels, make(records, 0, 1, settings(augment={**OFF, other: 1.0}).augment, 7).pixels)
