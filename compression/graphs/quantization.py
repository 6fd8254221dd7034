"""fp32 graphs -> int8 or fp16 ones, without torch; and the one rule by which a model that lost too much is refused.

Convolutional graphs get static int8, scales of activations from calibration; matrix products this, or a scale for each
row. Every graph that is written has IR version `IR_VERSION`.
"""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import numpy_helper

from compression.graphs import products
from compression.graphs.calibration import CHUNK, METHODS, Feed, Feeds, given, sound
from compression.graphs.half import halve
from compression.graphs.layers import LAYERS, QUANTIZED, after_layers, between_layers, values
from compression.graphs.lean import lean
from compression.graphs.lookups import lookups_int8
from core import better as core_better
from core.better import Better
from core.errors import ModelError
from core.files import read_json, write_json
from core.onnx_session import IR_VERSION


def convolutions_int8(
    source: Path,
    target: Path,
    samples: Sequence[Any],
    feed: Callable[[Any], Feed],
    method: str = "minmax",
    quantized: Sequence[str] = QUANTIZED,
    layers: Collection[str] = LAYERS,
    weight_bits: Literal[7, 8] = 8,
    floats: Sequence[str] = (),
    ranges: Path | None = None,
) -> int:
    """Static int8 per channel as quantize-dequantize pairs, up to the last of `layers`; what follows stays in float.

    samples: calibration data, a whole number of chunks where there are so many (`calibration.sample`); feed: the
    graph's inputs for one of them, made when it is needed; method: one of `METHODS`; quantized: operators; layers:
    those with weights; weight_bits: 7 where processors lack instructions for 8 (`core.cpu`), whose sums would
    saturate; floats: names of nodes that stay in float; ranges: a folder that keeps what calibration found, and the
    graph that was made ready for it, for the next call that differs in `floats` alone.
    Returns: how many samples calibrated; those that lead to numbers that are not finite do not.
    Raises: ModelError when all do.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as aside:
        prepared = (ranges or Path(aside)) / f"{source.stem}.prepared.onnx"
        if not prepared.exists():
            # Symbolic shape inference trips over NonMaxSuppression's free dimension; ONNX's own does well enough.
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        how: dict[str, Any] = {
            "op_types_to_quantize": list(quantized),
            "nodes_to_exclude": [*after_layers(onnx.load(prepared).graph, layers), *floats],
            "per_channel": True,
            "reduce_range": weight_bits < 8,
            "activation_type": QuantType.QUInt8,
            "calibrate_method": getattr(CalibrationMethod, METHODS[method]),
        }
        calibrated = _static(str(prepared), target, samples, feed, source, how, ranges, strided=True)
    model = onnx.load(target)
    lean(model)
    onnx.save(model, target)
    stamp(target)
    return calibrated


def products_int8(
    source: Path,
    target: Path,
    feeds: Sequence[Feed] | None = None,
    scales: Literal["column", "tensor"] = "column",
    weight_bits: Literal[7, 8] = 8,
    floats: Sequence[str] = (),
    ranges: Path | None = None,
) -> None:
    """Matrix products by weights in int8 (`products`), and tables that are read by rows (`lookups`).

    feeds: activations have fixed scales, from these inputs; None: a scale for each row, found at run time. scales: of
    the weights; one for each column is finer, one for the whole matrix makes a smaller file; weight_bits, floats,
    ranges: as above.
    """
    model = bare(source)
    products.split_sums(model.graph)
    found = None if feeds is None else _ranges(source, products.products(model.graph), feeds, ranges)
    products.integers(model, scales, weight_bits, floats, found)
    lookups_int8(model)
    lean(model)
    onnx.save(model, target)
    stamp(target)


def _ranges(
    source: Path, nodes: Sequence[onnx.NodeProto], feeds: Sequence[Feed], ranges: Path | None
) -> dict[str, products.Range]:
    """Of what each product is fed; samples that lead to numbers that are not finite tell nothing.

    Raises: ModelError when all do.
    """
    known = ranges / f"{source.stem}.json" if ranges else None
    if known and known.exists():
        return {name: (low, high) for name, (low, high) in read_json(known).items()}
    names = list(dict.fromkeys(node.input[0] for node in nodes))
    taken = given(feeds, lambda feed: feed)
    found = _reach(source, names, taken)
    if not np.isfinite(list(found.values())).all():
        found = _reach(source, names, sound(source, taken, lambda feed: feed))
    if known:
        write_json(known, found)
    return found


def _reach(source: Path, names: Sequence[str], feeds: Sequence[Feed]) -> dict[str, products.Range]:
    found = dict.fromkeys(names, (0.0, 0.0))
    for tensors in values(source, feeds, names):
        for name, x in tensors.items():
            low, high = found[name]
            found[name] = (float(np.minimum(x.min(initial=0), low)), float(np.maximum(x.max(initial=0), high)))
    return found


def _static(
    model: str | onnx.ModelProto,
    target: Path,
    samples: Sequence[Any],
    feed: Callable[[Any], Feed],
    source: Path,
    how: dict[str, Any],
    ranges: Path | None,
    strided: bool = False,
) -> int:
    """Quantize `model`, made of the graph at `source`, with ranges from the samples, without those that spoil them.

    how: options of `quantize_static`; strided: a chunk of samples is held at a time. Returns: how many samples it took.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    known = ranges / f"{source.stem}.json" if ranges else None

    def calibrate(taken: Sequence[Any]) -> bool:
        """Whether all ranges are numbers."""
        options = {"extra_options": {"CalibStridedMinMax": min(CHUNK, len(taken))}} if strided else {}
        try:
            with _quiet():
                quantize_static(
                    model,
                    str(target),
                    Feeds(taken, feed),
                    QuantFormat.QDQ,
                    weight_type=QuantType.QInt8,
                    calibration_cache_path=known,
                    **how | options,
                )
            sure = finite(target)
        except (ValueError, AssertionError):  # a histogram, or a scale, of what is no number
            sure = False
        if known and not sure:
            known.unlink(missing_ok=True)
        return sure

    samples = given(samples, feed)
    if calibrate(samples):
        return len(samples)
    kept = sound(source, samples, feed)
    if not calibrate(kept):
        raise ModelError(f"{source}: calibration gives scales that are not finite on {len(kept)} samples")
    return len(kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's advice to pre-process, which was done, its counts of bins, and what numpy says of numbers
    that are none, which is told by us."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.filterwarnings("ignore", category=RuntimeWarning)
            yield
    finally:
        logging.getLogger().setLevel(level)


def finite(path: Path) -> bool:
    """Whether all floats that a graph holds are numbers, scales among them."""
    floats = (tensor for tensor in onnx.load(path).graph.initializer if tensor.data_type == tensor.FLOAT)
    return all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in floats)


