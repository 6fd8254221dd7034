"""Many steps of a search in one run of ONNX Runtime: the session of a loop (`modalities.text.predict.loop`)."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from core.onnx_session import session
from modalities.text.predict import loop
from modalities.text.predict.search import Ahead, Arrays

LEAVING = 8
"""A loop is left as soon as one in so many sentences has ended: till then they are computed on, and to leave it costs
a copy of the cache."""
ROWS = 64
"""Hypotheses of all sentences up to which a loop is the faster way; behind them it is one step a run."""


class Looper:
    """Of the graph of a step. beam: K, 1 makes a loop that knows no other."""

    def __init__(self, path: Path, threads: int, beam: int):
        self.greedy = beam == 1
        # Blocks of a few KB, as most are in a loop, are found faster by malloc than in ONNX Runtime's arena.
        self.session = session(
            path, threads, rewritten=partial(loop.compose, greedy=self.greedy), name="loop.onnx", arena=False
        )
        given = [node.name for node in self.session.get_inputs()]
        made = [node.name for node in self.session.get_outputs()]
        self.sees = loop.ITSELF in given
        self.changed = [name for name in (*loop.CHANGED, loop.ENDED) if f"{loop.FIRST}{name}" in given]
        past = [name.removeprefix(loop.LAST) for name in made if name.startswith(f"{loop.LAST}past_")]
        self.before = [f"{loop.FIRST}{name}" for name in (*self.changed, *past)]
        self.names = [
            *(f"loop.{name}" for name in loop.GIVEN),
            *(f"{loop.LAST}{name}" for name in (*self.changed, *past)),
        ]
        self.past = past

    def ahead(self, beam: int, sentences: int) -> Ahead | None:
        """For a search of so many sentences; None where one step a run is as fast, or the loop is another's."""
        suited = beam == 1 or not self.greedy
        return self._steps if suited and sentences * beam <= ROWS else None

    def _steps(
        self, state: Arrays, memory: Arrays, cache: Arrays, beam: int, most: int
    ) -> tuple[np.ndarray, np.ndarray, Arrays, Arrays]:
        """See `modalities.text.predict.search.Ahead`."""
        rows = len(state["tokens"])
        now = [*(state[name] for name in self.changed), *(cache[name] for name in self.past)]
        fed = dict(zip(self.before, now, strict=True)) | memory
        fed |= {loop.MOST: np.array(most), "banned": state["banned"], "count": state["count"], **_fixed(rows, beam)}
        if not self.sees:
            del fed[loop.ITSELF]
        values, index, *after = self.session.run(self.names, fed)
        count = len(self.changed)
        return (
            values,
            index,
            dict(zip(self.changed, after[:count], strict=True)),
            dict(zip(self.past, after[count:], strict=True)),
        )


@lru_cache(64)
def _fixed(rows: int, beam: int) -> Arrays:
    """What stays as it is as long as the number of sentences does."""
    itself = np.tile(np.eye(beam, dtype=np.int32), (rows, 1, 1))
    return {loop.LEAVE: np.array(max(1, rows // LEAVING)), loop.BEAM: np.array([beam]), loop.ITSELF: itself}
