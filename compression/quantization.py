"""fp32 graphs -> int8 or fp16 ones, without torch; and the one rule by which a model that lost too much is refused.

Static int8 is for convolutional graphs (scales of activations from calibration), dynamic int8 for matrix products over
inputs of changing size. Every graph that is written has IR version `IR_VERSION`.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from compression.half import halve
from compression.lean import lean
from compression.lookups import lookups_int8
from core.errors import ModelError
from core.onnx_session import IR_VERSION

Feed = dict[str, NDArray[Any]]
"""Inputs of a graph by name."""
LAYERS = ("Conv",)
"""Operators with weights."""
QUANTIZED = ("Conv", "Clip", "Relu", "Add")
"""Activations and sums with the convolutions: alone, each convolution would go back to float and lose by it."""
WEIGHTED = ("Conv", "Gemm", "MatMul")
POOLED = (*QUANTIZED, "MaxPool", "AveragePool", "Concat", "Gemm", "MatMul")
"""`layers` and `quantized` of a network that ends in a linear layer: all of it is computed in int8."""
CHUNK = 8
"""Calibration samples held at a time: calibration keeps all intermediate outputs of a chunk in memory."""
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
"""How ranges of activations come from calibration -> ONNX Runtime's name."""
CONSTANT = {"MatMulConstBOnly": True}
"""Products of two activations (attention scores) stay in float: their scales differ from sample to sample."""


def convolutions_int8(
    source: Path,
    target: Path,
    samples: Sequence[Any],
    feed: Callable[[Any], Feed],
    method: str = "minmax",
    quantized: Sequence[str] = QUANTIZED,
    layers: Collection[str] = LAYERS,
    weight_bits: Literal[7, 8] = 8,
) -> None:
    """Static int8 per channel as quantize-dequantize pairs, up to the last of `layers`; what follows stays in float.

    samples: calibration data, a whole number of chunks where there are so many (`sample`); feed: the graph's inputs for
    one of them, made when it is needed; method: one of `METHODS`; quantized: operators; layers: those with weights;
    weight_bits: 7 where processors lack instructions for 8 (`core.cpu`), whose sums would saturate.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as aside:
        prepared = Path(aside) / "prepared.onnx"
        # Symbolic shape inference trips over NonMaxSuppression's free dimension; ONNX's own does well enough.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # its advice to pre-process, which was done
        try:
            quantize_static(
                str(prepared),
                str(target),
                Feeds(samples, feed),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(quantized),
                nodes_to_exclude=after_layers(onnx.load(prepared).graph, layers),
                per_channel=True,
                reduce_range=weight_bits < 8,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=getattr(CalibrationMethod, METHODS[method]),
                extra_options={"CalibStridedMinMax": min(CHUNK, len(samples))},
            )
        finally:
            logging.getLogger().setLevel(level)
    model = onnx.load(target)
    lean(model)
    onnx.save(model, target)
    stamp(target)


def products_int8(
    source: Path,
    target: Path,
    feeds: Sequence[Feed] | None = None,
    scales: Literal["column", "tensor"] = "column",
    weight_bits: Literal[7, 8] = 8,
) -> None:
    """Matrix products by weights in int8, and tables that are read by rows (`lookups`).

    feeds: activations have fixed scales, from these inputs; None: uint8 with a scale found at run time. scales: of the
    weights; one for each column is finer, one for the whole matrix computes faster where few rows are multiplied;
    weight_bits: as above.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    how: dict[str, Any] = {
        "op_types_to_quantize": ["MatMul"],
        "per_channel": scales == "column",
        "reduce_range": weight_bits < 8,
        "weight_type": QuantType.QInt8,
        "extra_options": CONSTANT,
    }
    if feeds is None:
        quantize_dynamic(bare(source), target, **how)
    else:
        quantize_static(bare(source), target, Feeds(feeds), quant_format=QuantFormat.QDQ, **how)
    model = onnx.load(target)
    lookups_int8(model)
    lean(model)
    onnx.save(model, target)
    stamp(target)


def convolutions_fp16(source: Path, target: Path, layers: Collection[str] = LAYERS) -> None:
    """fp16 from the first to the last of `layers`; inputs, outputs and the arithmetic around stay in fp32."""
    model = onnx.load(source)
    onnx.save(halve(model, between_layers(model.graph, layers)), str(target))
    stamp(target)


def products_fp16(source: Path, target: Path, kept: Sequence[str] = ("LogSoftmax",)) -> None:
    """All weights and computation in fp16 but for the operators `kept`; inputs and outputs stay in fp32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = convert_float_to_float16(bare(source), keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *kept])
    onnx.save(model, target)
    stamp(target)


def collapse(
    before: float,
    after: float,
    max_loss: float,
    better: Literal["higher", "lower"],
    what: str = "quality on the validation split",
    advice: str = "calibrate with more samples, or by another method",
) -> float:
    """What quantization has cost: the loss of quality, positive when it is worse, in units of the metric.

    better: which values of the metric are. what: the model, precision and metric, for the message.
    Raises: ModelError when the loss exceeds `max_loss`, or when it is not a number.
    """
    loss = before - after if better == "higher" else after - before
    if not loss <= max_loss:
        raise ModelError(
            f"quantization collapses: {what} goes from {before:.4g} to {after:.4g}, `quantize.max_loss` allows a loss "
            f"of {max_loss}; {advice}"
        )
    return loss


def sample(total: int, count: int, seed: int) -> list[int]:
    """Which `count` of `total` samples calibrate: a seeded choice in rising order, and a whole number of chunks where
    there are so many."""
    chosen = np.random.default_rng(seed).permutation(total)[:count]
    return sorted(chosen[: len(chosen) // CHUNK * CHUNK or len(chosen)].tolist())


def after_layers(graph: onnx.GraphProto, layers: Collection[str] = LAYERS) -> list[str]:
    """Names of the nodes that none of `layers` comes after."""
    reached: set[str] = set()  # tensors from which a layer is reached
    others = []
    for node in reversed(graph.node):  # ONNX nodes stand in topological order
        if node.op_type not in layers and not reached.intersection(node.output):
            others.append(node.name)
            continue
        reached.update(node.input)
    return others[::-1]


def between_layers(graph: onnx.GraphProto, layers: Collection[str] = LAYERS) -> set[str]:
    """Names of `layers` and of what lies between them: all but normalisation of the inputs, sizes and what follows."""
    reached: set[str] = set()  # tensors that come from a layer
    names = set()
    for node in graph.node:
        if node.op_type in layers or reached.intersection(node.input):
            reached.update(node.output)
            names.add(node.name)
    return names - set(after_layers(graph, layers))


def bare(path: Path) -> onnx.ModelProto:
    """The graph without the exporter's notes on inner shapes, some of which hold for its example only."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    return model


def stamp(path: Path) -> None:
    """Write the IR version that older runtimes and Triton read; tools write the newest they know."""
    model = onnx.load(path)
    if model.ir_version != IR_VERSION:
        model.ir_version = IR_VERSION
        onnx.save(model, path)


class Feeds:
    """Feeds samples to ONNX Runtime's calibration one by one: its `CalibrationDataReader`."""

    def __init__(self, samples: Sequence[Any], feed: Callable[[Any], Feed] = lambda sample: sample):
        self.samples, self.feed = samples, feed
        self.rest: Iterator[Any] = iter(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def get_next(self) -> Feed | None:
        sample = next(self.rest, None)
        return None if sample is None else self.feed(sample)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.rest = iter(self.samples[start_index:end_index])
