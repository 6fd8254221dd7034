"""Role `quantize` of tasks on images: an fp32 model folder becomes an int8 (CPU) or fp16 (GPU) one, without torch.

int8: static, per channel, quantize-dequantize pairs in the network up to its last convolutions or matrix products; the
arithmetic behind them (boxes, means) stays in float: one scale over boxes (hundreds of pixels) and scores (0 to 1)
would erase the scores.
fp16: everything from the first to the last of these layers; inputs, outputs and what follows stay in fp32.

Of `model.json` it reads `graphs`, of which there is one, with the input `images`, and `image_size`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression.graphs import calibration, layers, quantization
from compression.graphs.sensitivity import Floats
from core.files import read_json
from modalities.images.inputs.decode import coloured, decode, fit
from modalities.images.predict.pictures import inputs, network_input

LAYERS = ("Conv", "Gemm")
"""Operators with weights."""
QUANTIZED = (*layers.QUANTIZED, "Gemm", "MaxPool")
MORE = 4
"""Times as many images calibrate, where there are so many, when too few did not do."""


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
    if precision == "int8":
        images = _calibration(dataset, settings.calibration, model, seed)
        count = quantization.convolutions_int8(
            source / graph,
            folder / graph,
            images,
            _feed,
            settings.method,
            QUANTIZED,
            LAYERS,
            settings.weight_bits,
            (floats or {}).get(graph, ()),
            ranges,
        )
        bits = "" if settings.weight_bits == 8 else f", weights of {settings.weight_bits} bits"
        how = f"static QDQ per channel, {settings.method} over {count} train images{bits}"
    else:
        quantization.convolutions_fp16(source / graph, folder / graph, LAYERS)
        how = "fp16 from the first to the last convolution"
    return {"how": how}


def feeds(source: Path, dataset: Path, params: Any, seed: int) -> dict[str, list[calibration.Feed]]:
    """See `core.task.Quantize`."""
    model = read_json(source / "model.json")
    (graph,) = model["graphs"]
    return {graph: [_feed(image) for image in _calibration(dataset, calibration.CHUNK, model, seed)]}


def others(dataset: Path, params: Any) -> dict[str, Any]:
    """See `core.task.Quantize`: more images, and ranges that leave out rare large numbers, or do not."""
    settings, changed = params.quantize, {}
    count = min(MORE * settings.calibration, len(inputs(dataset, "train")))
    if count > settings.calibration:
        settings = settings.model_copy(update={"calibration": count})
        changed[f"{count} calibration images"] = settings
    method = "minmax" if settings.method != "minmax" else "percentile"
    changed[f"{count} calibration images, ranges by {method}"] = settings.model_copy(update={"method": method})
    return {told: params.model_copy(update={"quantize": each}) for told, each in changed.items()}


def _calibration(dataset: Path, count: int, model: dict[str, Any], seed: int) -> list[NDArray[np.uint8]]:
    """A seeded choice of train images as the network sees them, a whole number of chunks where there are so many."""
    paths = inputs(dataset, "train")
    chosen = calibration.sample(len(paths), count, seed)
    size, colour = tuple(model["image_size"]), "grey" if model["inputs"]["images"]["shape"][1] == 1 else "rgb"
    return [coloured(fit(decode(paths[index]), (size[0], size[1]))[0], colour) for index in chosen]


def _feed(image: NDArray[np.uint8]) -> calibration.Feed:
    return {"images": network_input([image])}
