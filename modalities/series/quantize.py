"""Role `quantize` of tasks on numbers over time: an fp32 model folder becomes an int8 or fp16 one, without torch.

int8: convolutions, and linear layers behind them, statically; a network without convolutions has its products by
matrices in int8, with a scale for each row that is found at run time. Recurrent operators stay in float.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx

from compression.graphs import calibration, layers, quantization
from compression.graphs.sensitivity import Floats
from core.files import read_json
from modalities.series.inputs.windows import Windows


def quantize(
    source: Path,
    folder: Path,
    precision: str,
    dataset: Path,
    params: Any,
    seed: int,
    floats: Floats | None = None,
    ranges: Path | None = None,
) -> dict[str, Any]:
    """See `core.task.Quantize`."""
    settings, (name,) = params.quantize, read_json(source / "model.json")["graphs"]
    shutil.copyfile(source / "model.json", folder / "model.json")
    graph, target, kept, bits = source / name, folder / name, (floats or {}).get(name, ()), settings.weight_bits
    if precision == "fp16":
        quantization.products_fp16(graph, target)
        return {"how": "half precision"}
    if not any(node.op_type == "Conv" for node in onnx.load(graph).graph.node):
        quantization.products_int8(graph, target, None, "column", bits, kept, ranges)
        return {"how": "products in int8, a scale for each row at run time"}
    fed, kinds, weights = feeds(source, dataset, params, seed)[name], layers.POOLED, layers.WEIGHTED
    count = quantization.convolutions_int8(
        graph, target, fed, lambda feed: feed, settings.method, kinds, weights, bits, kept, ranges
    )
    return {"how": f"static QDQ per channel, {settings.method} over {count} train windows"}


def feeds(source: Path, dataset: Path, params: Any, seed: int) -> dict[str, list[calibration.Feed]]:
    """See `core.task.Quantize`."""
    (name,), windows = read_json(source / "model.json")["graphs"], Windows(dataset, "train")
    chosen = calibration.sample(len(windows), params.quantize.calibration, seed)
    return {name: [{"history": windows.history(i)[None]} for i in chosen]}


def others(dataset: Path, params: Any) -> dict[str, Any]:
    """See `core.task.Quantize`: ranges that leave out rare large numbers, or do not."""
    method = "minmax" if params.quantize.method != "minmax" else "percentile"
    changed = params.quantize.model_copy(update={"method": method})
    return {f"ranges by {method}": params.model_copy(update={"quantize": changed})}
