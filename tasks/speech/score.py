"""Role `score` of speech: word error rate, of classes the share of wrong recordings; and the edits behind it.

A reference is a recording of the canonical dataset with `target` and `units`; a prediction is what `Predictor` returns.
Edits are jiwer's: the fewest insertions, deletions and substitutions that make one text of the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.audio.inputs import canonical

MAIN, TITLE, BETTER = "wer", "word error rate", "lower"
MOST = 20
"""Rows of the table of confusions."""


def references(dataset: Path, split: str) -> list[dict[str, Any]]:
    """Of a split, in order."""
    return [{key: row[key] for key in ("text", "speaker", "seconds")} for row in canonical.rows(dataset, split)]


def score(predictions: Sequence[Any], references: Sequence[Any], params: Any) -> dict[str, Any]:
    """Metrics, and the tables `parts` (by speaker), `confusions` (reference, said, count), of classes `confusion`."""
    return judge(predictions, references, params)[0]


def weighted(
    predictions: Sequence[Any], references: Sequence[Any], params: Any
) -> Callable[[NDArray[np.float64]], dict[str, float]]:
    """The metrics of `score` when each recording counts so many times."""
    return judge(predictions, references, params)[1]


def judge(
    predictions: Sequence[Any], references: Sequence[Any], params: Any
) -> tuple[dict[str, Any], Callable[[NDArray[np.float64]], dict[str, float]]]:
    """Both, in one."""
    import jiwer

    classes = params.data.target == "class"
    edits, confused = np.zeros((len(references), 7)), Counter[tuple[str, str]]()
    for i, (one, reference) in enumerate(zip(predictions, references, strict=True)):
        said, true = one["text"], reference["text"]
        if classes:
            edits[i] = [said != true, 1, said != true, 1, 0, 0, said != true]
            confused[true, said] += 1
            continue
        words, letters = jiwer.process_words(true, said), jiwer.process_characters(true, said)
        wrong = words.insertions + words.deletions + words.substitutions
        wrong_letters = letters.insertions + letters.deletions + letters.substitutions
        counts = (words.insertions, words.deletions, words.substitutions)
        edits[i] = [wrong, len(true.split()), wrong_letters, len(true), *counts]
        for chunk in words.alignments[0]:
            left = words.references[0][chunk.ref_start_idx : chunk.ref_end_idx]
            right = words.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type == "substitute":
                confused.update(zip(left, right, strict=True))
            elif chunk.type != "equal":
                confused.update([(word, "") for word in left] + [("", word) for word in right])
    exact = np.array([one["text"] == each["text"] for one, each in zip(predictions, references, strict=True)], float)

    def metrics(weights: NDArray[np.float64]) -> dict[str, float]:
        wrong, words, wrong_letters, letters, *kinds = weights @ edits
        total = max(float(words), 1.0)
        found = {"wer": wrong / total, "accuracy": float(weights @ exact) / max(float(weights.sum()), 1.0)}
        if not classes:
            found["cer"] = wrong_letters / max(float(letters), 1.0)
            found |= dict(zip(("insertions", "deletions", "substitutions"), np.array(kinds) / total, strict=True))
        return {name: float(value) for name, value in found.items()}

    every = np.ones(len(references))
    tables: dict[str, Any] = {"parts": _parts(edits, references), "confusions": _confusions(confused)}
    if classes:
        tables["confusion"] = _matrix(confused)
    return {"metrics": metrics(every), "signature": signature(classes), "tables": tables}, metrics


def signature(classes: bool) -> str:
    """What a number was computed with, e.g. `wer:words|cer|jiwer:4.0.0`."""
    from importlib.metadata import version

    return f"wer:{'classes' if classes else 'words'}|jiwer:{version('jiwer')}"


def _parts(edits: NDArray[np.float64], references: Sequence[Any]) -> list[dict[str, Any]]:
    """How much is wrong of what each speaker says."""
    found = []
    for speaker in sorted({reference["speaker"] for reference in references} - {""}):
        mine = np.array([reference["speaker"] == speaker for reference in references])
        wrong, words = edits[mine, :2].sum(0)
        found.append(
            {"kind": "speaker", "name": speaker, "count": int(mine.sum()), "value": float(wrong / max(words, 1))}
        )
    return found


def _confusions(confused: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """The most frequent edits; "": nothing."""
    kinds = [(pair, count) for pair, count in confused.most_common() if pair[0] != pair[1]]
    return [{"reference": true, "said": said, "count": count} for (true, said), count in kinds[:MOST]]


def _matrix(confused: Counter[tuple[str, str]]) -> dict[str, Any]:
    names = sorted({name for pair in confused for name in pair})
    return {"names": names, "counts": [[confused[true, said] for said in names] for true in names]}
