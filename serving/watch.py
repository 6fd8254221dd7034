"""Drift: the distribution of the last served inputs against that of the training inputs; see `ops.drift`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ops.drift import bin_of, psi

WINDOW = 1000
"""Inputs that count."""
LEAST = 100
"""Fewer inputs tell nothing."""


class Watch:
    """statistics: of the training inputs. Called from one thread."""

    def __init__(self, statistics: Mapping[str, Any]):
        self._features = statistics["features"]
        self._recent: deque[dict[str, int]] = deque(maxlen=WINDOW)

    def see(self, features: Mapping[str, float]) -> None:
        self._recent.append(
            {name: bin_of(known["edges"], features[name]) for name, known in self._features.items() if name in features}
        )

    def drift(self) -> dict[str, float]:
        """Population stability index of each feature over the last inputs; empty before there are enough."""
        if len(self._recent) < LEAST:
            return {}
        result = {}
        for name, known in self._features.items():
            counts = [0.0] * len(known["shares"])
            for row in self._recent:
                if name in row:
                    counts[row[name]] += 1
            if any(counts):
                result[name] = psi(known["shares"], counts)
        return result
