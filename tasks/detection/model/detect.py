"""From predictions to boxes: decoding and non-maximum suppression, the same module in validation and in the graph.

`stillhouse::nms` is an operator of our own, so that `torch.export` keeps it whole; `graphs.py` translates it into ONNX
`NonMaxSuppression`, whose results and order it follows.

Shapes: B batch, N locations, K classes, S boxes selected in the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.detection.model.fcos import FCOS, boxes_of, scores_of


@torch.library.custom_op("stillhouse::nms", mutates_args=())
def nms(boxes: Tensor, scores: Tensor, most: int, iou: float, threshold: float) -> Tensor:
    """ONNX NonMaxSuppression: boxes (B, N, 4) corners, scores (B, K, N) -> (S, 3) image, class, location.

    most: boxes kept of each image and class; iou: overlap above which the weaker box is dropped; threshold: scores must
    be greater. Sorted by image, class and falling score.
    """
    selected: list[tuple[int, int, int]] = []
    corners, values = boxes.detach().float().cpu().numpy(), scores.detach().float().cpu().numpy()
    for image in range(values.shape[0]):
        for kind in range(values.shape[1]):
            candidates = np.flatnonzero(values[image, kind] > threshold)
            order = candidates[np.argsort(-values[image, kind, candidates], kind="stable")]
            selected += [(image, kind, int(index)) for index in suppress(corners[image], order, most, iou)]
    return torch.tensor(selected, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, most: int, iou: float, threshold: float) -> Tensor:
    count = torch.library.get_ctx().new_dynamic_size()
    return boxes.new_empty((count, 3), dtype=torch.int64)


def suppress(boxes: np.ndarray, order: np.ndarray, most: int, iou: float) -> list[int]:
    """Greedy suppression of (N, 4) boxes along `order`, strongest first; returns at most `most` indices."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        overlap = (high - low).clip(min=0).prod(1)
        order = order[overlap <= iou * (area[best] + area[order] - overlap)]
    return kept


class Detector(nn.Module):
    """The network with its decoding: what is exported."""

    def __init__(self, network: FCOS):
        super().__init__()
        self.network = network
        self.score = float(network.arch["score_threshold"])
        self.iou = float(network.arch["nms_iou"])
        self.most = int(network.arch["max_detections"])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """images: (B, 3, H, W) float, raw RGB 0-255; what exceeds a multiple of 32 is cut off.

        Returns: boxes (S, 4) corners in network pixels, within the network's input; scores (S,); labels (S,) from 0;
        and the image (S,) of the batch that each belongs to.
        """
        # Said as 32 * n, sizes stay simple expressions on every level: export takes a third of the time.
        height, width = images.shape[2] // 32 * 32, images.shape[3] // 32 * 32
        predictions = self.network(images[:, :, :height, :width])
        corners = boxes_of(predictions.points, predictions.distances)
        corners = torch.stack(
            [corners[..., i].clamp(0, limit) for i, limit in enumerate((width, height, width, height))], -1
        )
        scores = scores_of(predictions)
        # Boxes of each class lie in a place of their own, so that one suppression an image does for all classes, and
        # ends with the last box that is wanted: one a class would go on to the last box of each.
        kinds = scores.shape[2]
        apart = (torch.arange(kinds, device=corners.device) * (height + width)).to(corners.dtype)
        shifted = (corners.unsqueeze(2) + apart.view(1, 1, -1, 1)).flatten(1, 2)
        flat = scores.flatten(1, 2)
        image, _, index = nms(shifted, flat.unsqueeze(1), self.most, self.iou, self.score).unbind(1)
        return corners[image, index // kinds], flat[image, index], index % kinds, image


@torch.no_grad()
def predictions(model: FCOS, batch: Any, assets: dict[str, bytes]) -> list[list[dict[str, Any]]]:
    """Boxes of a validation batch of `tasks.detection.data`, in pixels of the images as they are on disk, best first:
    what the exported graph would give. The model must be in eval mode."""
    detector = Detector(model).eval()
    boxes, scores, labels, images = (value.cpu().numpy() for value in detector(batch["images"]))
    categories = [entry["id"] for entry in model.arch["classes"]]
    found = []
    for i, scale in enumerate(batch["scales"].cpu().numpy()):
        own = np.flatnonzero(images == i)
        own = own[np.argsort(-scores[own], kind="stable")][: detector.most]
        found.append(
            [
                {
                    "box": boxes[index] / np.tile(scale, 2),
                    "score": float(scores[index]),
                    "category_id": categories[labels[index]],
                }
                for index in own
            ]
        )
    return found
