"""Which image goes to which split: given splits are kept, the others are drawn, and equal images stay together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from core.errors import SourceError

SPLITS = ("train", "val", "test")


def assign(
    given: Sequence[str | None],
    groups: Sequence[Hashable],
    labels: Sequence[set[str]],
    shares: tuple[float, float],
    seed: int,
) -> tuple[list[str], list[str]]:
    """One split for each image.

    given: the source's split of each image, None where it has none; groups: equal for equal images (their hash);
    labels: the classes in each image; shares: of `val` and `test`, where they have to be drawn from train.
    train + val given: val becomes `test`, so that it is looked at once, and a new val is drawn from train.
    Returns: the splits, and notes for the log. Raises: SourceError without train, or with too few images.
    """
    present = {split for split in given if split}
    if present and "train" not in present:
        raise SourceError(f"the source has the splits {sorted(present)} and no train; add one, or join them into one")
    val, test = shares
    notes = []
    splits = [split or "train" for split in given]
    if "val" in present and "test" not in present:
        splits = ["test" if split == "val" else split for split in splits]
        notes.append("the source's val is kept as test, a new val is drawn from train")
    elif "test" not in present:
        _draw(splits, "test", test, groups, labels, seed)
    if "val" not in splits:
        _draw(splits, "val", val / (1 - test) if not present & {"val", "test"} else val, groups, labels, seed + 1)
        if not present:
            notes.append(f"no splits given: drawn with val {val:g} and test {test:g}")
    return splits, notes


def _draw(
    splits: list[str], name: str, share: float, groups: Sequence[Hashable], labels: Sequence[set[str]], seed: int
) -> None:
    """Move `share` of train to `name` in place, in whole groups, and leave train an image of every class."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, split in enumerate(splits):
        if split == "train":
            members[str(groups[index])].append(index)
    train = [index for group in members.values() for index in group]
    left = Counter(label for index in train for label in labels[index])
    wanted = max(1, round(share * len(train)))
    keys = sorted(members)
    moved = 0
    for position in np.random.default_rng(seed).permutation(len(keys)):
        group = members[keys[position]]
        taken = Counter(label for index in group for label in labels[index])
        if moved + len(group) > wanted or any(left[label] <= count for label, count in taken.items()):
            continue
        left -= taken
        moved += len(group)
        for index in group:
            splits[index] = name
        if moved == wanted:
            return
    if not moved:
        raise SourceError(f"{len(train)} train images ({len(keys)} different ones) are too few to draw {name!r} from")
