"""The NVIDIA driver and its GPUs, asked through its own libraries (CUDA driver API, NVML); neither needs CUDA."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from typing import Any

LIBRARY, MANAGEMENT = "libcuda.so.1", "libnvidia-ml.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
MISSING = "install it on the host; in a container: `--gpus all` and the NVIDIA Container Toolkit"


@dataclass(frozen=True)
class Gpu:
    name: str
    memory_gib: float
    compute: str
    """Compute capability, e.g. 9.0."""


@dataclass(frozen=True)
class Driver:
    version: str | None = None
    cuda: str | None = None
    """Newest CUDA version that it supports."""
    gpus: list[Gpu] = field(default_factory=list)
    error: str | None = None
    """Why no GPU can be used; None when one can."""
    advice: str = ""


def read() -> Driver:
    """What this process may use: `CUDA_VISIBLE_DEVICES` counts."""
    try:
        cuda = ctypes.CDLL(LIBRARY)
    except OSError as error:
        return Driver(error=f"no NVIDIA driver is visible ({error})", advice=MISSING)
    version = _version()
    number = ctypes.c_int()
    supported = None
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        supported = f"{number.value // 1000}.{number.value % 1000 // 10}"
    if status := cuda.cuInit(0):
        what = "no GPU is visible" if status == NO_DEVICE else "the NVIDIA driver does not start"
        return Driver(version, supported, error=f"{what} ({_name(cuda, status)}){_hidden()}", advice=MISSING)
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    gpus = [_gpu(cuda, i) for i in range(count.value)]
    if not gpus:
        return Driver(version, supported, error=f"no GPU is visible{_hidden()}", advice=MISSING)
    return Driver(version, supported, gpus)


def _hidden() -> str:
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if value is None else f", CUDA_VISIBLE_DEVICES is {value!r}"


def _gpu(cuda: Any, index: int) -> Gpu:
    device, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    capability = []
    for attribute in (MAJOR, MINOR):
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(str(value.value))
    return Gpu(name.value.decode(errors="replace"), round(memory.value / 2**30, 1), ".".join(capability))


def _name(cuda: Any, status: int) -> str:
    text = ctypes.c_char_p()
    cuda.cuGetErrorName(status, ctypes.byref(text))
    return (text.value or b"an error unknown to it").decode(errors="replace") + f", {status}"


def _version() -> str | None:
    """Of the driver; None where only its CUDA half is mapped into a container."""
    try:
        management = ctypes.CDLL(MANAGEMENT)
        text = ctypes.create_string_buffer(81)
        if management.nvmlInit_v2() or management.nvmlSystemGetDriverVersion(text, len(text)):
            return None
    except (OSError, AttributeError):
        return None
    return text.value.decode(errors="replace")
