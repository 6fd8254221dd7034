"""Brightness, contrast and hue by `kornia.enhance`; the factors are drawn here, so a copy's seed alone decides them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from kornia.enhance import adjust_brightness_accumulative, adjust_contrast_with_mean_subtraction, adjust_hue

from modalities.images.augment.view import View


def colour(view: View, settings: Any, rng: np.random.Generator) -> View:
    """Factors uniform in 1 - strength to 1 + strength, and a hue turned by up to `hue` of the colour circle."""
    bright = 1 + rng.uniform(-settings.brightness, settings.brightness)
    contrast = 1 + rng.uniform(-settings.contrast, settings.contrast)
    turn = 2 * np.pi * rng.uniform(-settings.hue, settings.hue)
    torch.set_num_threads(1)  # for so little work threads only wait for each other: 7 times slower on a busy machine
    image = torch.from_numpy(view.pixels.copy()).permute(2, 0, 1).float() / 255
    if settings.brightness:
        image = adjust_brightness_accumulative(image, float(bright))
    if settings.contrast:
        image = adjust_contrast_with_mean_subtraction(image, float(contrast))
    if settings.hue:
        image = adjust_hue(image, float(turn))
    pixels = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    return replace(view, pixels=pixels)
