"""Whether CUDA can really be used, and the strict mode in which it must be.

`STILLHOUSE_REQUIRE_GPU=1` makes a silent fallback to the CPU an error that names what is missing: the doctor
fails, training does not begin, and `provider` gives CUDA for what is measured and served. A caller that names the CPU
means it, in the strict mode too: int8 folders are made for CPUs, and `export` compares with torch on the CPU.
"""

from __future__ import annotations

import contextlib
import io
import os
from functools import cache
from typing import NamedTuple

from core.errors import StillhouseError
from core.gpu import driver, libraries

VARIABLE = "STILLHOUSE_REQUIRE_GPU"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Problem(NamedTuple):
    what: str
    """What is wrong."""
    do: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.what}; {self.do}"


def required() -> bool:
    """Whether this is the strict mode. Raises: StillhouseError for a value that is neither yes nor no."""
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise StillhouseError(f"{VARIABLE} is {value!r}, expected 1 (a GPU must be used), 0 or nothing")
    return value == "1"


@cache
def preload() -> str:
    """Load the CUDA libraries of the nvidia wheels, which ONNX Runtime's loader would not find; once a process.

    Returns: what ONNX Runtime said about it (it prints instead of raising).
    """
    import onnxruntime

    said = io.StringIO()
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21; does nothing in the CPU distribution
        with contextlib.redirect_stdout(said):
            onnxruntime.preload_dlls()
    return said.getvalue()


def provider(precision: str | None = None) -> str:
    """Of ONNX Runtime, for what is measured or served: CUDA in the strict mode, but for int8; else the CPU.

    Raises: StillhouseError, see `required`.
    """
    return CUDA if required() and precision != "int8" else CPU


def of_driver(name: str, built: str | None) -> list[Problem]:
    """Why `name`, built for a CUDA version, cannot use the driver and its GPUs."""
    found = driver.read()
    if found.error:
        return [Problem(found.error, found.advice)]
    return too_old(found.cuda, name, built)


def of_onnxruntime() -> list[Problem]:
    """Why ONNX Runtime cannot use CUDA; empty when nothing speaks against it."""
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        return [cpu_onnxruntime(onnxruntime.__version__)]
    preload()
    built = getattr(onnxruntime, "cuda_version", "") or None
    return [*of_driver("onnxruntime", built), *of_libraries(built)]


def of_libraries(cuda: str | None) -> list[Problem]:
    """Shared libraries that ONNX Runtime's CUDA provider, built for this CUDA version, lacks. Call `preload` first."""
    names = libraries.missing(libraries.needed(cuda))
    return [lacks(name, cuda) for name in names if name != driver.LIBRARY]  # `of_driver` tells more about that one


def lacks(name: str, cuda: str | None) -> Problem:
    return Problem(f"{name} cannot be loaded, ONNX Runtime's {CUDA} needs it", libraries.advice(name, cuda))


def too_old(supported: str | None, name: str, built: str | None) -> list[Problem]:
    """Within one major version a newer CUDA runs on an older driver (NVIDIA, CUDA compatibility)."""
    if not supported or not built or int(built.split(".")[0]) <= int(supported.split(".")[0]):
        return []
    what = f"the NVIDIA driver supports CUDA {supported}, {name} is built for CUDA {built}"
    return [Problem(what, "update the driver of the host")]


def cpu_onnxruntime(version: str) -> Problem:
    what = f"onnxruntime {version} is the distribution for CPUs, without {CUDA}"
    return Problem(what, "uninstall it and install onnxruntime-gpu (requirements/gpu.in): they are one module")


def cpu_torch(version: str) -> Problem:
    return Problem(f"torch {version} is a build for CPUs", "install requirements/train.lock, which has CUDA")
