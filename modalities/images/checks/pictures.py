"""What `validate` demands of pictures, whatever is annotated on them: a table, its suite, and copying the good ones."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.files import read_json, sha256, write_json
from core.task import Expectation
from modalities.images.inputs.probe import GOOD, Probe, probe
from modalities.splits import SPLITS

AS_STATED = "as stated"
SHOWN = 5
COLUMNS = {
    "id": "int64", "file": "str", "row": "int64", "split": "str", "file_name": "str", "content": "str", "size": "str",
    "short_side": "float64",
}  # fmt: skip
"""A task adds what it counts on an image."""
Content = dict[str, Any]
"""A split's JSON file."""


def contents(dataset: Path) -> dict[str, Content]:
    """The JSON file of each split."""
    return {split: read_json(dataset / f"{split}.json") for split in SPLITS}


def probed(dataset: Path, max_pixels: int) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]], Probe]]:
    """Split, image, its annotations, and what the file is; every pixel is decoded, for damage that a header hides."""
    for split, content in contents(dataset).items():
        own = by_image(content)
        for image in content["images"]:
            found = probe(dataset / "images" / image["file_name"], max_pixels, decode=True)
            yield split, image, own[image["id"]], found


def by_image(content: Content) -> dict[Any, list[dict[str, Any]]]:
    """Annotations of each image's id; none of any other key."""
    own: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        own[annotation["image_id"]].append(annotation)
    return own


def row(image: dict[str, Any], split: str, found: Probe) -> dict[str, Any]:
    """The columns `COLUMNS`. A size is compared only where the file is good: a damaged one is one fault, not two."""
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
    }


def expectations(min_side: int) -> list[Expectation]:
    """The suite of `COLUMNS`."""
    return [
        one_of("content", [GOOD], "the file is a whole still image of the kind that its name says"),
        one_of("size", [AS_STATED], "the image has the size that its annotation states"),
        between("short_side", f"the image's sides are at least {min_side} pixels", low=min_side),
        unique("id", "an image's id stands once"),
        unique("file_name", "an image's file stands once"),
    ]


def between(column: str, reason: str, low: float | None = None, high: float | None = None) -> Expectation:
    """Numbers from `low` to `high`; a `low` of 0 must be exceeded."""
    limits: dict[str, Any] = {"min_value": low, "max_value": high, "strict_min": low == 0}
    return Expectation("expect_column_values_to_be_between", {"column": column, **limits}, reason)


def one_of(column: str, values: list[str], reason: str) -> Expectation:
    return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": values}, reason)


def unique(column: str, reason: str) -> Expectation:
    return Expectation("expect_column_values_to_be_unique", {"column": column}, reason)


def write_clean(dataset: Path, folder: Path, split: str, content: Content) -> None:
    """Write a split's JSON file and copy its images."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for image in content["images"]:
        shutil.copyfile(dataset / "images" / image["file_name"], folder / "images" / image["file_name"])
    write_json(folder / f"{split}.json", content)


def refuse(dataset: Path, things: str) -> list[str]:
    """Empty splits, equal images in two splits, classes that train lacks. things: what has a class ("box")."""
    found = contents(dataset)
    problems = [f"the split {split!r} has no image left" for split in SPLITS if not found[split]["images"]]
    problems += _leaks(dataset, found)
    learnt = {entry["category_id"] for entry in found["train"]["annotations"]}
    absent = [entry["name"] for entry in found["train"]["categories"] if entry["id"] not in learnt]
    if absent:
        problems.append(
            f"no {things} in train has the class {', '.join(map(repr, absent))}; "
            "add examples, or list the classes to be learnt in data.classes"
        )
    return problems


def named(pairs: Iterable[tuple[str, str]]) -> str:
    """The first few pairs of equal images."""
    return ", ".join(f"{one} = {other}" for one, other in list(pairs)[:SHOWN])


def _leaks(dataset: Path, contents: dict[str, Content]) -> list[str]:
    """One message for each pair of splits that share image bytes."""
    hashes: dict[str, dict[str, str]] = {split: {} for split in SPLITS}
    for split, content in contents.items():
        for image in content["images"]:
            hashes[split][sha256(dataset / "images" / image["file_name"])] = image["file_name"]
    problems = []
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := sorted(set(hashes[one]) & set(hashes[other])):
            pairs = named((hashes[one][key], hashes[other][key]) for key in shared)
            problems.append(
                f"{len(shared)} images stand in both {one} and {other} ({pairs}); remove them from one of the splits"
            )
    return problems
