"""Words between spaces, of each language by itself: a vocabulary in place of subwords, without torch.

A vocabulary is JSON, `{"source": [...], "target": [...]}`: the words of each language by falling number, behind the
four ids that `tokenizer` gives to <pad>, <unk>, BOS and EOS. What is not in it is <unk>.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from core.errors import DataError
from modalities.text.inputs.tokenizer import UNK, Side, composed

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")


def train(source: Iterable[str], target: Iterable[str], minimum: int, most: dict[Side, int | None]) -> bytes:
    """The words of each language that occur `minimum` times or more. Where these and the four special ids are more than
    `most` of a side (None: no bound), the most frequent of them; of one number, the first by their code points.

    Returns: the vocabulary. Raises: DataError when a side has no such word.
    """
    found = {}
    texts: dict[Side, Iterable[str]] = {"source": source, "target": target}
    for side, sentences in texts.items():
        counts = Counter(word for text in composed(sentences) for word in split(text))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        bound = most[side]
        words = ranked if bound is None else ranked[: bound - len(SPECIAL)]
        found[side] = [word for word in words if counts[word] >= minimum]
        if not found[side]:
            most_often = counts[ranked[0]] if ranked else 0
            raise DataError(
                f"translation.model.words.min_count is {minimum}, but no {side} word of the train split occurs more "
                f"than {most_often} times; lower it"
            )
    return json.dumps(found, ensure_ascii=False, indent=0).encode()


def split(text: str) -> list[str]:
    """At spaces, and at nothing else."""
    return [word for word in text.split(" ") if word]


class Words:
    """Text to ids of words and back; the words of each side are others."""

    def __init__(self, vocabulary: bytes):
        self._words: dict[str, list[str]] = {side: [*SPECIAL, *words] for side, words in json.loads(vocabulary).items()}
        self._ids = {
            side: {words[i]: i for i in range(len(SPECIAL), len(words))} for side, words in self._words.items()
        }

    def size(self, side: Side = "target") -> int:
        return len(self._words[side])

    def encode(self, texts: Sequence[str], side: Side = "source") -> list[list[int]]:
        """Ids of each text, without BOS and EOS."""
        ids = self._ids[side]
        return [[ids.get(word, UNK) for word in split(text)] for text in composed(texts)]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each sequence, in the target language; BOS, EOS and PAD become nothing."""
        words = self._words["target"]
        return [" ".join(words[int(i)] for i in row if i == UNK or i >= len(SPECIAL)) for row in ids]

    def pieces(self, ids: Sequence[int], side: Side = "source") -> list[str]:
        """The words, each behind a `▁` for its space."""
        return [SPECIAL[i] if i < len(SPECIAL) else f"▁{self._words[side][i]}" for i in map(int, ids)]
