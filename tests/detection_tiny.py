"""A tiny canonical dataset of bright and dark squares, and settings of a tiny detector, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

CATEGORIES = [{"id": 1, "name": "square"}, {"id": 4, "name": "dark"}]


def squares(folder: Path) -> Path:
    """Splits of 10, 6 and 4 images 96 x 64 (one of train is upright), each with one or two squares."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(5)
    number = 0
    for split, count in (("train", 10), ("val", 6), ("test", 4)):
        images, annotations = [], []
        for i in range(count):
            number += 1
            height, width = (96, 64) if split == "train" and i == 0 else (64, 96)
            pixels = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
            for kind in range(1 + i % 2):
                side = int(rng.integers(14, 30))
                x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
                pixels[y : y + side, x : x + side] = 250 if kind == 0 else 5
                box = {"bbox": [x, y, side, side], "area": side * side, "iscrowd": 0, "image_id": number}
                annotations.append(box | {"id": number * 10 + kind, "category_id": CATEGORIES[kind]["id"]})
            name = f"{split}_{i}.png"
            Image.fromarray(pixels).save(folder / "images" / name)
            images.append({"id": number, "file_name": name, "width": width, "height": height})
        content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def settings() -> Any:
    """Params of a tiny detector."""
    jitter = SimpleNamespace(scale=[0.8, 1.25], aspect=0.1, colour=0.2, flip_horizontal=0.5, flip_vertical=0.5)
    return SimpleNamespace(
        model=SimpleNamespace(
            arch="fcos", backbone="efficientnet_lite0", image_size=[64, 96], width=8, tower=1, weights="none",
            score_threshold=0.05, nms_iou=0.6, max_detections=20,
        ),
        train=SimpleNamespace(
            batch_size=4, workers=0, freeze_blocks=0, jitter=jitter,
        ),
        export=SimpleNamespace(opset=18, samples=4, tolerance=1e-3),
        quantize=SimpleNamespace(calibration=8, method="minmax", max_loss=1.0),
    )  # fmt: skip
