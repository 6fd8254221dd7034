"""Which layers lose what int8 loses: each alone in int8, all others in float, against the fp32 graph.

The measure is the noise at the end of the network relative to its signal, as in Wu et al. 2020, Integer Quantization
for Deep Learning Inference, section 5.2 (https://arxiv.org/abs/2004.09602), which takes the metric for it; a metric of
few samples hardly tells single layers apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression.graphs.calibration import Feed
from compression.graphs.layers import Layer, behind, in_int8, values

Floats = Mapping[str, tuple[str, ...]]
"""File of a graph -> names of its nodes that stay in float."""
FAR = 16
"""A channel that reaches so many times as far as another leaves it 4 of 8 bits."""
FEW = 0.25
"""Share of the channels that are dwarfed so from which on this is why."""


@dataclass(frozen=True)
class Finding:
    layer: Layer
    noise: float
    """Power of the noise that it brings to the end of the network, relative to the signal; at most 1."""


def ranked(
    source: Path, quantized: Path, alone: Callable[[Floats], Path], feeds: Mapping[str, Sequence[Feed]]
) -> list[Finding]:
    """Layers in int8, with the noise of each, the most first.

    source, quantized: model folders; alone: makes a model folder whose layers are in int8 but for those named; feeds:
    inputs of each graph, by its file.
    """
    layers = {name: in_int8(source / name, quantized / name) for name in feeds}
    found = []
    for name, several in layers.items():
        ends = behind(onnx.load(source / name).graph, {node for layer in several for node in layer.nodes})
        wanted = list(values(source / name, feeds[name], ends))
        for layer in several:
            others = {each: named(layers[each], but=layer) for each in layers}
            made = values(alone(others) / name, feeds[name], ends)
            noises = [noise(mine, theirs) for mine, theirs in zip(wanted, made, strict=True)]
            found.append(Finding(layer, float(np.mean(noises))))
    return sorted(found, key=lambda finding: -finding.noise)


def named(layers: Sequence[Layer], but: Layer | None = None) -> tuple[str, ...]:
    return tuple(node for layer in layers if layer != but for node in layer.nodes)


def noise(wanted: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> float:
    """The mean over tensors of their relative noise.

    A tensor may hold unlike things beside each other (boxes and scores), so it is cut along each axis but the first,
    the noise of each slice counts relative to the slice's own signal and as 1 at most, and the axis with the most
    tells.
    """
    return float(np.mean([_relative(wanted[name], found[name]) for name in wanted])) if wanted else 0.0


def _relative(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    if wanted.shape != found.shape or not np.isfinite(found).all():
        return 1.0
    each = [0.0]
    for axis in range(1, wanted.ndim):
        rest = tuple(i for i in range(wanted.ndim) if i != axis)
        signal = wanted.astype(np.float64).var(axis=rest)
        power = ((found.astype(np.float64) - wanted) ** 2).mean(axis=rest)
        ratio = np.where(power > 0, power / np.maximum(signal, np.finfo(np.float32).tiny), 0)
        each.append(float(np.minimum(ratio, 1).mean()) if ratio.size else 0.0)
    return max(each)


def why(graph: Path, layer: Layer, feeds: Sequence[Feed]) -> str:
    """What makes 8 bits few for a layer, in words: channels of what it reads, gives or multiplies with that are much
    smaller than another one, whose scale they have."""
    model = onnx.load(graph).graph
    nodes = {node.name: node for node in model.node}
    lead, last = nodes[layer.nodes[0]], nodes[layer.nodes[-1]]
    constants = {tensor.name: tensor for tensor in model.initializer}
    axis = 1 if lead.op_type == "Conv" else -1
    seen = [name for name in (*lead.input, last.output[0]) if name and name not in constants]
    reaches: dict[str, NDArray[Any]] = {}
    for tensors in values(graph, feeds, seen):
        for name, value in tensors.items():
            far = reach(value, 1 if value.ndim == 4 else axis)
            if name not in reaches or len(reaches[name]) == len(far):
                reaches[name] = np.maximum(reaches.get(name, far), far)
    found = [(dwarfed(far), "output" if name == last.output[0] else "input") for name, far in reaches.items()]
    for name in lead.input[1:2]:
        if name in constants and len(constants[name].dims) > 1:
            weights = numpy_helper.to_array(constants[name])
            found.append((dwarfed(reach(weights, 1 if lead.op_type == "Conv" else 0)), "weights"))
    (few, count, channel), where = max(found, key=lambda each: each[0][0] / max(each[0][1], 1), default=((0, 0, 0), ""))
    if few < FEW * count or not few:
        return "256 steps for its numbers are too few for what comes after"
    told = f"{few} of {count} channels of its {where} reach less than 1/{FAR} as far as channel {channel}"
    return f"{told} and share its scale"


def reach(value: NDArray[Any], axis: int) -> NDArray[Any]:
    """The largest absolute number of each channel."""
    return np.abs(np.moveaxis(value, axis, 0)).reshape(value.shape[axis], -1).max(1, initial=0)


def dwarfed(reaches: NDArray[Any]) -> tuple[int, int, int]:
    """How many channels are dwarfed by the largest, of how many that are not zero, and which that is."""
    alive = reaches[reaches > 0]
    return int((alive * FAR < reaches.max(initial=0)).sum()), len(alive), int(reaches.argmax()) if reaches.size else 0
