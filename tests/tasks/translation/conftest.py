"""Tiny translators, each trained and exported once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import translation_tiny as tiny

KINDS = {"transformer": ("transformer", True), "gru-attention": ("gru", True), "gru": ("gru", False)}
TABLES = {"transformer": 32, "gru-attention": 32}
"""Inner width of factorised tables; whole ones of a Transformer go through `tests/test_contract.py`."""


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tiny.Exported]:
    """By kind of model; they have learned the grammar. Dropout is on, so a graph left in train mode would show."""

    @cache
    def make(kind: str) -> tiny.Exported:
        arch, attention = KINDS[kind]
        folder: Path = tmp_path_factory.mktemp(kind)
        model = {"arch": arch, "attention": attention, "width": 64, "feed_forward": 128, "dropout": 0.1}
        model |= {"embedding": TABLES.get(kind)}
        params = tiny.settings(model=model, train={"lr": 0.003})
        data = tiny.dataset(folder / "data")
        net, architecture, loaders = tiny.trained(data, params, epochs=16)
        tiny.export(folder / "model", net, architecture, loaders.assets, params)
        return tiny.Exported(net, folder / "model", data, params)

    return make
