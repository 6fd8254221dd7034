"""What this machine's processor is, and which instructions it has for products of 8-bit integers."""

from __future__ import annotations

import platform
from pathlib import Path

INFO = Path("/proc/cpuinfo")
INT8 = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "asimddp": "Arm dot product",
    "i8mm": "Arm i8mm",
}
"""Flag of the kernel -> name. Without any, an x86 sums pairs of products of uint8 and int8 in 16 bits, which saturate:
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#when-and-why-do-i-need-to-try-u8u8."""


def name() -> str:
    """The model's name, or that of the architecture where the kernel does not tell."""
    return next((_value(line) for line in _lines() if line.startswith("model name")), platform.machine())


def int8_instructions() -> list[str]:
    """Names of those of `INT8` that it has."""
    told = next((_value(line) for line in _lines() if line.startswith(("flags", "Features"))), "")
    flags = set(told.split())
    return [title for flag, title in INT8.items() if flag in flags]


def _lines() -> list[str]:
    try:
        return INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _value(line: str) -> str:
    return line.partition(":")[2].strip()
