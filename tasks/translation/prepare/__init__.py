"""Raw sentence pairs -> canonical dataset; and the embedded sample.

Reads parallel text, TSV, JSONL or TMX (see the modules of these names). Writes into the dataset's folder:
`train.parquet`, `val.parquet`, `test.parquet` with the columns `id` (int64, unique over all splits), `source`,
`target`, `file` (str), `row` (int64, the 1-based line of `file`); `languages.json`; `rejected.jsonl`, rows that are no
pair of texts; `removed.jsonl`, rows left out because a held-out split has their source sentence.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import SourceError
from core.files import write_json, write_jsonl
from core.visible import visible
from modalities.splits import SPLITS, assign
from modalities.text.inputs.normal import key
from modalities.text.prepare import detect
from tasks.translation.prepare.sample import sample

__all__ = ["prepare", "sample"]


def prepare(source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """See `core.task.Prepare`. Raises: SourceError."""
    data = params.data
    name, raw = detect.read(source, data)
    if not raw.pairs:
        row = raw.rejected[0] if raw.rejected else {}
        first = "; the first: {file}, row {row}: {reason} (found {found})".format(**row) if row else ""
        raise SourceError(f"{source} holds no sentence pair ({len(raw.rejected)} rows could not be read{first})")
    keys = [key(pair.source) for pair in raw.pairs]
    shares = (data.splits.val, data.splits.test)
    chosen, notes = assign([pair.split for pair in raw.pairs], keys, shares, seed, noun="pairs")

    table = pd.DataFrame(raw.pairs, columns=["split", "source", "target", "file", "row"]).assign(
        split=pd.Series(chosen, dtype="str")
    )
    table.insert(0, "id", range(len(table)))
    for split in SPLITS:
        rows = table[table["split"] == split].drop(columns="split")
        rows.to_parquet(folder / f"{split}.parquet", index=False)
    removed = table[table["split"].isna()]
    reason = "its source sentence stands in a held-out split"
    write_jsonl(
        folder / "removed.jsonl",
        [
            {"file": file, "row": int(row), "field": "source", "reason": reason}
            for file, row in zip(removed["file"], removed["row"], strict=True)
        ],
    )
    write_jsonl(folder / "rejected.jsonl", raw.rejected)
    languages = {"source": data.source_language, "target": data.target_language, "tokenized": data.tokenized}
    write_json(folder / "languages.json", languages)
    counts = Counter(split for split in chosen if split)
    return {
        "format": name,
        **{split: counts[split] for split in SPLITS},
        "removed": len(removed),
        "normalised": {key: count for key, count in sorted(raw.changes.items()) if count},
        "notes": [visible(note) for note in (*notes, *raw.notes)],
    }
