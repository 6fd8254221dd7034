"""What the model that ships gives up against the reference, and what it wins: by part of the test split (class, size,
length), and on which inputs. It is told, and chooses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from core.better import Better, sign
from evaluation import bootstrap
from evaluation.bootstrap import Weighted

MOST = 2000
"""Inputs that are scored one by one, a seeded choice of more."""
SAME = 1e-9


class Flips(NamedTuple):
    """Inputs by the difference of the metric, that of each input taken alone."""

    worse: list[int]
    """Positions in the split, the greatest loss first."""
    better: list[int]
    """Likewise, the greatest gain first."""
    compared: int
    """How many inputs were."""


def each(weighted: Weighted, samples: int, main: str, seed: int) -> dict[str, list[Any]]:
    """The main metric of single inputs: `positions` in the split, rising, and their `values`.

    The same positions for every model of a split.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(samples)[:MOST])
    alone = (np.arange(samples) == position for position in chosen)
    found = bootstrap.values(weighted, (row.astype(np.float64) for row in alone)).get(main, [])
    return {"positions": chosen.tolist(), "values": [float(value) for value in found]}


def flips(reference: dict[str, list[Any]], shown: dict[str, list[Any]], better: Better) -> Flips:
    """reference, shown: what `each` gave of two models."""
    if reference["positions"] != shown["positions"]:
        raise ValueError("two models of one split are scored on the same inputs")
    gains = sign(better) * (np.array(shown["values"]) - np.array(reference["values"]))
    order = np.argsort(gains, kind="stable")
    positions = np.array(reference["positions"])
    worse = [int(positions[i]) for i in order if gains[i] < -SAME]
    gained = [int(positions[i]) for i in order[::-1] if gains[i] > SAME]
    return Flips(worse, gained, len(positions))


def parts(reference: Sequence[dict[str, Any]], shown: Sequence[dict[str, Any]], better: Better) -> list[dict[str, Any]]:
    """`tables.parts` of two models, put together: `kind`, `name`, `count`, values of both, and the `gain`, which is
    negative where the shown one is worse; of each kind the worst first."""
    values = {(part["kind"], part["name"]): part["value"] for part in shown}
    rows = []
    for part in reference:
        value = values[part["kind"], part["name"]]
        gain = sign(better) * (value - part["value"])
        rows.append({**part, "reference": part["value"], "shown": value, "gain": gain})
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    return sorted(rows, key=lambda row: (kinds.index(row["kind"]), row["gain"]))


def apart(rows: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` of `parts`, those that differ most, in their order."""
    kept = sorted(range(len(rows)), key=lambda i: -abs(rows[i]["gain"]))[:most]
    return [rows[i] for i in sorted(kept)]
