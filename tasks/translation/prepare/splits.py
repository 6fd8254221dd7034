"""Which pair goes to which split: given splits are kept, missing ones are drawn, and a source sentence stays in one."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from core.errors import SourceError

SPLITS = ("train", "val", "test")


def key(sentence: str) -> str:
    """Equal for sentences that a reader would call the same: case, width and spacing do not count."""
    return " ".join(unicodedata.normalize("NFKC", sentence).casefold().split())


def assign(
    given: Sequence[str | None], keys: Sequence[str], shares: tuple[float, float], seed: int
) -> tuple[list[str | None], list[str]]:
    """One split for each pair; None for one that is left out because its source sentence is held out elsewhere.

    given: the source's split of each pair, None where it has none; keys: `key` of its source sentence;
    shares: of `val` and `test` where they are drawn from train.
    train + val given: val becomes `test`, so that it is looked at once, and a new val is drawn from train.
    Held-out splits stay as they are: what test shares with val or train leaves these, what val shares leaves train.
    Returns: the splits, and notes for the log. Raises: SourceError without train, or with too few sentences.
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
    if "test" not in present:
        _draw(splits, "test", test, keys, seed)
    if "val" not in present:
        _draw(splits, "val", val if "test" in present else val / (1 - test), keys, seed + 1)
    if not present:
        notes.append(f"no splits given: drawn with val {val:g} and test {test:g}")
    return splits, notes


def _leave_out(splits: list[str | None], keys: Sequence[str], held: str, others: tuple[str, ...]) -> None:
    """Empty sentences are no leak: `validate` quarantines them one by one."""
    kept = {name for name, split in zip(keys, splits, strict=True) if split == held} - {""}
    for index, name in enumerate(keys):
        if splits[index] in others and name in kept:
            splits[index] = None


def _draw(splits: list[str | None], name: str, share: float, keys: Sequence[str], seed: int) -> None:
    """Move `share` of train to `name` in place, in whole groups of one source sentence."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, split in enumerate(splits):
        if split == "train":
            members[keys[index]].append(index)
    count = sum(map(len, members.values()))
    wanted = max(1, round(share * count))
    groups = sorted(members)
    moved = 0
    for position in np.random.default_rng(seed).permutation(len(groups)):
        group = members[groups[position]]
        if moved + len(group) > wanted or moved + len(group) == count:
            continue
        moved += len(group)
        for index in group:
            splits[index] = name
        if moved == wanted:
            return
    if not moved:
        raise SourceError(
            f"{count} train pairs with {len(groups)} different source sentences are too few to draw {name!r} from"
        )
