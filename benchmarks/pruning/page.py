"""`docs/pruning.md` and `docs/pruning.png` from `measured/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.clones import ROOT
from benchmarks.pruning.run import MEASURED, WAYS
from evaluation.tables import short

PAGE, PICTURE = ROOT / "docs" / "pruning.md", ROOT / "docs" / "pruning.png"
TASKS = ("detection", "classification", "translation")
TITLES = {
    "magnitude": "channels, by magnitude",
    "taylor": "channels, by Taylor expansion",
    "bn_scale": "channels, by BatchNorm's scale",
    "measured": "channels, shares measured",
    "weights": "single weights",
    "relative": "single weights, relative to their layer",
    "groups": "2 of 4 weights",
}
HEADING = """\
# What pruning costs

Made by `python -m benchmarks.pruning table` from what `python -m benchmarks.pruning run TASK` has measured; do not edit
it.

The sample of each task, its base pruned in every way there is (`prune.<name>.importance`, `.allocation`, `.pattern` in
[`params.yaml`](../params.yaml)) and fine-tuned as `params.yaml` says, with the base as teacher, for as long whatever
was removed. *Left* are weights that are not zero. *Kept* is the quality on the validation split, of which the base has
100 %; *test* chose nothing, and has its 95 % interval in brackets. *Speed* is how many times as fast as the base a
model is on one thread, at batch 1 and 8, all of them in fp32 and timed in the same rounds. *Packed* is the file after
gzip.

![Quality kept over weights removed](pruning.png)

Channels make a network smaller and faster, because what is left is a smaller dense network. Single weights keep more
at the same number, and gain nothing on the clock: ONNX Runtime has no kernels that skip zeros (of 2:4, GPUs from
NVIDIA's Ampere on have such, which other runtimes use); only a packed file is smaller.
"""
COLUMNS = ("method", "share", "left", "multiply-adds", "kept", "test", "speed", "batch 8", "MB", "packed")


def write() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    picture()


def page(measured: Path = MEASURED) -> str:
    """The whole document; a task that was not measured says so."""
    parts = [HEADING]
    for task, found in _found(measured).items():
        parts += [f"## {task}", "", *(_section(found) if found else ["Not measured.", ""])]
    return "\n".join(parts)


def picture(measured: Path = MEASURED, path: Path = PICTURE) -> None:
    """A panel for each task: quality kept over weights removed, a line for each method."""
    found = {task: each for task, each in _found(measured).items() if each}
    if not found:
        return
    figure = Figure(figsize=(4.2 * len(found), 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (task, each) in zip(panels, found.items(), strict=True):
        for way, rows in _ways(each).items():
            points = sorted((100 * (1 - _left(row, each)), 100 * kept(row, each)) for row in rows)
            points = [(0.0, 100.0), *points]
            marker = "s" if way in ("weights", "relative", "groups") else "o"
            axis.plot(*zip(*points, strict=True), label=TITLES[way], marker=marker, markersize=4, linewidth=1.4)
        axis.set(title=f"{task}: {each['title']}", xlabel="weights removed, %", xlim=(-2, 100))
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("quality kept, %")
    handles, labels = max((axis.get_legend_handles_labels() for axis in panels), key=lambda both: len(both[1]))
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def kept(row: dict[str, Any], found: dict[str, Any]) -> float:
    """Quality on `val` as a share of the base's; of a metric that is lower when better, the other way round."""
    mine, base = row["quality"], found["rows"][0]["quality"]
    one, other = (mine, base) if found["better"] == "higher" else (base, mine)
    return float(one / other) if other else 0.0


def _found(measured: Path) -> dict[str, dict[str, Any] | None]:
    paths = {task: measured / f"{task}.json" for task in TASKS}
    return {
        task: json.loads(path.read_text(encoding="utf-8")) if path.exists() else None for task, path in paths.items()
    }


def _ways(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows of each method."""
    return {
        way: rows
        for way in WAYS
        if (rows := [row for row in found["rows"] if row["variant"].rpartition("_")[0] == way])
    }


def _left(row: dict[str, Any], found: dict[str, Any]) -> float:
    """Share of the base's weights that are left and not zero."""
    return float(row["parameters"] * (1 - row["zeros"]) / found["rows"][0]["parameters"])


def _section(found: dict[str, Any]) -> list[str]:
    rows = [_cells("base", "", found["rows"][0], found)]
    for way, several in _ways(found).items():
        for row in several:
            rows.append(_cells(TITLES[way], f"{row['variant'].rpartition('_')[2]} %", row, found))
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    return [
        f"{found['title']}, {found['val_inputs']:,} inputs for validation, {found['test_inputs']:,} for test.",
        "",
        *lines,
        "",
        f"Measured on {found['machine']}, at commit `{found['commit'][:12]}`.",
        "",
    ]


def _cells(method: str, share: str, row: dict[str, Any], found: dict[str, Any]) -> list[str]:
    low, high = row["test_interval"]
    return [
        method,
        share,
        f"{100 * _left(row, found):.0f} %",
        short(row["macs"]),
        f"{100 * kept(row, found):.1f} %",
        f"{row['test']:.4g} ({low:.3g} – {high:.3g})",
        f"{row['speed']['value']:.2f}",
        f"{row['speed_8']['value']:.2f}",
        f"{row['size_mb']:.2f}",
        f"{row['packed_mb']:.2f}",
    ]
