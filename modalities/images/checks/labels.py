"""What `validate` demands of labels of whole pictures, beside what it demands of the pictures.

reads   the canonical dataset (see `prepare`)
writes  the clean one, of the same form
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.task import Expectation
from modalities import shift
from modalities.images.checks import near, pictures
from modalities.images.checks.pictures import Content

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {**pictures.COLUMNS, "labels": "int64", "label": "str"}
IMBALANCE = 10.0
"""Pictures of the largest class over those of the smallest in train, above which it is told."""


def tables(dataset: Path, max_pixels: int) -> dict[str, pd.DataFrame]:
    """`images`, one row an image: the columns are `COLUMNS`; `label` has all of its labels, with commas."""
    rows = pictures.Rows(COLUMNS)
    names = {entry["id"]: entry["name"] for entry in pictures.contents(dataset)["train"]["categories"]}
    for split, image, own, found in pictures.probed(dataset, max_pixels):
        labels = [names[entry["category_id"]] for entry in own]
        rows.add(pictures.row(image, split, found) | {"labels": len(labels), "label": ", ".join(labels)})
    return {"images": rows.table()}


def expectations(min_side: int, several: bool) -> dict[str, list[Expectation]]:
    """The suite of `images`. several: whether a picture may have none, or more than one label."""
    suite = pictures.expectations(min_side)
    if not several:
        suite.append(pictures.between("labels", "the image has one label (data.multilabel is false)", 1, 1))
    return {"images": suite}


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path) -> dict[str, Any]:
    """Write what is good into `folder`; return images, labels, and images left out, by split, and `warnings`."""
    counts: dict[str, Any] = {}
    cleaned: dict[str, Content] = {}
    found = pictures.contents(dataset)
    for split, content in found.items():
        images = [image for image in content["images"] if image["id"] not in bad.get("images", set())]
        kept = {image["id"] for image in images}
        labels = [entry for entry in content["annotations"] if entry["image_id"] in kept]
        cleaned[split] = {"images": images, "annotations": labels, "categories": content["categories"]}
        dropped = len(content["images"]) - len(images)
        left_out = {"quarantined": dropped} if dropped else {}
        counts[split] = {"images": len(images), "labels": len(labels), "left_out": left_out}
    pictures.write_clean(dataset, folder, found, cleaned)
    return counts | {"warnings": warnings(cleaned) + near.warnings(folder, cleaned)}


def warnings(contents: Mapping[str, Content]) -> list[str]:
    """Classes of train of which one is rare, and held-out splits in which they are not as frequent as in train."""
    counts = class_counts(contents)
    told = imbalance(counts["train"])
    for split in ("val", "test"):
        told += shift.of_shares(split, counts[split], counts["train"], "classes", "labels")
    return told


def class_counts(contents: Mapping[str, Content]) -> dict[str, Counter[str]]:
    """Annotations of each class, by split."""
    names = {entry["id"]: entry["name"] for entry in contents["train"]["categories"]}
    return {
        split: Counter(names[entry["category_id"]] for entry in content["annotations"])
        for split, content in contents.items()
    }


def imbalance(counts: Counter[str]) -> list[str]:
    """No sentence or one. counts: pictures of each class in train."""
    if not counts:
        return []
    (most, largest), (least, smallest) = counts.most_common(1)[0], counts.most_common()[-1]
    ratio = largest / smallest
    if ratio <= IMBALANCE:
        return []
    return [
        f"classes of train are unbalanced: {most!r} has {largest:,} images, {least!r} {smallest:,} ({ratio:.0f} times "
        "fewer); accuracy says little of rare classes, look at macro F1"
    ]
