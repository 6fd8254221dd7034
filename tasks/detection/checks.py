"""What `validate` demands of images and boxes.

reads   the canonical dataset (see `prepare`)
writes  the clean one, of the same form

A box may stand out of its image by `OVERHANG` pixels, which is what rounding in YOLO's shares leaves; `clean` cuts that
off. Boxes of an image in quarantine are left out with it, and so is an image of which every box is in quarantine: as a
background example it would teach that nothing is there.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.files import read_json, sha256, write_json
from core.task import Expectation
from modalities import shift
from modalities.images.inputs.probe import GOOD, Probe, probe
from modalities.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

OVERHANG = 0.5
AS_STATED = "as stated"
FINITE = "finite"
SHOWN = 5
IMAGES = {
    "id": "int64", "file": "str", "row": "int64", "split": "str", "file_name": "str", "content": "str", "size": "str",
    "short_side": "float64", "boxes": "int64",
}  # fmt: skip
BOXES = {
    "id": "int64", "file": "str", "row": "int64", "split": "str", "image": "str", "label": "str", "bbox": "str",
    "x": "float64", "y": "float64", "width": "float64", "height": "float64", "overhang": "float64",
    "copies_before": "int64",
}  # fmt: skip


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    """`images`, one row an image, and `boxes`, one row an annotation; the columns are `IMAGES` and `BOXES`.

    Every pixel is decoded, so that `content` tells of damage that a header hides.
    """
    import pandas as pd

    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for split in SPLITS:
        content = read_json(dataset / f"{split}.json")
        labels = {entry["id"]: entry["name"] for entry in content["categories"]}
        own = _by_image(content)
        for image in content["images"]:
            found = probe(dataset / "images" / image["file_name"], params.validation.max_pixels, decode=True)
            images.append(_image_row(image, split, found, len(own[image["id"]])))
            seen: Counter[tuple[Any, ...]] = Counter()
            for annotation in own[image["id"]]:
                boxes.append(_box_row(annotation, image, split, found, labels, seen))
    return {
        "images": pd.DataFrame(images, columns=list(IMAGES)).astype(IMAGES),
        "boxes": pd.DataFrame(boxes, columns=list(BOXES)).astype(BOXES),
    }


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    """The suites of `images` and `boxes`."""
    limits = params.validation
    images = [
        _one_of("content", [GOOD], "the file is a whole still image of the kind that its name says"),
        _one_of("size", [AS_STATED], "the image has the size that its annotation states"),
        _between("short_side", f"the image's sides are at least {limits.min_side} pixels", low=limits.min_side),
        Expectation("expect_column_values_to_be_unique", {"column": "id"}, "an image's id stands once"),
        Expectation("expect_column_values_to_be_unique", {"column": "file_name"}, "an image's file stands once"),
    ]
    if params.data.unannotated == "quarantine":
        images.append(_between("boxes", "the image has a box (data.unannotated is quarantine)", low=1))
    sides = [
        _between(side, f"the box's {side} is above 0 and at least {limits.min_box:g} pixels", limits.min_box)
        for side in ("width", "height")
    ]
    boxes = [
        _one_of("bbox", [FINITE], "a box is four finite numbers"),
        *sides,
        _between("overhang", f"the box lies inside its image (tolerance {OVERHANG} pixels)", high=OVERHANG),
        _between("copies_before", "a box stands once on its image", high=0),
        Expectation("expect_column_values_to_be_unique", {"column": "id"}, "a box's id stands once"),
    ]
    if params.data.classes:
        boxes.append(_one_of("label", list(params.data.classes), "the class is one of data.classes"))
    return {"images": images, "boxes": boxes}


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    """Write what is good into `folder`; return images, boxes, and images left out, by split, and `warnings`."""
    counts: dict[str, Any] = {}
    contents = {}
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        content = read_json(dataset / f"{split}.json")
        images, annotations, dropped = [], [], Counter[str]()
        own = _by_image(content)
        for image in content["images"]:
            good = [entry for entry in own[image["id"]] if entry["id"] not in bad.get("boxes", set())]
            if image["id"] in bad.get("images", set()):
                dropped["quarantined"] += 1
            elif own[image["id"]] and not good:
                dropped["every box quarantined"] += 1
            elif not good and params.data.unannotated == "drop":
                dropped["unannotated"] += 1
            else:
                images.append(image)
                annotations += [_cut(entry, image) for entry in good]
                shutil.copyfile(dataset / "images" / image["file_name"], folder / "images" / image["file_name"])
        cleaned = {"images": images, "annotations": annotations, "categories": content["categories"]}
        write_json(folder / f"{split}.json", cleaned)
        counts[split] = {"images": len(images), "boxes": len(annotations), "left_out": dict(dropped)}
        contents[split] = cleaned
    return counts | {"warnings": warnings(contents)}


def refuse(dataset: Path, params: Any) -> list[str]:
    """Empty splits, equal images in two splits, classes that train lacks."""
    contents = {split: read_json(dataset / f"{split}.json") for split in SPLITS}
    problems = [f"the split {split!r} has no image left" for split in SPLITS if not contents[split]["images"]]
    problems += _leaks(dataset, contents)
    learnt = {entry["category_id"] for entry in contents["train"]["annotations"]}
    absent = [entry["name"] for entry in contents["train"]["categories"] if entry["id"] not in learnt]
    if absent:
        problems.append(
            f"no box in train has the class {', '.join(map(repr, absent))}; "
            "add examples, or list the classes to be learnt in data.classes"
        )
    return problems


def warnings(contents: Mapping[str, dict[str, Any]]) -> list[str]:
    """Held-out splits whose classes or sizes of boxes are not as train's. contents: COCO dictionaries by split."""
    names = {entry["id"]: entry["name"] for entry in contents["train"]["categories"]}
    counts = {
        split: Counter(names[entry["category_id"]] for entry in content["annotations"])
        for split, content in contents.items()
    }
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


