"""Answers that are kept in `.stillhouse/pictures/`, each by a digest of its question and of what answers it.

A question tells all that its answer hangs on: it has a digest of contents, or facts of files that the kernel changes
with these. The code and the libraries that answer are a part of every question. All of it may be removed at any time;
what nobody asked for in `KEPT_DAYS` is.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from core import paths
from core.files import read_json, write_text

FOLDER = paths.STATE / "pictures"
KEPT_DAYS = 30


def remembered(question: Any, code: Sequence[str], answer: Callable[[], Any]) -> Any:
    """What `answer` said to this question before, or says now.

    question, answer: JSON values; code: files whose folders hold what answers.
    """
    key = hashlib.sha256(json.dumps([question, _versions(*code)]).encode()).hexdigest()
    path = FOLDER / f"{key}.json"
    with suppress(OSError, ValueError):
        found = read_json(path)
        path.touch()
        return found
    found = answer()
    write_text(path, json.dumps(found))
    return found


def forget() -> None:
    """Remove what has not been asked for in a long time."""
    for path in FOLDER.glob("*.json"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
                path.unlink()


@cache
def _versions(*code: str) -> list[str]:
    digest = hashlib.sha256()
    for folder in sorted({Path(__file__).parent, *(Path(file).parent for file in code)}):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return [digest.hexdigest(), PIL.__version__, np.__version__]
