"""Role `quantize` of detection: an fp32 model folder becomes an int8 (CPU) or fp16 (GPU) one, without torch.

int8: static, per channel, quantize-dequantize pairs in the network up to its last convolutions; the arithmetic that
makes boxes of their outputs stays in float, since one scale over boxes (hundreds of pixels) and scores (0 to 1) would
erase the scores.
fp16: everything from the first to the last convolution; inputs, outputs and box arithmetic stay in fp32.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression import quantization
from modalities.images.inputs.decode import decode, fit
from tasks.detection.predict import GRAPH, Predictor, inputs, network_input


def quantize(source: Path, folder: Path, precision: str, dataset: Path, params: Any, seed: int) -> dict[str, Any]:
    """Write the model folder; calibration reads the train split. Returns: how it was made."""
    settings = params.quantize
    shutil.copyfile(source / "model.json", folder / "model.json")
    target = folder / f"{GRAPH}.onnx"
    if precision == "int8":
        images = _calibration(dataset, settings.calibration, Predictor(source, threads=1).size, seed)
        quantization.convolutions_int8(source / f"{GRAPH}.onnx", target, images, _feed, settings.method)
        how = f"static QDQ per channel, {settings.method} over {len(images)} train images"
    else:
        quantization.convolutions_fp16(source / f"{GRAPH}.onnx", target)
        how = "fp16 from the first to the last convolution"
    return {"how": how}


def _calibration(dataset: Path, count: int, size: tuple[int, int], seed: int) -> list[NDArray[np.uint8]]:
    """A choice of train images as the network sees them."""
    paths = inputs(dataset, "train")
    chosen = quantization.sample(len(paths), count, seed)
    return [fit(decode(paths[index]), size)[0] for index in chosen]


def _feed(image: NDArray[np.uint8]) -> quantization.Feed:
    return {"images": network_input([image])}
