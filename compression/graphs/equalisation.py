"""Channels that reach unlike far are brought to alike reaches, before int8 gives all of them one scale.

A channel is divided where it is made and multiplied where it is read, at the places of `joints`, and the network says
the same. Between convolutions it is Nagel et al. 2019, https://arxiv.org/abs/1906.04721, section 4.1; behind a
LayerNorm Xiao et al. 2023 (SmoothQuant), https://arxiv.org/abs/2211.10438, whose scale, by the reach of activations, is
taken for both: outputs of a convolution have weights with scales of their own here, which need none. Numbers are
rounded to powers of two, by which floats are multiplied without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression.graphs.calibration import Feed
from compression.graphs.joints import Joint, Search, groups
from compression.graphs.layers import values
from compression.graphs.sensitivity import FEW, dwarfed, reach
from core.errors import ModelError

CLOSE = 1e-5
"""How far a tensor may be from what it was, relative to its largest number."""


def equalise(source: Path, target: Path, feeds: Sequence[Feed]) -> list[str]:
    """Write the graph `source` with alike channels wherever a share of `FEW` was dwarfed by another one and fewer are
    then.

    feeds: inputs of the graph, by which channels reach as far as they do.
    Returns: the weights by which such channels are made; without any, nothing is written.
    Raises: ModelError where the graph says something else than before.
    """
    model = onnx.load(source)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    joints = list(Search(model.graph).joints())
    far = _reaches(source, feeds, joints)
    changed: list[tuple[Joint, NDArray[np.float32]]] = []
    for joint in joints:
        weights = [_reach_in(tensors[name], node) for name, node in joint.weights.items()]
        found = scales(np.max([far[name] for name in joint.read], axis=0), np.max(weights, axis=0))
        if found is None:
            continue
        for name, axis in joint.made.items():
            value = numpy_helper.to_array(tensors[name])
            _write(tensors[name], value / _along(found, axis, value.ndim))
        for name, node in joint.weights.items():
            value = numpy_helper.to_array(tensors[name])
            _write(tensors[name], value * (_each(found, node, value) if joint.convolutional else found[:, None]))
        changed.append((joint, found))
    if changed:
        onnx.save(model, target)
        _check(source, target, feeds, changed)
    return [next(iter(joint.made)) for joint, _ in changed]


def scales(activations: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float32] | None:
    """By what each channel is divided: sqrt(activation / weight), after which both reach equally far, as powers of two
    and around 1 in the mean.

    activations, weights: (C,) how far each reaches; channels of which one is zero are left alone. None: no gain.
    """
    alive = (activations > 0) & (weights > 0)
    far, by = activations[alive].astype(np.float64), weights[alive].astype(np.float64)
    before = max(_dwarfed(far), _dwarfed(by))
    if before < FEW or _dwarfed(np.sqrt(far * by)) >= before:
        return None
    logs = np.zeros(len(alive))
    logs[alive] = np.log2(far / by) / 2
    logs[alive] -= logs[alive].mean()
    return np.exp2(logs.round()).astype(np.float32)


def _dwarfed(reaches: NDArray[Any]) -> float:
    few, count, _ = dwarfed(reaches)
    return few / max(count, 1)


def _reaches(source: Path, feeds: Sequence[Feed], joints: Sequence[Joint]) -> dict[str, NDArray[Any]]:
    """Tensor that is read -> the largest absolute number of each of its channels."""
    axes = {name: 1 if joint.convolutional else -1 for joint in joints for name in joint.read}
    found: dict[str, NDArray[Any]] = {}
    for tensors in values(source, feeds, axes) if axes else ():
        for name, value in tensors.items():
            far = reach(np.where(np.isfinite(value), value, 0), axes[name])
            found[name] = np.maximum(found.get(name, far), far)
    return found


def _reach_in(tensor: onnx.TensorProto, node: onnx.NodeProto) -> NDArray[Any]:
    """(C,) the largest absolute weight by which a node reads each channel."""
    value = numpy_helper.to_array(tensor)
    if node.op_type != "Conv":
        return reach(value, 0)
    several = value.reshape(groups(node), -1, *value.shape[1:])  # (groups, outputs of one, inputs of one, ...)
    return np.concatenate([reach(each, 1) for each in several])


def _each(found: NDArray[Any], node: onnx.NodeProto, weights: NDArray[Any]) -> NDArray[Any]:
    """(C,) numbers of channels -> of the weights by which a convolution reads them, (outputs, inputs of one, ...)."""
    rows = found.reshape(groups(node), -1).repeat(len(weights) // groups(node), axis=0)
    return rows.reshape(*rows.shape, *[1] * (weights.ndim - 2))


def _along(found: NDArray[Any], axis: int, ndim: int) -> NDArray[Any]:
    return found.reshape([-1 if each == axis % ndim else 1 for each in range(ndim)])


def _write(tensor: onnx.TensorProto, value: NDArray[Any]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), tensor.name))


def _check(source: Path, target: Path, feeds: Sequence[Feed], changed: Sequence[tuple[Joint, NDArray[Any]]]) -> None:
    """Raises: ModelError where a layer gives something else than before."""
    scaled = {name: (joint, found) for joint, found in changed for name in joint.between}
    seen = dict.fromkeys([*scaled, *(node.output[0] for joint, _ in changed for node in joint.readers)])
    for wanted, now in zip(values(source, feeds, seen), values(target, feeds, seen), strict=True):
        for name, value in wanted.items():
            again = now[name]
            if name in scaled:
                joint, found = scaled[name]
                again = again * _along(found, 1 if joint.convolutional else -1, again.ndim)
            off = float(np.abs(again - value).max(initial=0))
            if not off <= CLOSE * float(np.abs(value).max(initial=0)):
                raise ModelError(f"{source}: {name} is not the same with equalised channels, it differs by {off:.2g}")
