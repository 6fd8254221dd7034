"""Errors that a user caused and can mend: one line, exit code 2, no traceback.

Anything else that escapes a stage is a bug of ours and shows its traceback (exit code 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from core.address import public

MISTAKE, TEMPORARY, MEMORY = 2, 75, 76
"""Exit codes of a stage: the user must mend something; the same again may succeed (EX_TEMPFAIL of sysexits.h); memory
ran out."""


LISTED = 20
"""Choices that a hint names."""


class StillhouseError(Exception):
    """What was wrong, where (file, row, field), what was expected, and what to do next. No secret of a URL is in it."""

    exit_code = MISTAKE

    def __init__(self, message: str = ""):
        super().__init__(public(message))


class ParamsError(StillhouseError):
    """`params.yaml` cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"
        super().__init__(f"params.yaml has {count}:\n" + "\n".join(f"  - {p}" for p in self.problems))


class SourceError(StillhouseError):
    """The raw data could not be fetched, read or recognised."""


class UnreachableError(SourceError):
    """A server of raw data did not answer, or went away in mid-transfer: the same again may succeed."""

    exit_code = TEMPORARY


class DataError(StillhouseError):
    """The data itself is unusable: too many bad rows, an empty split, a leak between splits."""


class TrainingError(StillhouseError):
    """Training cannot go on: loss not finite, memory exhausted, teacher and student do not match."""


class ModelError(StillhouseError):
    """A checkpoint or an ONNX model is damaged, unsupported, or differs from what it was made from."""


class WorkerDiedError(TrainingError):
    """A process beside the training was killed: the same again goes on from the last checkpoint."""

    exit_code = TEMPORARY


class MemoryExhaustedError(TrainingError):
    """Memory ran out; smaller batches may fit."""

    exit_code = MEMORY


class GateError(StillhouseError):
    """The chosen model does not meet `compare.budget`."""


def suggest(word: str, choices: Sequence[str]) -> str:
    """A hint like `did you mean 'train'?`, or the list of valid choices when nothing is close."""
    close = get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(choices) - LISTED} more" if len(choices) > LISTED else ""
    return f"valid: {', '.join(sorted(choices)[:LISTED])}{more}"
