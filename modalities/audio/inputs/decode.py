"""Files of sound -> samples: WAV (8 to 32 bits, float, A-law, mu-law), FLAC, OGG and MP3, by libsndfile.

Of several channels the mean is taken, another rate is resampled, and what is louder than full scale is clipped, as
players do. T: samples.
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from core.errors import DataError
from modalities.audio.inputs.resample import resample

Samples = NDArray[np.float32]
"""(T,), mono, -1 to 1."""
SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"}
"""As libsndfile calls them; of others it knows more than is safe to take from strangers."""
COUNTED = ("WAV", "WAVEX", "RF64", "FLAC")
"""Formats whose header says how many samples there are."""
RATES = (1000, 384_000)
CHANNELS = 32
BLOCK = 65_536
"""Samples of each channel that are decoded at a time: what a header promises is never allocated."""
STREAMED = 0x7FFF0000
"""Sizes from here on are what writers put down who do not know the length yet."""
CHUNKS = 1000
"""Of a RIFF file, that are looked through for its samples."""


@dataclass(frozen=True)
class Sound:
    samples: Samples
    """At the rate that was asked for."""
    rate: int
    """Of the file, Hz."""
    channels: int


def decode(source: Any, rate: int, most: float, name: str = "audio") -> Sound:
    """source: bytes, a path, or samples (T,) at `rate`; most: seconds that are taken; name: what an error calls it.

    Raises: DataError for what is no sound file, is cut off, too long, or holds what is no number.
    """
    if isinstance(source, np.ndarray):
        return Sound(_checked(source, rate, most, name), rate, 1)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            samples, found, channels = _read(file, most, name)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error})") from None
    return Sound(np.clip(resample(samples, found, rate), -1, 1), found, channels)


def _checked(samples: NDArray[Any], rate: int, most: float, name: str) -> Samples:
    if samples.ndim != 1 or not 0 < len(samples) <= most * rate:
        raise DataError(f"{name}: has the shape {list(samples.shape)}, expected 1 to {int(most * rate)} samples")
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: holds samples that are no numbers")
    return np.clip(samples, -1, 1).astype(np.float32)


def _read(file: BinaryIO, most: float, name: str) -> tuple[Samples, int, int]:
    """Samples at the file's own rate, that rate, and the number of channels."""
    _promised(file, name)
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            rate, channels = sound.samplerate, sound.channels
            if sound.format not in FORMATS:
                raise DataError(f"{name}: is {sound.format}, expected WAV, FLAC, OGG or MP3")
            if not RATES[0] <= rate <= RATES[1] or channels > CHANNELS:
                raise DataError(
                    f"{name}: its header says {rate} Hz and {channels} channels, expected {RATES[0]} to {RATES[1]} Hz "
                    f"and at most {CHANNELS} channels"
                )
            blocks, count = [], 0
            while len(block := sound.read(BLOCK, dtype="float32", always_2d=True)):
                count += len(block)
                if count > most * rate:
                    raise DataError(f"{name}: is longer than {most:g} s; cut it into pieces")
                blocks.append(block.mean(1, dtype=np.float32))
            if sound.format in COUNTED and count < sound.frames < STREAMED:
                raise DataError(f"{name}: is cut off: {count:,} samples, its header says {sound.frames:,}")
    except (soundfile.LibsndfileError, RuntimeError, struct.error) as error:
        told = str(getattr(error, "error_string", error)).rstrip(".")[:100]
        raise DataError(f"{name}: is no sound file that can be read ({told}); expected WAV, FLAC, OGG or MP3") from None
    if not count:
        raise DataError(f"{name}: holds no samples")
    samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: holds samples that are no numbers")
    return samples, rate, channels


def _promised(file: BinaryIO, name: str) -> None:
    """Refuse a WAV file that ends before its samples do: libsndfile takes what is there, and says nothing."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    place = 12
    for _ in range(CHUNKS):
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        size = struct.unpack("<I", chunk[4:])[0]
        if chunk[:4] == b"data":
            if size < STREAMED and place + 8 + size > end:
                raise DataError(f"{name}: is cut off: {end - place - 8:,} bytes of samples, its header says {size:,}")
            return
        place += 8 + size + size % 2


def write(path: Path, samples: Samples, rate: int) -> None:
    """A WAV file of 16 bits."""
    soundfile.write(path, np.rint(samples * 32767).astype(np.int16), rate, subtype="PCM_16", format="WAV")


def digest(samples: Samples) -> str:
    """The same for recordings of the same sound, whatever their format."""
    return hashlib.sha256(np.rint(samples * 32767).astype("<i2").tobytes()).hexdigest()


def figures(samples: Samples, rate: int) -> dict[str, float]:
    """Length, s; level (root of the mean square) and peak, dB of full scale; offset (the mean) and the share of samples
    at full scale."""
    peak, level = float(np.abs(samples).max()), float(np.sqrt(np.square(samples, dtype=np.float64).mean()))
    return {
        "seconds": len(samples) / rate,
        "level": _decibels(level),
        "peak": _decibels(peak),
        "offset": float(samples.mean(dtype=np.float64)),
        "clipped": float((np.abs(samples) >= 0.999).mean()),
    }


def _decibels(value: float) -> float:
    return float(20 * np.log10(max(value, 1e-6)))
