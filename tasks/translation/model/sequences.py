"""Sequence-level knowledge distillation: sentences that a student learns in place of the data's translations.

Kim and Rush 2016, https://arxiv.org/abs/1606.07947, sections 3.2 and 3.3: what a teacher says is more alike from
sentence to sentence than what people wrote.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from sacrebleu.metrics import BLEU
from torch import Tensor

from modalities.text.backbones.beam import beam
from modalities.text.backbones.greedy import greedy
from modalities.text.inputs.coders import Coder
from modalities.text.inputs.languages import Languages
from modalities.text.inputs.tokenizer import EOS, PAD
from tasks.translation.score import bleu

Sequences = Literal["greedy", "beam", "interpolated"]
TOGETHER = 128
"""Sentences that a teacher translates side by side."""


def taught(
    teacher: Any, coder: Coder, pairs: Sequence[tuple[str, str]], how: Sequences, search: Any, languages: Languages
) -> list[str]:
    """A target for each pair (source, target): what the teacher says to the source, or the target itself where the
    teacher comes to no end, or says nothing.

    how: `greedy`; the best of its `beam`; or `interpolated`, the one of its beam that is closest to the pair's target.
    search: `beam` and `length_penalty`, of the settings of who is taught. Prints how long it took.
    """
    start = time.perf_counter()
    texts = sorted({source for source, _ in pairs}, key=lambda text: (len(text), text))  # of like length side by side
    said: dict[str, list[str]] = {}
    for first in range(0, len(texts), TOGETHER):
        said |= _said(teacher, coder, texts[first : first + TOGETHER], how, search)
    seconds = time.perf_counter() - start
    print(
        f"the teacher has translated {len(said):,} of {len(texts):,} sentences for its student ({how}) "
        f"in {seconds:.1f} s, {len(texts) / seconds:,.0f} a second"
    )
    if how == "interpolated":
        return _closest(said, pairs, languages)
    return [said[source][0] if source in said else target for source, target in pairs]


def _said(teacher: Any, coder: Coder, texts: Sequence[str], how: Sequences, search: Any) -> dict[str, list[str]]:
    """What the teacher says to each text, best first; texts to which it says nothing, or the same again and again, are
    left out."""
    most, device = teacher.arch["max_tokens"], next(teacher.parameters()).device
    source = pad([[*ids[: most - 1], EOS] for ids in coder.encode(texts)]).to(device)
    limit = min(most, 2 * source.shape[1] + 20)
    if how == "greedy":
        found = [[ids] if len(ids) < limit else [] for ids in greedy(teacher, source, limit)]
    else:
        found = beam(teacher, source, search.beam, search.length_penalty, limit)
    told = {text: coder.decode(several) for text, several in zip(texts, found, strict=True) if several}
    return {text: [each for each in said if each.strip()] for text, said in told.items() if said[0].strip()}


def _closest(said: Mapping[str, Sequence[str]], pairs: Sequence[tuple[str, str]], languages: Languages) -> list[str]:
    """Of what was said to each source the one of highest sentence BLEU against the target; of equals the best said."""
    split = "none" if languages.tokenized else bleu.tokenizer(languages.target)
    metric = BLEU(tokenize=split, effective_order=True)
    return [
        max(said.get(source, [target]), key=lambda each: metric.sentence_score(each, [target]).score)
        for source, target in pairs
    ]


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """int64 [len(rows), longest row], filled with PAD at the end."""
    result = torch.full((len(rows), max(map(len, rows))), PAD, dtype=torch.long)
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return result
