"""Read raw data in any supported format and write the canonical dataset with its splits.

reads   <task>.data.source: the embedded sample, a path, an archive or a git repository
writes  data/<task>/prepared/
run     python -m stages.prepare detection
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from core import paths, stage, task
from core.brief import brief
from core.files import read_jsonl, write_json
from ops import ingest


def prepare(ctx: stage.Context) -> None:
    role = task.load(ctx.task, "prepare")
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        if ctx.params.data.kind == "sample":
            source = Path(scratch)
            role.sample(source, ctx.params, ctx.seed)
        else:
            source = ingest.fetch(ctx.params.data, ctx.task)
        summary = role.prepare(source, ctx.out, ctx.params, ctx.seed)
    rejected = ctx.out / "rejected.jsonl"
    summary["rejected"] = len(read_jsonl(rejected)) if rejected.exists() else 0
    write_json(ctx.out / "summary.json", summary)
    notes = [f"note: {note}" for note in summary.get("notes", [])]  # each may change what the data means: a line each
    counts = {key: value for key, value in summary.items() if key != "notes"}
    ctx.run.note("\n".join([*(brief({key: value}) for key, value in counts.items()), *notes]))
    print("\n  ".join([f"{ctx.name}: {brief(counts)}", *notes]))


if __name__ == "__main__":
    stage.main("prepare", prepare, paths.prepared)
