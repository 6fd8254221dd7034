"""Shares of layers: the least loss for as much as is to be saved."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping

import pytest

from compression.networks import allocation
from compression.networks.allocation import NOTHING, Tried

Found = dict[str, list[Tried]]


def total(found: Found, shares: Mapping[str, float]) -> tuple[float, float]:
    """Loss and savings of a choice."""
    taken = [next(t for t in several if t.share == shares.get(layer, 0.0)) for layer, several in found.items()]
    return sum(max(t.loss, 0.0) for t in taken), sum(t.saved for t in taken)


def added(found: Found) -> Callable[[Mapping[str, float]], float]:
    """What layers that do not touch each other save together."""
    return lambda shares: total(found, shares)[1]


@pytest.mark.parametrize("seed", range(20))
def test_no_other_choice_that_saves_as_much_loses_less(seed: int) -> None:
    """Against all choices there are: what Lagrange finds is the best of those that save at least what it saves."""
    draw = random.Random(seed)
    found: Found = {}
    for layer in "abcde":
        size, feel = draw.uniform(1, 50), draw.uniform(0, 1)
        found[layer] = [
            NOTHING,
            *(Tried(s, feel * s**2 + draw.uniform(-0.01, 0.01), size * s) for s in (0.2, 0.4, 0.6)),
        ]
    aim = sum(several[2].saved for several in found.values())
    loss, saved = total(found, allocation.allocated(found, added(found), aim))
    assert saved >= aim
    for choice in itertools.product(*found.values()):
        other = {layer: tried.share for layer, tried in zip(found, choice, strict=True)}
        if (there := total(found, other))[1] >= saved:
            assert there[0] >= loss - 1e-9
    assert loss <= total(found, dict.fromkeys(found, 0.4))[0] + 1e-9 or saved > aim


def test_a_layer_that_the_loss_feels_stays_whole() -> None:
    found = {
        "felt": [NOTHING, Tried(0.25, 9.0, 10.0), Tried(0.5, 20.0, 20.0)],
        "not": [NOTHING, Tried(0.25, 0.1, 10.0), Tried(0.5, 0.2, 20.0)],
    }
    assert allocation.allocated(found, added(found), 20.0) == {"not": 0.5}


def test_more_than_there_is_gives_all() -> None:
    found = {"one": [NOTHING, Tried(0.5, 1.0, 5.0)], "two": [NOTHING]}
    assert allocation.allocated(found, added(found), 100.0) == {"one": 0.5}


def test_what_is_saved_together_is_asked_of_the_network() -> None:
    """Two layers that follow each other save less together than one by one."""
    found = {
        "one": [NOTHING, Tried(0.25, 0.1, 25.0), Tried(0.5, 1.0, 50.0)],
        "two": [NOTHING, Tried(0.25, 0.2, 25.0), Tried(0.5, 2.0, 50.0)],
    }

    def saved(shares: Mapping[str, float]) -> float:
        return 100 * (1 - (1 - shares.get("one", 0)) * (1 - shares.get("two", 0)))

    assert saved({"one": 0.25, "two": 0.25}) < 50
    shares = allocation.allocated(found, saved, 50.0)
    assert saved(shares) >= 50 and shares == {"one": 0.5, "two": 0.25}


def test_each_layer_is_tried_alone_and_what_it_cannot_lose_is_left_out() -> None:
    seen = []

    def look(shares: Mapping[str, float]) -> tuple[float, float] | None:
        seen.append(dict(shares))
        if shares.get("thin", 0) > 0.4:
            return None
        return 1.0 + sum(shares.values()), 100.0 - 10 * sum(shares.values())

    found = allocation.measured(["wide", "thin"], 0.4, look)
    assert seen[0] == {} and all(len(shares) == 1 for shares in seen[1:])
    assert [tried.share for tried in found["wide"]] == [0.0, 0.2, 0.4, pytest.approx(0.6)]
    assert [tried.share for tried in found["thin"]] == [0.0, 0.2, 0.4]
    assert found["wide"][1].loss == pytest.approx(0.2) and found["wide"][1].saved == pytest.approx(2.0)
