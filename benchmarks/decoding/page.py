"""`docs/decoding.md` from `measured/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.clones import ROOT
from benchmarks.decoding.run import MEASURED

PAGE = ROOT / "docs" / "decoding.md"
HEADING = """\
# Decoding beside CTranslate2

Made by `python -m benchmarks.decoding table` from what `python -m benchmarks.decoding run NAME FOLDER` has measured; do
not edit it.

The weights of one checkpoint, as our model folder and as a model of
[CTranslate2](https://github.com/OpenNMT/CTranslate2), both from text to text on one thread with the same subwords, beam
and length penalty, in the same rounds on sentences of `test`, by seconds of the processor. *Ratio* is how many times as
fast ours is, with its 95 % interval ([how](choice.md)). *Equal* counts translations that are the same to the letter; in
int8 the two round activations otherwise (CTranslate2 with a scale for each row, ours with fixed ones from calibration),
so near ties fall either way.

What makes a step short: `modalities/text/export/step.py` and `transformer.py`; what leaves nothing to Python between
steps: `modalities/text/predict/loop.py`; what was tried:
[`benchmarks/LOG.md`](../benchmarks/LOG.md), Decoding. What else the search does, and what there would be to
gain if sentences could enter a batch while it is decoded: [`search.md`](search.md).
"""
COLUMNS = ("precision", "beam", "batch", "ours, sentences/s", "CTranslate2", "ratio", "equal")


def page(measured: Path = MEASURED) -> str:
    """The whole document; where nothing was measured it says so."""
    parts = [HEADING]
    for path in sorted(measured.glob("*.json")):
        parts += [f"## {path.stem}", "", *_section(json.loads(path.read_text(encoding="utf-8")))]
    return "\n".join(parts if len(parts) > 1 else [*parts, "Not measured.", ""])


def _section(found: dict[str, Any]) -> list[str]:
    model = found["model"]
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *map(_cells, found["rows"]))]
    return [
        f"A Transformer of width {model['width']}, {model['encoder_layers']} and {model['decoder_layers']} layers, "
        f"{model['vocabulary']:,} subwords.",
        "",
        *(line.replace("{of}", f"{found['sentences']:,}") for line in lines),
        "",
        f"Measured on {found['machine']}, at commit `{found['commit'][:12]}`.",
        "",
    ]


def _cells(row: dict[str, Any]) -> list[str]:
    ratio, speed = row["ratio"], row["sentences_s"]
    return [
        row["precision"],
        str(row["beam"]),
        str(row["batch"]),
        f"{speed['ours']:.1f}",
        f"{speed['CTranslate2']:.1f}",
        f"{ratio['value']:.2f} ({ratio['low']:.2f} – {ratio['high']:.2f})",
        f"{row['equal']} of {{of}}",
    ]
