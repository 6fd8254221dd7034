"""What ships, graphs and search, against a search written in formulas over the network in torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import reference_search
import torch
import translation_tiny as tiny

from modalities.text.predict.network import pad
from tasks.translation.predict import Predictor

ALL = 216
WORDS = (*tiny.WHO, *tiny.WHAT, *tiny.THING)


def sentences() -> list[str]:
    """Those of the grammar, and some of which it knows nothing: their translations are of many lengths."""
    known = [f"{who} {what} {thing} ." for who, what, thing in itertools.product(tiny.WHO, tiny.WHAT, tiny.THING)]
    words = np.random.default_rng(5).choice(WORDS, (ALL - len(known), 9))
    return [*known, *(" ".join(row[: 1 + i % 9]) for i, row in enumerate(words))]


@pytest.mark.parametrize(
    "kind",
    ["transformer", *(pytest.param(k, marks=pytest.mark.slow) for k in ("ssru", "gru-attention", "gru", "lstm"))],
)
@pytest.mark.parametrize("beam", [1, 4, pytest.param(40, marks=pytest.mark.slow)])
def test_ids_scores_and_attention_are_those_of_the_formulas(
    exported: Callable[[str], tiny.Exported], kind: str, beam: int
) -> None:
    """Vocabularies of words have 22 of them here, fewer than twice the largest beam."""
    net, folder, _, _ = exported(kind)
    predictor = Predictor(folder, threads=1, beam=beam)
    sources, found = predictor.search(sentences(), attention=True)
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    lengths = set()
    for first in range(0, ALL, 72):
        several = order[first : first + 72]
        source = torch.from_numpy(pad([sources[i] for i in several]))
        for i, wanted in zip(several, reference_search.search(net.eval(), source, beam, 1.0, 30), strict=True):
            assert wanted is not None and found[i].attention is not None
            assert found[i].ids == wanted.ids
            assert found[i].score == pytest.approx(wanted.score, abs=1e-5)
            size = len(sources[i])
            weights = predictor.weights(found[i].attention)
            np.testing.assert_allclose(weights[:, :size], wanted.attention[:, :size], atol=1e-5)
            lengths.add(len(wanted.ids))
    # The little SSRU says seven words to everything; its beams end at several steps all the same.
    assert len(lengths) > 1 or kind == "ssru", "sentences of one length leave a batch together"


def test_attention_is_computed_when_it_is_asked_for(exported: Callable[[str], tiny.Exported]) -> None:
    predictor = Predictor(exported("transformer").folder, threads=1)
    (_, (without,)), (_, (within,)) = (predictor.search(["he eat rice ."], attention=asked) for asked in (False, True))
    assert without.attention is None and within.attention is not None
    assert (without.ids, without.score) == (within.ids, within.score)
