"""Strings of recordings of single words, joined with silence between them: synthetic data to learn transcripts from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from modalities.audio.inputs import canonical
from modalities.audio.inputs.canonical import GOOD
from modalities.audio.inputs.decode import digest, figures, write

GAP = (0.02, 0.25)
"""Seconds of silence between two words."""


def joined(
    folder: Path, rows: list[dict[str, Any]], splits: list[str | None], settings: Any, seed: int
) -> tuple[list[dict[str, Any]], list[str | None]]:
    """As many strings in place of the recordings `rows`, as `data.join` says, with their splits; each is of one speaker
    and of one split, which has the share of strings that it had of recordings. What cannot be read stays as it is."""
    rng = np.random.default_rng(seed)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row, split in zip(rows, splits, strict=True):
        if split is not None and row["content"] == GOOD:
            groups[split, row["speaker"]].append(row)
    found = [row for row, split in zip(rows, splits, strict=True) if split is not None and row["content"] != GOOD]
    where: list[str | None] = [
        split for row, split in zip(rows, splits, strict=True) if split is not None and row["content"] != GOOD
    ]
    total, number = sum(map(len, groups.values())), len(rows)
    for (split, _), every in sorted(groups.items()):
        for _ in range(round(settings.join.strings * len(every) / total)):
            number += 1
            parts = [every[i] for i in rng.integers(0, len(every), rng.integers(1, settings.join.most + 1))]
            pieces = []
            for part in parts:
                silence = np.zeros(round(settings.rate * rng.uniform(*GAP)), np.float32)
                pieces += [silence, canonical.samples(folder, part, settings.rate)]
            samples = np.concatenate(pieces)
            name = f"{number:06d}.wav"
            write(folder / "audio" / name, samples, settings.rate)
            text = " ".join(part["text"] for part in parts)
            told = {"id": number, "file_name": name, "text": text, "digest": digest(samples)}
            found.append(parts[0] | told | figures(samples, settings.rate))
            where.append(split)
    for every in groups.values():
        for row in every:
            canonical.file(folder, row).unlink()
    return found, where
