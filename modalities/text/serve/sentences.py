"""Text into sentences, and a sentence that is too long into parts; pieces joined give back the text.

Everything is linear in the length of the text (`cut`: times the number of halvings), whatever the text is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

CLOSERS = "」』）】〉》〕］”’\"')\\]}»›"
OPENERS = re.compile(r"[\"'“‘«‹(\[{「『（【¿¡*_-]{0,3}")
# One end of a sentence: newlines, a full stop that needs no space after it, or one that does, each with what closes
# quotes behind it. Nothing in it can fail after it has begun, so no text makes it go back.
END = re.compile(
    rf"(?P<line>[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029])"
    rf"|(?P<wide>[。！？｡．॥।]++)[{CLOSERS}]*+"
    rf"|(?P<narrow>[.!?…؟۔։]++)[{CLOSERS}]*+"
)
SPACE = re.compile(r"\s*+")
LATER = re.compile(r"[とっなのがをはもにでへ、，,]")
"""After a closed quotation: the sentence around it goes on."""
ABBREVIATIONS = {
    "before a name": "mr mrs ms dr prof rev hon sen rep gov pres gen col maj capt cmdr lt sgt messrs mme mlle sra srta "
    "vs cf e.g i.e viz approx resp incl z.b d.h u.a bzw vgl bspw",
    "before a number": "no nos nr p pp vol fig figs eq eqs sec secs ch ca art par",
    "anywhere": "etc inc ltd co corp bros jr sr st mt al dept univ assn usw a.m p.m u.s u.k "
    "jan feb apr jun jul aug sept oct nov dec mon tue tues thu thur thurs fri",
}
"""A full stop behind them ends no sentence before a name; before a number; but where a new sentence plainly begins."""
KINDS = {word: kind for kind, words in ABBREVIATIONS.items() for word in words.split()}
BEGIN = (
    "the a an this that these those it he she we they you i there here his her its my our their your what when where "
    "who why how if in on at for but and so then however meanwhile please yes no"
)
BEGINNERS = frozenset(BEGIN.split())
"""A capital letter on one of these is one of a new sentence, and not of a name."""
INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
WORD = re.compile(r"[^\W\d_]{1,12}")
TOKEN = 24
"""Characters before a full stop that may belong to an abbreviation."""
CLAUSE = re.compile(r"[,;:)\]–—·]\s++|[、，；：،؛）」』]\s*+")
"""Where a sentence may be cut; a comma without a space may stand in a number."""
BETWEEN_WORDS = re.compile(r"\s++")


def split(text: str, tokenized: bool = False) -> list[str]:
    """Sentences with the white space behind them, never empty.

    tokenized: tokens are separated by spaces, so that a full stop that stands alone ends a sentence whatever follows.
    """
    pieces, start = [], 0
    for match in END.finditer(text):
        if match.start() < start:
            continue  # a newline in white space that ended a sentence
        end = SPACE.match(text, match.end()).end()  # type: ignore[union-attr]  # it matches nothing, too
        if _ends(text, start, match, end, tokenized):
            pieces.append(text[start:end])
            start = end
    return [*pieces, text[start:]] if start < len(text) else pieces


def cut(sentence: str, limit: int, length: Callable[[str], int]) -> list[str]:
    """Parts of a sentence with a `length` of at most `limit` each; one character is never cut.

    Halved where it can be: after clause punctuation near the middle, else between words, else between characters.
    """
    if len(sentence) < 2 or length(sentence) <= limit:
        return [sentence]
    at = _middle(sentence)
    return [*cut(sentence[:at], limit, length), *cut(sentence[at:], limit, length)]


def _ends(text: str, start: int, match: re.Match[str], end: int, tokenized: bool) -> bool:
    """Whether the sentence that began at `start` ends with `match`, the white space behind which ends at `end`."""
    following = text[end : end + 1]
    if match["line"] or not following:
        return True
    if match["wide"]:
        quoted = match.end() > match.end("wide")
        return not (LATER.match(following) if quoted else match["wide"] == "．" and following.isdigit())
    if match.end() == end:
        return False  # 3.5, example.org
    if tokenized and text[match.start() - 1 : match.start()].isspace():
        return True
    word_at = OPENERS.match(text, end).end()  # type: ignore[union-attr]  # it matches nothing, too
    return not text[word_at : word_at + 1].islower() and not (
        match["narrow"] == "." and _abbreviation(text, start, match.start(), word_at)
    )


def _abbreviation(text: str, start: int, stop: int, word_at: int) -> bool:
    """Whether the full stop at `stop` belongs to the word before it, and ends no sentence."""
    before = text[max(start, stop - TOKEN) : stop]
    token = "" if before[-1:].isspace() else before.split()[-1] if before else ""
    word = token.lstrip("\"'“‘«([{「『（").casefold()
    if word.isdigit():  # 1. in a list, but not a year
        return text[start:stop].strip() == token and len(token) <= 2 if stop - start < TOKEN else False
    kind = KINDS.get(word, "anywhere" if INITIALS.fullmatch(word) else "")
    if kind == "before a number":
        return text[word_at : word_at + 1].isdigit()
    beginner = WORD.match(text, word_at)
    return kind == "before a name" or (kind == "anywhere" and not (beginner and beginner[0].casefold() in BEGINNERS))


def _middle(sentence: str) -> int:
    """Where to halve, 1 to len - 1."""
    middle, quarter = len(sentence) // 2, len(sentence) // 4
    for pattern in (CLAUSE, BETWEEN_WORDS):
        ends = [found.end() for found in pattern.finditer(sentence, quarter, len(sentence) - quarter)]
        ends = [at for at in ends if 0 < at < len(sentence)]
        if ends:
            return min(ends, key=lambda at: abs(at - middle))
    # An accent stays with its letter, but a run of accents alone is no letter.
    return next((at for at in range(middle, max(0, middle - 8), -1) if not unicodedata.combining(sentence[at])), middle)
