"""Lightning as training uses it, without what it imports and training does not use: `training.lean`.

The names that stand in do what the real ones do outside of a network that is compiled: `disable` and `graph_break` of
torch._dynamo nothing, and of `OptimizedModule` there is no instance. `train.compile` compiles a network within a step,
never Lightning's module or an optimiser.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from training.lean import later, lazy


def _plain(fn: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """In the place of `torch._dynamo.disable`, as a function and as a decorator with arguments."""
    return fn if fn is not None else _plain


class _Compiled(torch.nn.Module):
    """In the place of what torch.compile makes of a module, for `isinstance`."""


def _of_metrics(module: str, name: str) -> Callable[[], Any]:
    def found() -> Any:
        importlib.import_module("torchmetrics.utilities")  # which brings the others in the order that they need
        return getattr(importlib.import_module(module), name)

    return found


def _without() -> None:
    lazy(
        find_spec("torch._dynamo"),
        {"disable": lambda: _plain, "graph_break": lambda: lambda msg="": None, "OptimizedModule": lambda: _Compiled},
    )
    metrics, plot = find_spec("torchmetrics"), "torchmetrics.utilities.plot"
    if metrics is None or metrics.origin is None:
        return
    types = {name: lambda: object for name in ("_AX_TYPE", "_PLOT_OUT_TYPE")}
    drawing = {"plot_single_or_multi_val": lambda: later(plot, "plot_single_or_multi_val")}
    lazy(spec_from_file_location(plot, Path(metrics.origin).parent / "utilities" / "plot.py"), types | drawing)
    lazy(
        metrics,
        {
            "__version__": lambda: version("torchmetrics"),
            "_logger": lambda: logging.getLogger("torchmetrics"),
            "Metric": _of_metrics("torchmetrics.metric", "Metric"),
            "MetricCollection": _of_metrics("torchmetrics.collections", "MetricCollection"),
        },
        ("utilities", "metric", "collections"),
    )


_without()

import lightning.pytorch as pl  # noqa: E402
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO  # noqa: E402
from lightning.fabric.utilities.apply_func import move_data_to_device  # noqa: E402
from lightning.pytorch.utilities.exceptions import SIGTERMException  # noqa: E402

__all__ = ["SIGTERMException", "TorchCheckpointIO", "move_data_to_device", "pl"]
