"""Which location learns which box (FCOS sections 3.1-3.2, with centre sampling of its later version).

A location is positive for a box when it lies inside it, within `RADIUS` strides of its centre, and the farthest side is
within its level's reach; of several boxes it takes the smallest.

Shapes: N locations, M boxes of one image.
"""

from __future__ import annotations

import torch
from torch import Tensor

RADIUS = 1.5
"""Centre sampling, strides."""
REACH = {8: (0.0, 48.0), 16: (48.0, 96.0), 32: (96.0, float("inf"))}
"""Farthest side that a level's locations regress, pixels."""


def assign(points: Tensor, strides: Tensor, boxes: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Targets of one image.

    points: (N, 2), strides: (N,) of `Predictions`; boxes: (M, 4) corners in pixels; labels: (M,) from 0.
    Returns: class (N,), `classes` where there is none, and distances (N, 4) left, top, right, bottom in pixels.
    """
    if not len(boxes):
        nothing = torch.full((len(points),), classes, dtype=torch.long, device=points.device)
        return nothing, points.new_ones(len(points), 4)
    low = points[:, None, :] - boxes[None, :, :2]
    high = boxes[None, :, 2:] - points[:, None, :]
    distances = torch.cat([low, high], -1)  # (N, M, 4)
    offset = (points[:, None, :] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().amax(-1)
    farthest = distances.amax(-1)
    reach = points.new_tensor([REACH[int(s)] for s in strides.unique().tolist()])
    reach = reach[torch.searchsorted(strides.unique(), strides)]  # (N, 2)
    positive = (distances.amin(-1) > 0) & (offset < RADIUS * strides[:, None])
    positive &= (farthest >= reach[:, :1]) & (farthest < reach[:, 1:])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    cost = torch.where(positive, area[None, :], torch.inf)
    smallest, which = cost.min(1)
    label = torch.where(smallest.isfinite(), labels[which], classes)
    return label, distances[torch.arange(len(points), device=points.device), which]


def centreness(distances: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> (...): 1 at a box's centre, 0 at its border (FCOS equation 3)."""
    ratios = [distances[..., i] / distances[..., i + 2] for i in (0, 1)]
    return torch.sqrt(torch.minimum(ratios[0], 1 / ratios[0]) * torch.minimum(ratios[1], 1 / ratios[1]))
