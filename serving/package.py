"""A package that has proven itself: its passport holds, and it predicts what it predicted when it was packaged."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import cpu, task
from core.errors import DataError, ModelError, ParamsError
from core.files import read_json
from ops import drift, passport
from serving import cores, logs
from serving.settings import NAME, Settings
from serving.ways import Way, candidates, measured

Fingerprint = frozenset[tuple[str, int, int, int]]
"""Path, inode, time of change and size of all files: a package may come file by file, in any order."""


@dataclass(frozen=True)
class Package:
    task: str
    role: Any
    """The task's role `serve`."""
    predictor: Any
    version: str
    about: dict[str, Any]
    passport: dict[str, Any]
    card: str | None
    """HTML."""
    statistics: dict[str, Any] | None
    """Of the inputs that the model learned from, see `ops.drift`."""
    samples: list[dict[str, Any]]
    """Golden samples: `file` or `input`, and `output`."""
    files: dict[str, bytes]
    """Of the golden samples."""
    way: Way
    """How the predictor uses the cores."""


def load(folder: Path, settings: Settings, proven: bool = False) -> Package:
    """Verify the passport, open the model, replay the golden samples unless they are `proven`, see `serving.proof`.

    Raises: ModelError with the reason why this package must not be served.
    """
    refuse(folder, settings)
    if (name := task_of(folder)) is None:
        raise ModelError(f"{folder / 'model' / 'model.json'} names no task; package the model again")
    role, predict = roles(name)
    predictor = predict.Predictor(folder / "model", threads=settings.way.threads, provider=settings.provider)
    if not proven:
        replay(folder, role, predictor)
    content = read_json(folder / passport.NAME)
    card, statistics = folder / "MODEL_CARD.html", folder / drift.NAME
    return Package(
        name,
        role,
        predictor,
        content["seal"][: passport.DIGITS],
        role.about(predictor),
        content,
        card.read_text(encoding="utf-8") if card.exists() else None,
        read_json(statistics) if statistics.exists() else None,
        samples := golden(folder),
        {sample["file"]: (folder / "golden" / sample["file"]).read_bytes() for sample in samples if "file" in sample},
        settings.way,
    )


def tuned(folder: Path, settings: Settings) -> Settings:
    """With the way to use the cores by which this package, which is proven, predicts most golden samples a second."""
    role, predict = roles(str(task_of(folder)))
    inputs = golden_inputs(folder, golden(folder))
    batch = [inputs[i % len(inputs)] for i in range(settings.max_batch or role.MAX_BATCH)]

    def predictor(threads: int) -> Any:
        return predict.Predictor(folder / "model", threads=threads, provider=settings.provider)

    rates = measured(candidates(cores.available()), predictor, batch)
    best = max(rates, key=lambda way: rates[way])
    told = [{"instances": way.instances, "threads": way.threads, "rate": round(rates[way], 1)} for way in rates]
    logs.event("measured", package=str(folder), instances=best.instances, threads=best.threads, tried=told)
    return replace(settings, instances=best.instances, threads=best.threads)


def refuse(folder: Path, settings: Settings) -> None:
    """Raises: ModelError when there is no package, its passport does not hold, or nobody who is trusted signed it."""
    if not folder.is_dir():
        raise ModelError(f"{folder} does not exist; expected a folder made by the stage package")
    if not is_package(folder):
        raise ModelError(f"{folder} is no package, and none is in it; expected what the stage package makes")
    if problems := passport.verify(folder, settings.require_signature):
        more = f" (and {len(problems) - 1} more faults)" if len(problems) > 1 else ""
        raise ModelError(f"the passport does not hold: {problems[0]}{more}; package the model again")


@contextmanager
def own_copy(folder: Path, settings: Settings) -> Iterator[Path]:
    """Where to read a package from: where signatures are asked for, a copy that nobody else writes.

    Else who may write the folder could put another graph there between its verification and its loading.
    Raises: ModelError as `refuse`: what does not hold is not copied.
    """
    if not settings.require_signature:
        yield folder
        return
    refuse(folder, settings)
    with tempfile.TemporaryDirectory(prefix="stillhouse-verified-") as own:
        yield Path(shutil.copytree(folder, Path(own, folder.name), symlinks=True))


