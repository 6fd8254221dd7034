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
from core.brief import brief
from core.errors import DataError
from core.files import read_json, read_jsonl, write_json, write_jsonl
from validation import suites

SHOWN = 5
"""Bad rows that messages name."""
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
        raise DataError(f"{ctx.task}: " + "; ".join(broken))
    _refuse_above_limit(ctx, report, quarantine)

    write_jsonl(ctx.out / "quarantine.jsonl", quarantine)
    ctx.run.artifact(ctx.out / "quarantine.jsonl")
    bad = {name: outcome.bad_ids for name, outcome in outcomes.items()}
    report["clean"] = checks.clean(source, bad, ctx.out / "dataset", ctx.params)
    if problems := checks.refuse(ctx.out / "dataset", ctx.params):
        raise DataError(f"{ctx.task}: " + "; ".join(problems))
    write_json(ctx.out / "validation.json", report)
    reasons = f" ({brief(report['reasons'])})" if report["reasons"] else ""
    print(f"{ctx.name}: {report['rows']:,} rows, {report['bad']} in quarantine{reasons}")
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
    worst = "\n".join(f"  - {_name(row)}" for row in quarantine[:SHOWN])
    raise DataError(
        f"{ctx.task}: {report['bad']} of {report['rows']} rows are bad ({report['bad_share']:.1%}), "
        f"{ctx.task}.validate.max_bad allows {limit:.1%}. Rows by reason: {report['reasons']}. The first:\n{worst}\n"
        f"All are in {kept}. Mend the data, or raise the limit in params.yaml."
    )


def _name(row: dict[str, Any]) -> str:
    found = f" (found {row['found']})" if row.get("found") else ""
    return f"{row['file']}, row {row['row']}, {row['field']}: {row['reason']}{found}"


if __name__ == "__main__":
    stage.main("validate", validate, paths.validated)
