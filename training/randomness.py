"""The state of all random generators of a process, as values that a checkpoint may hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def state() -> dict[str, Any]:
    """Plain values and tensors, which load with `weights_only=True`."""
    version, keys, gauss = random.getstate()
    name, vector, position, has_gauss, cached = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "python": [version, list(keys), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(vector).astype(np.int64)), position, has_gauss, cached],
    }


def restore(saved: dict[str, Any]) -> None:
    """Set the generators to what `state` returned."""
    torch.set_rng_state(saved["torch"])
    torch.cuda.set_rng_state_all(saved["cuda"])
    version, keys, gauss = saved["python"]
    random.setstate((version, tuple(keys), gauss))
    name, vector, position, has_gauss, cached = saved["numpy"]
    np.random.set_state((name, vector.numpy().astype(np.uint32), position, has_gauss, cached))
