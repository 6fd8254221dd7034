"""What recurrent networks compute, by the definitions of their papers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from modalities.text.backbones.recurrent import Additive, Dot, Recurrent
from modalities.text.backbones.ssru import SSRU
from modalities.text.backbones.transformer import Transformer

ARCH: dict[str, Any] = {"vocabulary": 20, "source_vocabulary": 9, "width": 8, "dropout": 0.0, "max_tokens": 10}
LAYERS: dict[str, Any] = {"readout": 6, "layers": 2, "attention": "dot"}


def test_ssru_step_by_step() -> None:
    """Kim et al. 2019: a forget gate, a weighted mean, a ReLU."""
    torch.manual_seed(0)
    unit, x, state = SSRU(4), torch.randn(2, 3, 4), torch.randn(2, 4)
    torch.nn.init.normal_(unit.bias)
    out, last = unit(x, state)
    matrix, gate = unit.projection.weight.chunk(2)
    for t in range(3):
        kept = torch.sigmoid(x[:, t] @ gate.T + unit.bias)
        state = kept * state + (1 - kept) * (x[:, t] @ matrix.T)
        torch.testing.assert_close(out[:, t], state.clamp_min(0))
    torch.testing.assert_close(last, state)


def test_attention_by_the_definitions() -> None:
    torch.manual_seed(0)
    x, states = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    dot, additive = Dot(4), Additive(4)
    scores, pairs = dot(x, dot.keys(states)), additive(x, additive.keys(states))
    for t, s in ((0, 0), (2, 4), (1, 3)):
        torch.testing.assert_close(scores[1, t, s], x[1, t] @ dot.score.weight @ states[1, s])
        inner = additive.query.weight @ x[1, t] + additive.key.weight @ states[1, s] + additive.key.bias
        torch.testing.assert_close(pairs[1, t, s], additive.score.weight[0] @ inner.tanh())


@pytest.mark.parametrize(("cell", "states", "gates"), [("gru", 2, 3), ("lstm", 4, 4)])
def test_an_lstm_keeps_two_states_a_layer(cell: str, states: int, gates: int) -> None:
    net = Recurrent({**ARCH, **LAYERS, "cell": cell, "bidirectional": True})
    memory, cache = net.encode(torch.tensor([[5, 6, 3]]))
    assert cache["hidden"].shape == (1, states, 8)
    assert net.decode(torch.tensor([[2]]), memory, cache)[2]["hidden"].shape == (1, states, 8)
    assert net.decoder[0].weight_hh_l0.shape == (gates * 8, 8)


def test_one_direction_sees_nothing_of_what_comes_later() -> None:
    torch.manual_seed(0)
    one, other = torch.tensor([[5, 6, 7, 3]]), torch.tensor([[5, 6, 8, 3]])
    for both in (False, True):
        net = Recurrent({**ARCH, **LAYERS, "cell": "gru", "bidirectional": both})
        (first, _), (second, _) = net.encode(one), net.encode(other)
        assert torch.equal(first["memory"][0, :2], second["memory"][0, :2]) is not both
        assert not torch.equal(first["memory"][0, 2:], second["memory"][0, 2:])


def test_an_ssru_decoder_keeps_one_state_a_layer_however_long_the_sentence() -> None:
    layer = {"cross_heads": 2, "feed_forward": 8}
    arch = ARCH | {"head_width": 3, "encoder": [layer | {"heads": 2}] * 2, "decoder": [layer] * 2}
    net = Transformer(arch).eval()
    memory, cache = net.encode(torch.tensor([[5, 6, 3]]))
    assert net.CACHE == ("state",) and memory["memory_key"].shape == (1, 4, 3, 3)
    for _ in range(3):
        _, _, cache = net.decode(torch.tensor([[4]]), memory, cache)
        assert {name: tuple(x.shape) for name, x in cache.items()} == {"state": (1, 2, 8)}
    assert net.source_embedding.weight.shape == (9, 8) and net.target_embedding.weight.shape == (20, 8)
