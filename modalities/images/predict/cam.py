"""Class activation maps as heat over a picture; numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def heat(cam: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
    """The part of a map (h, w) of the network's input that lies over a picture of so many pixels: what speaks for the
    class, 0 to 1, relative to the most that any place says.

    A picture is fitted into the input's left upper corner, and the rest is padding; a cell that a picture's edge cuts
    counts as within it where most of it is.
    """
    rows, columns = cam.shape
    scale = min(columns / width, rows / height)
    within = cam[: max(1, round(height * scale)), : max(1, round(width * scale))].astype(np.float64).clip(min=0)
    return within / max(float(within.max()), 1e-9)
