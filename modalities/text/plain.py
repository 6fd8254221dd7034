"""A canonical dataset of sentence pairs as parallel text, as `prepare` reads it: `train.en` and `train.ja`, ..."""

from __future__ import annotations

from pathlib import Path

from core.errors import DataError
from core.files import write_text
from modalities.splits import SPLITS
from modalities.text.inputs import languages

FORMS = ("text",)


def export(dataset: Path, folder: Path, form: str) -> int:
    """Write the dataset into the new folder `folder`; returns how many pairs.

    Raises: DataError for a sentence with a line break, which would shift all lines after it.
    """
    import pandas as pd

    pair, count = languages.read(dataset), 0
    for split in SPLITS:
        if not (dataset / f"{split}.parquet").exists():
            continue
        table = pd.read_parquet(dataset / f"{split}.parquet", columns=["source", "target"])
        for side in ("source", "target"):
            broken = table[side].str.contains(r"[\n\r]", regex=True)
            if broken.any():
                raise DataError(
                    f"{split}: pair {int(broken.argmax())} has a line break in its {side} sentence; mend it"
                )
            write_text(folder / f"{split}.{getattr(pair, side)}", "".join(f"{text}\n" for text in table[side]))
        count += len(table)
    return count
