"""Threads, memory allocation and number formats of the machine that trains."""

from __future__ import annotations

import ctypes
import os

import torch

from core import gpu
from core.errors import TrainingError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def prepare(threads: int, seed: int) -> None:
    """Set torch's threads and seeds, ask for deterministic kernels, and have glibc keep freed memory.

    threads: torch takes them over OMP_NUM_THREADS and MKL_NUM_THREADS, and where there are fewer cores, too.
    Giving activations back to the system after each step and faulting them in again costs more than many kernels.
    Raises: TrainingError, see `accelerator`, before data is read.
    """
    accelerator()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    # Also on a CPU: the backward of advanced indexing adds atomically from several threads otherwise.
    # Not `use_deterministic_algorithms`: it imports the compiler, to tell it, too, which training.compiled does.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs a pass over memory
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return  # not glibc
    for option, value in ((M_TRIM_THRESHOLD, 2**31 - 1), (M_MMAP_THRESHOLD, 2**25), (M_TOP_PAD, 2**26)):
        libc.mallopt(option, value)


def accelerator() -> str:
    """Lightning's name for what trains. Raises: TrainingError in the strict mode when that is not a GPU."""
    if torch.cuda.is_available():
        return "cuda"
    if gpu.required():
        reasons = "; ".join(map(str, obstacles()))
        raise TrainingError(f"{gpu.VARIABLE}=1 demands a GPU, and training would be on the CPU: {reasons}")
    return "cpu"


def device() -> str:
    """Torch's name for what this process trains on: each of several processes has its own card."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if accelerator() == "cuda" else "cpu"


def obstacles() -> list[gpu.Problem]:
    """Why torch cannot use CUDA; empty when it can."""
    if torch.cuda.is_available():
        return []
    version, built = str(torch.__version__), torch.version.cuda
    if built is None:
        return [gpu.cpu_torch(version)]
    advice = "`python -m ops.doctor` tells more"
    return gpu.of_driver("torch", built) or [gpu.Problem(f"torch {version} (CUDA {built}) finds no GPU", advice)]


def precision(wanted: str) -> str:
    """Lightning's name for a `train.precision` that is not `auto`: see `training.formats`."""
    return {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[wanted]
