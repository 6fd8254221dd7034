"""Check the canonical dataset with Great Expectations; bad rows go to quarantine, clean rows go on.

reads   data/<task>/prepared/
writes  data/<task>/validated/: dataset/, quarantine.jsonl, validation.json, data_docs/ (HTML)
run     python -m stages.validate detection
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from core import paths, stage, task
from core.errors import DataError
from core.files import read_json, read_jsonl, write_json, write_jsonl, write_text
from validation import suites

SHOWN = 5
"""Bad rows that messages name."""
REASONS = 6
"""Reasons that messages name."""
LONGEST = 2000
"""Characters of a message."""
KEPT = 12
"""Findings that stand in validation.json, for the report."""


def validate(ctx: stage.Context) -> None:
    checks = task.load(ctx.task, "checks")
    source = paths.prepared(ctx.task)
    ctx.run.dataset("prepared", source)
    tables = checks.tables(source, ctx.params)
    outcomes = suites.run(ctx.task, tables, checks.expectations(ctx.params, tables), ctx.out / "data_docs")
    ctx.run.artifact(ctx.out / "data_docs", "data_docs")
    rejected = _rejected(source)
    quarantine = [*rejected, *(row for outcome in outcomes.values() for row in outcome.quarantine)]
    report = _report(tables, outcomes, rejected, quarantine)
    report["prepared"] = read_json(source / "summary.json")
    ctx.run.metrics({key: report[key] for key in ("rows", "bad", "bad_share")})
    if broken := [message for outcome in outcomes.values() for message in outcome.broken]:
        raise DataError(_refusal(ctx.task, broken, []))
    _refuse_above_limit(ctx, report, quarantine)

    write_jsonl(ctx.out / "quarantine.jsonl", quarantine)
    ctx.run.artifact(ctx.out / "quarantine.jsonl")
    bad = {name: outcome.bad_ids for name, outcome in outcomes.items()}
    report["clean"] = checks.clean(source, bad, ctx.out / "dataset", ctx.params)
    if problems := checks.refuse(ctx.out / "dataset", ctx.params):
        raise DataError(_refusal(ctx.task, problems, report["prepared"].get("notes", [])))
    write_json(ctx.out / "validation.json", report)
    print(f"{ctx.name}: {report['rows']:,} rows, {report['bad']:,} in quarantine")
    for line in _reasons(report["reasons"]):
        print(f"  {line}")
    for row in quarantine[:SHOWN]:
        print(f"  quarantined: {_name(row)}")
    for warning in report["clean"].get("warnings", []):
        print(f"  warning: {warning}")


def _rejected(source: Path) -> list[dict[str, Any]]:
    """Rows that `prepare` could not represent at all."""
    path = source / "rejected.jsonl"
    rows = read_jsonl(path) if path.exists() else []
    return [{"table": "source", "id": None, "split": "", "found": "", **row} for row in rows]


def _report(
    tables: dict[str, Any],
    outcomes: dict[str, suites.Outcome],
    rejected: list[dict[str, Any]],
    quarantine: list[dict[str, Any]],
) -> dict[str, Any]:
    """Counts; a row that fails several checks is one bad row."""
    rows = sum(len(table) for table in tables.values()) + len(rejected)
    bad = sum(len(outcome.bad_ids) for outcome in outcomes.values()) + len(rejected)
    return {
        "rows": rows,
        "bad": bad,
        "bad_share": bad / rows if rows else 0.0,
        "tables": {name: len(table) for name, table in tables.items()},
        "reasons": dict(Counter(row["reason"] for row in quarantine).most_common()),
        "quarantine": quarantine[:KEPT],
        "checks": [check for outcome in outcomes.values() for check in outcome.checks],
    }


def _refuse_above_limit(ctx: stage.Context, report: dict[str, Any], quarantine: list[dict[str, Any]]) -> None:
    limit = ctx.params.validation.max_bad
    if report["bad_share"] <= limit:
        return
    kept = paths.STATE / "quarantine" / f"{ctx.task}.jsonl"  # outlives the stage's folder, which failure removes
    write_jsonl(kept, quarantine)
    head = [
        f"{ctx.task}: {report['bad']:,} of {report['rows']:,} rows are bad ({report['bad_share']:.1%}), "
        f"{ctx.task}.validate.max_bad allows {limit:.1%}. Rows by reason:",
        *(f"  {line}" for line in _reasons(report["reasons"])),
        "The first:",
    ]
    tail = f"All are in {kept}. Mend the data, or raise the limit in params.yaml."
    rows = [f"  - {_name(row)}" for row in quarantine[:SHOWN]]
    while len("\n".join([*head, *rows, tail])) > LONGEST:
        rows.pop()
    raise DataError("\n".join([*head, *rows, tail]))


def _reasons(counts: dict[str, int]) -> list[str]:
    """The commonest reasons, a line each."""
    rows = list(counts.items())
    lines = [f"{count:,} x {_cut(reason)}" for reason, count in rows[:REASONS]]
    rest = rows[REASONS:]
    return lines + [f"{sum(count for _, count in rest):,} x {len(rest)} more reasons"] * bool(rest)


def _refusal(task: str, problems: list[str], notes: list[str]) -> str:
    """One message of bounded length; what does not fit stands in a file that it names."""
    text = f"{task}: " + "; ".join(problems)
    told = "\n".join([text, *(f"  prepare noted: {note}" for note in notes)])
    if len(told) <= LONGEST:
        return told
    kept = paths.STATE / "quarantine" / f"{task}.txt"
    write_text(kept, told + "\n")
    return f"{told[: LONGEST - 200]} ...\nAll of it is in {kept}."


def _cut(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 4] + " ..."


def _name(row: dict[str, Any]) -> str:
    found = f" (found {_cut(str(row['found']), 200)})" if row.get("found") else ""
    return f"{_cut(str(row['file']), 120)}, row {row['row']}, {row['field']}: {_cut(row['reason'])}{found}"


if __name__ == "__main__":
    stage.main("validate", validate, paths.validated)
