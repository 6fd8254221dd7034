"""ONNX Runtime sessions with threads, providers and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from core.errors import ModelError

CPU = "CPUExecutionProvider"


def session(path: Path, threads: int = 0, provider: str = CPU) -> ort.InferenceSession:
    """Open a graph.

    threads: intra-op threads, 0 leaves the choice to ONNX Runtime (all cores).
    provider: the execution provider that must be active; a silent fallback to the CPU is an error.
    Raises: ModelError when the file is damaged or the provider is not there.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        opened = ort.InferenceSession(str(path), options, providers=list(dict.fromkeys([provider, CPU])))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        raise ModelError(
            f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {str(error).splitlines()[0]}"
        ) from None
    if provider not in opened.get_providers():
        raise ModelError(
            f"{path}: {provider} is not active, only {opened.get_providers()}; install its libraries or ask for {CPU}"
        )
    return opened
