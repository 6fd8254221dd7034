"""The front end against SciPy's transforms and the mel scale written down again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.signal import ShortTimeFFT, get_window

from modalities.audio.backbones.frontend import FrontEnd, filters

RATE = 8000


def settings(**changes: Any) -> dict[str, Any]:
    given = {"kind": "mel", "samples": 1000, "window_ms": 25.0, "hop_ms": 10.0, "mels": 20, "coefficients": 13}
    return given | {"rate": RATE} | changes


def reference(samples: np.ndarray) -> np.ndarray:
    """(F, 20): logarithms of powers in bands."""
    window = np.zeros(256)
    window[28:228] = get_window("hann", 200)  # torch sets a short window in the middle
    transform = ShortTimeFFT(window, 80, RATE, mfft=256, phase_shift=None)
    count = (len(samples) - 256) // 80 + 1
    power = np.abs(np.stack([np.fft.rfft(samples[80 * i : 80 * i + 256] * window) for i in range(count)])) ** 2
    one = np.abs(transform.stft(samples, p0=2, p1=3)[:, 0]) ** 2  # of the slice in the middle of sample 160
    np.testing.assert_allclose(one, np.abs(np.fft.rfft(samples[32:288] * window)) ** 2, rtol=1e-6, atol=1e-9)
    mel = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 22)
    edges, hertz = 700 * (10 ** (mel / 2595) - 1), np.fft.rfftfreq(256, 1 / RATE)
    bands = [np.interp(hertz, edges[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(20)]
    return np.log(np.maximum(power @ np.array(bands).T, 1e-8))


@pytest.mark.parametrize("kind", ["mel", "mfcc"])
def test_bands_and_cepstra_are_those_of_the_reference(kind: str) -> None:
    samples = np.random.default_rng(2).normal(0, 0.2, 1500)
    wanted = reference(samples)
    if kind == "mfcc":
        wanted = dct(wanted, type=2, norm="ortho", axis=1)[:, :13]
    wanted = (wanted - wanted.mean(0)) / (wanted.std(0) + 1e-3)
    found, frames = FrontEnd(settings(kind=kind))(torch.from_numpy(samples).float()[None], torch.tensor([1500]))
    assert frames.tolist() == [16] and found.shape[1:] == wanted.shape
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=2e-3)


def test_a_recording_is_heard_alike_whatever_stands_behind_it() -> None:
    front, samples = FrontEnd(settings()), 0.1 * torch.randn(1, 1500, generator=torch.Generator().manual_seed(1))
    alone, frames = front(samples, torch.tensor([1500]))
    padded, same = front(torch.nn.functional.pad(samples, (0, 900)), torch.tensor([1500]))
    assert torch.equal(frames, same)
    torch.testing.assert_close(alone, padded[:, : int(frames)], atol=1e-5, rtol=0)
    assert not padded[:, int(frames) :].any()


def test_raw_samples_pass_as_they_are() -> None:
    samples = torch.randn(2, 1200)
    found, frames = FrontEnd(settings(kind="raw"))(samples, torch.tensor([1200, 700]))
    assert torch.equal(found[..., 0], samples[:, :1000]) and frames.tolist() == [1000, 700]


def test_bands_cover_everything_between_the_first_and_the_last_middle() -> None:
    bands = filters(20, 256, RATE)
    assert bands.shape == (129, 20)
    first, last = int(bands[:, 0].argmax()) + 1, int(bands[:, -1].argmax())  # a middle may lie between two bins
    torch.testing.assert_close(bands[first:last].sum(1), torch.ones(last - first))
