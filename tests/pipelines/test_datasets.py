"""A dataset of sentence pairs is written as lines, and read again as the same pairs; what is no dataset is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from core.errors import DataError
from core.files import write_json
from modalities.splits import SPLITS
from modalities.text.prepare import detect
from pipelines import datasets

PAIRS = [("a\u2028b", "あ"), ("", "い"), ("c d", "う え")]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    for number, split in enumerate(SPLITS):
        rows = [(number * 10 + i, *pair, "x.tsv", i + 1) for i, pair in enumerate(PAIRS)]
        table = pd.DataFrame(rows, columns=["id", "source", "target", "file", "row"])
        table.to_parquet(folder / f"{split}.parquet", index=False)
    write_json(folder / "languages.json", {"source": "en", "target": "ja", "tokenized": False})
    return folder


def test_pairs_come_back(dataset: Path, tmp_path: Path) -> None:
    assert datasets.export(dataset, tmp_path / "plain", None) == 9
    data = SimpleNamespace(format="auto", source_language="en", target_language="ja", kind="path")
    name, raw = detect.read(tmp_path / "plain", data)
    assert name == "text" and len(raw.pairs) == 9 and not raw.rejected
    lines = {split: (tmp_path / "plain" / f"{split}.en").read_text("utf-8") for split in SPLITS}
    assert all(text == "a\u2028b\n\nc d\n" for text in lines.values())
    assert [pair.target for pair in raw.pairs if pair.split == "val"] == ["あ", "い", "う え"]


def test_what_would_shift_lines_is_refused(dataset: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(dataset / "val.parquet")
    table.loc[1, "target"] = "い\nろ"
    table.to_parquet(dataset / "val.parquet", index=False)
    with pytest.raises(DataError, match="val: pair 1 has a line break in its target sentence"):
        datasets.export(dataset, tmp_path / "plain", "text")
    assert not (tmp_path / "plain").exists()


def test_what_is_no_dataset_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["datasets", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        datasets.main()
    assert ended.value.code == 2 and "is no canonical dataset, which has one of train.json" in capsys.readouterr().err
