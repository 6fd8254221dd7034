"""The predictor against torch, and its behaviour at the edges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import translation_tiny as tiny

from core.errors import ModelError
from tasks.translation.model.decode import greedy
from tasks.translation.predict import Predictor, inputs, pad


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    folder = tmp_path_factory.mktemp("predict")
    data = tiny.dataset(folder / "data")
    net, arch, loaders = tiny.trained(data, params := tiny.settings(), epochs=8)
    return net, tiny.export(folder / "model", net, arch, loaders.assets, params), data


def test_greedy_is_what_torch_decodes(exported: tuple[Any, ...]) -> None:
    net, folder, data = exported
    predictor = Predictor(folder, threads=1, beam=1)
    texts = inputs(data, "test")
    sources, found = predictor.search(texts)
    assert [h.ids for h in found] == greedy(net.eval(), torch.from_numpy(pad(sources)), 30)
    assert predictor(texts) == predictor.tokenizer.decode([h.ids for h in found])


def test_a_batch_gives_what_single_sentences_give(exported: tuple[Any, ...]) -> None:
    _, folder, data = exported
    predictor = Predictor(folder, threads=1)
    texts = [*inputs(data, "test"), "he", "she buy apples . he see books ."]
    assert predictor(texts) == [predictor([text])[0] for text in texts]


def test_edges(exported: tuple[Any, ...]) -> None:
    _, folder, _ = exported
    predictor = Predictor(folder, threads=1)
    assert predictor([]) == []
    empty, strange, long = predictor(["", "☃ \x00 漢字", "he eat rice . " * 100])
    assert empty == ""
    assert isinstance(strange, str)
    assert len(predictor.tokenizer.encode([long])[0]) <= 30


def test_alignment_covers_every_output_token(exported: tuple[Any, ...]) -> None:
    _, folder, _ = exported
    (alignment,) = Predictor(folder, threads=1).align(["he eat rice ."])
    assert len(alignment["attention"]) == len(alignment["target"])
    assert all(len(row) == len(alignment["source"]) for row in alignment["attention"])
    assert all(sum(row) == pytest.approx(1, abs=1e-4) for row in alignment["attention"])


def test_an_unknown_option_and_a_foreign_folder_are_refused(exported: tuple[Any, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"beams.*valid: beam"):
        Predictor(exported[1], beams=2)
    with pytest.raises(ModelError, match=r"model\.json is missing"):
        Predictor(tmp_path)


def test_a_flipped_bit_is_refused(exported: tuple[Any, ...], tmp_path: Path) -> None:
    """faults.md row 80: a graph cut short names its file."""
    for path in exported[1].iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[: len(content) // 2] if path.name == "step.onnx" else content)
    with pytest.raises(ModelError, match=r"step\.onnx cannot be loaded"):
        Predictor(tmp_path)


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, tasks.translation.predict, tasks.translation.score, tasks.translation.show;"
        "import tasks.translation.quantize;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tiny.ROOT, check=False).returncode == 0
