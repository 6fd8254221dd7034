"""The processor as the kernel tells of it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from core import cpu


@pytest.mark.parametrize(
    ("text", "name", "int8"),
    [
        (
            "model name\t: X 9\nflags\t\t: fpu avx2 avx512_vnni amx_int8\n\nmodel name\t: X 9\n",
            "X 9",
            ["AMX", "AVX-512 VNNI"],
        ),
        ("model name\t: Old\nflags\t\t: fpu avx2 avx512f\n", "Old", []),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n", platform.machine(), ["Arm dot product", "Arm i8mm"]),
        ("", platform.machine(), []),
    ],
)
def test_name_and_instructions(
    text: str, name: str, int8: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu, "INFO", tmp_path / "cpuinfo")
    assert (cpu.name(), cpu.int8_instructions()) == (name, int8)


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "INFO", tmp_path / "none")
    assert (cpu.name(), cpu.int8_instructions()) == (platform.machine(), [])
