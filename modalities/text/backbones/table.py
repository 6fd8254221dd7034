"""Vectors of subwords, which are also the weights of the output (Press and Wolf 2017, https://arxiv.org/abs/1608.05859).

Shapes: `V` vocabulary, `D` model width, `E` width of a factorised table.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from modalities.text.inputs.tokenizer import PAD


class Table(nn.Embedding):
    """[V, D], or with `inner` the product of [V, E] and [E, D] (ALBERT, Lan et al. 2020, section 3.1,
    https://arxiv.org/abs/1909.11942): with a small vocabulary and a small network, tables are most of the weights."""

    def __init__(self, vocabulary: int, width: int, inner: int | None = None):
        super().__init__(vocabulary, inner or width, padding_idx=PAD)
        self.width = width
        self.expand = nn.Linear(inner, width, bias=False) if inner else None

    def initialise(self) -> None:
        """Vectors of unit length on average."""
        nn.init.normal_(self.weight, std=self.width**-0.5)
        nn.init.zeros_(self.weight[self.padding_idx or 0])
        if self.expand is not None:
            nn.init.normal_(self.expand.weight, std=self.embedding_dim**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T] -> [B, T, D], of unit size (Vaswani et al. 2017, section 3.4)."""
        vectors = super().forward(ids)
        return (vectors if self.expand is None else self.expand(vectors)) * math.sqrt(self.width)

    def project(self, hidden: Tensor) -> Tensor:
        """[..., D] -> logits [..., V]."""
        return nn.functional.linear(hidden if self.expand is None else hidden @ self.expand.weight, self.weight)

    def matrices(self) -> list[Tensor]:
        """What `project` multiplies with, one after the other: [D, V], or [D, E] and [E, V]."""
        narrow = [] if self.expand is None else [self.expand.weight.detach()]
        return [matrix.contiguous() for matrix in (*narrow, self.weight.detach().t())]

    def whole(self) -> Tensor:
        """[V, D]."""
        return self.weight if self.expand is None else self.weight @ self.expand.weight.t()

    @torch.no_grad()
    def begin_as(self, teacher: nn.Module) -> int:
        """Begin as the best approximation of a teacher's table by one of this rank (Eckart and Young 1936).

        Returns: how many parameters were set; 0 where tables have one form, which is copied as it is, or do not fit.
        """
        if not isinstance(teacher, Table) or teacher.whole().shape != self.whole().shape:
            return 0
        if (self.expand is None) == (teacher.expand is None) and self.weight.shape == teacher.weight.shape:
            return 0
        if self.expand is None:
            self.weight.copy_(teacher.whole())
            return self.weight.numel()
        left, values, right = torch.linalg.svd(teacher.whole().double(), full_matrices=False)
        root = values[: self.embedding_dim].sqrt()
        self.weight[:, : len(root)] = (left[:, : len(root)] * root).float()
        self.expand.weight[:, : len(root)] = (right[: len(root)] * root[:, None]).t().float()
        self.weight[:, len(root) :] = 0
        return self.weight.numel() + self.expand.weight.numel()
