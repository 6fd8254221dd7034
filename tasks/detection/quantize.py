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
from tasks.detection.common import coco
from tasks.detection.common.images import decode, fit
from tasks.detection.predict import GRAPH, Predictor, inputs, network_input

BATCH = 8
"""Images predicted at a time."""


def quantize(source: Path, folder: Path, precision: str, dataset: Path, params: Any, seed: int) -> dict[str, Any]:
    """Write the model folder; calibration reads the train split, the check reads the validation split.

    Returns: notes: `map_fp32`, `map_<precision>` and `loss` on the validation split, and how it was made.
    Raises: ModelError when mAP falls by more than `quantize.max_loss`.
    """
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
    before, after = (mean_precision(Predictor(path), dataset) for path in (source, folder))
    loss = quantization.collapse(
        before,
        after,
        settings.max_loss,
        "higher",
        f"{source} in {precision}: mAP on the validation split",
        f"take more `calibration` images or another `method` (now {settings.method}), or leave {precision} out of "
        "`quantized` and `precisions`",
    )
    return {"map_fp32": before, f"map_{precision}": after, "loss": loss, "how": how}


def mean_precision(predictor: Predictor, dataset: Path, split: str = "val") -> float:
    """mAP of a split."""
    records, categories = coco.read_split(dataset, split)
    paths = inputs(dataset, split)
    predictions = [boxes for i in range(0, len(paths), BATCH) for boxes in predictor(paths[i : i + BATCH])]
    evaluation = coco.evaluate(predictions, records, [category["id"] for category in categories])
    return coco.mean(coco.accumulate(evaluation)[:, :, :, 0, -1])


def _calibration(dataset: Path, count: int, size: tuple[int, int], seed: int) -> list[NDArray[np.uint8]]:
    """A choice of train images as the network sees them."""
    paths = inputs(dataset, "train")
    chosen = quantization.sample(len(paths), count, seed)
    return [fit(decode(paths[index]), size)[0] for index in chosen]


def _feed(image: NDArray[np.uint8]) -> quantization.Feed:
    return {"images": network_input([image])}
