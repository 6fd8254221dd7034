"""Small raw data sets for the tests of detection's data side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tasks.detection.params import Params

ROOT = Path(__file__).resolve().parents[3]


def settings(**changes: dict[str, Any]) -> Any:
    """The shipped params with `changes` by section; a local path as source."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["detection"]
    content["data"]["source"] = "raw"
    for section, values in changes.items():
        content[section] |= values
    return Params.model_validate(content)


def picture(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def coco(folder: Path, count: int = 12) -> dict[str, Any]:
    """An unsplit set of PNGs with one box of class `cat` or `dog` each; write its content with `save`."""
    (folder / "images").mkdir(parents=True)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}]
    for number in range(1, count + 1):
        name = f"{number:03d}.png"
        picture(number).save(folder / "images" / name)
        content["images"].append({"id": number, "file_name": name, "width": 64, "height": 48})
        box = {"id": number, "image_id": number, "category_id": (3, 9)[number % 2], "bbox": [8, 8, 20, 16]}
        content["annotations"].append(box | {"area": 320, "iscrowd": 0})
    return content


def save(folder: Path, content: Any) -> None:
    (folder / "data.json").write_text(json.dumps(content), encoding="utf-8")


def splits(folder: Path) -> dict[str, Any]:
    return {split: json.loads((folder / f"{split}.json").read_text()) for split in ("train", "val", "test")}
