"""Batches of which each picture is mixed with another one of the batch, and its target likewise.

Shapes: B batch, C colours, H and W height and width, K classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def mix(
    images: Tensor, targets: Tensor, mixup_alpha: float, cutmix_alpha: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """images (B, C, H, W) float and targets (B, K) float after `mixup` or `cutmix`, each with even chance where both
    are asked for; an alpha of 0 switches one off."""
    kinds = [kind for kind, alpha in ((mixup, mixup_alpha), (cutmix, cutmix_alpha)) if alpha]
    if not kinds:
        return images, targets
    kind = kinds[int(rng.integers(len(kinds)))]
    return kind(images, targets, mixup_alpha if kind is mixup else cutmix_alpha, rng)


def mixup(images: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """share * x + (1 - share) * another x, share ~ Beta(alpha, alpha), targets likewise.

    Zhang et al. 2018, https://arxiv.org/abs/1710.09412, equation 1 of section 2; one share a batch, as there.
    """
    share = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(images)))
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[order]


def cutmix(images: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A window of each picture comes from another one; targets count by area.

    Yun et al. 2019, https://arxiv.org/abs/1905.04899, equations 1 and 2: 1 - share of the area, share ~ Beta(alpha,
    alpha), of the picture's aspect, about a uniform centre, cut at the edges.
    """
    share = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(images)))
    height, width = images.shape[2:]
    half_height, half_width = (round(side * np.sqrt(1 - share) / 2) for side in (height, width))
    y, x = int(rng.integers(height)), int(rng.integers(width))
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    left, right = max(0, x - half_width), min(width, x + half_width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[order, :, top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, kept * targets + (1 - kept) * targets[order]
