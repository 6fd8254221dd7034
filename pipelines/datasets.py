"""A canonical dataset as plain files: `python -m pipelines.datasets data/detection/validated/dataset FOLDER --as coco`.

Pictures come out of shards (docs/shards.md) as they went in, to the byte. The way back is `data.source: FOLDER`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core.errors import DataError, StillhouseError
from core.files import replacing
from core.visible import visible
from modalities.images import plain as images
from modalities.series import plain as series
from modalities.text import plain as text

KINDS = {"train.json": images, "layout.json": series, "train.parquet": text}
"""A file that a dataset has -> what knows its kind."""


def export(dataset: Path, folder: Path, form: str | None) -> int:
    """Write `dataset` into the new folder `folder`; returns how many pictures, pairs or steps.

    form: None for the kind's first. Raises: DataError.
    """
    kind = next((kind for name, kind in KINDS.items() if (dataset / name).is_file()), None)
    if kind is None:
        raise DataError(f"{dataset} is no canonical dataset, which has one of {', '.join(KINDS)}")
    if folder.exists():
        raise DataError(f"{folder} exists; name another folder, or remove it")
    form = form or next(iter(kind.FORMS))
    if form not in kind.FORMS:
        raise DataError(f"{dataset} cannot be written as {form!r}; valid: {', '.join(kind.FORMS)}")
    with replacing(folder) as aside:
        return kind.export(dataset, aside, form)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as", dest="form", choices=[form for kind in KINDS.values() for form in kind.FORMS])
    arguments = parser.parse_args()
    try:
        count = export(arguments.dataset, arguments.folder, arguments.form)
    except StillhouseError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{arguments.folder}: {count:,}")


if __name__ == "__main__":
    main()
