"""Whether two lists of boxes are what one model finds on two machines.

int8 kernels differ by CPU, so scores and corners shift a little, and boxes near the smallest score that is kept come
and go. Measured on the embedded sample's int8 models, against the same graphs computed in float: at most 7 % of the
strong boxes of an image lack a partner by the limits below; with noise of 2 % in the weights it is 46 % or more of them
on average over images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IOU, SCORE = 0.8, 0.1
"""Overlap and difference of scores within which two boxes are the same."""
WEAK = 0.1
"""A box whose score lies within it of the smallest score kept needs no partner."""
FEW = 10
"""Of fewer boxes than these each counts, also a weak one."""
UNMATCHED = 0.2
"""Share of the boxes that count which may lack a partner: of two neighbours, suppression may choose the other."""
Box = Mapping[str, Any]


def difference(expected: Sequence[Box], found: Sequence[Box]) -> str | None:
    """How `found` differs from `expected` (boxes as the predictor gives them, best first), None if it does not.

    Where all boxes are weak, they need a partner, too.
    """
    edge = min((box["score"] for box in [*expected, *found]), default=0.0) + WEAK
    if len(expected) < FEW or all(box["score"] <= edge for box in expected):
        edge = 0.0
    missing = _without_partner([box for box in expected if box["score"] > edge], found)
    new = _without_partner([box for box in found if box["score"] > edge], expected)
    strong = sum(box["score"] > edge for box in [*expected, *found])
    if len(missing) + len(new) <= UNMATCHED * strong:
        return None
    first = (missing or new)[0]
    return (
        f"{len(missing)} of {len(expected)} boxes are missing and {len(new)} of {len(found)} are new, e.g. "
        f"{first['label']!r} with score {first['score']:.2f} at {[round(value) for value in first['box']]} is "
        f"{'missing' if missing else 'new'} (the same box: overlap of {IOU} or more, score within {SCORE})"
    )


def _without_partner(boxes: Sequence[Box], others: Sequence[Box]) -> list[Box]:
    """Boxes for which no other of the same label is left that lies there with about that score; best first."""
    free = list(others)
    alone = []
    for box in boxes:
        partner = max(
            (i for i, other in enumerate(free) if _same(box, other)),
            key=lambda i: overlap(box["box"], free[i]["box"]),
            default=None,
        )
        if partner is None:
            alone.append(box)
        else:
            del free[partner]
    return alone


def _same(one: Box, other: Box) -> bool:
    return (
        one["label"] == other["label"]
        and abs(one["score"] - other["score"]) <= SCORE
        and overlap(one["box"], other["box"]) >= IOU
    )


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2; 1 of two equal boxes without area."""
    if list(one) == list(other):
        return 1.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0
