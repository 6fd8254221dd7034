"""Example translations for people, and bars of BLEU by sentence length.

Writes `examples.html`, a fragment (no page around it), and PNG plots. Everything that comes from data is escaped.
"""

from __future__ import annotations

import html
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sacrebleu.metrics import CHRF

from core.files import write_text

EACH = 5
"""Rows of the best, of the worst and of random ones at most; a sentence stands once only."""


def show(inputs: Iterable[Any], predictions: Iterable[Any], references: Iterable[Any], folder: Path) -> None:
    """Write `examples.html`: best, worst and random sentences with their chrF (0 to 100)."""
    metric = CHRF()
    rows = [
        (metric.sentence_score(prediction, [reference["text"]]).score, source, reference["text"], prediction)
        for source, prediction, reference in zip(inputs, predictions, references, strict=True)
    ]
    sections = "".join(_section(title, chosen) for title, chosen in _choose(rows))
    write_text(
        folder / "examples.html",
        '<table class="examples">\n<thead><tr><th>source</th><th>reference</th>'
        f"<th>output</th><th>chrF</th></tr></thead>\n{sections}</table>\n",
    )


def compared(
    inputs: Sequence[Any], references: Sequence[Any], predictions: Mapping[str, Sequence[Any]], folder: Path
) -> None:
    """Write `examples.html`: a row for each sentence, with what each model makes of it and its chrF."""
    metric = CHRF()
    models = "".join(f"<th>{html.escape(name)}</th>" for name in predictions)
    rows = []
    for source, reference, *outputs in zip(inputs, references, *predictions.values(), strict=True):
        scored = [(output, metric.sentence_score(output, [reference["text"]]).score) for output in outputs]
        cells = [source, reference["text"], *(f"{output} ({score:.0f})" for output, score in scored)]
        rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>\n")
    write_text(
        folder / "examples.html",
        '<table class="examples">\n<caption>Where they differ most, with the chrF of each output</caption>\n'
        f"<thead><tr><th>source</th><th>reference</th>{models}</tr></thead>\n<tbody>{''.join(rows)}</tbody></table>\n",
    )


def plots(scores: dict[str, Any], folder: Path) -> None:
    """Write `bleu_by_length.png` from the table of the same name; without rows there is no picture."""
    rows = scores["tables"].get("bleu_by_length", [])
    if not rows:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = axes.bar([row["tokens"] for row in rows], [row["bleu"] for row in rows], color="#4878a8")
    axes.bar_label(bars, [f"n={row['sentences']}" for row in rows], fontsize=8)
    axes.set_xlabel("tokens of the reference")
    axes.set_ylabel("BLEU")
    axes.spines[["top", "right"]].set_visible(False)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "bleu_by_length.png", dpi=120, metadata={"Software": None})


Row = tuple[float, Any, Any, Any]


def _choose(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    each = min(EACH, max(1, len(rows) // 3))
    ranked = sorted(rows, key=lambda row: row[0], reverse=True)
    best, rest = ranked[:each], ranked[each:]
    worst = rest[::-1][:each]
    middle = rest[: max(0, len(rest) - each)]
    drawn = random.Random(0).sample(middle, min(each, len(middle)))  # noqa: S311 - a choice of examples, no secret
    return [(title, chosen) for title, chosen in (("best", best), ("worst", worst), ("random", drawn)) if chosen]


def _section(title: str, rows: list[Row]) -> str:
    lines = [f'<tbody><tr><th colspan="4">{title}</th></tr>\n']
    for score, *texts in rows:
        cells = "".join(f"<td>{html.escape(str(text))}</td>" for text in texts)
        lines.append(f"<tr>{cells}<td>{score:.1f}</td></tr>\n")
    return "".join(lines) + "</tbody>\n"
