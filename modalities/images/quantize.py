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

from compression import quantization
from core.files import read_json
from modalities.images.inputs.decode import coloured, decode, fit
from modalities.images.predict.pictures import inputs, network_input

LAYERS = ("Conv", "Gemm")
"""Operators with weights."""
QUANTIZED = (*quantization.QUANTIZED, "Gemm", "MaxPool")


def quantize(source: Path, folder: Path, precision: str, dataset: Path, params: Any, seed: int) -> dict[str, Any]:
    """Write the model folder; calibration reads the train split. Returns: how it was made."""
    settings, model = params.quantize, read_json(source / "model.json")
    (graph,) = model["graphs"]
    shutil.copyfile(source / "model.json", folder / "model.json")
    if precision == "int8":
        images = _calibration(dataset, settings.calibration, model, seed)
        quantization.convolutions_int8(
            source / graph, folder / graph, images, _feed, settings.method, QUANTIZED, LAYERS, settings.weight_bits
        )
        bits = "" if settings.weight_bits == 8 else f", weights of {settings.weight_bits} bits"
        how = f"static QDQ per channel, {settings.method} over {len(images)} train images{bits}"
    else:
        quantization.convolutions_fp16(source / graph, folder / graph, LAYERS)
        how = "fp16 from the first to the last convolution"
    return {"how": how}


def _calibration(dataset: Path, count: int, model: dict[str, Any], seed: int) -> list[NDArray[np.uint8]]:
    """A seeded choice of train images as the network sees them, a whole number of chunks where there are so many."""
    paths = inputs(dataset, "train")
    chosen = quantization.sample(len(paths), count, seed)
    size, colour = tuple(model["image_size"]), "grey" if model["inputs"]["images"]["shape"][1] == 1 else "rgb"
    return [coloured(fit(decode(paths[index]), (size[0], size[1]))[0], colour) for index in chosen]


def _feed(image: NDArray[np.uint8]) -> quantization.Feed:
    return {"images": network_input([image])}
