"""Beginnings of translations that are given: they are said first, and the search goes on from them."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import DataError
from modalities.text.inputs import words
from modalities.text.inputs.coders import Coder
from modalities.text.inputs.tokenizer import UNK, composed


def encode(texts: Sequence[str], coder: Coder, limit: int, names: Sequence[str]) -> list[list[int]]:
    """Ids of each beginning. names: what an error calls each; limit: most subwords of a translation.

    A translation that begins with these ids begins with the text, in Unicode's normal form C, without white space at
    its ends and with one space for several. Raises: DataError when a text is too long, or has characters (of a
    vocabulary of words: words) that are not in the vocabulary, since no such promise could be kept for it.
    """
    encoded = coder.encode(texts, "target")
    for ids, text, name in zip(encoded, texts, names, strict=True):
        if UNK in ids:
            raise DataError(
                f"{name}: {_unknown(text, coder)!r} is not in the vocabulary of the model, which can say nothing that "
                "holds it; leave it out"
            )
        if len(ids) > limit:
            raise DataError(f"{name} has {len(ids)} subwords, expected at most {limit}, which a translation has")
    return encoded


def _unknown(text: str, coder: Coder) -> str:
    """The first character, or word."""
    parts: Sequence[str] = words.split(text) if isinstance(coder, words.Words) else composed([text])[0]
    return next((part for part in parts if UNK in coder.encode([part], "target")[0]), text)
