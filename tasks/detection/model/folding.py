"""BatchNorm folded into the convolutions before it, for export: fewer nodes, and int8 sees one convolution."""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from compression.networks import folding
from tasks.detection.model.fcos import FCOS, Tower


class FoldedTower(nn.Module):
    """A `Tower` whose shared convolutions were folded with the norm of each level, and so are shared no more."""

    def __init__(self, tower: Tower):
        super().__init__()
        levels = len(tower.norms[0]) if len(tower.norms) else 0
        self.levels = nn.ModuleList(
            nn.ModuleList(
                fuse_conv_bn_eval(conv, norms[level]) for conv, norms in zip(tower.convs, tower.norms, strict=True)
            )
            for level in range(levels)
        )

    def forward(self, x: Tensor, level: int) -> Tensor:
        for conv in self.levels[level] if len(self.levels) else ():
            x = F.relu(conv(x))
        return x


def fold(network: FCOS) -> FCOS:
    """A copy in eval mode that computes the same; `network` stays as it is."""
    folded = copy.deepcopy(network).eval()
    folded.backbone = folding.fold(folded.backbone)
    folded.class_tower = FoldedTower(folded.class_tower)
    folded.box_tower = FoldedTower(folded.box_tower)
    return folded
