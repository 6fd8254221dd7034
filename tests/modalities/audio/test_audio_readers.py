"""Recordings of every format, with what is bad of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import SourceError
from modalities.audio.prepare.readers import read

NAMES = r"^(?P<text>\d)_(?P<speaker>[a-z]+)_\d+"


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_folders_of_words_with_splits_and_speakers_of_names(tmp_path: Path) -> None:
    files = {"train/yes/7_ann_1.wav": "", "test/no/7_bob_1.wav": "", "train/no/notes.txt": "", "train/no/.x.wav": ""}
    form, raw = read(lay(tmp_path, files), "auto", r"_(?P<speaker>[a-z]+)_", True)
    assert form == "folders"
    found = {(one.text, one.speaker, one.split) for one in raw.recordings}
    assert found == {("yes", "ann", "train"), ("no", "bob", "test")}
    assert any("hidden" in note for note in raw.notes)


def test_names_that_carry_the_label(tmp_path: Path) -> None:
    form, raw = read(lay(tmp_path, {"a/7_jackson_32.wav": "", "a/other.wav": ""}), "auto", NAMES, True)
    (one,) = raw.recordings
    assert (form, one.text, one.speaker) == ("names", "7", "jackson")
    assert [row["file"] for row in raw.rejected] == ["a/other.wav"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_manifest(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"Path": "wavs/1.wav", "Transcript": "hello you", "speaker": "ann", "lang": "en", "split": "test"},
        {"Path": "../../etc/passwd", "Transcript": "no", "speaker": "", "lang": "", "split": ""},
        {"Path": "", "Transcript": "nothing", "speaker": "", "lang": "", "split": ""},
    ]
    if suffix == "jsonl":
        text = "\n".join([*map(json.dumps, rows), "{oops"])
    else:
        between = {"csv": ",", "tsv": "\t"}[suffix]
        text = "\n".join(between.join(row) for row in [list(rows[0]), *(list(row.values()) for row in rows)])
    form, raw = read(lay(tmp_path, {f"m.{suffix}": text, "wavs/1.wav": ""}), "auto", None, True)
    first, second = raw.recordings
    assert form == "manifest"
    assert (first.text, first.speaker, first.language, first.split) == ("hello you", "ann", "en", "test")
    assert first.path == tmp_path / "wavs/1.wav" and second.path is None
    assert len(raw.rejected) == (2 if suffix == "jsonl" else 1)


def test_kaldi_runs_no_commands(tmp_path: Path) -> None:
    files = {
        "train/wav.scp": "a 1.wav\nb sph2pipe x.sph |\n",
        "train/text": "a HELLO YOU\n",
        "train/utt2spk": "a ann\n",
        "1.wav": "",
    }
    form, raw = read(lay(tmp_path, files), "auto", None, True)
    (one,) = raw.recordings
    assert (form, one.text, one.speaker, one.split) == ("kaldi", "HELLO YOU", "ann", "train")
    assert "commands are not run" in raw.rejected[0]["reason"]


@pytest.mark.parametrize("files", [{}, {"a.txt": "x"}, {"m.csv": "path,text\n"}, {"wav.scp": "\n"}])
def test_nothing_to_read_is_told(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="no recording"):
        read(lay(tmp_path, files), "auto", None, True)
