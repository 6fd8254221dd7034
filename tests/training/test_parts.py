"""Batches in parts: the same optimiser steps with less memory, after memory ran out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
import toy

from core.errors import StillhouseError
from training import parts


class Train(BaseModel):
    batch_size: int
    batch_tokens: int | None = None
    epochs: int = 3


def linear() -> nn.Module:
    torch.manual_seed(5)
    return nn.Linear(2, 1)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_steps_are_those_of_whole_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ema_decay: float
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = toy.fit(model=linear(), batch=8, ema_decay=ema_decay)
    monkeypatch.setenv(parts.VARIABLE, "4")
    in_parts = toy.fit(model=linear(), batch=2, ema_decay=ema_decay)
    assert in_parts.result["steps"] == whole.result["steps"] == 4 * 8
    for name, weight in whole.weights.items():
        assert torch.allclose(weight, in_parts.weights[name], atol=1e-5), name
    assert any(weight.abs().sum() > 0.1 for weight in whole.weights.values())


def test_whatever_limits_a_batch_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts.smaller(Train(batch_size=16)).batch_size == 16
    monkeypatch.setenv(parts.VARIABLE, "4")
    smaller = parts.smaller(Train(batch_size=18, batch_tokens=2000))
    assert (smaller.batch_size, smaller.batch_tokens, smaller.epochs) == (4, 500, 3)
    assert parts.smaller(Train(batch_size=2)).batch_size == 1
    assert parts.smaller(Train(batch_size=2)).batch_tokens is None


@pytest.mark.parametrize("text", ["0", "two", "-1", "2000"])
def test_a_wrong_number_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(parts.VARIABLE, text)
    with pytest.raises(StillhouseError, match=parts.VARIABLE):
        parts.number()
