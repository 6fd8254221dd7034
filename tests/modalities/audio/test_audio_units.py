"""What is taken out of a body, and that the rest says the same where it said nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.errors import TrainingError
from modalities.audio.backbones import bodies, units

pytestmark = pytest.mark.models

BODY = {"inputs": 10, "convolutions": [16, 16], "units": [16, 16], "width": 12, "bidirectional": True}


def made(arch: str, **changes: Any) -> tuple[dict[str, Any], torch.nn.Module, torch.nn.Linear]:
    torch.manual_seed(1)
    description = BODY | {"arch": arch} | changes
    body = bodies.build(description).eval()
    return description, body, torch.nn.Linear(body.width, 3)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("arch", ["lstm", "gru", "crnn", "dilated"])
def test_a_pruned_body_is_that_of_its_description(arch: str, both: bool) -> None:
    description, body, head = made(arch, bidirectional=both)
    x, frames = torch.randn(2, 12, 10), torch.tensor([12, 7])
    before = body(x, frames)[0].shape
    description |= units.prune(body, [head], 0.5)
    states = body(x, frames)[0]
    assert head(states).shape == (*before[:2], 3)
    assert description["units"] == [8, 8] and (arch != "crnn" or description["convolutions"] == [8, 8])
    again = bodies.build(description).eval()
    again.load_state_dict(body.state_dict())
    torch.testing.assert_close(again(x, frames)[0], states)


def test_units_that_say_nothing_go_first_and_change_nothing() -> None:
    _, body, head = made("gru", units=[16], bidirectional=False)
    (layer,), dead = body.ahead, torch.arange(8)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            rows = getattr(layer, name).unflatten(0, (3, 16))
            rows[:, dead] = 0
        layer.weight_hh_l0[:, dead] = 0
    x, frames = torch.randn(2, 6, 10), torch.tensor([6, 6])
    before = head(body(x, frames)[0])
    units.prune(body, [head], 0.5)
    torch.testing.assert_close(head(body(x, frames)[0]), before)


def test_nothing_left_is_told() -> None:
    _, body, head = made("gru", units=[2])
    with pytest.raises(TrainingError, match=r"units\.0"):
        units.prune(body, [head], 0.9)


@pytest.mark.parametrize("arch", ["lstm", "gru", "crnn", "dilated"])
def test_what_a_recording_gives_depends_on_no_other(arch: str) -> None:
    _, body, _ = made(arch)
    x = torch.randn(1, 7, 10)
    alone, frames = body(x, torch.tensor([7]))
    together, _ = body(
        torch.cat([torch.nn.functional.pad(x, (0, 0, 0, 5)), torch.randn(1, 12, 10)]), torch.tensor([7, 12])
    )
    count = int(frames)
    torch.testing.assert_close(together[:1, :count], alone[:, :count])
    torch.testing.assert_close(
        body.last(together, torch.tensor([count, 12 if arch != "crnn" else 6]))[:1], body.last(alone, frames)
    )


def test_a_causal_stack_hears_nothing_of_what_comes() -> None:
    _, body, _ = made("dilated")
    x = torch.randn(1, 12, 10)
    changed = x.clone()
    changed[:, 8:] = 0
    one, other = (body(each, torch.tensor([12]))[0] for each in (x, changed))
    assert torch.equal(one[:, :8], other[:, :8]) and not torch.equal(one[:, 8], other[:, 8])
