"""What ships of weights that are computed from others while they are trained (`sparsity`, `rounding`)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

MARK = "parametrizations."
"""In torch's names of them: `conv.parametrizations.weight.original`, and `.0.kept` of the first function's buffer."""


def shipped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under the names of a network without parametrizations. Masked weights are zero; what was rounded in
    training is as it was before, since int8 rounds it."""
    plain = {name: value for name, value in weights.items() if MARK not in name}
    for name, value in weights.items():
        if MARK not in name or not name.endswith(".original"):
            continue
        where = name.removesuffix("original")
        masks = [mask for each, mask in weights.items() if each.startswith(where) and each.endswith(".kept")]
        plain[where.removesuffix(".").replace(MARK, "")] = math.prod(masks, start=value)
    return plain
