"""ONNX Runtime sessions with threads, providers and errors that say what to do.

A model folder carries the sha256 of its graphs in `checksums.json`: ONNX Runtime loads a graph with a flipped bit in
its weights without a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import onnxruntime as ort

from core import gpu
from core.errors import ModelError
from core.files import read_json, sha256, write_json
from core.gpu import CPU

CHECKSUMS = "checksums.json"
IR_VERSION = 10
"""Of every graph that is written: onnx and its tools stamp a newer one, which runtimes in the field do not load."""


_PROFILES: ContextVar[Path | None] = ContextVar("profiles", default=None)


@contextmanager
def profiled(folder: Path) -> Iterator[None]:
    """Sessions that are opened within leave ONNX Runtime's profile of their runs in `folder` when they are gone, and
    there the graphs that were run, as the runtime has optimised them (`optimized`)."""
    token = _PROFILES.set(folder)
    try:
        yield
    finally:
        _PROFILES.reset(token)


def optimized(profile: Path) -> Path:
    """The graph that a profile is of: ONNX Runtime names it `<graph>_<date>_<time>_<ms>.json`."""
    return profile.with_name(f"{profile.stem.rsplit('_', 3)[0]}.onnx")


Tell = Callable[[str, float], None]
"""Name of a graph, seconds."""
_TELL: ContextVar[Tell | None] = ContextVar("tell", default=None)


@contextmanager
def watched(tell: Tell) -> Iterator[None]:
    """Sessions that are opened within tell of each of their runs how long it took."""
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


def _watch(opened: ort.InferenceSession, name: str, tell: Tell) -> None:
    run = opened.run

    def timed(*given: Any, **options: Any) -> Any:
        start = time.perf_counter()
        found = run(*given, **options)
        tell(name, time.perf_counter() - start)
        return found

    opened.run = timed


def seal(folder: Path) -> None:
    """Write the checksums of all graphs of a finished model folder."""
    write_json(folder / CHECKSUMS, {path.name: sha256(path) for path in sorted(folder.glob("*.onnx"))})


def session(
    path: Path,
    threads: int = 0,
    provider: str = CPU,
    fixed: Mapping[str, int] | None = None,
    rewritten: Callable[[bytes], bytes] | None = None,
    name: str | None = None,
    arena: bool = True,
) -> ort.InferenceSession:
    """Open a graph.

    threads: intra-op threads, 0 leaves the choice to ONNX Runtime (all cores).
    provider: the execution provider that must be active; a silent fallback to the CPU is an error, with or without the
    strict mode of `core.gpu`, which decides what a caller asks for (`gpu.provider`).
    fixed: sizes of free dimensions of its inputs by their names; none is left free then, and ONNX Runtime plans for
    these shapes alone (its free dimension overrides).
    rewritten: makes of the file's content the graph that is opened; name: what profiles call it then. arena: whether
    ONNX Runtime keeps memory that it has used.
    Raises: ModelError when the file is missing, changed or damaged, the provider is not there, or a dimension stays
    free beside those that are fixed.
    """
    _check(path)
    if provider == gpu.CUDA:
        gpu.preload()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    for dimension, size in (fixed or {}).items():
        options.add_free_dimension_override_by_name(dimension, size)
    if profiles := _PROFILES.get():
        options.enable_profiling = True
        options.profile_file_prefix = str(profiles / Path(name or path).stem)
        options.optimized_model_filepath = str(profiles / Path(name or path).name)
    try:
        content = rewritten(path.read_bytes()) if rewritten else str(path)
        opened = ort.InferenceSession(content, options, providers=list(dict.fromkeys([provider, CPU])))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        cause = str(error).splitlines()[0]
        raise ModelError(
            f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {cause}; export it again"
        ) from None
    free = {size for given in opened.get_inputs() for size in given.shape if isinstance(size, str)}
    if fixed and free:
        raise ModelError(f"{path}: {sorted(free)} are free; expected none beside what is fixed, {sorted(fixed)}")
    active = opened.get_providers()
    if provider not in active:
        why = gpu.of_onnxruntime() if provider == gpu.CUDA else []
        reasons = "; ".join(map(str, why)) or f"install its libraries or ask for {CPU}"
        raise ModelError(f"{path}: {provider} is not active, only {active}: {reasons}")
    # Without cuDNN the provider is active all the same, and convolutions are computed on the CPU or not at all.
    if provider == gpu.CUDA and (lacking := gpu.of_libraries(getattr(ort, "cuda_version", None))):
        raise ModelError(f"{path}: {provider} is active but not whole: {'; '.join(map(str, lacking))}")
    if tell := _TELL.get():
        _watch(opened, Path(name or path).name, tell)
    return opened


def _check(path: Path) -> None:
    if not path.exists():
        raise ModelError(f"{path} is missing; run the stage that makes its folder again")
    sums = path.parent / CHECKSUMS
    if not sums.exists():
        return  # a folder in the making
    expected, found = read_json(sums).get(path.name), sha256(path)
    if found != expected:
        raise ModelError(
            f"{path} was changed or damaged: its sha256 is {found}, {CHECKSUMS} says {expected}; "
            "restore it (`dvc checkout`), or run the stage that makes it again"
        )
