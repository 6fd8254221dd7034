"""Batches: what is in them, how large, and that seed and epoch decide over them alone."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import translation_tiny as tiny
from sacrebleu.metrics import BLEU

from core.errors import DataError
from core.task import Loaders
from modalities.text.backbones.beam import beam
from modalities.text.backbones.greedy import greedy
from modalities.text.inputs import coders
from modalities.text.inputs.tokenizer import BOS, EOS, PAD, Tokenizer
from tasks.translation import data, model
from tasks.translation.params import TeacherSearch


def test_an_epoch_holds_every_pair_once(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    loaders = data.loaders(folder, folder, tiny.settings(augment={"subword_dropout": 0.3}), 7, None)
    coder = Tokenizer(loaders.assets["tokenizer.model"])
    batches = list(loaders.train)
    assert len(batches) == len(loaders.train)
    seen = [text for batch in batches for text in coder.decode(batch["target"].tolist())]
    assert sorted(seen) == sorted(pd.read_parquet(folder / "train.parquet")["target"])
    for batch in batches:
        assert (batch["target"][:, 0] == BOS).all()
        assert ((batch["target"] == EOS).sum(1) == 1).all()
        assert ((batch["source"] == EOS).sum(1) == 1).all()
        assert batch["source"].dtype == torch.int64
        assert len(batch["source"]) <= 17  # batch_size, and a sentence that straddles the cut


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    params = tiny.settings(augment={"subword_dropout": 0.3})
    one, two = (data.loaders(folder, folder, params, 7, None) for _ in range(2))
    first, second = list(one.train), list(one.train)
    assert any(
        a["target"].shape != b["target"].shape or (a["target"] != b["target"]).any()
        for a, b in zip(first, second, strict=True)
    )
    two.train.sampler.set_epoch(1)
    for a, b in zip(second, two.train, strict=True):
        assert torch.equal(a["target"], b["target"])


def test_validation_says_which_pairs_it_holds_and_is_not_sampled(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    loaders = data.loaders(folder, folder, tiny.settings(augment={"subword_dropout": 0.5}), 7, None)
    coder = Tokenizer(loaders.assets["tokenizer.model"])
    texts = pd.read_parquet(folder / "val.parquet")["target"]
    for batch in loaders.val:
        own = texts.iloc[batch["positions"]].tolist()
        assert coder.decode(batch["target"].tolist()) == own
        expected = [[BOS, *ids, EOS] for ids in coder.encode(own)]
        assert [[i for i in row if i != PAD] for row in batch["target"].tolist()] == expected


def test_assets_of_a_checkpoint_are_kept(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    assets = data.loaders(folder, folder, tiny.settings(), 7, None).assets
    again = data.loaders(folder, folder, tiny.settings(model={"vocabulary": 80}), 7, assets)
    assert again.assets is assets


def test_sentences_beyond_the_limit_leave_training(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    with pytest.raises(DataError, match="max_tokens = 2"):
        data.loaders(folder, folder, tiny.settings(model={"max_tokens": 2}), 7, None)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Loaders]:
    """Data, a teacher that has learnt a little of it, and its loaders."""
    folder = tiny.dataset(tmp_path_factory.mktemp("taught") / "data")
    teacher, _, loaders = tiny.trained(folder, tiny.settings(), epochs=4)
    return folder, teacher.eval(), loaders


@pytest.mark.parametrize("how", ["greedy", "beam"])
def test_targets_of_a_student_are_what_its_teacher_says(
    how: str, taught: tuple[Path, Any, Loaders], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, teacher, loaders = taught
    said = relabelled(loaders, teacher, how, TeacherSearch(beam=3, length_penalty=0.5))
    assert said.val is loaders.val and said.assets is loaders.assets
    assert re.search(rf"translated 60 of 60 sentences for its student \({how}\) in [\d.]+ s, ", capsys.readouterr().out)
    coder = Tokenizer(said.assets["tokenizer.model"])
    seen = 0
    for batch in said.train:
        sources, targets = (coder.decode(without_marks(batch[side])) for side in ("source", "target"))
        for source, target in zip(sources, targets, strict=True):
            alone = torch.tensor([[*coder.encode([source])[0], EOS]])
            limit = 2 * alone.shape[1] + 20
            ids = greedy(teacher, alone, limit)[0] if how == "greedy" else beam(teacher, alone, 3, 0.5, limit)[0][0]
            assert target == coder.decode([ids])[0]
            seen += 1
    assert seen == len(pd.read_parquet(folder / "train.parquet"))
    assert relabelled(loaders, teacher, None) is loaders


def test_interpolated_targets_are_those_of_the_beam_that_are_closest_to_the_datas(
    taught: tuple[Path, Any, Loaders],
) -> None:
    folder, teacher, loaders = taught
    table = pd.read_parquet(folder / "train.parquet")
    own = dict(zip(table["source"], table["target"], strict=True))
    metric = BLEU(tokenize="none", effective_order=True)  # the data is tokenized
    coder = Tokenizer(loaders.assets["tokenizer.model"])

    def closeness(how: str) -> list[float]:
        found = {}
        for batch in relabelled(loaders, teacher, how).train:
            sources, targets = (coder.decode(without_marks(batch[side])) for side in ("source", "target"))
            found |= dict(zip(sources, targets, strict=True))
        return [metric.sentence_score(found[source], [target]).score for source, target in own.items()]

    pairs = list(zip(closeness("interpolated"), closeness("beam"), strict=True))
    assert all(closer >= best for closer, best in pairs) and any(closer > best for closer, best in pairs)


@pytest.mark.parametrize("score", [-1e4, 1e4], ids=["ends never", "says nothing"])
@pytest.mark.parametrize("how", ["greedy", "beam"])
def test_what_a_teacher_does_not_end_or_begin_is_no_target(
    how: str, score: float, taught: tuple[Path, Any, Loaders]
) -> None:
    """One that gives EOS no chance says the same again and again, up to the limit."""
    _, teacher, loaders = taught
    teacher = copy.deepcopy(teacher)
    teacher.project = lambda hidden: type(teacher).project(teacher, hidden).index_fill(-1, torch.tensor(EOS), score)
    said = relabelled(loaders, teacher, how)
    batches, own = (
        sorted(tuple(row) for batch in each.train for row in without_marks(batch["target"])) for each in (said, loaders)
    )
    assert batches == own


def test_sampled_subwords_make_no_pair_too_long(tmp_path: Path) -> None:
    """A model has no positions for more."""
    folder = tiny.dataset(tmp_path / "data")
    params = tiny.settings(augment={"subword_dropout": 0.9}, model={"max_tokens": 12})
    loaders = data.loaders(folder, folder, params, 7, None)
    longest = max(batch[side].shape[1] for batch in loaders.train for side in ("source", "target"))
    assert longest <= 12


def relabelled(loaders: Loaders, teacher: Any, how: str | None, search: TeacherSearch | None = None) -> Loaders:
    params = tiny.settings()
    own = {"sequences": how, "teacher_search": search or TeacherSearch()}
    student = params.distill["distilled"].model_copy(update=own)
    return data.relabelled(loaders, teacher, student, params, 7)


def without_marks(batch: torch.Tensor) -> list[list[int]]:
    return [[i for i in row if i not in (PAD, BOS, EOS)] for row in batch.tolist()]


def test_words_are_of_each_language_and_the_network_has_a_table_for_each(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    words = {"min_count": 2, "source": None, "target": 64}
    params = tiny.settings(model={"words": words}, data={"tokenized": True})
    loaders = data.loaders(folder, folder, params, 7, None)
    coder = coders.load(loaders.assets["tokenizer.model"])
    train = pd.read_parquet(folder / "train.parquet")
    sizes = {side: coder.size(side) for side in ("source", "target")}
    assert sizes == {side: 4 + len(set(" ".join(train[side]).split())) for side in sizes}
    said = {text for batch in loaders.train for text in coder.decode(batch["target"].tolist())}
    assert said == set(train["target"])
    net = model.build(model.architecture(params, loaders.assets))
    assert (len(net.source_embedding.weight), len(net.target_embedding.weight)) == tuple(sizes.values())
