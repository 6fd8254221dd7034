"""Data Docs: what was expected of the data and what was found, as one page for people.

Great Expectations draws pages of its own, which do not escape the values of tables, load scripts and styles of five
hosts and tell one of them who looks; so the results are drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.files import write_text
from ops import pages

TEMPLATE = Path(__file__).parent / "templates" / "data_docs.html"
ENTRY = "index.html"


@dataclass(frozen=True)
class Example:
    """A value that was not as expected, and where it stands."""

    value: str
    file: str
    row: str


@dataclass(frozen=True)
class Finding:
    """What came of one expectation."""

    type: str
    field: str
    """The column or columns; empty for a check of the whole table."""
    reason: str
    """What was expected, in words."""
    details: Mapping[str, str]
    """Its bounds, sets and patterns by name."""
    success: bool
    failed: int
    """Rows."""
    observed: str
    """Of a check of the whole table; else empty."""
    raised: str
    """Why it could not run; empty when it did."""
    examples: Sequence[Example]


@dataclass(frozen=True)
class Table:
    """A table and its findings."""

    name: str
    rows: int
    findings: Sequence[Finding]

    @property
    def failed(self) -> int:
        """Expectations that are not met."""
        return sum(not finding.success for finding in self.findings)


def write(task: str, tables: Sequence[Table], folder: Path) -> Path:
    """Write the page into the new folder; returns it."""
    path = folder / ENTRY
    write_text(path, pages.render(TEMPLATE, task=task, tables=tables))
    return path
