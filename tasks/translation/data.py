"""Canonical dataset -> batches of subword ids.

Reads `train.parquet` of the augmented dataset, `val.parquet` and `languages.json` of the clean one. A batch is a dict:
`source` int64 [B, S] with EOS at the end, `target` int64 [B, T] from BOS to EOS, both padded with PAD; batches for
validation also have `positions`, those of the B pairs in the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import DataLoader, Dataset, Sampler

from core.errors import DataError
from core.task import Loaders
from modalities.text.inputs import coders, languages, tokenizer, words
from modalities.text.inputs.coders import Coder
from modalities.text.inputs.tokenizer import BOS, EOS, Side, Tokenizer
from modalities.text.inputs.words import Words
from tasks.translation.model import sequences
from tasks.translation.model.sequences import pad

Pair = tuple[list[int], list[int]]
SLACK = 1.05
"""Room for sentences that BPE-dropout makes longer, when the number of batches is set."""


def loaders(clean: Path, augmented: Path, params: Any, seed: int, assets: dict[str, bytes] | None) -> Loaders:
    """See `core.task.Data`. Raises: DataError when no train pair is short enough."""
    train, val = (
        pd.read_parquet(folder / f"{name}.parquet") for folder, name in ((augmented, "train"), (clean, "val"))
    )
    if assets is None:
        # The unaugmented text: augmentation may change while the vocabulary stays.
        text = pd.read_parquet(clean / "train.parquet")
        assets = {
            tokenizer.ASSET: vocabulary(text["source"].tolist(), text["target"].tolist(), params.model),
            languages.ASSET: (clean / languages.ASSET).read_bytes(),
        }
    coder = coders.load(assets[tokenizer.ASSET])
    if isinstance(coder, Words):
        print(f"{coder.size('source'):,} words of the source language, {coder.size('target'):,} of the target language")
    elif coder.size() < params.model.vocabulary:
        print(f"note: translation.model.vocabulary is {params.model.vocabulary}; the train split holds {coder.size()}")
    limit = params.model.max_tokens
    fits = fitting(coder, train, params)
    if not any(fits):
        raise DataError(f"no train pair has at most translation.model.max_tokens = {limit} subwords; raise that limit")
    sampler = Batches(coder, train[fits], params, seed)
    encoded = encode(coder, val)
    cut = [
        ([*source[: limit - 1], EOS] if len(source) > limit else source, target[: limit + 1], position)
        for position, (source, target) in enumerate(encoded)
    ]
    workers = params.train.workers
    fixed = [[cut[i] for i in batch] for batch in shuffled(slices(encoded, params.train), seed)]
    return Loaders(
        train=DataLoader(Padded(), sampler=sampler, batch_size=None, num_workers=workers),
        val=DataLoader(Padded(), sampler=Fixed(fixed), batch_size=None, num_workers=workers),
        assets=assets,
    )


def relabelled(loaders: Loaders, teacher: Any, settings: Any, params: Any, seed: int) -> Loaders:
    """Batches whose targets are what the teacher says, as `settings.sequences` asks (`model.sequences`). See
    `core.task.Data`."""
    sampler = loaders.train.sampler
    if settings.sequences is None or not isinstance(sampler, Batches):
        return loaders
    coder, table = sampler.coder, sampler.table
    pairs = list(zip(table["source"], table["target"], strict=True))
    pair = languages.parse(loaders.assets[languages.ASSET])
    said = sequences.taught(teacher, coder, pairs, settings.sequences, settings.teacher_search, pair)
    taught = table.assign(target=said)
    train = Batches(coder, taught[fitting(coder, taught, params)], params, seed)
    workers = params.train.workers
    return replace(loaders, train=DataLoader(Padded(), sampler=train, batch_size=None, num_workers=workers))


def vocabulary(source: Sequence[str], target: Sequence[str], model: Any) -> bytes:
    """Of the train split, serialised: subwords of both languages, or words of each."""
    if (own := model.words) is None:
        return tokenizer.train([*source, *target], model.vocabulary)
    return words.train(source, target, own.min_count, {"source": own.source, "target": own.target})


def fitting(coder: Coder, table: pd.DataFrame, params: Any) -> list[bool]:
    """Which pairs are short enough for the model."""
    return [max(map(len, pair)) <= params.model.max_tokens for pair in encode(coder, table)]


def encode(coder: Coder, table: pd.DataFrame, dropout: float = 0.0, seed: int = 0) -> list[Pair]:
    """Source with EOS, target with BOS and EOS."""
    sides = []
    both: tuple[Side, Side] = ("source", "target")
    for offset, side in enumerate(both):
        texts = table[side].tolist()
        if dropout and isinstance(coder, Tokenizer):
            sides.append(coder.sample(texts, dropout, seed + offset))
        else:
            sides.append(coder.encode(texts, side))
    return [([*source, EOS], [BOS, *target, EOS]) for source, target in zip(*sides, strict=True)]


def slices(pairs: Sequence[Pair], train: Any, count: int | None = None, noise: Any = None) -> list[list[int]]:
    """Indices of pairs of similar length, cut into `count` batches of equal cost.

    A sentence costs the larger of its shares in `batch_size` sentences and `batch_tokens` target tokens; None makes as
    many batches as keep to both limits. The number is the same in every epoch, since the learning-rate schedule counts
    on it. noise: a numpy Generator that mixes sentences of one source length.
    """
    source = np.array([len(pair[0]) for pair in pairs])
    target = np.array([len(pair[1]) for pair in pairs])
    jitter = noise.uniform(0, 4, len(pairs)) if noise is not None else 0.0
    order = np.lexsort((target + jitter, source))
    cost = np.maximum(target / train.batch_tokens, 1 / train.batch_size)[order]
    total = np.cumsum(cost)
    count = count or int(np.ceil(total[-1] * SLACK))
    batch = np.minimum(((total - cost / 2) / total[-1] * count).astype(int), count - 1)
    groups = [order[batch == i].tolist() for i in range(count)]
    return [group for group in groups if group]


def shuffled(items: list[Any], seed: int) -> list[Any]:
    return [items[i] for i in np.random.default_rng(seed).permutation(len(items))]


class Fixed(Sampler[Any]):
    """The same batches in the same order every time."""

    def __init__(self, batches: list[Any]):
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Batches(Sampler[list[Pair]]):
    """An epoch's batches, subwords sampled anew (BPE-dropout); the same seed and epoch give the same batches. A pair
    that sampling makes too long for the model stays as it is."""

    def __init__(self, coder: Coder, table: pd.DataFrame, params: Any, seed: int):
        self.coder, self.table, self.train, self.seed = coder, table, params.train, seed
        self.dropout = params.augment.subword_dropout
        self.epoch = 0
        self.most = params.model.max_tokens
        self.plain = encode(coder, table)
        self.count = len(slices(self.plain, params.train))

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning, also after a resume."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[Pair]]:
        seed = self.seed + 1000 * (self.epoch + 1)
        self.epoch += 1
        sampled = encode(self.coder, self.table, self.dropout, seed) if self.dropout else self.plain
        pairs = [
            pair if max(map(len, pair)) <= self.most else plain for pair, plain in zip(sampled, self.plain, strict=True)
        ]
        batches = slices(pairs, self.train, self.count, np.random.default_rng(seed))
        for batch in shuffled(batches, seed):
            yield [pairs[i] for i in batch]

    def __len__(self) -> int:
        return self.count


class Padded(Dataset[dict[str, Any]]):
    """What the sampler yields, a list of encoded pairs, as tensors."""

    def __getitem__(self, batch: Any) -> dict[str, Any]:
        tensors: dict[str, Any] = {
            "source": pad([item[0] for item in batch]),
            "target": pad([item[1] for item in batch]),
        }
        if len(batch[0]) > 2:
            tensors["positions"] = [item[2] for item in batch]
        return tensors
