"""Everything that the doctor knows, as plain values with the same keys everywhere; what is not there is None."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from core import cpu, gpu
from core.gpu import driver, libraries
from ops.doctor import formats

TOOLS = ("dvc", "mlflow", "prefect", "great_expectations", "lightning")


def gather(params: Path) -> dict[str, Any]:
    """ONNX Runtime comes before torch, whose import loads CUDA libraries that ONNX Runtime alone would lack."""
    gpus = asdict(driver.read())
    runtime = onnxruntime()
    return {
        "machine": machine(),
        "driver": gpus,
        "onnxruntime": runtime,
        "torch": torch(),
        "onnx": formats.written(),
        "params": opsets(params),
        "tools": {name: version(name) for name in TOOLS},
    }


def version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """memory_gib: of the machine, or of this container if it has a limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or "max"
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu.name(),
        "int8": cpu.int8_instructions(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
    }


def onnxruntime() -> dict[str, Any]:
    """Which distributions stand behind the one module `onnxruntime`, and what it can really do."""
    found: dict[str, Any] = dict.fromkeys(("version", "cuda", "cuda_works", "opset", "ir", "error"))
    found |= {"providers": [], "needs": [], "missing": []}
    found["distributions"] = [name for name in ("onnxruntime", "onnxruntime-gpu") if version(name)]
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return found | {"error": str(error).splitlines()[0]}
    found |= {"version": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}
    found["cuda"] = getattr(onnxruntime, "cuda_version", "") or None
    found |= formats.loaded(onnxruntime)
    if libraries.provider() is None:
        return found
    gpu.preload()
    try:
        found["needs"] = libraries.needed(found["cuda"])
        found["missing"] = libraries.missing(found["needs"])
        found["cuda_works"] = not found["missing"] and gpu.CUDA in formats.compute(onnxruntime, 18, 10, gpu.CUDA)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        found |= {"cuda_works": False, "error": str(error).splitlines()[0]}
    return found


def torch() -> dict[str, Any] | None:
    found = dict.fromkeys(("version", "cuda", "cudnn", "cuda_works", "error"))
    try:
        import torch
    except ModuleNotFoundError as error:
        return None if error.name == "torch" else found | {"error": str(error)}
    except (ImportError, OSError) as error:  # a build for CUDA whose libraries are not there
        return found | {"error": str(error).splitlines()[0]}
    cudnn = torch.backends.cudnn.version()
    found |= {"version": str(torch.__version__), "cuda": torch.version.cuda}
    found |= {"cudnn": cudnn and f"{cudnn // 10_000}.{cudnn % 10_000 // 100}.{cudnn % 100}"}
    found["cuda_works"] = torch.cuda.is_available()
    if found["cuda_works"]:
        try:
            torch.nn.functional.conv2d(torch.ones(1, 1, 2, 2).cuda(), torch.ones(1, 1, 1, 1).cuda()).cpu()
        except RuntimeError as error:  # a GPU too old, or too new, for this build
            found |= {"cuda_works": False, "error": str(error).splitlines()[0]}
    return found


def opsets(path: Path) -> dict[str, Any] | None:
    """Task -> opset that `params.yaml` asks for; None without the file, or without what reads it."""
    if not path.exists():
        return None
    try:
        from core import params
    except ImportError:  # no PyYAML in the server's image
        return None
    from core.errors import ParamsError

    try:
        values = params.read(path)
    except ParamsError as error:
        return {"opsets": {}, "error": str(error)}
    sections = {name: value for name, value in values.items() if isinstance(value, dict)}
    asked = {name: (value.get("export") or {}).get("opset") for name, value in sections.items()}
    return {"opsets": {name: opset for name, opset in asked.items() if isinstance(opset, int)}, "error": None}
