"""What turns text into ids: subwords of both languages, or words of each."""

from __future__ import annotations

from modalities.text.inputs.tokenizer import Tokenizer
from modalities.text.inputs.words import Words

Coder = Tokenizer | Words


def load(content: bytes) -> Coder:
    """Of `tokenizer.ASSET`: a SentencePiece model begins with the tag of a protobuf field, a vocabulary of words with a
    brace."""
    return Words(content) if content.startswith(b"{") else Tokenizer(content)
