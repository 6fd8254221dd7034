"""Operators of ONNX that torch has not, or has as several. They stand in graphs alone: run in torch, they give zeros.

The opsets that are written here have no attention with a cache, and ONNX Runtime's fusion does not see ours: its own
operator (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md) is one node in place of sixteen,
and to a step of one sentence a node costs as much as a small product.

Shapes: `N` sentences, `Q` queries, `T` keys, `P` of them in the cache, `H` heads, `E` width of a head, `D` model width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.onnx.ops import symbolic, symbolic_multi_out

ATTENTION = "com.microsoft::MultiHeadAttention"
OPSET = 18
"""The version in which ONNX's own operators are meant; newer graphs hold them as well."""


def attend(query: Tensor, key: Tensor, value: Tensor, real: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """query: [N, Q, H * E]; key, value: [N, H, T, E], or [N, T, H * E]; real: int32 [N, T], 0 for padding.

    Returns: [N, Q, H * E], and the scores that softmax makes weights of [N, H, Q, T].
    """
    attended, _, _, scores = symbolic_multi_out(
        ATTENTION,
        (query, key, value, None, real),
        {"num_heads": heads},
        dtypes=(query.dtype,) * 4,
        shapes=(query.shape, (0,), (0,), (query.shape[0], heads, query.shape[1], real.shape[1])),
        version=1,
    )
    return attended, scores


def attend_cached(
    query: Tensor, key: Tensor, value: Tensor, past_key: Tensor, past_value: Tensor, seen: Tensor, heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """query, key, value: [N, Q, H * E]; past_key, past_value: [N, H, P, E]; seen: int32 [N, Q, P + Q], 0 for a key that
    the query must not see.

    Returns: [N, Q, H * E], and keys and values [N, H, P + Q, E].
    """
    present = (past_key.shape[0], heads, past_key.shape[2] + query.shape[1], past_key.shape[3])
    attended, keys, values = symbolic_multi_out(
        ATTENTION,
        (query, key, value, None, seen, None, past_key, past_value),
        {"num_heads": heads},
        dtypes=(query.dtype,) * 3,
        shapes=(query.shape, present, present),
        version=1,
    )
    return attended, keys, values


def add_and_norm(x: Tensor, more: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """x, more: [M, D]. Returns: their sum, and that normalized.

    Two operators: ONNX Runtime's one for both, SkipLayerNormalization, takes longer on a CPU (benchmarks/LOG.md).
    """
    total = x + more
    return total, norm(total)


def rows(x: Tensor, index: Tensor) -> Tensor:
    """x: [N, P, ...], index: int64 [N, Q]. Returns: [N, Q, ...]."""
    shape = (*index.shape, *x.shape[2:])
    return symbolic("GatherND", (x, index[:, :, None]), {"batch_dims": 1}, dtype=x.dtype, shape=shape, version=OPSET)


def best(x: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """x: [N, M], count: int64 [1]. Returns: the largest of each row in falling order, and int64 which they are; of
    equal ones the first comes first."""
    size: Any = count.item()
    torch._check(size >= 1)
    values, index = symbolic_multi_out(
        "TopK", (x, count), {"axis": 1}, dtypes=(x.dtype, torch.int64), shapes=((x.shape[0], size),) * 2, version=OPSET
    )
    return values, index


class Grid:
    """N and Q of a tensor whose first axes they are, and reshaping between [N, Q, ...] and [N * Q, ...]: what torch's
    becomes computes each shape anew."""

    def __init__(self, like: Tensor):
        self.shape = like.shape[:2]
        both = symbolic("Shape", (like,), {"end": 2}, dtype=torch.int64, shape=(2,), version=OPSET)
        rest = torch.tensor([-1])
        self._wanted = symbolic("Concat", (both, rest), {"axis": 0}, dtype=torch.int64, shape=(3,), version=OPSET)

    def spread(self, x: Tensor) -> Tensor:
        """[N * Q, D] -> [N, Q, D]."""
        return _reshape(x, self._wanted, (*self.shape, x.shape[1]))

    def flat(self, x: Tensor) -> Tensor:
        """[N, Q, D] -> [N * Q, D]."""
        return _reshape(x, torch.tensor([-1, x.shape[2]]), (self.shape[0] * self.shape[1], x.shape[2]))

    def joined(self, x: Tensor) -> Tensor:
        """[N, Q, D] -> [N, Q * D]."""
        return _reshape(x, torch.tensor([0, -1]), (self.shape[0], self.shape[1] * x.shape[2]))  # 0: as it is


def _reshape(x: Tensor, wanted: Tensor, shape: tuple[Any, ...]) -> Tensor:
    return symbolic("Reshape", (x, wanted), dtype=x.dtype, shape=shape, version=OPSET)
