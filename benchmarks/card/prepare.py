"""Checkouts of this commit with the data that training reads: made where there is a network, taken to the card."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks.card.subjects import EPOCHS, Subject, subjects
from benchmarks.clones import clone, do
from core import paths


def prepare(folder: Path, cpu: bool, data: Mapping[str, str]) -> int:
    """Make FOLDER/<subject> for each. data: subject -> a local copy of its data. Returns: bytes that are to be brought.

    Raises: FileExistsError when one is there; CalledProcessError when a stage fails, which has said why.
    """
    for subject in subjects(cpu):
        here = folder / subject.name
        clone(here)
        own = ["--data", str(Path(data[subject.name]).resolve())] if subject.name in data else []
        do(sys.executable, "-m", "pipelines.preset", subject.preset, *own, cwd=here)
        _shorten(here / "params.yaml", subject)
        do(sys.executable, "-m", "pipelines.matrix", cwd=here)
        made = yaml.safe_load((here / "matrix.yaml").read_text(encoding="utf-8"))["matrix"]
        stage = "augment" if subject.task in made.get("augment", {}) else "validate"
        do(sys.executable, "-m", "dvc", "repro", f"{stage}@{subject.task}", cwd=here)
        for again in (".dvc/cache", ".dvc/tmp", ".stillhouse", paths.prepared(subject.task)):  # not read in training
            shutil.rmtree(here / again, ignore_errors=True)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _shorten(path: Path, subject: Subject) -> None:
    """Leave one task, and of its training two epochs with one validation at their end, as the card computes best."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for other in set(values["tasks"]) - {subject.task}:
        del values[other]
    values["tasks"] = [subject.task]
    values[subject.task]["train"] |= {"epochs": EPOCHS, "validate_every": EPOCHS, "precision": "auto"}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bash benchmarks/gpu.sh prepare", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu", action="store_true", help="of the sample, to try `run --cpu`")
    parser.add_argument("--data", action="append", default=[], metavar="SUBJECT=PATH", help="a local copy of its data")
    arguments = parser.parse_args()
    names = [subject.name for subject in subjects(arguments.cpu)]
    data = dict(text.partition("=")[::2] for text in arguments.data)
    if unknown := [text for text in arguments.data if "=" not in text or text.partition("=")[0] not in names]:
        parser.error(f"--data {unknown[0]}: expected SUBJECT=PATH with one of {', '.join(names)}")
    size = prepare(arguments.folder.resolve(), arguments.cpu, data)
    print(f"{arguments.folder} holds {size:,} bytes: bring it along")


if __name__ == "__main__":
    main()
