"""The doctor's findings for people: one line each, names on the left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = "not installed"


def text(facts: Mapping[str, Any], agree: bool | None, strict: bool) -> str:
    rows = [*_machine(facts), *_torch(facts["torch"]), *_onnxruntime(facts["onnxruntime"], agree), *_formats(facts)]
    rows += [(name, version or ABSENT) for name, version in facts["tools"].items()]
    rows.append(("strict mode", "on, a GPU must be used" if strict else "off"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _machine(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    machine, driver = facts["machine"], facts["driver"]
    yield "Python", machine["python"]
    yield "platform", machine["platform"]
    yield "CPU", f"{machine['cpu']}, {machine['cores']} cores"
    yield "  int8", ", ".join(machine["int8"]) or "no VNNI or AMX: take `quantize.weight_bits: 7`, or sums may saturate"
    yield "memory", f"{machine['memory_gib']} GiB"
    if driver["cuda"]:
        yield "NVIDIA driver", f"{driver['version'] or 'version unknown'}, up to CUDA {driver['cuda']}"
    if driver["error"]:
        yield "GPU" if driver["cuda"] else "NVIDIA driver", driver["error"]
    for gpu in driver["gpus"]:
        yield "GPU", f"{gpu['name']}, {gpu['memory_gib']} GiB, compute capability {gpu['compute']}"


def _torch(torch: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if torch is None:
        yield "torch", ABSENT
        return
    yield "torch", torch["version"] or f"broken: {torch['error']}"
    yield "  CUDA", f"{torch['cuda']}, {_works(torch)}" if torch["cuda"] else "none, a build for CPUs"
    yield "  cuDNN", torch["cudnn"] or "none"


def _onnxruntime(runtime: Mapping[str, Any], agree: bool | None) -> Iterator[tuple[str, str]]:
    yield "ONNX Runtime", runtime["version"] or f"broken: {runtime['error']}"
    yield "  distribution", ", ".join(runtime["distributions"]) or "none known to pip"
    yield "  providers", ", ".join(runtime["providers"]) or "none"
    yield "  CUDA", f"{runtime['cuda']}, {_works(runtime)}" if runtime["cuda"] else "none, the distribution for CPUs"
    if runtime["needs"]:
        there = [name for name in runtime["needs"] if name not in runtime["missing"]]
        yield "  libraries", ", ".join(there) or "none"
        yield "  missing", ", ".join(runtime["missing"]) or "none"
    if agree is not None:
        yield "same CUDA", "yes" if agree else "no, torch and ONNX Runtime differ"


def _works(found: Mapping[str, Any]) -> str:
    return "computes on the GPU" if found["cuda_works"] else "no GPU can be used"


def _formats(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    onnx, runtime, params = facts["onnx"], facts["onnxruntime"], facts["params"]
    yield "ONNX", f"{onnx['version']}, writes opset {onnx['opset']}, IR {onnx['ir']}" if onnx else ABSENT
    if runtime["opset"]:
        yield "  loaded", f"by ONNX Runtime up to opset {runtime['opset']}, IR {runtime['ir']}"
    if params:
        asked = ", ".join(f"{task} {opset}" for task, opset in params["opsets"].items())
        yield "  params.yaml", f"opset: {asked}" if asked else params["error"] or "asks for no opset"
