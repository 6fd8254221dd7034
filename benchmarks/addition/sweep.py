"""The notes' network in numpy, gradients by hand as there: 8 bits from the lowest, no biases, one sum an update.

    u_t = x_t W_in + z_{t-1} W,  z_t = f(u_t),  y_t = sigmoid(z_t W_out),  error (y_t - d_t)^2 / 2

All seeds are computed side by side. Shapes: S seeds, U hidden units, T bits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BITS, SEEDS, ITERATIONS = 8, 10, 10_000
WINDOW, ENOUGH = 200, 0.99
"""A seed has learnt once this share of so many sums in a row had all bits right."""
MEASURED = Path(__file__).parent / "measured" / "addition.json"


class Variant(NamedTuple):
    """What differs from the notes' first network."""

    name: str
    notes: str
    """What the notes say of it."""
    function: str = "sigmoid"
    derivative: str = ""
    """"" is that of the function; the notes' code leaves the sigmoid's wherever the function is changed."""
    rate: float = 0.1
    hidden: int = 16
    xavier: bool = False


VARIANTS = (
    Variant("sigmoid, N(0, 1)", "about 6,000"),
    Variant("Xavier", "about 4,000", xavier=True),
    Variant("learning rate 0.2", "about 3,000", rate=0.2),
    Variant("learning rate 0.05", "slower", rate=0.05),
    Variant("32 hidden units", "-", hidden=32),
    Variant("tanh, the notes' code", "it does not learn", "tanh", "sigmoid"),
    Variant("tanh, its own derivative", "-", "tanh"),
    Variant("tanh, Xavier, the notes' code", "-", "tanh", "sigmoid", xavier=True),
    Variant("tanh, Xavier, its own derivative", "-", "tanh", xavier=True),
    Variant("ReLU, the notes' code", "it does not learn", "relu", "sigmoid"),
    Variant("ReLU, its own derivative", "-", "relu"),
    Variant("ReLU, Xavier, the notes' code", "-", "relu", "sigmoid", xavier=True),
    Variant("ReLU, Xavier, its own derivative", "-", "relu", xavier=True),
)


def sigmoid(u: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(u, -500, 500)))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda u: np.maximum(u, 0),
}
DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda u: sigmoid(u) * (1 - sigmoid(u)),
    "tanh": lambda u: 1 - np.tanh(u) ** 2,
    "relu": lambda u: (u > 0).astype(float),
}


def learn(variant: Variant, seeds: int = SEEDS, iterations: int = ITERATIONS) -> list[int | None]:
    """Of each seed after how many sums it had learnt; None: not in so many."""
    streams = [np.random.default_rng(seed) for seed in range(seeds)]
    sizes = [(2, variant.hidden), (variant.hidden, variant.hidden), (variant.hidden, 1)]
    deviations = [(size[0] ** -0.5 if variant.xavier else 1.0) for size in sizes]
    weights = [
        np.stack([rng.normal(0, deviation, size) for rng in streams])
        for size, deviation in zip(sizes, deviations, strict=True)
    ]
    pairs = np.stack([rng.integers(0, 2 ** (BITS - 1), (iterations, 2)) for rng in streams])
    inputs = (pairs[..., None, :] >> np.arange(BITS)[:, None]) & 1
    wanted = (pairs.sum(-1)[..., None] >> np.arange(BITS)) & 1
    right = np.zeros((seeds, iterations))
    for i in range(iterations):
        said = _step(variant, weights, inputs[:, i].astype(float), wanted[:, i].astype(float))
        right[:, i] = (said == wanted[:, i]).all(1)
    return [_learnt(row) for row in right]


def _step(variant: Variant, weights: list[Array], x: Array, wanted: Array) -> Array:
    """Update in place by one sum for each seed, x (S, T, 2), wanted (S, T); returns the bits that were said, (S, T)."""
    enter, inner, leave = weights
    function, derivative = FUNCTIONS[variant.function], DERIVATIVES[variant.derivative or variant.function]
    z = np.zeros((len(x), BITS + 1, variant.hidden))
    u = np.zeros((len(x), BITS, variant.hidden))
    for t in range(BITS):
        u[:, t] = (x[:, t, None] @ enter + z[:, t, None] @ inner)[:, 0]
        z[:, t + 1] = function(u[:, t])
    y = sigmoid((z[:, 1:] @ leave)[..., 0])
    out = ((y - wanted) * y * (1 - y))[..., None]
    slopes, back = derivative(u), out @ leave.transpose(0, 2, 1)
    delta = np.zeros((len(x), BITS + 1, variant.hidden))
    for t in reversed(range(BITS)):
        delta[:, t] = ((delta[:, t + 1, None] @ inner.transpose(0, 2, 1))[:, 0] + back[:, t]) * slopes[:, t]
    leave -= variant.rate * z[:, 1:].transpose(0, 2, 1) @ out
    inner -= variant.rate * z[:, :-1].transpose(0, 2, 1) @ delta[:, :-1]
    enter -= variant.rate * x.transpose(0, 2, 1) @ delta[:, :-1]
    return np.round(y).astype(int)


def _learnt(right: Array) -> int | None:
    shares = np.convolve(right, np.full(WINDOW, 1 / WINDOW), "valid")
    there = np.flatnonzero(shares >= ENOUGH - 1e-9)
    return int(there[0]) + WINDOW if len(there) else None


def run() -> dict[str, Any]:
    return {variant.name: learn(variant) for variant in VARIANTS}