def _by_image(content: dict[str, Any]) -> dict[Any, list[dict[str, Any]]]:
    own: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        own[annotation["image_id"]].append(annotation)
    return own


def _image_row(image: dict[str, Any], split: str, found: Probe, boxes: int) -> dict[str, Any]:
    """A size is compared only where the file is good: a damaged one is one fault, not two."""
    stated, actual = (image["width"], image["height"]), found.upright
    same = found.content != GOOD or stated == actual
    return {
        "id": image["id"],
        "file": image["source_file"],
        "row": image["source_row"],
        "split": split,
        "file_name": image["file_name"],
        "content": found.content,
        "size": AS_STATED if same else f"{actual[0]}x{actual[1]}, stated {stated[0]}x{stated[1]}",
        "short_side": float("nan") if None in actual else min(side for side in actual if side is not None),
        "boxes": boxes,
    }


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


def _between(column: str, reason: str, low: float | None = None, high: float | None = None) -> Expectation:
    limits: dict[str, Any] = {"min_value": low, "max_value": high, "strict_min": low == 0}
    return Expectation("expect_column_values_to_be_between", {"column": column, **limits}, reason)


def _one_of(column: str, values: list[str], reason: str) -> Expectation:
    return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": values}, reason)


def _cut(annotation: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """The annotation without what hangs over its image's edges."""
    x, y, width, height = annotation["bbox"]
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, image["width"]), min(y + height, image["height"])
    if [left, top, right - left, bottom - top] == [x, y, width, height]:
        return annotation
    box = [left, top, right - left, bottom - top]
    return annotation | {"bbox": box, "area": box[2] * box[3]}


def _leaks(dataset: Path, contents: dict[str, Any]) -> list[str]:
    """One message for each pair of splits that share image bytes."""
    hashes: dict[str, dict[str, str]] = {split: {} for split in SPLITS}
    for split, content in contents.items():
        for image in content["images"]:
            hashes[split][sha256(dataset / "images" / image["file_name"])] = image["file_name"]
    problems = []
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := sorted(set(hashes[one]) & set(hashes[other])):
            pairs = ", ".join(f"{hashes[one][key]} = {hashes[other][key]}" for key in shared[:SHOWN])
            problems.append(
                f"{len(shared)} images stand in both {one} and {other} ({pairs}); remove them from one of the splits"
            )
    return problems
