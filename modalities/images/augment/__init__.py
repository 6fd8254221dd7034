"""The clean train split and `copies` transformed copies of each image, all from the seed.

reads   the clean dataset's train.json and images/
writes  dataset/ (train.json, images/ with the originals and augmented/*.jpg, or both in shards), contact_sheet.png

Every transform of every copy has a generator of its own, so switching one off leaves the others as they were. Order:
mosaic; flip, rotation, scale and crop as one map; mixup; colour; erasing. Boxes are clipped to the image, and dropped
when less than 30 % of their area is left to see; a label of the whole picture stays. Mosaic and mixup of boxes are for
tasks whose params have them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.files import read_json, write_json
from modalities.images.augment import blend, copying, geometry
from modalities.images.augment.colour import colour
from modalities.images.augment.sheet import contact_sheet
from modalities.images.augment.view import View, settle
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.decode import decode

TRANSFORMS = ("flip", "rotate", "scale", "crop", "colour", "erase", "mixup", "mosaic")
SHOWN = 12
"""Images on the contact sheet."""


def augment(dataset: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """Write the augmented train split; return counts. See the module and `core.task`."""
    content = read_json(dataset / "train.json")
    records, categories = read_split(dataset, "train")
    originals = content["images"][:]
    target = folder / "dataset" / "images"
    target.mkdir(parents=True)
    copying.originals(dataset, originals, target)
    copies = [(index, copy) for copy in range(1, params.augment.copies + 1) for index in range(len(records))]
    shown = set(np.linspace(0, len(copies) - 1, min(SHOWN, len(copies))).astype(int).tolist())
    views: list[View] = []
    image_id = max((image["id"] for image in content["images"]), default=0)
    box_id = max((entry["id"] for entry in content["annotations"]), default=0)
    before = len(content["annotations"])
    names = [f"augmented/{originals[index]['id']:06d}-{copy:03d}.jpg" for index, copy in copies]

    def made(position: int) -> View:
        return make(records, *copies[position], params.augment, seed)

    copied = copying.copies(made, names, shown, originals, target)
    for position, (copy, name) in enumerate(zip(copied, names, strict=True)):
        image_id += 1
        source = originals[copies[position][0]]
        height, width = copy.size
        origin = {"source_file": source["source_file"], "source_row": source["source_row"]}
        content["images"].append(
            {"id": image_id, "file_name": name, "width": width, "height": height, **copy.place, **origin}
        )
        for box, label in zip(copy.boxes, copy.labels, strict=True):
            box_id += 1
            entry = {"id": box_id, "image_id": image_id, "category_id": label, **_bbox(box), **origin}
            content["annotations"].append(entry)
        for label in copy.whole:
            box_id += 1
            entry = {"id": box_id, "image_id": image_id, "category_id": label, **origin}
            content["annotations"].append(entry)
        if copy.view is not None:
            views.append(copy.view)
    write_json(folder / "dataset" / "train.json", content)
    views = views or [load(record) for record in records[:SHOWN]]
    contact_sheet(views, {entry["id"]: entry["name"] for entry in categories}, folder / "contact_sheet.png")
    noun = "labels" if any(len(record["whole"]) for record in records) else "boxes"
    return {
        "images": len(records),
        "augmented_images": len(copies),
        noun: before,
        f"augmented_{noun}": len(content["annotations"]) - before,
        "transforms": {name: _of(params.augment, name) for name in TRANSFORMS if hasattr(params.augment, name)},
    }


def make(records: list[dict[str, Any]], index: int, copy: int, settings: Any, seed: int) -> View:
    """Copy number `copy` of image `index`, with the boxes that are left."""
    key = (seed, records[index]["id"], copy)
    rngs = {name: np.random.default_rng((*key, number)) for number, name in enumerate(TRANSFORMS)}
    view = load(records[index])
    if rngs["mosaic"].random() < _of(settings, "mosaic"):
        others = rngs["mosaic"].integers(0, len(records), 3)
        view = blend.mosaic([view, *(load(records[other]) for other in others)], rngs["mosaic"])
    view = geometry.warp(view, geometry.draw(view.size, settings, rngs))
    if rngs["mixup"].random() < _of(settings, "mixup"):
        view = blend.mixup(view, load(records[rngs["mixup"].integers(0, len(records))]), rngs["mixup"])
    if rngs["colour"].random() < settings.colour:
        view = colour(view, settings, rngs["colour"])
    if rngs["erase"].random() < settings.erase:
        view = blend.erase(view, rngs["erase"])
    return settle(view)


def load(record: dict[str, Any]) -> View:
    """An image as it is. Crowds, which mark no single object, are left out."""
    single = ~record["crowd"]
    boxes = record["boxes"][single]
    return View(decode(record["file"]), boxes, record["labels"][single], np.ones(len(boxes)), record["whole"])


def _of(settings: Any, transform: str) -> float:
    """The probability of a transform, 0 where the task has none."""
    return float(getattr(settings, transform, 0.0))


def _bbox(box: list[float]) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(value, 3) for value in box)
    width, height = round(x2 - x1, 3), round(y2 - y1, 3)
    return {"bbox": [x1, y1, width, height], "area": round(width * height, 3), "iscrowd": 0}
