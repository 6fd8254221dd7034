"""A digest of a local source, quick the second time: contents are hashed again only when size or time changed."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from pathlib import Path
from typing import Any

from core import paths
from core.errors import SourceError
from core.files import read_json, sha256, write_json
from core.walk import files_below

NAMES_OTHERS = (".json", ".yaml", ".yml", ".data", ".names", ".csv", ".tsv", ".jsonl")
"""Endings of files that may say of pictures where they lie."""
LABELS = (".txt", ".xml")


def fingerprint(path: Path) -> dict[str, Any]:
    """`count` of files, `bytes` and `digest` (sha256 over relative names and contents) of a file or folder.

    With a single file, those that are read together with it: the other language of `train.en`, pictures and labels
    of a table or list of them.

    Raises: SourceError when there is nothing.
    """
    if not path.exists():
        raise SourceError(f"data.source {str(path)!r}: there is no such file or folder; mend the path in params.yaml")
    root = path.resolve()
    files = files_below(root) if root.is_dir() else [root]
    if beside := [] if root.is_dir() else _beside(root):
        root, files = root.parent, sorted({*files, *beside})
    memory = paths.STATE / "fingerprints" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
    known: dict[str, Any] = read_json(memory) if memory.exists() else {}
    found: dict[str, Any] = {}
    total = hashlib.sha256()
    below = f"{root}{os.sep}"
    for file in files:
        whole, stat = str(file), file.stat()
        name = whole[len(below) :] if whole.startswith(below) else os.path.relpath(whole, root)
        mark = [stat.st_size, stat.st_mtime_ns]
        old = known.get(name)
        try:
            found[name] = old if old and old[:2] == mark else [*mark, sha256(file)]
        except PermissionError:
            raise SourceError(f"data.source: {file} cannot be read; give this user read access") from None
        total.update(os.fsencode(f"{name}\0{found[name][2]}\n"))  # a name may be no UTF-8
    if found != known:
        write_json(memory, found)
    return {"count": len(files), "bytes": sum(entry[0] for entry in found.values()), "digest": total.hexdigest()}


def _beside(file: Path) -> list[Path]:
    """What readers read together with a single file."""
    stem = _stem(file)
    found = [path for path in file.parent.iterdir() if path != file and path.is_file() and _stem(path) == stem]
    if file.suffix.lower() not in NAMES_OTHERS:
        return found
    for folder in (file.parent, file.parent.parent):  # of annotations/train.json, the pictures lie beside its folder
        below = files_below(folder)
        if any(_is_picture(path) for path in below):
            return [path for path in below if _is_picture(path) or path.suffix.lower() in LABELS or path in found]
    return found


def _stem(path: Path) -> str:
    """`train` of `train.en`, `train.en.txt`, `train.ja.gz`."""
    return path.name.removesuffix(".gz").removesuffix(".txt").rpartition(".")[0]


def _is_picture(path: Path) -> bool:
    return (mimetypes.guess_type(path.name)[0] or "").startswith("image/")
