"""Role `prepare` of speech: recordings in any format of `readers` -> the canonical dataset; and the sample.

writes  audio/*.wav, train.json, val.json, test.json (see `inputs.canonical`), rejected.jsonl for rows that name no
        recording, removed.jsonl for recordings that a held-out split has, too

Nothing bad is dropped here: what cannot be decoded stands in its split with the reason, and the role `checks` finds it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DataError, SourceError, suggest
from core.files import write_json, write_jsonl
from core.visible import visible
from modalities.audio.inputs.canonical import GOOD, LONGEST
from modalities.audio.inputs.decode import Samples, decode, digest, figures, write
from modalities.audio.inputs.symbols import normal
from modalities.audio.prepare.joining import joined
from modalities.audio.prepare.readers import Recording, read
from modalities.splits import SPLITS, assign

KEYS = {
    "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven", "8": "eight",
    "9": "nine", "*": "star", "0": "zero", "#": "hash",
}  # fmt: skip
"""A telephone's, row by row, and how they are said."""
ROWS, COLUMNS = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0)
"""Hz of the two tones of a key (ITU-T Q.23)."""
PHONES = 10
"""Speakers of the sample: each has a level, a noise and a pace of its own, and tones that are off by so much."""


def prepare(source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """See the module and `core.task.Prepare`."""
    settings = params.data
    form, raw = read(source, settings.format, settings.pattern, settings.kind == "path")
    (folder / "audio").mkdir(parents=True)
    rows = [_row(one, number, folder, settings) for number, one in enumerate(raw.recordings, 1)]
    splits, notes = _splits(raw.recordings, rows, settings, seed)
    if raw.rejected:
        write_jsonl(folder / "rejected.jsonl", raw.rejected)
    removed = [row for row, split in zip(rows, splits, strict=True) if split is None]
    if removed:
        write_jsonl(folder / "removed.jsonl", removed)
        notes.append(f"{len(removed)} recordings left out, e.g. {removed[0]['source_file']}: a held-out split has them")
    if settings.join is not None:
        rows, splits = joined(folder, rows, splits, settings, seed)
        notes.append(f"{len(rows)} recordings are synthetic: joined of single words")
    for split in SPLITS:
        write_json(folder / f"{split}.json", [row for row, mine in zip(rows, splits, strict=True) if mine == split])
    resampled = Counter(row["source_rate"] for row in rows if row["source_rate"] not in (0, settings.rate))
    notes += [f"{count} recordings resampled from {rate} to {settings.rate} Hz" for rate, count in resampled.items()]
    several = sum(row["channels"] > 1 for row in rows)
    notes += [f"{several} recordings of several channels became the mean of these"] * bool(several)
    speakers = {row["speaker"] for row in rows} - {""}
    counts = {split: splits.count(split) for split in SPLITS}
    return {"format": form, "recordings": counts, "speakers": len(speakers), "notes": raw.notes + notes}


def _row(one: Recording, number: int, folder: Path, settings: Any) -> dict[str, Any]:
    """A recording of the canonical dataset, its file written."""
    row: dict[str, Any] = {
        "id": number,
        "file_name": "",
        "content": GOOD,
        "text": normal(one.text, settings.words),
        "speaker": visible(one.speaker),
        "language": visible(one.language),
        "digest": "",
        **{"seconds": 0.0, "level": 0.0, "peak": 0.0, "offset": 0.0, "clipped": 0.0},
        "source_rate": 0,
        "channels": 0,
        "source_file": visible(one.file),
        "source_row": one.row,
    }
    try:
        if one.path is None:
            raise DataError(f"{one.name}: there is no such file in the data set")
        sound = decode(one.path, settings.rate, LONGEST, one.name)
    except DataError as error:
        return row | {"content": visible(str(error).removeprefix(f"{one.name}: "))}
    name = f"{number:06d}.wav"
    write(folder / "audio" / name, sound.samples, settings.rate)
    told = {"file_name": name, "digest": digest(sound.samples), "source_rate": sound.rate, "channels": sound.channels}
    return row | told | figures(sound.samples, settings.rate)


def _splits(
    recordings: list[Recording], rows: list[dict[str, Any]], settings: Any, seed: int
) -> tuple[list[str | None], list[str]]:
    """The source's splits, or drawn ones: by speaker, as far as speakers are known."""
    given = [one.split if one.split in SPLITS else None for one in recordings]
    speakers, digests = [row["speaker"] for row in rows], [row["digest"] for row in rows]
    for name in settings.held_out:
        if name not in speakers:
            raise SourceError(f"data.held_out: unknown speaker {name!r}; {suggest(name, sorted(set(speakers)))}")
    if settings.held_out:
        given = ["test" if speaker in settings.held_out else "train" for speaker in speakers]
    labels = [[row["text"]] for row in rows] if settings.target == "class" else None
    shares = settings.splits.val, settings.splits.test
    if settings.split_by == "recording" or (any(given) and not settings.held_out):
        return assign(given, digests, shares, seed, labels, "recordings")
    if len(set(speakers) - {""}) < 3:
        splits, notes = assign(given, digests, shares, seed, labels, "recordings")
        told = f"{len(set(speakers) - {''})} speakers are known, too few for splits of their own: recordings are drawn"
        return splits, [*notes, told]
    keys = [speaker or digest for speaker, digest in zip(speakers, digests, strict=True)]
    drawn = Counter(key for key, split in zip(keys, given, strict=True) if split != "test")
    smallest = min(drawn.values(), default=0) / max(drawn.total(), 1)  # less than a speaker's share draws nobody
    val, test = (max(share, min(1.02 * smallest, 0.49)) for share in shares)
    return assign(given, keys, (val, test), seed, labels, "recordings")


def sample(folder: Path, params: Any, seed: int) -> None:
    """Keys of a telephone in noise: `data.sample.clips` recordings, with a manifest."""
    settings, rng = params.data, np.random.default_rng(seed)
    most = 1 if settings.target == "class" else settings.sample.keys
    off, levels = rng.uniform(-0.012, 0.012, PHONES), rng.uniform(0.1, 0.4, PHONES)
    noises, paces = rng.uniform(0.01, 0.05, PHONES), rng.uniform(0.85, 1.2, PHONES)
    lines = ["path,transcript,speaker"]
    for number in range(settings.sample.clips):
        phone, keys = number % PHONES, rng.choice(list(KEYS), rng.integers(1, most + 1)).tolist()
        pieces = [_silence(rng, settings.rate)]
        for key in keys:
            pieces += [_key(key, 1 + off[phone], paces[phone], settings.rate, rng), _silence(rng, settings.rate)]
        samples = levels[phone] * np.concatenate(pieces)
        samples += rng.normal(0, noises[phone] * levels[phone] * 4, len(samples))
        write(folder / f"{number:05d}.wav", np.clip(samples, -1, 1).astype(np.float32), settings.rate)
        lines.append(f"{number:05d}.wav,{' '.join(KEYS[key] for key in keys)},phone {phone}")
    (folder / "recordings.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _key(key: str, off: float, pace: float, rate: int, rng: np.random.Generator) -> Samples:
    """Both tones for about 0.1 s."""
    row, column = divmod(list(KEYS).index(key), len(COLUMNS))
    seconds = np.arange(round(rate * pace * rng.uniform(0.08, 0.12))) / rate
    phases = rng.uniform(0, 2 * np.pi, 2)
    tones = [
        np.sin(2 * np.pi * off * hertz * seconds + phase)
        for hertz, phase in zip((ROWS[row], COLUMNS[column]), phases, strict=True)
    ]
    return np.asarray(0.5 * sum(tones) * np.clip(np.minimum(seconds, seconds[::-1]) / 0.005, 0, 1), np.float32)


def _silence(rng: np.random.Generator, rate: int) -> Samples:
    return np.zeros(round(rate * rng.uniform(0.05, 0.1)), np.float32)
