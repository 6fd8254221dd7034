"""Role `quantize` of detection: an fp32 model folder becomes an int8 (CPU) or fp16 (GPU) one, without torch.

int8: static, per channel, quantize-dequantize pairs in the network up to its last convolutions; the arithmetic that
makes boxes of their outputs stays in float, since one scale over boxes (hundreds of pixels) and scores (0 to 1) would
erase the scores.
fp16: everything from the first to the last convolution; inputs, outputs and box arithmetic stay in fp32.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compression.half import halve
from core.errors import ModelError
from modalities.images.inputs import canonical
from modalities.images.inputs.decode import decode, fit
from tasks.detection.predict import GRAPH, Predictor, inputs, network_input
from tasks.detection.score import coco

QUANTIZED = ["Conv", "Clip", "Relu", "Add"]
"""Activations and sums with the convolutions: alone, each convolution would go back to float and lose by it."""
CHUNK = 8
"""Calibration images held at a time: calibration keeps all intermediate outputs of a chunk in memory."""


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
        _int8(source / f"{GRAPH}.onnx", target, images, settings.method)
        how = f"static QDQ per channel, {settings.method} over {len(images)} train images"
    else:
        _fp16(source / f"{GRAPH}.onnx", target)
        how = "fp16 from the first to the last convolution"
    before, after = (mean_precision(Predictor(path), dataset) for path in (source, folder))
    notes = {"map_fp32": before, f"map_{precision}": after, "loss": before - after, "how": how}
    if not before - after <= settings.max_loss:
        raise ModelError(
            f"{source} collapses in {precision}: mAP on the validation split falls from {before:.3f} to {after:.3f}, "
            f"detection.quantize.max_loss allows {settings.max_loss}; take more `calibration` images or another "
            f"`method` (now {settings.method}), or leave {precision} out of `quantized` and `precisions`"
        )
    return notes


def mean_precision(predictor: Predictor, dataset: Path, split: str = "val") -> float:
    """mAP of a split."""
    records, categories = canonical.read_split(dataset, split)
    paths = inputs(dataset, split)
    predictions = [boxes for i in range(0, len(paths), CHUNK) for boxes in predictor(paths[i : i + CHUNK])]
    evaluation = coco.evaluate(predictions, records, [category["id"] for category in categories])
    return coco.mean(coco.accumulate(evaluation)[:, :, :, 0, -1])


def last_convolutions(graph: onnx.GraphProto) -> tuple[list[str], list[str]]:
    """Names of the convolutions, and of all nodes that no convolution comes after: the arithmetic of the boxes."""
    reached: set[str] = set()  # tensors from which a convolution is reached
    convolutions, others = [], []
    for node in reversed(graph.node):  # ONNX nodes stand in topological order
        if node.op_type == "Conv":
            convolutions.append(node.name)
        elif not reached.intersection(node.output):
            others.append(node.name)
            continue
        reached.update(node.input)
    return convolutions[::-1], others[::-1]


def between_convolutions(graph: onnx.GraphProto) -> set[str]:
    """Names of the convolutions and of what lies between them: all but normalisation, sizes and box arithmetic."""
    _, others = last_convolutions(graph)
    reached: set[str] = set()  # tensors that come from a convolution
    names = set()
    for node in graph.node:
        if node.op_type == "Conv" or reached.intersection(node.input):
            reached.update(node.output)
            names.add(node.name)
    return names - set(others)


class _Reader:
    """Feeds images to ONNX Runtime's calibration one by one."""

    def __init__(self, images: list[NDArray[np.uint8]]):
        self.images = images
        self.rest: Iterator[NDArray[np.uint8]] = iter(images)

    def __len__(self) -> int:
        return len(self.images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self.rest, None)
        return None if image is None else {"images": network_input([image])}

    def set_range(self, start_index: int, end_index: int) -> None:
        self.rest = iter(self.images[start_index:end_index])


def _calibration(dataset: Path, count: int, size: tuple[int, int], seed: int) -> list[NDArray[np.uint8]]:
    """A seeded choice of train images as the network sees them, a whole number of chunks where there are so many."""
    paths = inputs(dataset, "train")
    chosen = np.random.default_rng(seed).permutation(len(paths))[:count]
    chosen = chosen[: len(chosen) // CHUNK * CHUNK or len(chosen)]
    return [fit(decode(paths[index]), size)[0] for index in sorted(chosen)]


def _int8(source: Path, target: Path, images: list[NDArray[np.uint8]], method: str) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as aside:
        prepared = Path(aside) / "prepared.onnx"
        # Symbolic shape inference trips over NonMaxSuppression's free dimension; ONNX's own does well enough.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        _, others = last_convolutions(onnx.load(prepared).graph)
        chosen = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}[method]
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # its advice to pre-process, which was done
        try:
            quantize_static(
                str(prepared),
                str(target),
                _Reader(images),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                nodes_to_exclude=others,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod[chosen],
                extra_options={"CalibStridedMinMax": min(CHUNK, len(images))},
            )
        finally:
            logging.getLogger().setLevel(level)


def _fp16(source: Path, target: Path) -> None:
    model = onnx.load(source)
    onnx.save(halve(model, between_convolutions(model.graph)), str(target))
