"""Role `prepare`: a CSV of x and y, and the embedded sample: y = 2 x + 1 with a little noise."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from core.files import write_json
from modalities import splits


def sample(folder: Path, params: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, params.data.points)
    y = 2 * x + 1 + rng.normal(0, 0.05, len(x))
    lines = [f"{a:.4f},{b:.4f}" for a, b in zip(x, y, strict=True)]
    (folder / "points.csv").write_text("\n".join(["x,y", *lines]) + "\n", encoding="utf-8")


def prepare(source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    with (source / "points.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shares = params.data.splits.val, params.data.splits.test
    assigned, notes = splits.assign([None] * len(rows), [row["x"] for row in rows], shares, seed, noun="points")
    counts = {}
    for split in splits.SPLITS:
        points = [
            {"id": i, "file": "points.csv", "row": i + 2, "x": float(row["x"]), "y": float(row["y"])}
            for i, row in enumerate(rows)
            if assigned[i] == split
        ]
        write_json(folder / f"{split}.json", points)
        counts[split] = len(points)
    return {**counts, "notes": notes}
