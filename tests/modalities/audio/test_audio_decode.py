"""Files of sound: every kind is read, and what lies, ends early or never ends is refused in one message."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import speech_tiny as tiny
from numpy.typing import NDArray

from core.errors import DataError
from modalities.audio.inputs.decode import decode, digest, figures, write

RATE, MOST = tiny.RATE, 10.0
TONE = tiny.tone()


def wav(samples: NDArray[Any] = TONE, rate: int = RATE, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "subtype", "close"),
    [
        ("WAV", "PCM_U8", 0.01),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-5),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-6),
        ("WAV", "ALAW", 0.02),
        ("WAV", "ULAW", 0.02),
        ("WAVEX", "PCM_16", 1e-4),
        ("FLAC", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.2),
    ],
)
def test_every_kind_is_read(form: str, subtype: str, close: float) -> None:
    found = decode(wav(tiny.tone(1.0), form=form, subtype=subtype), RATE, MOST)
    middle = slice(2000, 6000)  # what is packed rings at its ends
    assert found.rate == RATE
    np.testing.assert_allclose(found.samples[middle], tiny.tone(1.0)[middle], atol=close)


def test_channels_become_their_mean_and_another_rate_is_resampled() -> None:
    two = np.stack([tiny.tone(1.0, rate=16_000), np.zeros(16_000)], 1)
    found = decode(wav(two, 16_000), RATE, MOST)
    assert (found.rate, found.channels, len(found.samples)) == (16_000, 2, RATE)
    np.testing.assert_allclose(found.samples[200:-200], tiny.tone(1.0)[200:-200] / 2, atol=2e-3)


def test_louder_than_full_scale_is_clipped() -> None:
    found = decode(wav(4 * tiny.tone(), subtype="FLOAT"), RATE, MOST)
    assert np.abs(found.samples).max() == 1
    assert figures(found.samples, RATE)["clipped"] > 0.5


def header(size: int, rate: int = RATE, channels: int = 1, samples: bytes = b"\0\1" * 100) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate & 0xFFFFFFFF, 2 * channels, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 0x7FFFFFFF)
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", size)
        + samples
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no sound file"),
        (b"\xff\xfb not an mp3 at all, whatever it says", "no sound file"),
        (wav()[:-500], "cut off"),
        (wav(form="FLAC")[:-200], "cut off|no sound file"),
        (header(10**9), "cut off"),
        (header(200, rate=1), "1 Hz"),
        (header(200, rate=4_000_000_000 % 2**31), "Hz and 1 channels"),
        (header(200, channels=1000), "1000 channels|no sound file"),
        (header(0), "no samples|no sound file"),
        (wav(np.array([0.0, np.nan, 0.1] * 10), subtype="FLOAT"), "no numbers"),
        (wav(np.array([0.0, np.inf, 0.1] * 10), subtype="DOUBLE"), "no numbers"),
        (wav(form="AIFF"), "expected WAV, FLAC, OGG or MP3"),
        (wav(np.zeros(RATE * 11)), "longer than 10 s"),
        (wav(np.zeros(RATE * 3600), form="FLAC"), "longer than 10 s"),  # 7 MB of silence in a few kB
    ],
)
def test_what_is_no_recording_is_told(data: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told) as error:
        decode(data, RATE, MOST, "a.wav")
    assert str(error.value).startswith("a.wav: ")


def test_a_stream_of_unknown_length_is_taken_as_far_as_it_goes() -> None:
    assert len(decode(header(0xFFFFFFFF), RATE, MOST).samples) == 100


def test_the_first_bytes_spoiled_never_end_in_another_error() -> None:
    good, rng = wav(), np.random.default_rng(3)
    for _ in range(150):
        spoiled = bytearray(good)
        for place in rng.integers(0, 60, 3):
            spoiled[place] = rng.integers(0, 256)
        try:
            found = decode(bytes(spoiled), RATE, MOST)
        except DataError:
            continue
        assert np.isfinite(found.samples).all() and len(found.samples) <= MOST * RATE + 1


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tiny.tone(), RATE)
    found = decode(tmp_path / "a.wav", RATE, MOST)
    np.testing.assert_allclose(found.samples, tiny.tone(), atol=1e-4)
    assert digest(decode(wav(found.samples, form="FLAC"), RATE, MOST).samples) == digest(found.samples)
