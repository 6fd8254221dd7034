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
def test_it_loses_little_more_than_the_best_of_all_choices(seed: int) -> None:
    draw = random.Random(seed)
    found: Found = {}
    for layer in "abcde":
        size, feel = draw.uniform(1, 50), draw.uniform(0, 1)
        losses = {share: feel * share**2 + draw.uniform(-0.01, 0.01) for share in (0.2, 0.4, 0.6)}
        found[layer] = [NOTHING, *(Tried(share, loss, size * share) for share, loss in losses.items())]
    aim = sum(several[2].saved for several in found.values())
    shares = allocation.allocated(found, added(found), aim)
    loss, saved = total(found, shares)
    choices = [dict(zip(found, (t.share for t in each), strict=True)) for each in itertools.product(*found.values())]
    best = min(total(found, choice)[0] for choice in choices if total(found, choice)[1] >= aim)
    assert saved >= aim and loss <= 1.3 * best + 0.02
    assert loss <= total(found, dict.fromkeys(found, 0.4))[0]  # of the same share of each
    for layer, share in shares.items():  # and nothing goes for nothing
        lower = max(tried.share for tried in found[layer] if tried.share < share)
        assert total(found, shares | {layer: lower})[1] < aim


def test_a_layer_that_the_loss_feels_stays_whole() -> None:
    found = {
        "felt": [NOTHING, Tried(0.25, 9.0, 10.0), Tried(0.5, 20.0, 20.0)],
        "not": [NOTHING, Tried(0.25, 0.1, 10.0), Tried(0.5, 0.2, 20.0)],
    }
    assert allocation.allocated(found, added(found), 20.0) == {"not": 0.5}


def test_more_than_there_is_gives_all() -> None:
    found = {"one": [NOTHING, Tried(0.5, 1.0, 5.0)], "two": [NOTHING]}
    assert allocation.allocated(found, added(found), 100.0) == {"one": 0.5}


def test_layers_whose_loss_falls_are_not_pruned_beyond_the_aim() -> None:
    """Noise of a few batches; with losses that count as none, each would lose as much as it may."""
    found = {layer: [NOTHING, *(Tried(share, -0.001, 100 * share) for share in (0.2, 0.4, 0.6))] for layer in "abcd"}
    found["e"] = [NOTHING, Tried(0.2, 1.0, 20.0)]
    shares = allocation.allocated(found, added(found), 60.0)
    assert total(found, shares)[1] == pytest.approx(60.0) and "e" not in shares


def test_what_is_saved_together_is_asked_of_the_network() -> None:
    """Two layers that follow each other save less together than one by one."""
    found = {
        "one": [NOTHING, Tried(0.25, 0.1, 25.0), Tried(0.5, 1.0, 50.0)],
        "two": [NOTHING, Tried(0.25, 0.2, 25.0), Tried(0.5, 2.0, 50.0)],
    }

    def saved(shares: Mapping[str, float]) -> float:
        return 100 * (1 - (1 - shares.get("one", 0)) * (1 - shares.get("two", 0)))

    assert saved({"one": 0.25, "two": 0.25}) < 50
    assert allocation.allocated(found, saved, 45.0) == {"one": 0.5}
    assert allocation.allocated(found, saved, 55.0) == {"one": 0.5, "two": 0.25}


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
