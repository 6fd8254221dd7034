"""Run a task's expectations with Great Expectations and say which rows failed, where and why.

An exception inside a check counts as a failure, never as a pass.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.task import Expectation
from validation import docs as pages

COLUMNS = ("column", "column_A", "column_B", "column_list")
EXAMPLES = 5
"""Bad rows of an expectation that Data Docs show."""
LONGEST = 300
"""Characters of a bound or set that Data Docs show."""

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd


@dataclass
class Outcome:
    """What the suite of one table found."""

    quarantine: list[dict[str, Any]] = field(default_factory=list)
    """One entry a failing row and reason: `table`, `id`, `file`, `row`, `split`, `field`, `found`, `reason`."""
    broken: list[str] = field(default_factory=list)
    """Checks of whole tables that failed, and checks that raised."""
    checks: list[dict[str, Any]] = field(default_factory=list)
    """One entry an expectation: `type`, `field`, `reason`, `severity`, `failed` (rows), `success`."""
    findings: list[pages.Finding] = field(default_factory=list)
    """The same for Data Docs, with examples."""

    @property
    def bad_ids(self) -> set[Any]:
        return {row["id"] for row in self.quarantine}


def run(
    task: str, tables: Mapping[str, pd.DataFrame], suites: Mapping[str, list[Expectation]], docs: Path
) -> dict[str, Outcome]:
    """Validate each table against its suite and write Data Docs (HTML) into the new folder `docs`."""
    with _quiet():
        context = _context()
        outcomes = {name: _validate(context, task, name, table, suites[name]) for name, table in tables.items()}
    found = [
        pages.Table(name, len(tables[name]), sorted(outcome.findings, key=lambda finding: finding.success))
        for name, outcome in outcomes.items()
    ]
    pages.write(task, found, docs)
    return outcomes


def _context() -> gx.data_context.EphemeralDataContext:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _validate(
    context: gx.data_context.EphemeralDataContext, task: str, name: str, table: pd.DataFrame, checks: list[Expectation]
) -> Outcome:
    import great_expectations as gx

    suite = gx.ExpectationSuite(name=f"{task}_{name}")
    for check in checks:
        kind = getattr(gx.expectations, "".join(word.capitalize() for word in check.type.split("_")))
        suite.add_expectation(kind(**check.kwargs, meta={"reason": check.reason}))
    batch = (
        context.data_sources.add_or_update_pandas(f"{task}_{name}")
        .add_dataframe_asset(name)
        .add_batch_definition_whole_dataframe("all")
    )
    definition = gx.ValidationDefinition(name=f"{task}_{name}", data=batch, suite=context.suites.add_or_update(suite))
    definition = context.validation_definitions.add_or_update(definition)
    validated = definition.run(
        batch_parameters={"dataframe": table},
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["id"],
            "partial_unexpected_count": 5,
            "include_unexpected_rows": False,
        },
    )
    rows = table.set_index("id")[["file", "row", "split"]]
    outcome = Outcome()
    reasons = {check.reason: check for check in checks}
    for item in validated.results:
        config = item.expectation_config
        assert config is not None
        _collect(outcome, name, rows, reasons[config.meta["reason"]], item)
    return outcome


def _collect(outcome: Outcome, table: str, rows: pd.DataFrame, check: Expectation, item: Any) -> None:
    """Add one expectation's result to `outcome`."""
    column = _field(check)
    failed = [] if item.success else (item.result.get("unexpected_index_list") or [])
    raised = _raised(item.exception_info)
    outcome.checks.append(
        {
            "table": table,
            "type": check.type,
            "field": column,
            "reason": check.reason,
            "severity": check.severity,
            "failed": len(failed),
            "success": bool(item.success),
        }
    )
    bad = [] if raised or check.severity == "table" else [_bad(table, rows, column, check, entry) for entry in failed]
    outcome.findings.append(_finding(check, item, len(failed), raised or "", bad))
    if raised:
        outcome.broken.append(f"the check {check.type}({column}) of table {table!r} could not run: {raised}")
    elif check.severity == "table" and not item.success:
        outcome.broken.append(f"table {table!r}: {check.reason}; found {item.result.get('observed_value')}")
    outcome.quarantine += bad


def _bad(table: str, rows: pd.DataFrame, column: str, check: Expectation, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A failing row for the quarantine. entry: its id, and its values in the columns that were checked."""
    where = rows.loc[entry["id"]]
    found = {key: value for key, value in entry.items() if key != "id"}
    return {
        "table": table,
        "id": _plain(entry["id"]),
        "file": str(where["file"]),
        "row": _plain(where["row"]),
        "split": str(where["split"]),
        "field": column,
        "found": ", ".join(str(_plain(value)) for value in found.values())[:200],
        "reason": check.reason,
    }


def _finding(check: Expectation, item: Any, failed: int, raised: str, bad: list[dict[str, Any]]) -> pages.Finding:
    """For Data Docs."""
    observed = (item.result or {}).get("observed_value")
    return pages.Finding(
        type=check.type,
        field=_field(check),
        reason=check.reason,
        details={key: _short(value) for key, value in check.kwargs.items() if key not in COLUMNS and value is not None},
        success=bool(item.success),
        failed=failed,
        observed="" if observed is None else _short(observed),
        raised=raised,
        examples=[pages.Example(row["found"], row["file"], str(row["row"])) for row in bad[:EXAMPLES]],
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _field(check: Expectation) -> str:
    """The column or columns that an expectation looks at."""
    named = [str(check.kwargs[key]) for key in COLUMNS[:3] if key in check.kwargs]
    return ", ".join(named or [str(column) for column in check.kwargs.get("column_list", [])])


def _raised(info: Any) -> str | None:
    """The message of an exception inside a check; Great Expectations nests them by metric."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((str(entry["exception_message"]) for entry in entries if entry.get("raised_exception")), None)


def _plain(value: Any) -> Any:
    """A numpy scalar as a JSON value."""
    return value.item() if hasattr(value, "item") else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations logs and warns at length about nothing a user can act on."""
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
