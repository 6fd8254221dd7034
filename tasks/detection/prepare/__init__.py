"""Role `prepare` of detection: images with boxes in COCO, Pascal VOC or YOLO form -> the canonical dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalities.images.prepare import canonical, coco, voc, yolo
from tasks.detection.prepare.sample import sample

__all__ = ["prepare", "sample"]

FORMATS = {"coco": coco, "voc": voc, "yolo": yolo}


def prepare(source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """See `modalities.images.prepare.canonical`."""
    return canonical.prepare(source, folder, params, seed, FORMATS)
