"""Whether held-out splits look like the train split: shares of the classes, and sizes of the boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

DRIFT = 0.2
"""Distances (0 to 1) up to this are not told."""
CHANCE = 0.001
"""Distances that chance makes at least this often are not told."""


def warnings(contents: Mapping[str, dict[str, Any]]) -> list[str]:
    """contents: COCO dictionaries by split. Returns: one sentence for each difference that is large and no chance."""
    from scipy.stats import chi2_contingency, ks_2samp

    names = {entry["id"]: entry["name"] for entry in contents["train"]["categories"]}
    counts = {split: Counter(a["category_id"] for a in content["annotations"]) for split, content in contents.items()}
    sizes = {split: _sizes(content) for split, content in contents.items()}
    found = []
    for split in ("val", "test"):
        if not len(sizes[split]) or not len(sizes["train"]):
            continue
        table = np.array([[counts[name][key] for key in names] for name in ("train", split)])
        table = table[:, table.any(0)]
        shares = table / table.sum(1, keepdims=True)
        distance = float(np.abs(shares[0] - shares[1]).sum() / 2)  # total variation
        if distance > DRIFT and chi2_contingency(table).pvalue < CHANCE:
            present = [key for key in names if counts["train"][key] or counts[split][key]]
            worst = int(np.abs(shares[0] - shares[1]).argmax())
            found.append(
                f"classes of {split} differ in frequency from train's: {names[present[worst]]!r} is "
                f"{shares[1][worst]:.0%} of the boxes there and {shares[0][worst]:.0%} in train "
                f"(total variation {distance:.2f})"
            )
        test = ks_2samp(sizes["train"], sizes[split])
        if test.statistic > DRIFT and test.pvalue < CHANCE:
            found.append(
                f"boxes of {split} differ in size from train's: medians {np.median(sizes[split]):.0%} and "
                f"{np.median(sizes['train']):.0%} of the image's side (Kolmogorov-Smirnov {test.statistic:.2f})"
            )
    return found


def _sizes(content: dict[str, Any]) -> np.ndarray:
    """Square roots of the boxes' shares of their images' areas."""
    areas = {image["id"]: image["width"] * image["height"] for image in content["images"]}
    boxes = content["annotations"]
    return np.array([(a["bbox"][2] * a["bbox"][3] / areas[a["image_id"]]) ** 0.5 for a in boxes])
