"""Which sample goes to which split: given splits are kept, missing ones are drawn, and equal samples stay in one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from core.errors import SourceError

SPLITS = ("train", "val", "test")
WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "development": "val",
    "test": "test", "testing": "test",
    "trainval": "trainval",
}  # fmt: skip
"""How names of files and folders say a split; `trainval` joins two of them."""


def split_of(name: str) -> str | None:
    """`train`, `val`, `test` or `trainval` as said by a file's or folder's name; None: it says nothing.

    >>> split_of("instances_train2017"), split_of("news-dev2015"), split_of("trainval"), split_of("latest")
    ('train', 'val', 'trainval', None)
    """
    return next((WORDS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in WORDS), None)


def assign(
    given: Sequence[str | None],
    keys: Sequence[str],
    shares: tuple[float, float],
    seed: int,
    labels: Sequence[Iterable[str]] | None = None,
    noun: str = "samples",
) -> tuple[list[str | None], list[str]]:
    """One split for each sample; None for one that is left out because a held-out split has an equal one.

    given: the source's split of each sample, None where it has none; keys: the same for equal samples, "" for one that
    is like no other; shares: of `val` and `test` where they are drawn from train; labels: classes of each sample, of
    which train keeps one sample each; noun: what a message calls samples.
    train + val given: val becomes `test`, so that it is looked at once, and a new val is drawn from train.
    Held-out splits stay as they are: what test shares with val or train leaves these, what val shares leaves train.
    Returns: the splits, and notes for the log. Raises: SourceError without train, or with too few samples.
    """
    present = {split for split in given if split}
    if present and "train" not in present:
        raise SourceError(f"the source has the splits {sorted(present)} and no train; add one, or join them into one")
    val, test = shares
    notes = []
    splits: list[str | None] = [split or "train" for split in given]
    if "val" in present and "test" not in present:
        splits = ["test" if split == "val" else split for split in splits]
        notes.append("the source's val (dev) is kept as test, a new val is drawn from train")
        present = {"train", "test"}
    _leave_out(splits, keys, "test", ("train", "val"))
    _leave_out(splits, keys, "val", ("train",))
    classes = [set(one) for one in labels] if labels is not None else [set[str]()] * len(keys)
    if "test" not in present:
        _draw(splits, "test", test, keys, classes, seed, noun)
    if "val" not in present:
        _draw(splits, "val", val if "test" in present else val / (1 - test), keys, classes, seed + 1, noun)
    if not present:
        notes.append(f"no splits given: drawn with val {val:g} and test {test:g}")
    return splits, notes


def _leave_out(splits: list[str | None], keys: Sequence[str], held: str, others: tuple[str, ...]) -> None:
    """What has no key is like no other: a check finds what is wrong with it."""
    kept = {key for key, split in zip(keys, splits, strict=True) if split == held} - {""}
    for index, key in enumerate(keys):
        if splits[index] in others and key in kept:
            splits[index] = None


def _draw(
    splits: list[str | None],
    name: str,
    share: float,
    keys: Sequence[str],
    classes: Sequence[Collection[str]],
    seed: int,
    noun: str,
) -> None:
    """Move `share` of train to `name` in place, in whole groups of one key; train keeps a sample of every class."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, split in enumerate(splits):
        if split == "train":
            members[keys[index] or f"missing {index:09d}"].append(index)
    left = Counter(label for group in members.values() for index in group for label in classes[index])
    count = sum(map(len, members.values()))
    wanted = max(1, round(share * count))
    groups = sorted(members)
    moved = 0
    for position in np.random.default_rng(seed).permutation(len(groups)):
        group = members[groups[position]]
        if moved + len(group) > wanted or moved + len(group) == count:
            continue
        taken = Counter(label for index in group for label in classes[index])
        if any(left[label] <= times for label, times in taken.items()):
            continue
        left.subtract(taken)
        moved += len(group)
        for index in group:
            splits[index] = name
        if moved == wanted:
            return
    if not moved:
        raise SourceError(f"{count} train {noun} ({len(groups)} different ones) are too few to draw {name!r} from")
