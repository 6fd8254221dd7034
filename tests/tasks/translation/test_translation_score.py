"""Scores against sacrebleu's own functions, and against fixed values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import translation_tiny as tiny

from evaluation import bootstrap
from tasks.translation import score
from tasks.translation.score import bleu

ENGLISH = ["the cat sat on the mat .", "it is a guide to action", "he read the book because he was interested"]
ENGLISH_OUT = ["the cat is on the mat .", "it is the guide to action", "he was interested in the book"]
JAPANESE = ["彼 は つら い 人生 を 送 っ た 。", "私 は テニス 部員 で す 。", "多く の 動物 が 滅ぼ さ れ た 。"]
JAPANESE_OUT = ["彼 は 人生 を 送 っ た 。", "私 は テニス 部 で す 。", "動物 は 人間 に 滅ぼ さ れ た 。"]


def plain(texts: list[str]) -> list[str]:
    return [text.replace(" ", "") for text in texts]


def refs(texts: list[str], language: str, tokenized: bool) -> list[dict[str, object]]:
    return [{"text": text, "language": language, "tokenized": tokenized} for text in texts]


GOLDEN = [
    pytest.param(ENGLISH_OUT, ENGLISH, "en", False, "13a", id="english"),
    pytest.param(plain(JAPANESE_OUT), plain(JAPANESE), "ja", False, "ja-mecab", id="japanese"),
    pytest.param(plain(JAPANESE_OUT), plain(JAPANESE), "zh", False, "zh", id="characters"),
]


@pytest.mark.parametrize(("out", "ref", "language", "tokenized", "tokenizer"), GOLDEN)
def test_equals_sacrebleu(out: list[str], ref: list[str], language: str, tokenized: bool, tokenizer: str) -> None:
    result = score.score(out, refs(ref, language, tokenized), None)
    assert result["metrics"]["bleu"] == sacrebleu.corpus_bleu(out, [ref], tokenize=tokenizer).score
    assert result["metrics"]["chrf"] == sacrebleu.corpus_chrf(out, [ref]).score
    assert f"tok:{tokenizer}" in result["signature"] and "version:" in result["signature"]


def test_fixed_values() -> None:
    """sacrebleu 2.6.0: `sacrebleu REF -i OUT -m bleu chrf ter`, with `-tok ja-mecab` or `none` for Japanese."""
    metrics = score.score(ENGLISH_OUT, refs(ENGLISH, "en", False), None)["metrics"]
    assert metrics == {name: pytest.approx(value, abs=1e-6) for name, value in FIXED_ENGLISH.items()}
    metrics = score.score(JAPANESE_OUT, refs(JAPANESE, "ja", True), None)["metrics"]
    assert metrics == {name: pytest.approx(value, abs=1e-6) for name, value in FIXED_JAPANESE.items()}


FIXED_ENGLISH = {"bleu": 32.10890911708064, "chrf": 63.007335024036536, "ter": 28.57142857142857}
FIXED_JAPANESE = {
    "bleu": 44.96833027900942,
    "bleu_tokens": 50.751964123922896,
    "chrf": 48.72903975709378,
    "ter": 26.923076923076923,
}


def test_tokenized_japanese_is_scored_both_ways() -> None:
    metrics = score.score(JAPANESE_OUT, refs(JAPANESE, "ja", True), None)["metrics"]
    assert metrics["bleu_tokens"] == sacrebleu.corpus_bleu(JAPANESE_OUT, [JAPANESE], tokenize="none").score
    assert metrics["bleu"] == sacrebleu.corpus_bleu(plain(JAPANESE_OUT), [plain(JAPANESE)], tokenize="ja-mecab").score
    assert metrics["ter"] == sacrebleu.corpus_ter(JAPANESE_OUT, [JAPANESE]).score


@pytest.mark.parametrize(
    ("language", "expected"), [("ja", "ja-mecab"), ("zh", "zh"), ("en", "13a"), ("de", "13a"), ("ko", "13a")]
)
def test_the_language_chooses_the_tokenizer(language: str, expected: str) -> None:
    assert bleu.tokenizer(language) == expected


@pytest.mark.parametrize("count", [0, 2])
def test_empty_predictions_are_defined(count: int) -> None:
    """docs/faults.md 81."""
    expected = {"bleu": 0.0, "bleu_tokens": 0.0, "chrf": 0.0, "ter": 100.0}
    if not count:
        del expected["bleu_tokens"]  # nothing says that the data is tokenized
    references = refs(JAPANESE[:count], "ja", True)
    assert score.score([""] * count, references, None)["metrics"] == expected
    weighted = score.weighted([""] * count, references, None)
    assert bootstrap.intervals(bootstrap.draw(weighted, count, 10, 7)) == {
        name: (value, value) for name, value in expected.items()
    }


def test_intervals_come_from_resampled_sentences() -> None:
    """The same picks, scored by sacrebleu sentence by sentence, give the same percentiles."""
    references, picks = refs(ENGLISH, "en", False), np.random.default_rng(7)
    values = []
    for _ in range(40):
        chosen = picks.integers(0, 3, 3)
        values.append(
            sacrebleu.corpus_bleu(
                [ENGLISH_OUT[i] for i in chosen], [[ENGLISH[i] for i in chosen]], tokenize="13a"
            ).score
        )
    found = bootstrap.intervals(bootstrap.draw(score.weighted(ENGLISH_OUT, references, None), len(references), 40, 7))
    assert found["bleu"] == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    for name, value in score.score(ENGLISH_OUT, references, None)["metrics"].items():
        assert found[name][0] <= value <= found[name][1]


def test_references_say_how_they_are_scored(tmp_path: Path) -> None:
    references = score.references(tiny.dataset(tmp_path / "data"), "test")
    assert len(references) == 6
    assert references[0]["language"] == "ja" and references[0]["tokenized"] is True
    perfect = score.score([r["text"] for r in references], references, None)
    assert perfect["metrics"]["bleu_tokens"] == pytest.approx(100)
    assert sum(row["sentences"] for row in perfect["tables"]["bleu_by_length"]) == 6
