"""Translations against references with sacrebleu (Post 2018): BLEU, chrF and TER, each with its signature.

BLEU is computed on text as people write it, split by the tokenizer of the target language: tokenized Japanese, Chinese
and the like lose the spaces between tokens on both sides first. Data that is tokenized also gets `bleu_tokens`, on the
tokens as given. chrF ignores spaces; TER edits whole tokens, so it uses the given tokens or what the tokenizer splits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sacrebleu.metrics import BLEU, CHRF, TER

from modalities.text.inputs import languages
from modalities.text.inputs.languages import Languages, spaced
from tasks.translation.score import bleu

MAIN, TITLE, BETTER = "bleu", "BLEU", "higher"
Weighted = Callable[[np.ndarray], dict[str, float]]
LENGTHS = (5, 10, 15, 20, 30)
"""Upper ends of the bins of `bleu_by_length`, in tokens of the reference; the last bin is open."""


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """For each sentence `text`, and what tells how to score it: `language` and `tokenized`."""
    pair = languages.read(dataset)
    texts = pd.read_parquet(dataset / f"{split}.parquet", columns=["target"])["target"]
    return [{"text": text, "language": pair.target, "tokenized": pair.tokenized} for text in texts]


def score(predictions: Sequence[str], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """`bleu`, `chrf`, `ter` and, for tokenized data, `bleu_tokens`: percent; TER is better when lower and may pass 100.

    Without a sentence, or with nothing but empty predictions, BLEU and chrF are 0 and TER is 100.
    """
    return judge(predictions, references, params)[0]


def judge(predictions: Sequence[str], references: Sequence[Any], params: Any) -> tuple[dict[str, Any], Weighted]:
    """See `core.task.Score`: words are counted once for both."""
    parts = _measures(predictions, references)
    return _scores(parts), _resampled(parts)


def _scores(parts: dict[str, _Measure]) -> dict[str, Any]:
    metrics = {name: part.total(part.statistics.sum(0)) for name, part in parts.items()}
    lengths = _by_length(parts["bleu"])
    return {
        "metrics": metrics,
        "signature": "; ".join(f"{name} {part.signature}" for name, part in parts.items()),
        "tables": {"bleu_by_length": lengths, "parts": [_part(row) for row in lengths]},
    }


def weighted(predictions: Sequence[str], references: Sequence[Any], params: Any) -> Weighted:
    """The metrics of `score` when each sentence counts so many times (Koehn 2004): its statistics add up."""
    return _resampled(_measures(predictions, references))


def _resampled(parts: dict[str, _Measure]) -> Weighted:
    return lambda weights: {name: part.total(weights @ part.statistics) for name, part in parts.items()}


@dataclass(frozen=True)
class _Measure:
    """A metric as counts that add up over sentences."""

    statistics: np.ndarray
    """[sentences, counts]"""
    total: Callable[[np.ndarray], float]
    """Percent, of summed counts [counts]."""
    signature: str


def _measures(predictions: Sequence[str], references: Sequence[Any]) -> dict[str, _Measure]:
    assert len(predictions) == len(references), "one prediction for each reference"
    first: dict[str, Any] = references[0] if references else {"language": "en", "tokenized": False}
    pair = Languages("", first["language"], first["tokenized"])
    texts = [reference["text"] for reference in references]
    plain = bleu.natural(predictions, pair), bleu.natural(texts, pair)
    measures = {"bleu": _bleu(bleu.metric(pair), *plain)}
    if pair.tokenized:
        measures["bleu_tokens"] = _bleu(bleu.metric(pair, given_tokens=True), predictions, texts)
    measures["chrf"] = _chrf(*plain)
    measures["ter"] = _ter(pair, predictions, texts)
    return measures


def _bleu(metric: BLEU, predictions: Sequence[str], texts: Sequence[str]) -> _Measure:
    """Counts: lengths of prediction and reference, then matches and n-grams of each order."""

    def total(counts: np.ndarray) -> float:
        if not counts[0]:
            return 0.0
        return float(metric._compute_score_from_stats([int(c) for c in counts]).score)

    return _Measure(_counts(metric, predictions, texts, 2 + 2 * metric.max_ngram_order), total, _signature(metric))


def _chrf(predictions: Sequence[str], texts: Sequence[str]) -> _Measure:
    metric = CHRF()

    def total(counts: np.ndarray) -> float:
        return float(metric._compute_score_from_stats([int(c) for c in counts]).score) if counts.any() else 0.0

    return _Measure(_counts(metric, predictions, texts, 3 * metric.char_order), total, _signature(metric))


def _ter(pair: Languages, predictions: Sequence[str], texts: Sequence[str]) -> _Measure:
    """Counts: edits, and length of the reference in tokens."""
    metric = TER()
    if not pair.tokenized and not spaced(pair.target):
        split = bleu.metric(pair).tokenizer
        predictions, texts = [split(text) for text in predictions], [split(text) for text in texts]

    def total(counts: np.ndarray) -> float:
        return 100.0 * float(counts[0] / counts[1]) if counts[1] else 100.0

    return _Measure(_counts(metric, predictions, texts, 2), total, _signature(metric))


def _counts(metric: Any, predictions: Sequence[str], texts: Sequence[str], width: int) -> np.ndarray:
    """sacrebleu's own statistics of each sentence, [sentences, width]."""
    if not texts:
        return np.zeros((0, width))
    return np.array(metric._extract_corpus_statistics(list(predictions), [list(texts)]), dtype=np.float64)


def _signature(metric: Any) -> str:
    metric.num_refs = 1
    return metric.get_signature().format()


def _by_length(measure: _Measure) -> list[dict[str, Any]]:
    """BLEU of the sentences in each bin of reference length."""
    length = measure.statistics[:, 1]
    rows = []
    for low, high in zip((0, *LENGTHS), (*LENGTHS, np.inf), strict=True):
        inside = (length > low) & (length <= high)
        if inside.any():
            rows.append(
                {
                    "tokens": f"{low + 1}-{high}" if np.isfinite(high) else f">{low}",
                    "sentences": int(inside.sum()),
                    "bleu": measure.total(measure.statistics[inside].sum(0)),
                }
            )
    return rows


def _part(row: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "tokens of the reference", "name": row["tokens"], "count": row["sentences"], "value": row["bleu"]}
