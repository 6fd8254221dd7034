"""The canonical dataset of images, read as plain values: COCO JSON beside `images/`.

A record is one image: {"id", "file" (where it lies: `shards.source`), "width", "height", "boxes" (M, 4) float64 corners
x1, y1, x2, y2 in pixels, "labels" (M,) category ids, "crowd" (M,) bool, "whole" (L,) category ids of the whole
picture}. An annotation without `bbox` is a label of the whole picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.files import read_json
from modalities.images.inputs import shards


def read_split(dataset: Path, split: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records in the file's order, and the categories `{"id", "name"}`."""
    content = read_json(dataset / f"{split}.json")
    annotations: dict[Any, list[dict[str, Any]]] = {}
    for annotation in content["annotations"]:
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    records = []
    for image in content["images"]:
        given = annotations.get(image["id"], [])
        own = [a for a in given if "bbox" in a]
        boxes = np.array([a["bbox"] for a in own], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        records.append(
            {
                "id": image["id"],
                "file": shards.source(dataset, image),
                "width": image["width"],
                "height": image["height"],
                "boxes": boxes,
                "labels": np.array([a["category_id"] for a in own], np.int64),
                "crowd": np.array([a.get("iscrowd", 0) for a in own], bool),
                "whole": np.array([a["category_id"] for a in given if "bbox" not in a], np.int64),
            }
        )
    return records, content["categories"]
