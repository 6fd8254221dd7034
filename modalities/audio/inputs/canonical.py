"""The canonical dataset: `train.json`, `val.json`, `test.json`, lists of recordings, beside `audio/*.wav`.

A recording is {"id", "file_name" ("" where the source's file is none that can be read), "content" (`GOOD`, or what is
wrong with the file), "text", "speaker", "language" ("": not stated), "digest" of its samples, the `figures` of
`inputs.decode`, "source_rate", "channels", "source_file", "source_row"}. WAV files are mono, of 16 bits, at
`data.rate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.files import read_json
from modalities.audio.inputs.decode import Samples, decode

GOOD = "a sound file"
LONGEST = 3600.0
"""Seconds of a recording that the pipeline takes at most, whatever `validate` says."""


def rows(dataset: Path, split: str) -> list[dict[str, Any]]:
    """Recordings of a split, in order."""
    found: list[dict[str, Any]] = read_json(dataset / f"{split}.json")
    return found


def file(dataset: Path, row: dict[str, Any]) -> Path:
    return dataset / "audio" / row["file_name"]


def samples(dataset: Path, row: dict[str, Any], rate: int) -> Samples:
    return decode(file(dataset, row), rate, LONGEST, row["file_name"]).samples
