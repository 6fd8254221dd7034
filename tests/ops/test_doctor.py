"""The doctor as a process, in the environments that there are: this one, the server's, one whose driver is too old."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from core import gpu, task
from core.gpu import driver
from ops.doctor import verdict

ROOT = Path(__file__).parents[2]
GPU = driver.read().error is None
without_gpu = pytest.mark.skipif(GPU, reason="this machine has a GPU")

STUB = """
#include <stddef.h>
int cuDriverGetVersion(int *v) { *v = VERSION; return 0; }
int cuInit(unsigned f) { return COUNT ? 0 : 100; }
int cuGetErrorName(int e, const char **t) { *t = "CUDA_ERROR_NO_DEVICE"; return 0; }
int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *n, int l, int d) { n[0] = 'A' + d; n[1] = 0; return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = (size_t)(d + 1) << 33; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : d; return 0; }
"""
"""The driver's interface, without a driver: what a machine answers that is not to be had for a test."""


def doctor(*arguments: str, cwd: Path = ROOT, python: tuple[str, ...] = (), **variables: str) -> Any:
    environment = {k: v for k, v in os.environ.items() if k not in (gpu.VARIABLE, "PYTHONPATH")} | variables
    command = [sys.executable, *python, "-m", "ops.doctor", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    done = doctor("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def test_everything_here_fits_and_is_listed() -> None:
    done = doctor()
    assert done.returncode == 0, done.stderr
    rows = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in done.stdout.splitlines())
    assert rows["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert rows["dvc"] == metadata.version("dvc")
    assert rows["strict mode"] == "off"
    assert {"platform", "CPU", "memory", "NVIDIA driver", "torch", "cuDNN", "ONNX Runtime", "providers"} <= rows.keys()
    starts = {re.match(r"\s*\S+(?: \S+)* {2,}", line).end() for line in done.stdout.splitlines()}  # type: ignore[union-attr]
    assert len(starts) == 1, "the values do not stand in one column"


def test_the_json_keeps_its_shape(report: dict[str, Any]) -> None:
    assert {key: sorted(value) for key, value in report.items() if isinstance(value, dict)} == {
        "machine": ["cores", "cpu", "int8", "memory_gib", "platform", "python"],
        "driver": ["advice", "cuda", "error", "gpus", "version"],
        "onnxruntime": sorted(
            ["version", "distributions", "providers", "cuda", "cuda_works", "needs", "missing", "opset", "ir", "error"]
        ),
        "torch": ["cuda", "cuda_works", "cudnn", "error", "version"],
        "onnx": ["ir", "opset", "version"],
        "params": ["error", "opsets"],
        "tools": ["dvc", "great_expectations", "lightning", "mlflow", "prefect"],
    }
    assert (report["problems"], report["strict"]) == ([], False)
    assert "cuda_agrees" in report


def test_opsets_are_really_tried(report: dict[str, Any]) -> None:
    """What onnx stamps by default is not what ONNX Runtime loads; what params.yaml asks for is."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])

    def loads(opset: int, ir: int) -> bool:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:
            return False
        return True

    runtime = report["onnxruntime"]
    assert loads(runtime["opset"], 10)
    assert not loads(runtime["opset"] + 1, 10)
    assert loads(18, runtime["ir"])
    assert not loads(18, runtime["ir"] + 1)
    assert report["onnx"]["opset"] == onnx.defs.onnx_opset_version()
    assert set(report["params"]["opsets"]) == set(task.names())


def test_an_opset_that_is_not_loaded_is_a_problem(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("detection: {export: {opset: 63}}\n", encoding="utf-8")
    done = doctor("--params", str(params))
    assert done.returncode == 1
    assert re.search(r"problem: params.yaml has detection.export.opset 63, ONNX Runtime knows \d+ at most", done.stderr)


@without_gpu
def test_the_strict_mode_says_that_there_is_no_driver() -> None:
    done = doctor(**{gpu.VARIABLE: "1"})
    assert done.returncode == 1
    assert "demands a GPU, but no NVIDIA driver is visible (libcuda.so.1: cannot open" in done.stderr
    assert "NVIDIA Container Toolkit" in done.stderr


@pytest.mark.parametrize("value", ["yes", "2", "true"])
def test_an_unreadable_demand_is_an_error(value: str) -> None:
    done = doctor(**{gpu.VARIABLE: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"STILLHOUSE_REQUIRE_GPU is '{value}', expected 1" in done.stderr


def test_the_servers_image_is_enough(tmp_path: Path) -> None:
    """Python, the locked packages of the CPU server and core/: no torch, onnx or YAML, no params.yaml."""
    site = tmp_path / "site"
    site.mkdir()
    lock = (ROOT / "requirements" / "serve.lock").read_text(encoding="utf-8")
    for name in re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    done = doctor("--json", cwd=tmp_path, python=("-S",), PYTHONPATH=f"{site}:{ROOT}")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["torch"], found["onnx"], found["params"]) == (None, None, None)
    assert found["onnxruntime"]["opset"] >= 18
    assert set(found["tools"].values()) == {None}
    assert "not installed" in doctor(cwd=tmp_path, python=("-S",), PYTHONPATH=f"{site}:{ROOT}").stdout


def stub(folder: Path, version: int, count: int) -> None:
    """libcuda.so.1 in `folder` that tells of a driver for this CUDA version and so many GPUs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    options = [f"-DVERSION={version}", f"-DCOUNT={count}", "-shared", "-fPIC", "-x", "c", "-"]
    subprocess.run([compiler, *options, "-o", folder / "libcuda.so.1"], input=STUB, text=True, check=True)


@without_gpu
@pytest.mark.parametrize("count", [0, 2])
def test_a_driver_is_asked_for_its_gpus(tmp_path: Path, count: int) -> None:
    stub(tmp_path, 12080, count)
    program = "import json; from dataclasses import asdict; from core.gpu import driver\n"
    program += "print(json.dumps(asdict(driver.read())))"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "7"}
    told = subprocess.check_output(
        [sys.executable, "-c", program], cwd=ROOT, env=environment
    )  # a library is opened once
    found = json.loads(told)
    assert found["cuda"] == "12.8"
    if count:
        assert found["error"] is None
        assert [(g["name"], g["memory_gib"], g["compute"]) for g in found["gpus"]] == [
            ("A", 8, "9.0"),
            ("B", 16, "9.1"),
        ]
    else:
        assert found["error"] == "no GPU is visible (CUDA_ERROR_NO_DEVICE, 100), CUDA_VISIBLE_DEVICES is '7'"


def changed(report: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    return {**report, **{name: {**report[name], **values} for name, values in sections.items()}}


@pytest.mark.parametrize(("torch", "runtime", "same"), [("13.0", "13.1", True), ("12.8", "13.0", False)])
def test_torch_and_onnx_runtime_must_agree_on_cuda(
    report: dict[str, Any], torch: str, runtime: str, same: bool
) -> None:
    facts = changed(report, torch={"cuda": torch}, onnxruntime={"cuda": runtime})
    assert verdict.agree(facts) is same
    told = [str(problem) for problem in verdict.problems(facts, strict=False)]
    assert any("torch is for CUDA 12.8, onnxruntime-gpu for CUDA 13.0" in text for text in told) is not same


def test_an_old_driver_is_named(report: dict[str, Any]) -> None:
    facts = changed(report, driver={"cuda": "12.8"}, torch={"cuda": "13.0"})
    told = [str(problem) for problem in verdict.problems(facts, strict=False)]
    assert "the NVIDIA driver supports CUDA 12.8, torch is built for CUDA 13.0; update the driver of the host" in told


def test_two_distributions_of_one_module_are_a_problem(report: dict[str, Any]) -> None:
    facts = changed(report, onnxruntime={"distributions": ["onnxruntime", "onnxruntime-gpu"]})
    (problem,) = verdict.problems(facts, strict=False)
    assert problem.what == "onnxruntime and onnxruntime-gpu are both installed"


def test_a_missing_library_names_its_wheel(report: dict[str, Any]) -> None:
    facts = changed(report, onnxruntime={"cuda": "13.0", "missing": ["libcudnn.so.9", "libcuda.so.1"]})
    told = [str(problem) for problem in verdict.problems(facts, strict=False)]
    assert len(told) == 1  # a machine without a GPU has no driver: no fault of the installation
    assert told[0].startswith("libcudnn.so.9 cannot be loaded")
    assert "install nvidia-cudnn-cu13" in told[0]
