"""The predictor against torch, and its behaviour at the edges."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import translation_tiny as tiny

from core.errors import DataError, ModelError
from modalities.text.backbones.greedy import greedy
from modalities.text.predict.coverage import coverage
from modalities.text.predict.network import pad
from tasks.translation.predict import Predictor, inputs

pytestmark = pytest.mark.models


@pytest.fixture
def made(exported: Callable[[str], tiny.Exported]) -> tiny.Exported:
    return exported("transformer")


def test_greedy_is_what_torch_decodes(made: tiny.Exported) -> None:
    net, folder, data, _ = made
    predictor = Predictor(folder, threads=1, beam=1)
    texts = inputs(data, "test")
    sources, found = predictor.search(texts)
    assert [h.ids for h in found] == greedy(net.eval(), torch.from_numpy(pad(sources)), 30)
    assert predictor(texts) == predictor.tokenizer.decode([h.ids for h in found])


def test_a_batch_gives_what_single_sentences_give(made: tiny.Exported) -> None:
    _, folder, data, _ = made
    predictor = Predictor(folder, threads=1)
    texts = [*inputs(data, "test"), "he", "she buy apples . he see books ."]
    assert predictor(texts) == [predictor([text])[0] for text in texts]


def test_edges(made: tiny.Exported) -> None:
    folder = made.folder
    predictor = Predictor(folder, threads=1)
    assert predictor([]) == []
    empty, strange, long = predictor(["", "☃ \x00 漢字", "he eat rice . " * 100])
    assert empty == ""
    assert isinstance(strange, str)
    assert len(predictor.tokenizer.encode([long])[0]) <= 30


def test_alignment_covers_every_output_token(made: tiny.Exported) -> None:
    folder = made.folder
    (alignment,) = Predictor(folder, threads=1).align(["he eat rice ."])
    assert len(alignment["attention"]) == len(alignment["target"])
    assert all(len(row) == len(alignment["source"]) for row in alignment["attention"])
    assert all(sum(row) == pytest.approx(1, abs=1e-4) for row in alignment["attention"])


def test_an_unknown_option_and_a_foreign_folder_are_refused(made: tiny.Exported, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"beams.*valid: beam"):
        Predictor(made.folder, beams=2)
    with pytest.raises(ModelError, match=r"model\.json is missing"):
        Predictor(tmp_path)


def test_a_flipped_bit_is_refused(made: tiny.Exported, tmp_path: Path) -> None:
    """docs/faults.md 80: a graph cut short names its file."""
    for path in made.folder.iterdir():
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


def test_a_folder_of_another_format_is_refused(made: tiny.Exported, tmp_path: Path) -> None:
    """Such as one whose steps gave log-probabilities: what to do is said before a graph is opened."""
    info = json.loads((made.folder / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(info | {"format": 1}))
    shutil.copyfile(made.folder / "tokenizer.model", tmp_path / "tokenizer.model")
    with pytest.raises(ModelError, match=r"model\.json: found format 1, expected 2; .* run `export`"):
        Predictor(tmp_path)


def test_the_best_are_those_of_the_search_with_their_scores(made: tiny.Exported) -> None:
    predictor = Predictor(made.folder, threads=1)
    texts = ["he see", "", "books he buy ."]
    several = predictor.best(texts, 3)
    assert [each[0].text for each in several] == predictor(texts) and several[1] == [("", 0.0)]
    for each, hypothesis in zip(several, predictor.search(texts)[1], strict=True):
        assert each[0].score == hypothesis.score and [one.score for one in each] == sorted(
            (one.score for one in each), reverse=True
        )
        assert 1 <= len({one.text for one in each}) == len(each) <= 3
    with pytest.raises(DataError, match="count is 4, expected 1 to 3, the beam"):
        predictor.best(texts, 4)


def test_scores_with_a_coverage_penalty_are_those_without_and_the_penalty(made: tiny.Exported) -> None:
    """Also of sentences that are padded; attention is computed for it, and comes out as it does without."""
    texts = ["he eat rice .", "he", "she buy apples . he see books ."]
    plain, covering = (Predictor(made.folder, threads=1, coverage_penalty=weight) for weight in (0.0, 0.3))
    sources, found = covering.search(texts, beam=1, attention=True)
    penalties = set()
    for ids, one, other in zip(sources, found, plain.search(texts, beam=1, attention=True)[1], strict=True):
        assert one.ids == other.ids and one.attention is not None
        penalty = coverage(plain.weights(one.attention)[:, : len(ids)])
        penalties.add(penalty)
        assert one.score == pytest.approx(other.score + 0.3 * penalty, abs=1e-5)
    assert len(penalties) > 1 and max(penalties) <= 0


def test_what_is_drawn_depends_on_the_seed_and_not_on_the_batch(made: tiny.Exported) -> None:
    texts = ["he see", "books he buy .", "you you", "he eat rice ."]

    def drawn(seed: int, *several: str) -> list[str]:
        how = {"temperature": 1.5, "top_p": 0.95, "seed": seed}
        return Predictor(made.folder, threads=1, sample=how)(several)

    together = drawn(3, *texts)
    assert together == [drawn(3, text)[0] for text in texts] == drawn(3, *texts)
    assert together != drawn(4, *texts) != Predictor(made.folder, threads=1)(texts)
