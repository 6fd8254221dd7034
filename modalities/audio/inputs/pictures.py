"""Pictures of sound for people: a waveform above a spectrum over time; numpy and Pillow only."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from modalities.audio.inputs.decode import Samples

PAPER, INK = "#1b1b1e", "#17bebb"
WINDOW, RANGE = 0.025, 70.0
"""Seconds of a window, and dB below the loudest that are told apart."""


def panel(samples: Samples, rate: int, size: tuple[int, int]) -> Image.Image:
    """size: width and height, pixels; the upper third is the waveform, time runs over all of the width."""
    width, height = size
    top = height // 3
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    edges = np.linspace(0, len(samples), width + 1).astype(int)
    for x, (start, end) in enumerate(pairwise(edges.tolist())):
        piece = samples[start : max(end, start + 1)]
        if len(piece):
            draw.line([(x, top / 2 * (1 - float(piece.max()))), (x, top / 2 * (1 - float(piece.min())))], fill=INK)
    shades = spectrum(samples, rate, width)
    canvas.paste(Image.fromarray(shades).resize((width, height - top)).convert("RGB"), (0, top))
    return canvas


def spectrum(samples: Samples, rate: int, most: int) -> NDArray[np.uint8]:
    """(frequencies, at most `most` times): power of windows, 0 to 255 of `RANGE`, high frequencies first."""
    size = max(16, round(rate * WINDOW))
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    hop = max(1, size // 4, (len(padded) - size) // max(1, most - 1) + 1)
    frames = sliding_window_view(padded, size)[::hop] * np.hanning(size)
    power = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)).T[::-1] + 1e-6)
    shades = np.clip((power - power.max()) / RANGE + 1, 0, 1) * 255
    return shades.astype(np.uint8)
