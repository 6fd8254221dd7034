"""The contact sheet of augmented pairs: a picture, and the same examples as an HTML fragment.

The picture shows a sentence only where an installed font has all its signs; a reader sees no boxes in their place.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.files import write_text

Example = tuple[str, str, str, str]
"""Transform, the original source, the new source, the new target."""
WIDTH = 100
"""Characters of a line; wide (East Asian) characters count double."""


def draw(before: pd.DataFrame, after: pd.DataFrame, examples: Sequence[Example], path: Path) -> None:
    """Length distributions before and after above the examples, as PNG."""
    from matplotlib.figure import Figure  # no pyplot: no global state, no display

    blocks = [_block(example) for example in examples]
    height = 3.2 + sum(0.24 * len(lines) + 0.16 for _, lines in blocks)
    figure = Figure(figsize=(11, height), dpi=110, facecolor="white")
    for position, column in enumerate(("source", "target")):
        axes = figure.add_axes((0.07 + 0.48 * position, 1 - 2.55 / height, 0.41, 1.9 / height))
        lengths = [table[column].str.len().to_numpy() for table in (before, after)]
        bins = np.linspace(0, max(np.quantile(lengths[1], 0.995), 1), 40).tolist()
        original = f"original ({len(before):,})"
        axes.hist(lengths[1], bins, color="#9ecae1", label=f"augmented ({len(after):,})")
        axes.hist(lengths[0], bins, histtype="step", color="#08306b", linewidth=1.4, label=original)
        axes.set_title(f"{column} length", fontsize=10, loc="left")
        axes.set_xlabel("characters", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    y = 1 - 3.2 / height
    for name, lines in blocks:
        figure.text(0.03, y, name, fontsize=9, weight="bold", va="top", color="#08306b")
        for label, text, font in lines:
            figure.text(0.15, y, label, fontsize=9, va="top", color="#666666")
            figure.text(0.23, y, text, fontsize=9, va="top", font=font, parse_math=False)
            y -= 0.24 / height
        y -= 0.16 / height
    # Without the library's version in the file the same examples give the same bytes.
    figure.savefig(path, metadata={"Software": None})


def _block(example: Example) -> tuple[str, list[tuple[str, str, Any]]]:
    """The transform's name and its lines: label, text, font."""
    name, *texts = example
    lines: list[tuple[str, str, Any]] = []
    for label, text in zip(("original", "source", "target"), texts, strict=True):
        font = font_for(text)
        if font is None:
            lines.append((label, f"({len(text)} characters; no installed font shows them: see examples.html)", None))
            continue
        wrapped = textwrap.wrap(text, WIDTH if text.isascii() else WIDTH // 2) or [""]
        lines += [(label if row == 0 else "", line, font) for row, line in enumerate(wrapped[:3])]
    return name, lines


def font_for(text: str) -> Path | None:
    """An installed font file with a sign for every character of `text`, the plainest first."""
    wanted = {ord(character) for character in text if not character.isspace()}
    return next((path for path in _fonts() if wanted <= _signs(path)), None)


@cache
def _fonts() -> list[Path]:
    """Font files, regular ones that matplotlib brings along first, then the system's in order of their names."""
    import matplotlib
    from matplotlib import font_manager

    own = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    others = sorted(
        Path(name) for name in font_manager.findSystemFonts() if "Bold" not in name and "Italic" not in name
    )
    return [own, *others]


@cache
def _signs(path: Path) -> frozenset[int]:
    """Code points that a font has."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()  # no font that FreeType reads


def write_html(examples: Iterable[Example], path: Path) -> None:
    """The examples as a table, every cell escaped."""
    head = "".join(f"<th>{name}</th>" for name in ("transform", "original source", "source", "target"))
    rows = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in examples)
    write_text(path, f'<meta charset="utf-8">\n<table>\n<tr>{head}</tr>\n{rows}\n</table>\n')
