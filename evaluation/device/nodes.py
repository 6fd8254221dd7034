"""Which kind of kernels (`core.kinds`) a node of an optimised graph is."""

from __future__ import annotations

from collections.abc import Sequence

from core.kinds import BATCHED, INT8, UNKNOWN

_ELEMENTWISE = (
    *("Add", "Sub", "Mul", "Div", "Relu", "Clip", "Min", "Max", "Abs", "Neg", "Where", "Equal", "Less"),
    *("Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Not", "Cast", "Sqrt", "Pow", "Reciprocal"),
    *("LeakyRelu", "HardSigmoid", "HardSwish", "Floor", "Ceil", "Round", "QuantizeLinear"),
    *("DequantizeLinear", "DynamicQuantizeLinear", "MaxPool", "NhwcMaxPool", "AveragePool"),
    *("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ArgMax"),
    *("ArgMin", "BiasAdd", "FusedMul"),
)
_FUNCTIONS = (
    *("Sigmoid", "Tanh", "Exp", "Log", "Erf", "Softmax", "LogSoftmax", "Gelu", "FastGelu", "BiasGelu"),
    *("QuickGelu", "LayerNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization"),
    *("BiasSoftmax", "Softplus", "Silu", "Swish", "Mish"),
)
_MOVES = (
    *("Transpose", "Concat", "Slice", "Split", "Gather", "GatherND", "GatherElements", "Reshape"),
    *("Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile", "Pad", "Resize", "Upsample", "ReorderInput"),
    *("ReorderOutput", "Shape", "Identity", "Constant", "ConstantOfShape", "Range", "ScatterND"),
    *("ScatterElements", "DepthToSpace", "SpaceToDepth", "NonZero"),
)


def kind(operator: str, integer: bool, macs: int, kernel: Sequence[int] | None, packed: bool = True) -> str:
    """The kind of a node.

    operator: its name in the optimised graph. integer: whether it computes with 8 bits. kernel: shape of a
    convolution's weights (outputs, inputs of a group, height, width). packed: whether it has a matrix of weights.
    """
    end = INT8 if integer else ""
    if macs and operator.endswith("Conv") and kernel is not None:
        if kernel[1] == 1:
            return f"depthwise{end}"
        return f"pointwise{end}" if max(kernel[2:], default=1) == 1 else f"conv{end}"
    if macs:
        return f"product{end}" if packed or integer else BATCHED
    if integer:  # QLinearAdd, QLinearSigmoid (a table of 256), QLinearGlobalAveragePool, ...
        return f"elementwise{INT8}"
    for name, members in (("elementwise", _ELEMENTWISE), ("function", _FUNCTIONS), ("move", _MOVES)):
        if operator in members:
            return name
    return UNKNOWN