def convolutions_fp16(source: Path, target: Path, layers: Collection[str] = LAYERS) -> None:
    """fp16 from the first to the last of `layers`; inputs, outputs and the arithmetic around stay in fp32."""
    model = onnx.load(source)
    onnx.save(halve(model, between_layers(model.graph, layers)), str(target))
    stamp(target)


def _behind(graph: onnx.GraphProto, kinds: Collection[str]) -> set[str]:
    """Names of these operators' nodes, and of all that read what they give, or what that gives."""
    found, made = set(), set[str]()
    for node in graph.node:  # in topological order
        if node.op_type in kinds or made.intersection(node.input):
            found.add(node.name)
            made.update(node.output)
    return found


def _unrounded(graph: onnx.GraphProto, wide: Collection[str]) -> None:
    """What is in fp32 and is cast to fp16 and back, as the converter does between nodes that it leaves, is taken as it
    is, in place. wide: names of nodes that give fp32."""
    floats = {given.name for given in graph.input if given.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    floats |= {name for node in graph.node if node.name in wide for name in node.output}
    narrowed = {node.output[0]: node.input[0] for node in graph.node if _casts(node, onnx.TensorProto.FLOAT16)}
    for node in graph.node:
        if _casts(node, onnx.TensorProto.FLOAT) and narrowed.get(node.input[0]) in floats:
            node.input[0] = narrowed[node.input[0]]
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for node in [node for node in graph.node if _casts(node, onnx.TensorProto.FLOAT16)]:
        if node.output[0] not in read:
            graph.node.remove(node)


def _casts(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(each.name == "to" and each.i == kind for each in node.attribute)


def products_fp16(source: Path, target: Path, kept: Sequence[str] = ("LogSoftmax",)) -> None:
    """All weights and computation in fp16 but for the operators `kept` and what is made of what these give; inputs and
    outputs stay in fp32.

    So log-probabilities are added up in fp32: in fp16 those of a sentence, from -32 on, would be multiples of 1/32.
    Where there is an LSTM, `Transpose` is kept, too: else ONNX Runtime 1.31 crashes (SIGSEGV) as it loads the graph.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = bare(source)
    lstm = ["Transpose"] if any(node.op_type == "LSTM" for node in model.graph.node) else []
    wide = _behind(model.graph, kept)
    model = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *kept, *lstm],
        node_block_list=sorted(wide),
    )
    once = {tuple(node.output): node for node in model.graph.node}  # it writes a cast for each of a tensor's users
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in once.values()]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _unrounded(model.graph, wide)
    onnx.save(model, target)
    stamp(target)


def collapse(
    before: float,
    after: float,
    max_loss: float,
    better: Better,
    what: str = "quality on the validation split",
    advice: str = "calibrate with more samples, or by another method",
) -> float:
    """What quantization has cost: the loss of quality, positive when it is worse, in units of the metric.

    better: which values of the metric are. what: the model, precision and metric, for the message.
    Raises: ModelError when the loss exceeds `max_loss`, or when it is not a number.
    """
    loss = core_better.loss(after, before, better)
    if not loss <= max_loss:
        raise ModelError(
            f"quantization collapses: {what} goes from {before:.4g} to {after:.4g}, `quantize.max_loss` allows a loss "
            f"of {max_loss}; {advice}"
        )
    return loss


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
