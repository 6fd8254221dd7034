"""Batches: what is in them, that boxes follow the pixels, that a seed gives the same batches again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from modalities.images.data import pixels
from modalities.images.data.jitter import jitter
from modalities.images.inputs.decode import FILL, fit
from tasks.detection import data


def test_batches_hold_what_the_module_says(squares: Path, settings: Any) -> None:
    loaders = data.loaders(squares, squares, settings, 7, None)
    assert [entry["name"] for entry in json.loads(loaders.assets["classes.json"])["classes"]] == ["square", "dark"]
    batch = next(iter(loaders.train))
    assert batch["images"].shape == (4, 3, 64, 96) and batch["images"].dtype == torch.float32
    assert batch["images"].is_contiguous(memory_format=torch.channels_last)
    assert len(loaders.train) == 2 and len(loaders.val) == 2  # 10 // 4, the rest is dropped; 6 in 4 + 2
    val = list(loaders.val)[1]
    assert val["ids"] == [11 + position for position in val["positions"]] and len(val["ids"]) == 2
    assert val["scales"].tolist() == [[1.0, 1.0]] * 2
    assert set(torch.cat(val["labels"]).tolist()) == {0, 1}  # category ids 1 and 4


def test_assets_of_a_checkpoint_decide_the_classes(squares: Path, settings: Any) -> None:
    classes = [{"id": 4, "name": "dark"}, {"id": 1, "name": "square"}]
    swapped = {"classes.json": json.dumps({"classes": classes}).encode()}
    loaders = data.loaders(squares, squares, settings, 7, swapped)
    assert loaders.assets is swapped
    assert all(labels[0] == 1 for labels in next(iter(loaders.val))["labels"])  # the first box is always a square


def test_same_seed_same_batches_and_every_epoch_another_view(squares: Path, settings: Any) -> None:
    def two_epochs(seed: int) -> list[Any]:
        train = data.loaders(squares, squares, settings, seed, None).train
        return [torch.stack([batch["images"] for batch in train]) for _ in range(2)]

    first, again, other = two_epochs(7), two_epochs(7), two_epochs(8)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], other[0])


def test_a_resumed_run_goes_on_with_its_epoch(squares: Path, settings: Any) -> None:
    train = data.loaders(squares, squares, settings, 7, None).train
    list(train)
    second = next(iter(train))["images"]
    resumed = data.loaders(squares, squares, settings, 7, None).train
    resumed.sampler.set_epoch(1)
    assert torch.equal(next(iter(resumed))["images"], second)


@pytest.mark.parametrize("shift", [0.0, 0.15])
@pytest.mark.parametrize("seed", range(20))
def test_boxes_follow_the_pixels(seed: int, shift: float) -> None:
    """A white rectangle on black is found again where its box says, whatever the view."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[30:90, 40:100] = 255
    settings = SimpleNamespace(
        scale=[0.6, 1.6], shift=shift, aspect=0.2, colour=0.0, flip_horizontal=0.5, flip_vertical=0.5
    )
    pixels, boxes = jitter(image, np.array([[40.0, 30, 100, 90]]), (96, 128), settings, np.random.default_rng(seed))
    assert pixels.shape == (96, 128, 3)
    rows, columns = np.nonzero(pixels[..., 0] > 190)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(boxes[0], seen, atol=1.6)


def test_a_box_out_of_view_has_no_area() -> None:
    settings = SimpleNamespace(
        scale=[4.0, 4.0], shift=0.0, aspect=0.0, colour=0.1, flip_horizontal=0.0, flip_vertical=0.0
    )
    boxes = np.array([[0.0, 0, 4, 4], [60, 60, 64, 64]])
    _, moved = jitter(np.zeros((64, 64, 3), np.uint8), boxes, (64, 64), settings, np.random.default_rng(3))
    assert ((moved[:, 2:] - moved[:, :2]).prod(1) == 0).any()


def test_shifted_pixels_are_those_of_the_image() -> None:
    """At zoom 1 a shift blurs nothing: each pixel is one of the image's or the grey that comes in."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    settings = SimpleNamespace(
        scale=[1.0, 1.0], shift=0.125, aspect=0.0, colour=0.0, flip_horizontal=0.0, flip_vertical=0.0
    )
    seen = set()
    for seed in range(40):
        view, _ = jitter(image, np.zeros((0, 4)), (32, 32), settings, np.random.default_rng(seed))
        framed = np.pad(image, ((4, 4), (4, 4), (0, 0)), constant_values=FILL)
        where = [(y, x) for y in range(9) for x in range(9) if np.array_equal(framed[y : y + 32, x : x + 32], view)]
        assert len(where) == 1
        seen.update(where)
    assert {0, 8} <= {y for y, _ in seen} and {0, 8} <= {x for _, x in seen}


def test_an_image_shifted_far_is_still_in_view() -> None:
    settings = SimpleNamespace(
        scale=[0.2, 0.2], shift=0.5, aspect=0.5, colour=0.0, flip_horizontal=0.0, flip_vertical=0.0
    )
    for seed in range(60):
        view, _ = jitter(
            np.zeros((64, 64, 3), np.uint8), np.zeros((0, 4)), (64, 64), settings, np.random.default_rng(seed)
        )
        assert (view == 0).any()


def test_fit_keeps_the_aspect_and_pads_at_the_end() -> None:
    canvas, scale = fit(np.full((40, 20, 3), 200, np.uint8), (64, 96))
    assert scale == (1.6, 1.6) and canvas.shape == (64, 96, 3)
    assert (canvas[:, :32] == 200).all() and (canvas[:, 32:] == FILL).all()


def test_large_splits_are_not_kept_in_memory(squares: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = next(iter(data.loaders(squares, squares, settings, 7, None).val))["images"]
    monkeypatch.setattr(pixels, "CACHE_BYTES", 0)
    loaders = data.loaders(squares, squares, settings, 7, None)
    assert loaders.val.dataset.pixels.cache is None
    assert torch.equal(next(iter(loaders.val))["images"], kept)


def test_crowds_train_nothing(squares: Path, settings: Any) -> None:
    records, _ = data.read_split(squares, "val")
    records[1]["crowd"][:] = True
    images = data.Images(records, {1: 0, 4: 1}, (64, 96), 7, None)
    assert len(images[1]["boxes"]) == 0 and len(images[0]["boxes"]) == 1
