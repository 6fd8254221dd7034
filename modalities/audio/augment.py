"""The clean train split and `copies` changed copies of each recording, all from the seed.

reads   the clean dataset's train.json and audio/
writes  dataset/ (train.json, audio/ with the originals and the copies), contact_sheet.png: waveforms and spectra

Each change of each copy has a generator of its own, so switching one off leaves the others as they were: speed (and so
pitch), shift in time, noise at a ratio to the signal, gain. SpecAugment masks anew in each step of training.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from core.files import write_json
from modalities.audio.inputs import canonical
from modalities.audio.inputs.decode import Samples, digest, figures, write
from modalities.audio.inputs.pictures import PAPER, panel

CHANGES = ("speed", "shift", "noise", "gain")
SHOWN, COLUMNS, CELL = 12, 3, (320, 170)
"""Recordings on the contact sheet, in a row of it, and the size of each in pixels."""


def augment(dataset: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """Write the augmented train split; return counts. See the module and `core.task`."""
    settings, rate, rows = params.augment, params.data.rate, canonical.rows(dataset, "train")
    target = folder / "dataset" / "audio"
    target.mkdir(parents=True)
    for row in rows:
        shutil.copyfile(canonical.file(dataset, row), target / row["file_name"])
    made, number = list(rows), max(row["id"] for row in rows)
    copies = [(row, copy) for copy in range(1, settings.copies + 1) for row in rows]
    for row, copy in copies:
        number += 1
        samples = change(canonical.samples(dataset, row, rate), rate, settings, (seed, row["id"], copy))
        name = f"{row['id']:06d}-{copy:02d}.wav"
        write(target / name, samples, rate)
        made.append(row | figures(samples, rate) | {"id": number, "file_name": name, "digest": digest(samples)})
    write_json(folder / "dataset" / "train.json", made)
    shown = [made[i] for i in np.linspace(0, len(made) - 1, min(SHOWN, len(made))).astype(int)]
    sheet(folder / "dataset", shown, rate, folder / "contact_sheet.png")
    chances = {name: getattr(settings, name) for name in CHANGES}
    return {"recordings": len(rows), "augmented_recordings": len(copies), "transforms": chances}


def change(samples: Samples, rate: int, settings: Any, key: tuple[int, ...]) -> Samples:
    """A copy of a recording. key: tells it from all others."""
    rngs = {name: np.random.default_rng((*key, i)) for i, name in enumerate(CHANGES)}
    happens = {name: rng.random() < getattr(settings, name) for name, rng in rngs.items()}
    if happens["speed"]:
        faster = rngs["speed"].uniform(*settings.speed_range)
        places = np.arange(0, len(samples) - 1, faster)
        samples = np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
    if happens["shift"]:
        reach = round(settings.shift_ms * rate / 1000)
        by = int(rngs["shift"].integers(-reach, reach + 1))
        samples = np.pad(samples, (max(by, 0), max(-by, 0)))[max(-by, 0) : max(-by, 0) + len(samples)]
    if happens["noise"]:
        ratio = 10 ** (rngs["noise"].uniform(*settings.snr_db) / 20)
        level = float(np.sqrt(np.square(samples, dtype=np.float64).mean())) / ratio
        samples = samples + rngs["noise"].normal(0, level, len(samples)).astype(np.float32)
    if happens["gain"]:
        samples = samples * np.float32(10 ** (rngs["gain"].uniform(*settings.gain_db) / 20))
    return np.clip(samples, -1, 1)


def sheet(dataset: Path, rows: list[dict[str, Any]], rate: int, path: Path) -> None:
    """A grid of waveforms above spectra, with what is said."""
    width, height = CELL
    canvas = Image.new("RGB", (COLUMNS * width, -(-len(rows) // COLUMNS) * (height + 20)), PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, row in enumerate(rows):
        x, y = i % COLUMNS * width, i // COLUMNS * (height + 20)
        canvas.paste(panel(canonical.samples(dataset, row, rate), rate, CELL), (x, y + 20))
        draw.text((x + 6, y + 4), f"{row['text'][:40]}  {row['seconds']:.2f} s", fill="#e8e8e8")
    canvas.save(path, format="PNG")
