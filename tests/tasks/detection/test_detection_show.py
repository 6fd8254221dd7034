"""Pictures and plots exist, hold the image, and are the same bytes again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tasks.detection import score, show

REFERENCE = {
    "boxes": [[10, 10, 40, 50], [60, 20, 90, 60]],
    "labels": [1, 2],
    "crowd": [False, False],
    "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "dot"}],
}
BOXES = [
    {"box": [11, 9, 41, 52], "score": 0.92, "label": "cell", "category_id": 1},
    {"box": [0, 0, 5, 5], "score": 0.1, "label": "dot", "category_id": 2},
]


def test_show_draws_strong_boxes_and_references(tmp_path: Path) -> None:
    image = np.full((80, 100, 3), 60, np.uint8)
    show.show([image, image], [BOXES, []], [REFERENCE, REFERENCE], tmp_path)
    with_box, without = (np.asarray(Image.open(tmp_path / f"sample_0{i}.png")) for i in (0, 1))
    assert with_box.shape == (640 + 30, 800, 3)  # enlarged, and a line of text below
    colour = [int(show.COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    assert (with_box == colour).all(-1).any() and not (without == colour).all(-1).any()
    other = [int(show.COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)]
    assert not (with_box == other).all(-1).any()  # score 0.1 is not shown
    assert (without == 255).all(-1).sum() > 500  # dashed references


def test_plots_are_reproducible(tmp_path: Path) -> None:
    found, nothing = (score.score([boxes], [REFERENCE], None) for boxes in (BOXES, []))
    for name, scores in (("one", found), ("two", found), ("other", nothing)):
        show.plots(scores, tmp_path / name)
    for plot in ("precision_recall", "classes", "confusion"):
        first, second, other = ((tmp_path / name / f"{plot}.png").read_bytes() for name in ("one", "two", "other"))
        assert first == second and first != other
