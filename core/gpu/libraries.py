"""The shared libraries of ONNX Runtime's CUDA provider: which it needs, which cannot be loaded, and what has them."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from core.gpu import elf

PROVIDER = "libonnxruntime_providers_cuda.so"
LATER = ("libcudnn.so.9", "libnvrtc.so.{cuda}")
"""Loaded at the first convolution, not with the provider, so they do not stand in its file (ONNX Runtime pull request
29252): without cuDNN a session is active on CUDA and convolutions are not. cuFFT is left out: only FFTs use it."""
WHEELS = {
    "libcublas": "nvidia-cublas",
    "libcublasLt": "nvidia-cublas",
    "libcudart": "nvidia-cuda-runtime",
    "libcudnn": "nvidia-cudnn",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libnvJitLink": "nvidia-nvjitlink",
    "libnvrtc": "nvidia-cuda-nvrtc",
}
"""Library -> the distribution on PyPI that has it; up to CUDA 12, and for cuDNN, its name ends in -cu and the major."""


def provider() -> Path | None:
    """The CUDA provider of the installed ONNX Runtime, None in the distribution for CPUs. Imports nothing of it."""
    found = importlib.util.find_spec("onnxruntime")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "capi" / PROVIDER
    return path if path.exists() else None


def needed(cuda: str | None) -> list[str]:
    """Libraries that the CUDA provider needs, at once or later; empty without one. cuda: the version it is built for.

    Raises: ValueError when its file is damaged.
    """
    path = provider()
    if path is None:
        return []
    major = (cuda or "").split(".")[0]
    later = [name.format(cuda=major) for name in LATER if major or "{" not in name]
    return [*elf.needed(path), *later]


def missing(names: Iterable[str]) -> list[str]:
    """Those that cannot be loaded; a library whose own dependency is missing is told by the dependency's name."""
    found = []
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError as error:
            # "libcublasLt.so.13: cannot open shared object file: No such file or directory", also for `libcublas`
            blamed = re.match(r"([\w.+-]+\.so[\w.]*): cannot open shared object file", str(error))
            found.append(blamed[1] if blamed else name)
    return list(dict.fromkeys(found))


def advice(name: str, cuda: str | None) -> str:
    """What to install for a library that is missing."""
    stem = name.split(".so", maxsplit=1)[0]
    wheel = WHEELS.get(stem) or next((w for key, w in WHEELS.items() if stem.startswith(key + "_")), None)
    if wheel is None:
        return f"install the system package that has it (`apt-file search {name}`)"
    major = (cuda or "13").split(".")[0]
    if wheel == "nvidia-cudnn" or int(major) < 13:
        wheel += f"-cu{major}"
    return f"install {wheel} (requirements/serve-gpu.lock and train.lock have it)"
