"""Joint SentencePiece BPE of both languages, without torch: used to train, to predict and to serve.

Text is composed (NFC) and no more: what a reader sees as the same must be the same tokens, while SentencePiece's
default, NFKC, would change characters, and decoding must give back the tokens that the data has.
"""

from __future__ import annotations

import io
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import sentencepiece

from core.errors import DataError

PAD, UNK, BOS, EOS = 0, 1, 2, 3
ASSET = "tokenizer.model"
"""File name of the serialised tokenizer in checkpoints and model folders."""
Side = Literal["source", "target"]
"""Of a pair of sentences: a tokenizer may have a vocabulary for each."""


def train(sentences: Iterable[str], vocabulary: int) -> bytes:
    """Learn a BPE of at most `vocabulary` pieces (Sennrich et al. 2016) from both languages' sentences.

    Every character of the training text gets a piece, so that none of it becomes <unk>. One thread and no sampling of
    the input: the same text gives the same bytes.
    A small corpus may hold fewer pieces. Returns: the serialised model. Raises: DataError when the characters alone do
    not fit.
    """
    sentences = composed(sentences)
    characters = len(set().union(*map(set, sentences)) | {"▁"})
    if characters + 4 > vocabulary:
        raise DataError(
            f"translation.model.vocabulary is {vocabulary}, but the train split has {characters} different characters; "
            f"set it above {characters + 4}, better to twice that"
        )
    settings: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": vocabulary,
        "normalization_rule_name": "identity",
        "character_coverage": 1.0,
        "split_digits": True,
        "pad_id": PAD,
        "unk_id": UNK,
        "bos_id": BOS,
        "eos_id": EOS,
        "max_sentence_length": 1 << 20,  # bytes; longer lines would be left out without a word
        "num_threads": 1,
        "minloglevel": 2,
    }
    try:
        return _train(sentences, settings)
    except RuntimeError as error:
        if "size too high" not in str(error):
            raise
        return _train(sentences, {**settings, "hard_vocab_limit": False})


def _train(sentences: list[str], settings: dict[str, Any]) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences), model_writer=model, **settings)
    return model.getvalue()


def composed(texts: Iterable[str]) -> list[str]:
    """In Unicode's normal form C."""
    return [unicodedata.normalize("NFC", text) for text in texts]


class Tokenizer:
    """Text to subword ids and back; both sides have one vocabulary."""

    def __init__(self, model: bytes):
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)

    def size(self, side: Side = "target") -> int:
        return self._pieces.get_piece_size()

    def encode(self, texts: Sequence[str], side: Side = "source") -> list[list[int]]:
        """Ids of each text, without BOS and EOS."""
        return self._pieces.encode(composed(texts), out_type=int, num_threads=1)

    def sample(self, texts: Sequence[str], dropout: float, seed: int) -> list[list[int]]:
        """Like `encode`, but each merge is left out with probability `dropout` (BPE-dropout, Provilkov et al. 2020)."""
        result: list[list[int]] = []

        def work() -> None:
            for text in composed(texts):
                result.append(
                    self._pieces.encode(text, out_type=int, enable_sampling=True, alpha=dropout, nbest_size=-1)
                )

        # SentencePiece has one generator a thread, which takes the seed at its first use: a new seed, a new thread.
        sentencepiece.set_random_generator_seed(seed)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return result

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each sequence; BOS, EOS and PAD become nothing."""
        return [self._pieces.decode(list(map(int, sequence))) for sequence in ids]

    def pieces(self, ids: Sequence[int], side: Side = "source") -> list[str]:
        """The subwords as written in the vocabulary, `▁` for a space."""
        return [self._pieces.id_to_piece(int(i)) for i in ids]
