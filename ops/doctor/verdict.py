"""What does not fit together, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core import gpu
from core.gpu import Problem, driver

ONE = "uninstall both, then install one of them: they are two distributions of one module"


def problems(facts: Mapping[str, Any], strict: bool) -> list[Problem]:
    """strict: also whatever keeps torch and ONNX Runtime, as far as they are installed, from using CUDA."""
    found = [*_onnxruntime(facts), *_torch(facts), *_versions(facts), *_opsets(facts)]
    if strict:
        found += [Problem(f"{gpu.VARIABLE}=1 demands a GPU, but {what}", do) for what, do in _strict(facts)]
    return list(dict.fromkeys(found))


def agree(facts: Mapping[str, Any]) -> bool | None:
    """Whether torch and ONNX Runtime are for the same CUDA; None when not both are for one."""
    majors = [_major(facts[name]["cuda"]) for name in ("torch", "onnxruntime") if facts[name] and facts[name]["cuda"]]
    return majors[0] == majors[1] if len(majors) == 2 else None


def _major(version: str) -> int:
    return int(version.split(".", maxsplit=1)[0])


def _onnxruntime(facts: Mapping[str, Any]) -> Iterator[Problem]:
    runtime = facts["onnxruntime"]
    if len(runtime["distributions"]) > 1:
        yield Problem(f"{' and '.join(runtime['distributions'])} are both installed", ONE)
    if runtime["version"] is None:
        yield Problem(f"onnxruntime cannot be imported: {runtime['error']}", "install one of requirements/*.lock")
    for name in runtime["missing"]:
        if name != driver.LIBRARY:  # a machine without GPUs has no driver
            yield gpu.lacks(name, runtime["cuda"])
    if runtime["cuda_works"] is False and not runtime["missing"] and facts["driver"]["error"] is None:
        why = f": {runtime['error']}" if runtime["error"] else " and does not say why"
        yield Problem(f"{gpu.CUDA} does not compute{why}", "compare its CUDA version with the driver's")


def _torch(facts: Mapping[str, Any]) -> Iterator[Problem]:
    found = facts["torch"]
    if not found:
        return
    if found["error"]:
        yield Problem(f"torch does not work: {found['error']}", "install requirements/train.lock or train-cpu.lock")
    elif found["cuda"] and not found["cuda_works"] and facts["driver"]["error"] is None:
        yield Problem("torch finds no GPU though the driver has one", "compare its CUDA version with the driver's")


def _versions(facts: Mapping[str, Any]) -> Iterator[Problem]:
    if agree(facts) is False:
        one, other = facts["torch"]["cuda"], facts["onnxruntime"]["cuda"]
        yield Problem(f"torch is for CUDA {one}, onnxruntime-gpu for CUDA {other}", "install both for the same CUDA")
    for name in ("torch", "onnxruntime"):
        yield from gpu.too_old(facts["driver"]["cuda"], name, facts[name] and facts[name]["cuda"])


def _opsets(facts: Mapping[str, Any]) -> Iterator[Problem]:
    asked, writer = facts["params"] or {"opsets": {}, "error": None}, facts["onnx"]
    if asked["error"]:
        yield Problem(f"opsets are unknown: {asked['error']}", "mend params.yaml")
    known = {"onnx": writer and writer["opset"], "ONNX Runtime": facts["onnxruntime"]["opset"]}
    for task, opset in asked["opsets"].items():
        for name, highest in known.items():
            if highest is not None and opset > highest:
                what = f"params.yaml has {task}.export.opset {opset}, {name} knows {highest} at most"
                yield Problem(what, "lower it")


def _strict(facts: Mapping[str, Any]) -> Iterator[Problem]:
    gpus, runtime, torch = facts["driver"], facts["onnxruntime"], facts["torch"]
    if gpus["error"]:
        yield Problem(gpus["error"], gpus["advice"])
    if runtime["version"] and gpu.CUDA not in runtime["providers"]:
        yield gpu.cpu_onnxruntime(runtime["version"])
    if torch and torch["version"] and not torch["cuda"]:
        yield gpu.cpu_torch(torch["version"])
