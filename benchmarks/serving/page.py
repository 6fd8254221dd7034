"""`docs/serving.md` and `docs/serving.png` from `measured/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.clones import ROOT
from benchmarks.serving import record

PAGE, PICTURE = ROOT / "docs" / "serving.md", ROOT / "docs" / "serving.png"
TASKS = ("detection", "translation", "classification")
HEADING = """\
# How fast the server is

Made by `python -m benchmarks.serving table` from what `python -m benchmarks.serving all PACKAGE...` has measured; do
not edit it. Any package can be measured so: `python -m benchmarks.serving load PACKAGE --picture load.png` draws its
latency over load.

Client and server share the machine; the client keeps its connections and does little more than the clock needs.
*Capacity* is what 16 connections get that each ask again as soon as they are answered. Latency counts from the moment
when a request was due, so that a server that falls behind does not look fast. *A bare loop* is the same Predictor in a
loop without a server, in as many processes as the server computes batches side by side; the others serve the same
Predictor with as many processes that compute. All are asked the same inputs in rounds that take turns.
"""
TRITON = """\
A Triton Inference Server was not compared: it comes as a container image of NVIDIA's, and none could be had. The model
repository that `publish` writes for it is checked against the message types of its configuration.
"""
UNANSWERED = "no answer"


@dataclass(frozen=True)
class Row:
    """What is asked of a server. value: of a task's sections, None where nothing was answered; asked: (words, whether a
    value is good)."""

    title: str
    section: str
    value: Callable[[dict[str, Any]], float | None]
    digits: int = 2
    asked: tuple[str, Callable[[float], bool]] | None = None


def _over(peer: str, connections: int) -> Callable[[dict[str, Any]], float]:
    return lambda found: float(found["connections"][str(connections)][peer]["ours_over"])


ROWS = (
    Row("requests/s, 16 connections", "throughput", lambda found: found["rate"], 1),
    Row("over a bare loop", "throughput", lambda f: f["over_bare"][0], 2, ("0.95", lambda x: x >= 0.95)),
    Row("over a bare loop in batches of 8", "throughput", lambda found: found["over_batched"][0]),
    Row("over LitServe, 1 connection", "peers", _over("litserve", 1), 2, ("1", lambda x: x >= 1)),
    Row("over LitServe, 4 connections", "peers", _over("litserve", 4), 2, ("1", lambda x: x >= 1)),
    Row("over LitServe, 16 connections", "peers", _over("litserve", 16), 2, ("1.25", lambda x: x >= 1.25)),
    Row("over `mlflow models serve`, 16", "peers", _over("mlflow", 16), 2, ("2", lambda x: x >= 2)),
    Row("idle p50, ms", "latency", lambda found: found["idle_50"], 1),
    Row("idle p99, ms", "latency", lambda found: found["idle_99"], 1),
    Row("p99 at 70 % of capacity, even, over idle p50", "latency", lambda f: f["even_over_idle"], 2,
        ("at most 2", lambda x: x <= 2)),
    Row("the same, Poisson arrivals", "latency", lambda found: found["poisson_over_idle"]),
)  # fmt: skip


def write() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    found = {task: sections["load"] for task, sections in _found(record.MEASURED).items() if "load" in sections}
    if found:
        picture(found, PICTURE)


def page(measured: Path = record.MEASURED) -> str:
    """The whole document; a task, or a part, that was not measured says so."""
    found = _found(measured)
    parts = [HEADING]
    if any("load" in sections for sections in found.values()):
        parts += ["![Latency over offered load](serving.png)", ""]
    parts += [*_asked(found), TRITON]
    for task, sections in found.items():
        parts += [f"## {task}", "", *_section(sections)]
    return "\n".join(parts)


def picture(curves: Mapping[str, dict[str, Any]], path: Path) -> None:
    """A panel for each task: p50 and p99 over offered load, of even and of Poisson arrivals. curves: see `curve`."""
    figure = Figure(figsize=(4.2 * len(curves), 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, (task, found) in zip(panels, curves.items(), strict=True):
        for kind, colour in (("even", "tab:blue"), ("poisson", "tab:orange")):
            name = {"even": "evenly spaced", "poisson": "Poisson"}[kind]
            for tail, style in (("p50", "--"), ("p99", "-")):
                points = [(point["rate"], point[kind][tail] or float("nan")) for point in found["points"]]
                axis.plot(*zip(*points, strict=True), style, color=colour, marker="o", markersize=3.5, linewidth=1.4,
                          label=f"{name}, {tail}")  # fmt: skip
        axis.axvline(found["capacity"], color="grey", linewidth=1, linestyle=":", label="capacity")
        axis.axhline(found["idle_p50"], color="grey", linewidth=1, label="idle p50")
        axis.set(title=task, xlabel="offered requests/s", xlim=(0, None), yscale="log")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.grid(alpha=0.3, which="both")
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("milliseconds")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else None)


def _found(measured: Path) -> dict[str, dict[str, Any]]:
    return {task: record.read(task, measured) or {} for task in TASKS}


def _asked(found: dict[str, dict[str, Any]]) -> list[str]:
    lines = [["", *found, "asked"], ["---"] * (len(found) + 2)]
    for row in ROWS:
        cells = [_cell(row, sections) for sections in found.values()]
        lines.append([row.title, *cells, row.asked[0] if row.asked else ""])
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _cell(row: Row, sections: dict[str, Any]) -> str:
    if row.section not in sections:
        return "not measured"
    value = row.value(sections[row.section])
    if value is None:
        return UNANSWERED
    text = f"{value:.{row.digits}f}"
    return text if row.asked is None or row.asked[1](value) else f"{text} **missed**"


def _section(sections: dict[str, Any]) -> list[str]:
    if not sections:
        return ["Not measured.", ""]
    parts: list[str] = []
    if "load" in sections:
        parts += _load(sections["load"])
    if "peers" in sections:
        parts += _peers(sections["peers"])
    if "overload" in sections:
        parts += _overload(sections["overload"])
    return [*parts, *_origins(sections)]


def _load(found: dict[str, Any]) -> list[str]:
    head = ["load", "requests/s", "even p50, ms", "p99", "refused", "Poisson p50, ms", "p99", "refused"]
    lines = [head, ["---"] * len(head)]
    for point in found["points"]:
        cells = [f"{point['share']:.0%}", f"{point['rate']:.1f}"]
        for kind in ("even", "poisson"):
            one = point[kind]
            cells += [_ms(one["p50"]), _ms(one["p99"]), f"{one['refused']:.1%}" if one["refused"] else "none"]
        lines.append(cells)
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _ms(value: float | None) -> str:
    return UNANSWERED if value is None else f"{value:.1f}"


def _peers(found: dict[str, Any]) -> list[str]:
    counts = list(found["connections"])
    lines = [["requests/s (p99, ms)", *(f"{count} connection(s)" for count in counts)], ["---"] * (len(counts) + 1)]
    for name in found["connections"][counts[0]]:
        cells = [found["connections"][count][name] for count in counts]
        failed = sum(cell["failed"] for cell in cells)
        title = f"{name} {found['versions'].get(name, '')}".strip() + (f", {failed} failed" if failed else "")
        lines.append([title, *(f"{cell['rate']:.1f} ({_ms(cell['p99'])})" for cell in cells)])
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _overload(found: dict[str, Any]) -> list[str]:
    statuses = ", ".join(f"{count:,} with {status}" for status, count in found["statuses"].items())
    memory = found["memory_mb"]
    return [
        f"{found['over']} times {found['capacity']:.1f} requests/s for {found['minutes']} minutes: {found['sent']:,} "
        f"sent, answered {statuses}, {found['broken']:,} without an answer, {found['wrong']:,} unlike that of an idle "
        f"server; memory {memory[1]:.0f} MB after a minute, {memory[-1]:.0f} at the end.",
        "",
    ]


def _origins(sections: dict[str, Any]) -> list[str]:
    """How each section was measured; the same words once."""
    told: dict[str, list[str]] = {}
    for name, found in sections.items():
        quiet = f"; {found['quiet']} of {found['tried']} rounds were quiet" if "quiet" in found else ""
        words = (
            f"`{found['command']}` on {found['machine']}, {found['workers']} worker(s), each {found['instances']} "
            f"instance(s) of {found['threads']} thread(s), at commit `{found['commit'][:12]}`"
        )
        told.setdefault(words, []).append(name + quiet)
    return [line for words, names in told.items() for line in (f"Measured ({', '.join(names)}): {words}.", "")]
