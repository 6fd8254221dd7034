"""What ships, graphs and search, against a search written in formulas over the network in torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import reference_search
import torch
import translation_tiny as tiny

from modalities.text.predict import loop
from modalities.text.predict.network import pad
from tasks.translation.predict import Predictor

pytestmark = pytest.mark.models

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


@pytest.mark.parametrize(
    "kind",
    ["transformer", *(pytest.param(k, marks=pytest.mark.slow) for k in ("ssru", "gru-attention", "gru", "lstm"))],
)
@pytest.mark.parametrize(("beam", "asked", "together"), [(1, 1, 40), (4, 4, 16), (4, 1, 16), (11, 11, 5)])
def test_a_loop_in_the_graph_finds_what_single_steps_find(
    exported: Callable[[str], tiny.Exported], kind: str, beam: int, asked: int, together: int
) -> None:
    """Also the others of each sentence, where some have ended and others go on, and behind beginnings of some."""
    predictor = Predictor(exported(kind).folder, threads=1, beam=beam)
    texts = [*sentences()[:4], *sentences()[-together + 4 :]]
    begun = ["" if i % 3 else predictor([text])[0][: i % 5] for i, text in enumerate(texts)]
    looper, taken = predictor.looper, list[int]()
    assert looper is not None and looper.ahead(asked, together) is not None
    run = looper.session.run

    def counted(names: list[str], fed: dict[str, np.ndarray]) -> list[np.ndarray]:
        results: list[np.ndarray] = run(names, fed)
        taken.append(len(results[0]))
        return results

    for given in (None, begun):
        predictor.looper = looper
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(looper, "session", SimpleNamespace(run=counted))
            found = predictor.search(texts, beam=asked, begun=given)[1]
        predictor.looper = None
        for one, other in zip(found, predictor.search(texts, beam=asked, begun=given)[1], strict=True):
            assert one.ids == other.ids and one.score == pytest.approx(other.score, abs=1e-5)
            assert [each.ids for each in one.others()] == [each.ids for each in other.others()]
    assert max(taken) > 2, "it took one step a run"


def test_where_a_loop_does_not_fit_steps_are_taken_singly(exported: Callable[[str], tiny.Exported]) -> None:
    """One that is greedy for a beam, more hypotheses than are faster by it, and few subwords for many beams."""
    folder = exported("transformer").folder
    greedy, wide = (Predictor(folder, threads=1, beam=beam) for beam in (1, 60))
    assert greedy.looper is not None and greedy.looper.ahead(3, 1) is None and greedy.looper.ahead(1, 1000) is None
    text = sentences()[0]
    assert greedy.search([text], beam=3)[1] == Predictor(folder, threads=1, beam=3).search([text])[1]
    assert wide.looper is not None and wide.looper.ahead(60, 1) is not None
    (found,) = wide.search([text])[1]
    wide.looper = None
    assert [found] == wide.search([text])[1]


def test_a_loop_is_a_sound_graph_with_the_weights_of_the_step(exported: Callable[[str], tiny.Exported]) -> None:
    content = (exported("transformer").folder / "step.onnx").read_bytes()
    step = onnx.load_from_string(content)
    for greedy in (True, False):
        made = onnx.load_from_string(loop.compose(content, greedy))
        onnx.checker.check_model(made, full_check=True)
        assert made.ir_version == step.ir_version and made.opset_import == step.opset_import
        assert list(made.graph.initializer)[: len(step.graph.initializer)] == list(step.graph.initializer)
    backwards = list(step.graph.node)[::-1]  # as what makes fp16 of a graph may leave it; ONNX Runtime takes that
    del step.graph.node[:]
    step.graph.node.extend(backwards)
    onnx.checker.check_model(onnx.load_from_string(loop.compose(step.SerializeToString(), True)), full_check=True)


def test_attention_is_computed_when_it_is_asked_for(exported: Callable[[str], tiny.Exported]) -> None:
    predictor = Predictor(exported("transformer").folder, threads=1)
    (_, (without,)), (_, (within,)) = (predictor.search(["he eat rice ."], attention=asked) for asked in (False, True))
    assert without.attention is None and within.attention is not None
    assert (without.ids, without.score) == (within.ids, within.score)
