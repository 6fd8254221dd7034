from __future__ import annotations

import pytest

from core.brief import brief


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, ""),
        ({"train": 3600, "val": 200, "notes": [], "normalised": {}}, "train 3,600, val 200"),
        ({"images": {"train": 104, "val": 24}, "rejected": 0}, "images: train 104, val 24; rejected 0"),
        ({"classes": ["red cell", "platelet"], "format": "coco"}, "classes red cell | platelet, format coco"),
        ({"map_fp32": 0.3602223711270138, "loss": -0.008381458}, "map fp32 0.3602, loss -0.008381"),
        ({"resumed": False, "seconds": None, "early": True}, "resumed no, early yes"),
        ({"normalised": {"punctuation": {"«": 2, "»": 3}}}, "normalised: punctuation: « 2, » 3"),
    ],
)
def test_a_line_for_people(values: dict[str, object], line: str) -> None:
    assert brief(values) == line
