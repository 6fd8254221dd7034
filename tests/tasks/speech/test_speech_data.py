"""From raw recordings to a clean, augmented dataset: what is found, what is left out, what stays apart."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import speech_tiny as tiny

from core.errors import SourceError
from core.files import read_jsonl
from modalities.audio import augment
from modalities.audio.checks import recordings as checks
from modalities.audio.inputs import canonical
from modalities.audio.inputs.decode import figures, write
from modalities.splits import SPLITS
from tasks.speech import prepare

CLASSES: dict[str, Any] = {"target": "class", "split_by": "recording"}


def prepared(folder: Path, root: Path, **changes: Any) -> tuple[Path, dict[str, Any], Any]:
    made = tiny.settings(data=changes | {"source": str(root)})
    (folder / "prepared").mkdir()
    return folder / "prepared", prepare.prepare(root, folder / "prepared", made, 7), made


def every(dataset: Path) -> list[dict[str, Any]]:
    return [row for split in SPLITS for row in canonical.rows(dataset, split)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    prepare.sample(folder, tiny.settings(), 7)
    return folder


def test_no_speaker_is_in_two_splits(sample: Path, tmp_path: Path) -> None:
    dataset, summary, made = prepared(tmp_path, sample)
    speakers = [{row["speaker"] for row in canonical.rows(dataset, split)} for split in SPLITS]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == summary["speakers"] == prepare.PHONES
    assert sum(summary["recordings"].values()) == made.data.sample.clips
    assert not checks.refuse(dataset, made)


def test_a_speaker_can_be_held_out_by_name(sample: Path, tmp_path: Path) -> None:
    dataset, _, _ = prepared(tmp_path, sample, held_out=["phone 3"])
    assert {row["speaker"] for row in canonical.rows(dataset, "test")} == {"phone 3"}
    few = tiny.settings(data={"held_out": [f"phone {i}" for i in range(7)]})  # each of the others says a third
    (tmp_path / "few").mkdir()
    counts = prepare.prepare(sample, tmp_path / "few", few, 7)["recordings"]
    assert counts == {"train": 12, "val": 6, "test": 42}
    with pytest.raises(SourceError, match="phone 33"):
        prepare.prepare(sample, tmp_path, tiny.settings(data={"held_out": ["phone 33"]}), 7)


def test_the_sample_is_the_same_every_time_and_a_key_is_its_two_tones(sample: Path, tmp_path: Path) -> None:
    prepare.sample(tmp_path, tiny.settings(), 7)
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in sample.iterdir())
    tone = prepare._key("6", 1.0, 3.0, tiny.RATE, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(tone, tiny.RATE))
    assert sorted(np.argsort(power)[-2:].tolist()) == pytest.approx([770, 1477], abs=4)


def test_each_fault_is_told_and_nothing_else(tmp_path: Path) -> None:
    root, rng = tmp_path / "raw", np.random.default_rng(1)
    for word in ("yes", "no"):
        (root / word).mkdir(parents=True)
        for i in range(12):
            write(root / word / f"{i}.wav", tiny.tone(0.5) * rng.uniform(0.2, 0.9), tiny.RATE)
    write(root / "yes" / "short.wav", tiny.tone(0.05), tiny.RATE)
    write(root / "yes" / "silent.wav", np.full(4000, 1e-5, np.float32), tiny.RATE)
    write(root / "yes" / "clipped.wav", np.sign(tiny.tone(0.5)), tiny.RATE)
    write(root / "yes" / "offset.wav", tiny.tone(0.5) * 0.5 + 0.3, tiny.RATE)
    (root / "yes" / "copy.wav").write_bytes((root / "no" / "3.wav").read_bytes())
    (root / "yes" / "cut.wav").write_bytes((root / "no" / "4.wav").read_bytes()[:-100])
    (root / "yes" / "noise.wav").write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")
    (root / "???").mkdir()
    write(root / "???" / "mute.wav", tiny.tone(0.5, 300), tiny.RATE)
    dataset, _, made = prepared(tmp_path, root, **CLASSES)
    table = checks.tables(dataset, made)["recordings"].set_index("file")
    assert len(table) == 32 - len(read_jsonl(dataset / "removed.jsonl")) if (dataset / "removed.jsonl").exists() else 32
    bad: dict[str, list[str]] = {}
    for one in checks.expectations(made, {})["recordings"]:
        values = table[one.kwargs["column"]]
        if "value_set" in one.kwargs:
            wrong = ~values.isin(one.kwargs["value_set"])
        else:
            low, high = one.kwargs["min_value"], one.kwargs["max_value"]
            wrong = (values < (-np.inf if low is None else low)) | (values > (np.inf if high is None else high))
        for name in table.index[wrong]:
            bad.setdefault(name, []).append(one.kwargs["column"])
    assert bad.pop("yes/short.wav") == ["seconds"]
    assert bad.pop("yes/silent.wav") == ["level"]
    assert "clipped" in bad.pop("yes/clipped.wav")
    assert bad.pop("yes/offset.wav") == ["offset"]
    assert bad.pop("yes/cut.wav") == ["content"] and bad.pop("yes/noise.wav") == ["content"]
    assert bad.pop("???/mute.wav") == ["speakable"]
    assert set(bad) <= {"yes/copy.wav", "no/3.wav"} and all(columns == ["same"] for columns in bad.values())
    assert "cut off" in table.loc["yes/cut.wav", "content"]


def test_the_same_sound_twice_in_a_manifest_is_told(sample: Path, tmp_path: Path) -> None:
    root = shutil.copytree(sample, tmp_path / "raw")
    (root / "again.wav").write_bytes((root / "00000.wav").read_bytes())
    lines = (root / "recordings.csv").read_text().splitlines()
    (root / "recordings.csv").write_text("\n".join([*lines, lines[1].replace("00000", "again")]) + "\n")
    dataset, _, made = prepared(tmp_path, root)
    table = checks.tables(dataset, made)["recordings"]
    assert table["same"][table["same"] != checks.FIRST].tolist() == ["the sound of recordings.csv, row 2"]


def test_what_is_changed_of_a_copy() -> None:
    samples, settings = tiny.tone(0.5), tiny.settings().augment
    calm = settings.model_copy(update=dict.fromkeys(augment.CHANGES, 0.0))
    assert np.array_equal(augment.change(samples, tiny.RATE, calm, (1,)), samples)
    faster = calm.model_copy(update={"speed": 1.0, "speed_range": [1.25, 1.25]})
    assert len(augment.change(samples, tiny.RATE, faster, (1,))) == pytest.approx(len(samples) / 1.25, abs=2)
    quieter = calm.model_copy(update={"gain": 1.0, "gain_db": [-6.0, -6.0]})
    level = figures(samples, tiny.RATE)["level"]
    assert figures(augment.change(samples, tiny.RATE, quieter, (1,)), tiny.RATE)["level"] == pytest.approx(
        level - 6, abs=0.01
    )
    noisy = calm.model_copy(update={"noise": 1.0, "snr_db": [10.0, 10.0]})
    noise = augment.change(samples, tiny.RATE, noisy, (1,)) - samples
    assert figures(noise, tiny.RATE)["level"] == pytest.approx(level - 10, abs=0.2)
    moved = augment.change(samples, tiny.RATE, calm.model_copy(update={"shift": 1.0}), (1,))
    assert len(moved) == len(samples) and not np.array_equal(moved, samples)
