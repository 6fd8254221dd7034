"""Tiny translators, each trained and exported once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import translation_tiny as tiny

WORDS = {"min_count": 1, "source": None, "target": None}
KINDS: dict[str, dict[str, Any]] = {
    "transformer": {"embedding": 32},
    "ssru": {"decoder": "ssru", "head_width": 24, "decoder_layers": 1, "words": WORDS},
    "gru-attention": {"arch": "recurrent", "embedding": 32},
    "gru": {"arch": "recurrent", "attention": "none"},
    "lstm": {"arch": "recurrent", "cell": "lstm", "bidirectional": False, "attention": "additive", "words": WORDS},
}
"""What differs from the tiny settings. Whole tables of a Transformer go through `tests/test_contract.py`."""


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tiny.Exported]:
    """By kind of model; they have learned the grammar. Dropout is on, so a graph left in train mode would show."""

    @cache
    def make(kind: str) -> tiny.Exported:
        folder: Path = tmp_path_factory.mktemp(kind)
        model = {"width": 64, "feed_forward": 128, "dropout": 0.1} | KINDS[kind]
        params = tiny.settings(model=model, train={"lr": 0.003}, data={"tokenized": True})
        data = tiny.dataset(folder / "data")
        net, architecture, loaders = tiny.trained(data, params, epochs=16)
        tiny.export(folder / "model", net, architecture, loaders.assets, params)
        return tiny.Exported(net, folder / "model", data, params)

    return make
