"""How much of each layer to prune: more where the loss of the network feels it least.

Each layer is pruned alone by a few shares, without training, and the loss of some batches is told before and after, as
Li et al. 2017 do to find the sensitive ones (https://arxiv.org/abs/1608.08710, section 3.2). Of each layer one share is
then taken so that the losses add up to the least for as many multiply-adds as the same share of every layer would save:
a Lagrange multiplier weighs the two (Everett 1963, https://doi.org/10.1287/opre.11.3.399), and the network that is left
tells what is saved. That losses of layers add up is an assumption; what is left is trained afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LEVELS = (0.5, 1.0, 1.5)
"""Times the asked share that each layer is tried with."""
MOST = 0.9
"""Of a layer at most."""
STEPS, WORTH = 25, 1e9
"""Halvings of the multiplier, and from where on it is so large that nothing but savings counts."""


@dataclass(frozen=True)
class Tried:
    """One layer pruned alone."""

    share: float
    loss: float
    """By how much the loss rises; it may fall."""
    saved: float
    """Multiply-adds of one input that go."""


NOTHING = Tried(0.0, 0.0, 0.0)


def measured(
    layers: Sequence[str], ratio: float, look: Callable[[Mapping[str, float]], tuple[float, float] | None]
) -> dict[str, list[Tried]]:
    """Each layer -> what was tried of it, the smallest share first.

    look: share of each layer -> loss and multiply-adds of the network without it; None where a layer cannot lose that.
    """
    whole = look({})
    assert whole is not None
    found: dict[str, list[Tried]] = {}
    for layer in layers:
        found[layer] = [NOTHING]
        for share in sorted({min(level * ratio, MOST) for level in LEVELS}):
            seen = look({layer: share})
            if seen is not None and seen[1] < whole[1]:
                found[layer].append(Tried(share, seen[0] - whole[0], whole[1] - seen[1]))
    return found


def allocated(
    found: Mapping[str, Sequence[Tried]], saved: Callable[[Mapping[str, float]], float], aim: float
) -> dict[str, float]:
    """Each layer's share: the least loss for at least `aim` multiply-adds saved, or the most that can be saved.

    saved: multiply-adds that go with these shares: of layers that follow each other less than the sum of both, since
    each already computes less for the other. A loss that falls counts as none: few batches tell so little that it
    hardly means that the network gets better.
    """
    low, high = 0.0, 1.0
    while saved(_choice(found, high)) < aim:
        if high > WORTH:
            return _choice(found, high)
        high *= 10
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if saved(_choice(found, middle)) >= aim else (middle, high)
    return _lowered(_choice(found, high), found, saved, aim)


def _lowered(
    shares: Mapping[str, float],
    found: Mapping[str, Sequence[Tried]],
    saved: Callable[[Mapping[str, float]], float],
    aim: float,
) -> dict[str, float]:
    """Without what is not needed for `aim`: layers whose loss did not rise are pruned as much as may be, whatever it is
    that is to be saved. What spares most goes back first."""
    left = dict(shares)
    while True:
        smaller = [
            left | {layer: lower[-1]}
            for layer, share in left.items()
            if (lower := [tried.share for tried in found[layer] if tried.share < share])
        ]
        enough = [(saved(each), index) for index, each in enumerate(smaller)]
        fitting = [pair for pair in enough if pair[0] >= aim]
        if not fitting:
            return {layer: share for layer, share in left.items() if share}
        left = smaller[min(fitting)[1]]


def _choice(found: Mapping[str, Sequence[Tried]], weight: float) -> dict[str, float]:
    """Of each layer the share that is best where all savings together are worth `weight` in loss; of two alike, the
    less. Those that lose nothing are left out."""
    total = sum(max(tried.saved for tried in several) for several in found.values()) or 1.0
    best = {
        layer: min(several, key=lambda tried: (max(tried.loss, 0.0) - weight * tried.saved / total, tried.share))
        for layer, several in found.items()
    }
    return {layer: tried.share for layer, tried in best.items() if tried.share}
