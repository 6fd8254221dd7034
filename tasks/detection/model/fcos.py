"""FCOS: fully convolutional one-stage detection (Tian et al. 2019, https://arxiv.org/abs/1904.01355).

Backbone, feature pyramid (Lin et al. 2017, https://arxiv.org/abs/1612.03144) and two towers shared by the levels. Each
level has its own BatchNorm in the shared towers (as EfficientDet does, https://arxiv.org/abs/1911.09070): statistics
differ by level, and unlike GroupNorm it folds into the convolution, in fp32 and in int8.

Shapes: B batch, K classes, H and W height and width of the network's input (multiples of 32), D pyramid width,
N = sum over strides s of H/s * W/s, the number of locations, level by level, row by row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modalities.images import backbones
from modalities.images.backbones import tuning

STRIDES = (8, 16, 32)
"""Of the feature maps that boxes are predicted from."""
PRIOR = 0.01
"""Score of every class at the start of training, for the focal loss (Lin et al. 2017, arXiv:1708.02002)."""


@dataclass
class Predictions:
    """What the network says of each location, before any threshold; always float32."""

    classes: Tensor
    """(B, N, K) logits."""
    distances: Tensor
    """(B, N, 4) pixels from the location to the left, top, right and bottom side of its box, positive."""
    centreness: Tensor
    """(B, N) logits."""
    points: Tensor
    """(N, 2) x and y of the locations, pixels."""
    strides: Tensor
    """(N,) pixels."""
    features: list[Tensor]
    """Backbone maps, then pyramid maps, each (B, C, H / s, W / s): the hints for distillation."""


class Pyramid(nn.Module):
    """Top-down feature pyramid over the strides of `STRIDES`."""

    def __init__(self, inputs: list[int], lateral: int, smooth: int):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, lateral, 1) for channels in inputs)
        self.smooth = nn.ModuleList(nn.Conv2d(lateral, smooth, 3, padding=1) for _ in inputs)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (B, C, h, w), finest first -> (B, D, h, w) of the same sizes."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for level in range(len(merged) - 2, -1, -1):
            merged[level] = merged[level] + F.interpolate(merged[level + 1], scale_factor=2.0, mode="nearest")
        return [smooth(x) for smooth, x in zip(self.smooth, merged, strict=True)]


class Tower(nn.Module):
    """3x3 convolutions shared by the levels, with BatchNorm of each level and ReLU."""

    def __init__(self, channels: int, widths: list[int], levels: int):
        super().__init__()
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for width in widths:
            self.convs.append(nn.Conv2d(channels, width, 3, padding=1, bias=False))
            self.norms.append(nn.ModuleList(nn.BatchNorm2d(width) for _ in range(levels)))
            channels = width

    def forward(self, x: Tensor, level: int) -> Tensor:
        for conv, norms in zip(self.convs, self.norms, strict=True):
            x = F.relu(norms[level](conv(x)))
        return x


class FCOS(nn.Module):
    """The detector of a description (`architecture`), see `tasks.detection.model`."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch = arch
        classes = len(arch["classes"])
        self.backbone = backbones.build(arch["backbone"])
        self.levels = [self.backbone.strides.index(stride) for stride in STRIDES]
        inputs = [self.backbone.channels[level] for level in self.levels]
        self.pyramid = Pyramid(inputs, arch["pyramid"]["lateral"], arch["pyramid"]["smooth"])
        width = arch["pyramid"]["smooth"]
        self.class_tower = Tower(width, arch["towers"]["classes"], len(STRIDES))
        self.box_tower = Tower(width, arch["towers"]["boxes"], len(STRIDES))
        self.class_head = nn.Conv2d([width, *arch["towers"]["classes"]][-1], classes, 3, padding=1)
        self.box_head = nn.Conv2d([width, *arch["towers"]["boxes"]][-1], 5, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(STRIDES)))
        for head in (self.class_head, self.box_head):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.class_head.bias, -math.log((1 - PRIOR) / PRIOR))
        self.freeze()

    def freeze(self) -> None:
        """Take the parameters that `arch` freezes out of training: the stem and the first blocks."""
        if self.arch["freeze_blocks"]:
            tuning.freeze(self.backbone, self.arch["freeze_blocks"])

    def train(self, mode: bool = True) -> FCOS:
        """A pretrained backbone keeps its BatchNorm statistics."""
        super().train(mode)
        if mode and self.arch["frozen_norm"]:
            tuning.keep_statistics(self.backbone)
        return self

    def forward(self, images: Tensor) -> Predictions:
        """images: (B, 3, H, W) float, raw RGB 0-255."""
        maps = self.backbone(images)
        maps = [maps[level] for level in self.levels]
        pyramid = self.pyramid(maps)
        classes, distances, centreness, points, strides = [], [], [], [], []
        for level, (x, stride) in enumerate(zip(pyramid, STRIDES, strict=True)):
            scores = self.class_head(self.class_tower(x, level)).float()
            boxes = self.box_head(self.box_tower(x, level)).float()
            classes.append(scores.flatten(2).transpose(1, 2))
            boxes = boxes.flatten(2).transpose(1, 2)
            # Clamped: e^8 strides is wider than any image, and a wild start must not overflow.
            distances.append(stride * torch.exp((self.scales[level] * boxes[..., :4]).clamp(max=8.0)))
            centreness.append(boxes[..., 4])
            grid = locations(x.shape[2], x.shape[3], stride, x.device)
            points.append(grid)
            strides.append(torch.full_like(grid[:, 0], stride))
        return Predictions(
            torch.cat(classes, 1),
            torch.cat(distances, 1),
            torch.cat(centreness, 1),
            torch.cat(points),
            torch.cat(strides),
            [*maps, *pyramid],
        )


def locations(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """(height * width, 2) x and y in pixels of the centres of a map's cells, row by row."""
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    return torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)], -1).reshape(-1, 2)


def boxes_of(points: Tensor, distances: Tensor) -> Tensor:
    """(N, 2) and (..., N, 4) -> corners (..., N, 4): x1, y1, x2, y2 in pixels."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)


def scores_of(predictions: Predictions) -> Tensor:
    """(B, N, K) in 0-1: the geometric mean of class score and centre-ness, which ranks well-centred boxes first."""
    return torch.sqrt(predictions.classes.sigmoid() * predictions.centreness.sigmoid()[..., None])
