"""What `validate` demands of pictures, whatever is annotated on them: a table, its suite, and copying the good ones."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import parallel
from core.files import read_json, write_json
from core.task import Expectation
from modalities.images.checks.each import each
from modalities.images.inputs import shards
from modalities.images.inputs.probe import GOOD, Probe, probe
from modalities.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

AS_STATED = "as stated"
ROWS = 10_000
"""Rows of a table that become a part of it together."""
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
    every = contents(dataset)
    images = [image for content in every.values() for image in content["images"]]
    found = [Probe("")] * len(images)
    for position, values in each(_probe, dataset, images, max_pixels):
        found[position] = Probe(*values)
    probes = iter(found)
    for split, content in every.items():
        own = by_image(content)
        for image in content["images"]:
            yield split, image, own[image["id"]], next(probes)


def _probe(source: shards.Source, max_pixels: int) -> tuple[Any, ...]:
    return astuple(probe(source, max_pixels, decode=True))


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


class Rows:
    """A table that is made of rows, of which only the last ones are in memory as such."""

    def __init__(self, columns: dict[str, str]):
        self.columns, self._rows = columns, list[dict[str, Any]]()
        self._pieces: list[pd.DataFrame] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._pieces.append(self._piece())

    def table(self) -> pd.DataFrame:
        import pandas as pd

        return pd.concat([*self._pieces, self._piece()], ignore_index=True) if self._pieces else self._piece()

    def _piece(self) -> pd.DataFrame:
        import pandas as pd

        rows, self._rows = self._rows, []
        return pd.DataFrame(rows, columns=list(self.columns)).astype(self.columns)


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


def write_clean(dataset: Path, folder: Path, before: Mapping[str, Content], after: Mapping[str, Content]) -> None:
    """Write the JSON file of each split of `after`, and copy its images; a shard that lost none stays as it is.

    before: what `dataset` holds.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    held = Counter(image.get("shard") for content in before.values() for image in content["images"])
    images = [image for content in after.values() for image in content["images"]]
    work = [[images[i] for i in unit] for unit in shards.units(images)]
    copies = ((dataset, folder, unit, held[unit[0].get("shard")] == len(unit)) for unit in work)
    for unit, places in zip(work, parallel.mapped(_copy, list(copies)), strict=True):
        for image, place in zip(unit, places, strict=True):
            image.update(place)
    for split, content in after.items():
        write_json(folder / f"{split}.json", content)


def _copy(asked: tuple[Path, Path, list[dict[str, Any]], bool]) -> list[dict[str, int]]:
    """Copy the pictures of a unit; returns what changes in their entries."""
    dataset, folder, images, whole = asked
    return shards.copy(dataset, images, folder / "images", whole)


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
    images = [(split, image) for split, content in contents.items() for image in content["images"]]
    digests = [""] * len(images)
    for position, digest in each(_digest, dataset, [image for _, image in images]):
        digests[position] = digest
    for (split, image), digest in zip(images, digests, strict=True):
        hashes[split][digest] = image["file_name"]
    problems = []
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := sorted(set(hashes[one]) & set(hashes[other])):
            pairs = named((hashes[one][key], hashes[other][key]) for key in shared)
            problems.append(
                f"{len(shared)} images stand in both {one} and {other} ({pairs}); remove them from one of the splits"
            )
    return problems


def _digest(source: shards.Source) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()
