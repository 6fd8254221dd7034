"""The report: one HTML file with everything inside, for a colleague who opens it from a mail.

Reads what the stages of a task left; renders `templates/report.html`. All text from data is escaped.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from markupsafe import Markup

from core import lineage, paths
from core.better import words
from core.files import read_json
from core.visible import visible
from evaluation import gate, lost, operators, tables
from ops import pages

TEMPLATES = Path(__file__).parent / "templates"
PARTS = 20
"""Rows of the table of what was lost where."""


def render(comparison: dict[str, Any], pareto: Path, differences: dict[str, Any] | None = None) -> str:
    """The page as text. comparison: as `stages.compare` writes it; pareto: its picture; differences: of the model that
    ships and the reference, as `flipped.compare` tells them."""
    task = comparison["task"]
    shown = comparison["chosen"] or [comparison["rows"][0]["variant"], comparison["rows"][0]["precision"]]
    evaluation = paths.evaluation(task, *shown)
    validation = read_json(paths.validated(task) / "validation.json")
    return pages.render(
        TEMPLATES / "report.html",
        picture=picture,
        short=tables.short,
        comparison=comparison,
        reference=gate.name(comparison["rows"][0]),
        better=words(comparison["better"]),
        device=comparison.get("device"),
        chosen=_row(comparison, shown) if comparison["chosen"] else None,
        shown=shown,
        pareto=pareto,
        differences=differences,
        parts=lost.apart(differences["parts"], PARTS) if differences else [],
        side_by_side=_fragment(table) if (table := pareto.parent / "flipped" / "examples.html").is_file() else None,
        plots=sorted((evaluation / "plots").glob("*.png")),
        pictures=sorted((evaluation / "samples").glob("*.png")),
        fragments=[_fragment(path) for path in sorted((evaluation / "samples").glob("*.html"))],
        validation=validation,
        splits=splits(validation["clean"]),
        operators=operator_table(comparison, shown),
        untouched=untouched(comparison, shown),
        rescues=rescues(comparison),
        contact_sheet=paths.augmented(task) / "contact_sheet.png",
        explanations=explanations(paths.explanation(task, *shown)),
        curves=_curves(comparison),
        commit=lineage.git_commit() or "not under git",
        data_md5=lineage.dvc_md5(paths.prepared(task)) or lineage.digest(paths.prepared(task)),
        data_docs=f"../../{paths.validated(task)}/data_docs/index.html",
    )


def operator_table(comparison: dict[str, Any], shown: list[str]) -> list[dict[str, Any]]:
    """Where the time of the reference goes, and that of the model that is shown, where it is another one."""
    rows = {gate.name(row): row for row in (comparison["rows"][0], _row(comparison, shown))}
    latencies = {name: row["latency_ms"] for name, row in rows.items()}
    costs = {name: row["operators"] for name, row in rows.items()}
    return operators.table(costs, latencies, comparison["timing"]["peak_gflops"])


def untouched(comparison: dict[str, Any], shown: list[str]) -> tuple[float, list[str]] | None:
    """What another precision than the reference's has left as it was (`operators.untouched`), of the model that is
    shown; None of one in the same precision."""
    reference, row = comparison["rows"][0], _row(comparison, shown)
    if row["precision"] == reference["precision"]:
        return None
    return operators.untouched(reference["operators"], row["operators"])


def rescues(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Candidate -> what was tried because quantization had lost too much (`compression.graphs.rescue.story`)."""
    found = {}
    for row in comparison["rows"]:
        notes = paths.model(comparison["task"], row["variant"], row["precision"]) / "quantization.json"
        if notes.is_file() and "rescue" in (noted := read_json(notes)):
            found[gate.name(row)] = noted["rescue"]
    return found


def _row(comparison: dict[str, Any], pair: list[str]) -> dict[str, Any]:
    return next(row for row in comparison["rows"] if [row["variant"], row["precision"]] == pair)


def _fragment(path: Path) -> Markup:
    """A table of a task's `show`, escaped where it was made."""
    return Markup(visible(path.read_text("utf-8")))  # noqa: S704


def picture(path: Path) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def explanations(folder: Path) -> tuple[list[Path], list[Markup]]:
    """Pictures and fragments of HTML that the stage `explain` left; none of a task that has none."""
    fragments = [Markup(path.read_text("utf-8")) for path in sorted(folder.glob("*.html"))]  # noqa: S704 - our own
    return sorted(folder.glob("*.png")), fragments


def splits(counts: dict[str, Any]) -> list[tuple[str, str]]:
    """Each split with its size in words: a task counts rows, or several things by name."""
    words = []
    for name in ("train", "val", "test"):
        count = counts[name]
        kinds = count if isinstance(count, dict) else {"rows": count}
        words.append((name, ", ".join(f"{value:,} {kind}" for kind, value in kinds.items() if isinstance(value, int))))
    return words


def _curves(comparison: dict[str, Any]) -> list[tuple[str, Path]]:
    """Variant and its training curves, where there are some."""
    variants = dict.fromkeys(row["variant"] for row in comparison["rows"])
    found = [(variant, paths.checkpoint(comparison["task"], variant) / "curves.png") for variant in variants]
    return [(variant, path) for variant, path in found if path.exists()]
