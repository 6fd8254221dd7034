"""Flip, rotation, scale and crop as one affine map, so that pixels are resampled once.

Kornia's augmentations carry a rotated box as the box around its turned corners, which grows with every degree, and do
not tell how much of a box is still visible; both are done here, on a map from Pillow.

Shapes: see `view`. A map A is float64 (3, 3): homogeneous output pixel = A @ homogeneous input pixel.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalities.images.augment.view import View, clip

FILL = 127
"""Grey that stands where the map looks past the image's edge, as in the network's padding."""
CROP = (0.6, 1.0)
"""Sides of a crop, as a share of the image's."""


def flip(size: tuple[int, int]) -> NDArray[np.float64]:
    """Mirror left and right."""
    return np.array([[-1, 0, size[1]], [0, 1, 0], [0, 0, 1]], float)


def rotate(size: tuple[int, int], degrees: float) -> NDArray[np.float64]:
    """Turn about the centre, clockwise on the screen for positive degrees."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return _about_centre(size, np.array([[cos, -sin], [sin, cos]]))


def scale(size: tuple[int, int], factor: float) -> NDArray[np.float64]:
    """Grow (above 1) or shrink about the centre."""
    return _about_centre(size, np.eye(2) * factor)


def crop(size: tuple[int, int], share: float, left: float, top: float) -> NDArray[np.float64]:
    """Enlarge a window of `share` of the sides to the whole image; left, top: 0-1, its place in the room there is."""
    height, width = size
    x, y = left * (1 - share) * width, top * (1 - share) * height
    return np.array([[1 / share, 0, -x / share], [0, 1 / share, -y / share], [0, 0, 1]])


def draw(size: tuple[int, int], settings: Any, rngs: dict[str, np.random.Generator]) -> NDArray[np.float64]:
    """A random map from the params `augment`; the identity when no transform falls due."""
    matrix = np.eye(3)
    if rngs["flip"].random() < settings.flip:
        matrix = flip(size) @ matrix
    if rngs["rotate"].random() < settings.rotate:
        matrix = rotate(size, rngs["rotate"].uniform(-settings.rotate_degrees, settings.rotate_degrees)) @ matrix
    if rngs["scale"].random() < settings.scale:
        low, high = np.log(settings.scale_range)
        matrix = scale(size, float(np.exp(rngs["scale"].uniform(low, high)))) @ matrix
    if rngs["crop"].random() < settings.crop:
        matrix = crop(size, rngs["crop"].uniform(*CROP), *rngs["crop"].random(2)) @ matrix
    return matrix


def warp(view: View, matrix: NDArray[np.float64], size: tuple[int, int] | None = None) -> View:
    """Apply a map to pixels (bilinear) and boxes, and clip these to the output `size` (height, width)."""
    height, width = size or view.size
    if np.array_equal(matrix, np.eye(3)) and (height, width) == view.size:
        return view
    inverse = np.linalg.inv(matrix)
    pixels = Image.fromarray(view.pixels).transform(
        (width, height),
        Image.Transform.AFFINE,
        tuple(inverse[:2].ravel().tolist()),
        Image.Resampling.BILINEAR,
        fillcolor=(FILL, FILL, FILL),
    )
    return clip(replace(view, pixels=np.asarray(pixels), boxes=transform(view.boxes, matrix)))


def transform(boxes: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes (M, 4) around the images of the ellipses in the given boxes; exact without rotation.

    The ellipse in a w x h box, mapped by the linear part L, spans sqrt((L_i0 w/2)^2 + (L_i1 h/2)^2) on either side:
    Kalra et al. 2021, "Towards Rotation Invariance in Object Detection", https://arxiv.org/abs/2109.13488.
    """
    linear, shift = matrix[:2, :2], matrix[:2, 2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 @ linear.T + shift
    halves = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (linear**2).T)
    return np.concatenate([centres - halves, centres + halves], 1)


def _about_centre(size: tuple[int, int], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    centre = np.array([size[1], size[0]]) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre
    return matrix
