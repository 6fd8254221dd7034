"""A tiny canonical dataset of bright and dark squares, and settings of a tiny detector, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import params as params_module
from tasks.detection.params import Params

ROOT = Path(__file__).resolve().parents[1]

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


def settings(**sections: dict[str, Any]) -> Params:
    """params.yaml with a tiny detector; `sections` override single values: settings(train={"workers": 1})."""
    values = params_module.read(ROOT / "params.yaml")["detection"]
    tiny: dict[str, dict[str, Any]] = {
        "model": {"image_size": [64, 96], "width": 8, "tower": 1, "weights": "none", "max_detections": 20},
        "train": {"batch_size": 4, "workers": 0, "freeze_blocks": 0},
        "export": {"samples": 4},
        "quantize": {"calibration": 8, "rescue": None, "max_loss": 1.0},
    }
    jitter = {
        "scale": [0.8, 1.25],
        "shift": 0.0,
        "aspect": 0.1,
        "colour": 0.2,
        "flip_horizontal": 0.5,
        "flip_vertical": 0.5,
    }
    values["train"]["jitter"] |= jitter
    for name, override in (*tiny.items(), *sections.items()):
        values[name] |= override
    return Params.model_validate(values)