def task_of(folder: Path) -> str | None:
    """The task that a package's `model.json` names, if there is one."""
    try:
        path = folder / "model" / "model.json"
        name = read_json(path)["task"] if path.is_file() else None  # not a pipe, which nobody may ever write into
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def roles(name: str) -> tuple[Any, Any]:
    """A task's roles `serve` and `predict`. Raises: ModelError when this server has not the task's code."""
    try:
        return task.load(name, "serve"), task.load(name, "predict")
    except (ParamsError, ModuleNotFoundError) as error:
        raise ModelError(f"the package is for the task {name!r}, which this server does not know: {error}") from None


def packages_in(folder: Path) -> dict[str, Path]:
    """Packages in a folder of packages, by name; none when it is a package itself, or there is nothing yet."""
    if is_package(folder):
        return {}
    try:
        return {path.name: path for path in sorted(folder.iterdir()) if NAME.fullmatch(path.name) and is_package(path)}
    except OSError:
        return {}


def is_package(folder: Path) -> bool:
    return (folder / passport.NAME).exists()


def golden(folder: Path) -> list[dict[str, Any]]:
    """The golden samples of a package whose passport holds.

    Raises: ModelError when there are none, or one names a file that lies elsewhere: the page shows what it names.
    """
    place, sealed = folder / "golden", passport.read(folder)["files"]
    samples: list[dict[str, Any]] = read_json(place / "samples.json")
    if not samples:
        raise ModelError(f"{place} holds no samples, so nothing shows that the model works; package it again")
    for i, sample in enumerate(samples):
        if "file" in sample and f"golden/{sample['file']}" not in sealed:
            raise ModelError(
                f"{place / 'samples.json'}: sample {i} names {sample['file']!r}, which is no file of golden/ that the "
                "passport seals; package it again"
            )
    return samples


def golden_inputs(folder: Path, samples: Sequence[dict[str, Any]]) -> list[Any]:
    """What the predictor takes of golden samples: paths of files, or values."""
    return [folder / "golden" / sample["file"] if "file" in sample else sample["input"] for sample in samples]


def replay(folder: Path, role: Any, predictor: Any) -> None:
    """Predict the golden samples again. Raises: ModelError naming the first that differs."""
    samples = golden(folder)
    inputs = golden_inputs(folder, samples)
    try:
        found = predictor(inputs)
    except DataError as error:
        raise ModelError(f"golden samples cannot be read: {error}; package the model again") from None
    for i, (sample, output) in enumerate(zip(samples, found, strict=True)):
        if difference := role.differs(sample["output"], output):
            raise ModelError(
                f"golden sample {i} is not predicted as when it was packaged: {difference}; "
                f"the model does not work here: {remedy(folder)}"
            )


def remedy(folder: Path) -> str:
    """What to do about a package that predicts otherwise than where it was made."""
    figures = folder / "evaluation.json"
    int8 = figures.exists() and read_json(figures).get("precision") == "int8"
    if int8 and platform.machine() == "x86_64" and not cpu.int8_instructions():
        return (
            f"this processor, {cpu.name()}, shows no instructions for products of 8-bit integers, and without them "
            "large sums saturate: serve fp32, or make int8 with `quantize.weight_bits: 7`; of 7 bits already, compare "
            "the versions of ONNX Runtime"
        )
    return "compare the versions of ONNX Runtime, or package it again"


def fingerprint(folder: Path) -> Fingerprint | None:
    """Changes when a file of this folder does; None while there is no package, or files come and go."""
    if not is_package(folder):
        return None
    found = set()
    try:
        for path in folder.rglob("*"):
            stat = path.lstat()  # a link to nowhere is a change, too
            found.add((str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size))
    except OSError:
        return None
    return frozenset(found)
