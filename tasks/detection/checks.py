"""What `validate` demands of images and boxes.

reads   the canonical dataset (see `prepare`)
writes  the clean one, of the same form

A box may stand out of its image by `OVERHANG` pixels, which is what rounding in YOLO's shares leaves; `clean` cuts that
off. Boxes of an image in quarantine are left out with it, and so is an image of which every box is in quarantine or
could not be read (`unread`): as a background example it would teach that nothing is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.task import Expectation
from modalities import shift
from modalities.images.checks import near, pictures
from modalities.images.checks.labels import class_counts
from modalities.images.inputs.probe import Probe

if TYPE_CHECKING:
    import pandas as pd

OVERHANG = 0.5
FINITE = "finite"
IMAGES = {**pictures.COLUMNS, "boxes": "int64"}
BOXES = {
    "id": "int64", "file": "str", "row": "int64", "split": "str", "image": "str", "label": "str", "bbox": "str",
    "x": "float64", "y": "float64", "width": "float64", "height": "float64", "overhang": "float64",
    "copies_before": "int64",
}  # fmt: skip


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    """`images`, one row an image, and `boxes`, one row an annotation; the columns are `IMAGES` and `BOXES`.

    Every pixel is decoded, so that `content` tells of damage that a header hides.
    """
    images, boxes = pictures.Rows(IMAGES), pictures.Rows(BOXES)
    names = {entry["id"]: entry["name"] for entry in pictures.contents(dataset)["train"]["categories"]}
    for split, image, own, found in pictures.probed(dataset, params.validation.max_pixels):
        row = pictures.row(image, split, found)
        images.add(row | {"content": image.get("missing", row["content"]), "boxes": len(own)})
        seen: Counter[tuple[Any, ...]] = Counter()
        for annotation in own:
            boxes.add(_box_row(annotation, image, split, found, names, seen))
    return {"images": images.table(), "boxes": boxes.table()}


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    """The suites of `images` and `boxes`."""
    limits = params.validation
    images = pictures.expectations(limits.min_side)
    if params.data.unannotated == "quarantine":
        images.append(pictures.between("boxes", "the image has a box (data.unannotated is quarantine)", low=1))
    sides = [
        pictures.between(side, f"the box's {side} is above 0 and at least {limits.min_box:g} pixels", limits.min_box)
        for side in ("width", "height")
    ]
    boxes = [
        pictures.one_of("bbox", [FINITE], "a box is four finite numbers"),
        *sides,
        pictures.between("overhang", f"the box lies inside its image (tolerance {OVERHANG} pixels)", high=OVERHANG),
        pictures.between("copies_before", "a box stands once on its image", high=0),
        pictures.unique("id", "a box's id stands once"),
    ]
    if params.data.classes:
        boxes.append(pictures.one_of("label", list(params.data.classes), "the class is one of data.classes"))
    return {"images": images, "boxes": boxes}


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    """Write what is good into `folder`; return images, boxes, and images left out, by split, and `warnings`."""
    counts: dict[str, Any] = {}
    contents: dict[str, pictures.Content] = {}
    found = pictures.contents(dataset)
    for split, content in found.items():
        images, annotations, dropped = [], [], Counter[str]()
        own = pictures.by_image(content)
        for image in content["images"]:
            good = [entry for entry in own[image["id"]] if entry["id"] not in bad.get("boxes", set())]
            if image["id"] in bad.get("images", set()):
                dropped["quarantined"] += 1
            elif (own[image["id"]] or image.get("unread")) and not good:
                dropped["every box quarantined"] += 1
            elif not good and params.data.unannotated == "drop":
                dropped["unannotated"] += 1
            else:
                images.append(image)
                annotations += [_cut(entry, image) for entry in good]
        contents[split] = {"images": images, "annotations": annotations, "categories": content["categories"]}
        counts[split] = {"images": len(images), "boxes": len(annotations), "left_out": dict(dropped)}
    pictures.write_clean(dataset, folder, found, contents)
    return counts | {"warnings": warnings(contents) + near.warnings(folder, contents)}


def refuse(dataset: Path, params: Any) -> list[str]:
    """Empty splits and splits without a box, equal images in two splits, classes that train lacks."""
    found = pictures.contents(dataset)
    bare = [split for split, content in found.items() if content["images"] and not content["annotations"]]
    if len(bare) == len(found):
        return ["no image of the whole data set has a box; see prepare's notes, and label them"]
    return pictures.refuse(dataset, "box") + [
        f"the split {split!r} has {len(found[split]['images'])} images and no box, so nothing can be measured on it; "
        "label it, or leave it out of the source, and a part of train takes its place"
        for split in bare
    ]


def warnings(contents: Mapping[str, dict[str, Any]]) -> list[str]:
    """Held-out splits whose classes or sizes of boxes are not as train's. contents: COCO dictionaries by split."""
    counts = class_counts(contents)
    sizes = {split: _sizes(content) for split, content in contents.items()}
    found = []
    for split in ("val", "test"):
        found += shift.of_shares(split, counts[split], counts["train"], "classes", "boxes")
        found += shift.of_figures(
            split, sizes[split], sizes["train"], "boxes", "size", "{:.0%}".format, "of the image's side"
        )
    return found


def _sizes(content: dict[str, Any]) -> list[float]:
    """Square roots of the boxes' shares of their images' areas."""
    areas = {image["id"]: image["width"] * image["height"] for image in content["images"]}
    boxes = content["annotations"]
    return [(entry["bbox"][2] * entry["bbox"][3] / areas[entry["image_id"]]) ** 0.5 for entry in boxes]


def _box_row(
    annotation: dict[str, Any],
    image: dict[str, Any],
    split: str,
    found: Probe,
    labels: dict[int, str],
    seen: Counter[tuple[Any, ...]],
) -> dict[str, Any]:
    numbers: list[Any] = annotation["bbox"]
    finite = "stated" not in annotation
    x, y, width, height = numbers if finite else [float("nan")] * 4
    limits: tuple[Any, Any] = found.upright if None not in found.upright else (image["width"], image["height"])
    overhang = None
    if finite and None not in limits:
        overhang = max(-x, -y, x + width - limits[0], y + height - limits[1], 0.0)
    key = (annotation["category_id"], *numbers)
    seen[key] += finite
    return {
        "id": annotation["id"],
        "file": annotation["source_file"],
        "row": annotation["source_row"],
        "split": split,
        "image": image["file_name"],
        "label": labels[annotation["category_id"]],
        "bbox": FINITE if finite else annotation["stated"],
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "overhang": overhang,
        "copies_before": max(0, seen[key] - 1),
    }


def _cut(annotation: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """The annotation without what hangs over its image's edges."""
    x, y, width, height = annotation["bbox"]
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, image["width"]), min(y + height, image["height"])
    if [left, top, right - left, bottom - top] == [x, y, width, height]:
        return annotation
    box = [left, top, right - left, bottom - top]
    return annotation | {"bbox": box, "area": box[2] * box[3]}
