"""A step's command line, as `run` calls it: `python -m benchmarks.card.MODULE NAME [SUBJECT] --out FILE [--cpu]`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.card.subjects import CARD, CPU, Subject
from core.gpu import VARIABLE

Measure = Callable[[Subject | None, bool], dict[str, Any]]


def main(measures: Mapping[str, Measure]) -> None:
    """Write what the named one of `measures` found; each takes the subject and whether there is no card.

    In its process the strict mode is on, unless there is no card. Raises: what the measured code raises, whose last
    words the runner tells.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=list(measures))
    parser.add_argument("subject", nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    os.environ[VARIABLE] = "0" if given.cpu else "1"
    known = {subject.name: subject for subject in (*CARD, *CPU)}
    found = measures[given.name](known[given.subject] if given.subject else None, given.cpu)
    given.out.write_text(json.dumps(found), encoding="utf-8")
