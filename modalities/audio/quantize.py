"""Role `quantize` of tasks on sound: an fp32 model folder becomes an int8 one, without torch.

Convolutions are computed in int8, static, per channel, as pairs of quantize and dequantize; weights of recurrent layers
are stored in int8 (`compression.graphs.recurrent`). The head and the front end stay in float: powers reach over eight
powers of ten. Whole graphs in fp16 were not valid as they were made, so there is no fp16.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx

from compression.graphs import calibration, quantization
from compression.graphs.recurrent import recurrent_int8
from compression.graphs.sensitivity import Floats
from core.files import read_json
from modalities.audio.inputs import canonical
from modalities.audio.inputs.decode import Samples
from modalities.audio.inputs.said import padded

LAYERS = ("Conv",)


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
    """Write the model folder; calibration reads the train split. See `core.task.Quantize`."""
    settings, model = params.quantize, read_json(source / "model.json")
    (graph,) = model["graphs"]
    shutil.copyfile(source / "model.json", folder / "model.json")
    target, kept = folder / graph, (floats or {}).get(graph, ())
    how = []
    if any(node.op_type == "Conv" for node in onnx.load(source / graph).graph.node):
        every = _calibration(dataset, settings.calibration, model, seed)
        count = quantization.convolutions_int8(
            source / graph,
            target,
            every,
            lambda samples: padded([samples], model["least"]),
            settings.method,
            (*LAYERS, "Relu"),
            LAYERS,
            settings.weight_bits,
            kept,
            ranges,
        )
        how.append(f"convolutions static QDQ per channel, {settings.method} over {count} train recordings")
    else:
        shutil.copyfile(source / graph, target)
    if layers := recurrent_int8(target, tuple(kept)):
        how.append(f"weights of {layers} recurrent layers stored in int8")
    return {"how": "; ".join(how)}


def feeds(source: Path, dataset: Path, params: Any, seed: int) -> dict[str, list[calibration.Feed]]:
    """See `core.task.Quantize`."""
    model = read_json(source / "model.json")
    (graph,) = model["graphs"]
    every = _calibration(dataset, calibration.CHUNK, model, seed)
    return {graph: [padded([samples], model["least"]) for samples in every]}


def others(dataset: Path, params: Any) -> dict[str, Any]:
    """See `core.task.Quantize`: ranges that leave out rare large numbers, or do not."""
    method = "minmax" if params.quantize.method != "minmax" else "percentile"
    settings = params.quantize.model_copy(update={"method": method})
    return {f"ranges by {method}": params.model_copy(update={"quantize": settings})}


def _calibration(dataset: Path, count: int, model: dict[str, Any], seed: int) -> list[Samples]:
    """A seeded choice of train recordings."""
    rows = canonical.rows(dataset, "train")
    chosen = calibration.sample(len(rows), count, seed)
    return [canonical.samples(dataset, rows[i], model["rate"]) for i in chosen]
