"""`docs/figures.md` from `measured/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.clones import ROOT
from benchmarks.figures.run import MEASURED
from evaluation.tables import short

PAGE = ROOT / "docs" / "figures.md"
PRESETS = {
    "bccd": "blood cells, three classes, on photographs of 640 x 480; test is the official `val` "
    "(the data were a copy without the 72 pictures of the official test split)",
    "tanaka": "English to Japanese, 50,000 short sentences; test is the official `dev`, beam 5",
}
HEADING = """\
# Figures on public data

Made by `python -m benchmarks.figures table` from what `python -m benchmarks.figures run PRESET` has measured; do not
edit it.

Everything through ONNX Runtime. *Test* chose nothing; in brackets its 95 % interval. *Loss* is on the validation split,
against the first row, with the most that the paired test leaves open. *Speed* is how many times as fast as the first
row a model is on one thread, at batch 1 and 8, all of them timed in the same rounds ([how](choice.md)); milliseconds
are those of this machine on that day.
"""
COLUMNS = ("model", "test", "loss", "MB", "of the first", "ms", "speed", "speed, batch 8", "weights", "multiply-adds")


def page(measured: Path = MEASURED) -> str:
    """The whole document; a preset that was not measured says so."""
    parts = [HEADING]
    for preset, told in PRESETS.items():
        path = measured / f"{preset}.json"
        parts += [f"## {preset}", "", f"`make preset NAME={preset}`: {told}.", ""]
        parts += _section(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ["Not measured.", ""]
    return "\n".join(parts)


def _section(found: dict[str, Any]) -> list[str]:
    rows = [_cells(row, found) for row in found["rows"]]
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    limits = ", ".join(
        f"{name} {value if isinstance(value, str) else format(value, 'g')}"
        for name, value in found["budget"].items()
        if value is not None  # no other device's milliseconds
    )
    chosen = " ".join(found["chosen"]) + " was chosen" if found["chosen"] else "nothing was chosen"
    return [
        f"{found['title']} on {found['test_inputs']:,} test inputs, {found['val_inputs']:,} for validation. Within the "
        f"budget ({limits}), {chosen}.",
        "",
        *lines,
        "",
        f"Measured on {found['machine']}, at commit `{found['commit'][:12]}`. Signature: `{found['signature']}`.",
        "",
    ]


def _cells(row: dict[str, Any], found: dict[str, Any]) -> list[str]:
    first = found["rows"][0]
    name = f"{row['variant']} {row['precision']}"
    if found["chosen"] == [row["variant"], row["precision"]]:
        name = f"**{name}**"
    low, high = row["test_interval"]
    loss = f"{row['loss']['value']:.3g} (up to {row['loss']['bound']:.3g})"
    return [
        name,
        f"{row['test']:.4g} ({low:.3g} – {high:.3g})",
        "" if row is first else loss,
        f"{row['size_mb']:.2f}",
        f"{row['size_mb'] / first['size_mb']:.1%}".replace("%", " %"),
        f"{row['latency_ms']:.1f}",
        f"{row['speed']['value']:.2f}",
        f"{row['speed_8']['value']:.2f}",
        short(row["parameters"]),
        short(row["macs"]),
    ]
