"""What shared libraries need and lack, read from real ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx_tiny import save

from core.gpu import elf, libraries

ROOT = Path(__file__).parents[2]
BUNDLED = sorted((Path(np.__file__).parents[1] / "numpy.libs").glob("*.so*"))
RUNTIME = sorted((Path(onnxruntime.__file__).parent / "capi").glob("*.so*"))
TOOLKIT = ("libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudnn.so.9")


@pytest.mark.parametrize("path", [*BUNDLED, *RUNTIME], ids=lambda path: path.name)
def test_needed_libraries_are_those_that_the_linker_sees(path: Path) -> None:
    found = elf.needed(path)
    assert "libc.so.6" in found
    if shutil.which("readelf"):
        done = subprocess.run(["readelf", "--dynamic", "--wide", path], capture_output=True, text=True, check=True)
        assert found == re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout)


@pytest.mark.parametrize("kept", [0, 5, 40, 4096])
def test_a_cut_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.so"
    path.write_bytes(BUNDLED[0].read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut\.so is"):
        elf.needed(path)


def test_a_library_out_of_sight_is_named(tmp_path: Path) -> None:
    """numpy's OpenBLAS finds its Fortran runtime beside itself; moved away it does not."""
    blas = next(path for path in BUNDLED if "openblas" in path.name)
    fortran = next(name for name in elf.needed(blas) if "gfortran" in name)
    moved = tmp_path / blas.name
    shutil.copyfile(blas, moved)
    code = f"from core.gpu import libraries; print(libraries.missing(['libc.so.6', {str(moved)!r}, 'libno.so.3']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([fortran, "libno.so.3"])


@pytest.mark.parametrize(
    ("name", "cuda", "wheel"),
    [
        ("libcublasLt.so.13", "13.0", "nvidia-cublas "),
        ("libcublas.so.12", "12.8", "nvidia-cublas-cu12 "),
        ("libcudnn.so.9", "13.0", "nvidia-cudnn-cu13 "),
        ("libcudnn_ops.so.9", "12.8", "nvidia-cudnn-cu12 "),
        ("libnvrtc.so.13", "13.0", "nvidia-cuda-nvrtc "),
        ("libstdc++.so.6", "13.0", "the system package "),
    ],
)
def test_what_to_install(name: str, cuda: str, wheel: str) -> None:
    assert libraries.advice(name, cuda).startswith(f"install {wheel}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked onnxruntime-gpu, unpacked without what it needs of CUDA."""
    lock = (ROOT / "requirements" / "serve-gpu.lock").read_text(encoding="utf-8")
    version = re.search(r"^onnxruntime-gpu==(\S+)", lock, re.MULTILINE)
    assert version
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder]
    done = subprocess.run([*command, f"onnxruntime-gpu=={version[1]}"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the wheel cannot be had: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as file:
        file.extractall(folder / "site")
    return folder / "site"


def run(wheel: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{wheel}:{ROOT}", **variables}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_gpu_distribution_without_cuda_names_each_library(wheel: Path) -> None:
    if not libraries.missing(TOOLKIT):
        pytest.skip("the CUDA libraries are installed on this machine")
    done = run(wheel, "-m", "ops.doctor", STILLHOUSE_REQUIRE_GPU="1")
    assert done.returncode == 1
    for name in libraries.missing(TOOLKIT):
        assert re.search(rf"problem: {re.escape(name)} cannot be loaded.*install nvidia-", done.stderr)
    assert re.search(r"CUDA +13\.0, no GPU can be used", done.stdout)


@pytest.mark.slow
def test_a_session_of_the_gpu_distribution_names_what_it_lacks(wheel: Path, tmp_path: Path) -> None:
    """ONNX Runtime by itself would go on, on the CPU."""
    lacking = libraries.missing(TOOLKIT)
    if not lacking:
        pytest.skip("the CUDA libraries are installed on this machine")
    save(tmp_path / "add.onnx")
    code = (
        "import sys, pathlib; from core import onnx_session as o, errors\n"
        "print(o.session(pathlib.Path(sys.argv[1])).get_providers())\n"
        "try: o.session(pathlib.Path(sys.argv[1]), provider='CUDAExecutionProvider')\n"
        "except errors.ModelError as error: print(error)"
    )
    done = run(wheel, "-c", code, str(tmp_path / "add.onnx"))
    cpu, refusal = done.stdout.splitlines()
    assert cpu == "['CPUExecutionProvider']"
    assert "CUDAExecutionProvider is not active" in refusal
    for name in lacking:
        assert name in refusal
