"""How long each stage took when it last ran here: for the critical path, and for what starts first."""

from __future__ import annotations

from collections.abc import Iterable

from core import paths
from core.files import read_json, write_json

PATH = paths.STATE / "flow" / "seconds.json"
UNKNOWN_S = 1.0


class History:
    """Seconds of each stage's last run; kept in a file, whose loss costs nothing but a worse order."""

    def __init__(self) -> None:
        try:
            self._seconds = {str(name): float(value) for name, value in dict(read_json(PATH)).items()}
        except (FileNotFoundError, ValueError, TypeError):
            self._seconds = {}

    def of(self, names: Iterable[str]) -> dict[str, float]:
        """Where nothing is known of a stage: the mean of what is, so that paths compare by their length."""
        known = self._seconds.values()
        usual = sum(known) / len(known) if known else UNKNOWN_S
        return {name: self._seconds.get(name, usual) for name in names}

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name] = round(seconds, 2)

    def save(self) -> None:
        write_json(PATH, self._seconds)
