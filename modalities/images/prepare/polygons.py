"""Lines of YOLO that are longer than a box: polygons, or boxes with key points that nothing declares."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import SourceError

POLYGON = "polygon"
"""As `kpt_shape`: longer lines are polygons, whatever they look like."""
FEWEST = 3
"""Lines below which nothing is concluded."""
SHARE = 0.9
SLACK = 0.02
"""Share of the image by which a key point may stand out of its box."""


def bounds(values: Sequence[float]) -> list[float]:
    """x, y, width, height around the points x1, y1, x2, y2, ...."""
    xs, ys = values[0::2], values[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def refuse_points(lines: Sequence[Sequence[float]], file: str) -> None:
    """A pose data set without `kpt_shape` looks like one of polygons, and each of its boxes would be wrong: all lines
    are of one length, and what follows the first four numbers are points in the box of these four.

    Raises: SourceError.
    """
    if len(lines) < FEWEST or len({len(values) for values in lines}) > 1:
        return
    for numbers in (2, 3):
        if (len(lines[0]) - 4) % numbers == 0 and sum(_posed(v, numbers) for v in lines) >= SHARE * len(lines):
            points = (len(lines[0]) - 4) // numbers
            raise SourceError(
                f"{file}: every longer line is a box and {points} points in it, as of a pose data set, and no polygon; "
                f"write `kpt_shape: [{points}, {numbers}]` into it, or, if these are polygons, `kpt_shape: {POLYGON}`"
            )


def _posed(values: Sequence[float], numbers: int) -> bool:
    x, y, width, height = values[:4]
    if x < width / 2 - SLACK or y < height / 2 - SLACK or x + width / 2 > 1 + SLACK or y + height / 2 > 1 + SLACK:
        return False
    if (
        len(values) == 8
        and max(abs(values[i] - values[i + 2] + values[i + 4] - values[(i + 6) % 8]) for i in (0, 1)) < 1e-3
    ):
        return False  # the corners of a rectangle that is turned
    if numbers == 3 and not all(value in (0, 1, 2) for value in values[6::3]):
        return False
    points = list(zip(values[4::numbers], values[5::numbers], strict=True))
    seen = [(px, py) for px, py in points if (px, py) != (0, 0)]  # (0, 0): a point that is not marked
    return bool(seen) and all(abs(px - x) <= width / 2 + SLACK and abs(py - y) <= height / 2 + SLACK for px, py in seen)
