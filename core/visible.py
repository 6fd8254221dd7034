"""Characters that change how others are shown, as text: data must not steer a reader's terminal or turn a line round.

`\\x1b` (terminal escapes) and the other control characters, marks of the writing direction (Unicode Standard Annex 9,
https://www.unicode.org/reports/tr9/), what is invisible at the end of a line, and halves of characters (surrogates).
"""

from __future__ import annotations

import re
import sys
from typing import Any

CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Everything but tab and newline."""


def visible(text: str) -> str:
    """`text` with such characters spelt: `\\x1b`, `\\u202e`. Tabs and newlines stay."""
    return CONTROL.sub(lambda found: _spelt(ord(found.group())), text)


def _spelt(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Printable:
    """A text stream that writes nothing but what can be seen; all else is that of the stream behind it."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_terminal() -> None:
    """From now on what this process prints is what was meant, not what a terminal makes of it.

    Standard error stays as it is: progress bars are drawn there.
    """
    sys.stdout = Printable(sys.stdout)
