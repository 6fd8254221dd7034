"""The `translation` section of `params.yaml`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core import chains, compression
from core.params import (
    DataParams,
    ExportParams,
    ModelParams,
    Name,
    Positive,
    Probability,
    Section,
    TaskParams,
    TrainParams,
    ValidateParams,
)
from modalities.text.inputs.languages import spaced

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
MODALITY = "text"


class Sample(Section):
    """The embedded sample: phrases from CLDR."""

    pairs: Annotated[int, Field(ge=200, le=100000)]


class Data(DataParams):
    SAMPLE_LICENSE: ClassVar[str] = "Unicode-3.0 (phrases of the Unicode CLDR, as Babel carries them)"
    format: Literal["auto", "text", "tsv", "jsonl", "tmx"]
    source_language: Language
    target_language: Language
    tokenized: bool
    """Whether tokens are separated by spaces already: BLEU is then also given on these tokens."""
    sample: Sample


class Validate(ValidateParams):
    max_characters: Positive
    max_ratio: float = Field(gt=1)
    """Largest ratio of the character lengths of a pair, either way."""
    min_script: Probability
    """Smallest share of a sentence's letters in its language's script."""


class Augment(Section):
    concatenate: Probability
    """Share of extra pairs made from two neighbours."""
    token_dropout: Probability
    """Probability that a source token is left out of a copy; 0 makes no copies."""
    subword_dropout: Probability
    """BPE-dropout at load (Provilkov et al. 2020)."""


Vocabulary = Annotated[int, Field(ge=64, le=64000)]


class Words(Section):
    """Words between spaces, of each language by itself, in place of subwords; others are unknown."""

    min_count: Positive
    """How often a word occurs at least."""
    source: Vocabulary | None
    """Of the source language the most frequent words alone, with the four special ids; null: all."""
    target: Vocabulary | None
    """Likewise, of the target language."""


def _undivided(sizes: Any) -> str | None:
    """What is wrong with the heads of a Transformer."""
    told = f"heads: {sizes.heads} do not divide a width of {sizes.width}; set head_width, or change one"
    return told if not sizes.head_width and sizes.width % sizes.heads else None


class Model(ModelParams):
    arch: Literal["transformer", "recurrent"]
    cell: Literal["gru", "lstm"]
    """Of the recurrent network, as the next three."""
    bidirectional: bool
    """Whether its encoder reads the other way, too."""
    attention: Literal["dot", "additive", "none"]
    """Its own; a Transformer has always its."""
    teacher_forcing: Probability
    """Share of the batches in which a step is fed what the data says; in the others, what the network said itself."""
    decoder: Literal["attention", "ssru"]
    """What a Transformer's decoder remembers by what it has said; `modalities.text.backbones.ssru`."""
    vocabulary: Vocabulary
    """Subwords of the joint SentencePiece BPE."""
    words: Words | None
    embedding: Positive | None
    """Inner width of the tables of subwords, which are then the product of two matrices; null: as wide as the model."""
    width: Positive
    feed_forward: Positive
    heads: Positive
    head_width: Positive | None
    """Of keys, queries and values of each head; null: width divided by heads."""
    layers: Positive
    decoder_layers: Positive | None
    """Of a Transformer; null: as many as `layers`. The decoder runs once a subword, the encoder once a sentence."""
    dropout: float = Field(ge=0, lt=1)
    label_smoothing: float = Field(ge=0, lt=1)
    r_drop: float = Field(ge=0)
    """Weight of how far two passes with other units dropped out are apart (Wu et al. 2021 take 5); 0: one pass."""
    max_tokens: Positive
    """Longest sentence, source or target, in subwords."""

    @model_validator(mode="after")
    def _something_to_agree_on(self) -> Self:
        if self.r_drop and not self.dropout:
            raise ValueError(f"r_drop: found {self.r_drop} with dropout 0, by which two passes are the same")
        return self

    @model_validator(mode="after")
    def _heads_that_divide(self) -> Self:
        if self.arch == "transformer" and (told := _undivided(self)):
            raise ValueError(told)
        return self

    @model_validator(mode="after")
    def _forced_where_it_must(self) -> Self:
        if self.teacher_forcing < 1 and (self.arch == "transformer" or self.r_drop):
            other = "arch: transformer, which takes all steps at once" if self.arch == "transformer" else "r_drop"
            raise ValueError(f"teacher_forcing: found {self.teacher_forcing} with {other}; expected 1.0")
        return self

    @field_validator("weights")
    @classmethod
    def _nothing_packaged(cls, value: str) -> str:
        if value == "packaged":
            raise ValueError(
                "found 'packaged', but no package carries weights of a translator; expected none, a path, or a URL "
                "with `weights_sha256`"
            )
        return value


class Train(TrainParams):
    batch_tokens: Positive
    """Target tokens of a batch at most; `batch_size` is the most sentences."""


Dropout = Annotated[float | None, Field(ge=0, lt=1)]
"""null: as the network that it is made of. A smaller one learns rather too little than too much, and wants less."""


def _no_longer_a_switch(value: object) -> object:
    if isinstance(value, bool):
        meant = "greedy, as it was until now, beam or interpolated" if value else "null"
        raise ValueError(f"found {str(value).lower()}, expected {meant}")
    return value


Sequences = Annotated[Literal["greedy", "beam", "interpolated"] | None, BeforeValidator(_no_longer_a_switch)]
"""What is learnt in place of the data's translations: what the teacher says to each sentence, by greedy decoding or by
beam search; `interpolated`: that one of its beam which is closest to the data's. null: the data's."""


class TeacherSearch(Section):
    """Of `beam` and `interpolated`; not that of `export.decode`, which may change and nothing is learnt again."""

    beam: Positive = 5
    """Hypotheses kept."""
    length_penalty: float = Field(default=1.0, ge=0, le=10)
    """Exponent of the length, EOS counted, by which a hypothesis' log-probability is divided."""


class Prune(compression.Prune):
    """`ratio` is of feed-forward units and heads."""

    importance: Literal["magnitude", "taylor"]
    """There is no BatchNorm."""
    sequences: Sequences = None
    teacher_search: TeacherSearch = TeacherSearch()
    dropout: Dropout = None
    train: Train


class Distill(compression.Distill):
    sequences: Sequences
    teacher_search: TeacherSearch = TeacherSearch()
    dropout: Dropout = None
    embedding: Positive | None
    """As in `model`, and so are the next."""
    width: Positive
    feed_forward: Positive
    heads: Positive
    head_width: Positive | None = None
    """null: width divided by heads."""
    layers: Positive
    decoder_layers: Positive | None
    train: Train


class Quantize(compression.Quantize):
    mode: Literal["dynamic", "static"]
    decoder_scales: Literal["column", "tensor"]
    """Of the decoder's weights: `compression.graphs.quantization.products_int8`; it multiplies one row at a time."""


class Decode(Section):
    """Stored in the exported model; `Predictor` takes other values as options."""

    beam: Positive
    """Hypotheses kept; 1 is greedy decoding."""
    length_penalty: float = Field(ge=0, le=10)
    """Exponent of the length by which a hypothesis' log-probability is divided."""
    coverage_penalty: float = Field(ge=0)
    """Weight of what of the source was not looked at (`modalities.text.predict.coverage`); 0: it is not asked."""
    max_tokens: Positive
    """Longest translation, subwords."""


class Export(ExportParams):
    decode: Decode


class Params(TaskParams):
    data: Data
    validation: Validate = Field(alias="validate")
    augment: Augment
    model: Model
    train: Train
    prune: dict[Name, Prune]
    distill: dict[Name, Distill]
    export: Export
    quantize: Quantize

    @model_validator(mode="after")
    def _heads_that_divide(self) -> Self:
        for name, student in self.distill.items():  # of the kind that the base is
            if self.model.arch == "transformer" and (told := _undivided(student)):
                raise ValueError(f"distill.{name}.{told}")
        return self

    @model_validator(mode="after")
    def _passes_that_differ(self) -> Self:
        """What is pruned learns by the labels alone as the base does; with a teacher there is one pass."""
        for name, each in self.prune.items():
            if self.model.r_drop and not each.soft_weight and not self._dropout(name):
                told = f"expected some: with model.r_drop {self.model.r_drop} two passes would be the same"
                raise ValueError(f"prune.{name}.dropout: found 0.0 ({told})")
        return self

    def _dropout(self, variant: str) -> float:
        """Its own, or that of the nearest variant that it is made of which has one."""
        made: dict[str, Prune | Distill] = {**self.prune, **self.distill}
        own = [made[each].dropout for each in chains.ancestry(self, variant) if each != chains.ROOT]
        return next((each for each in reversed(own) if each is not None), self.model.dropout)

    @model_validator(mode="after")
    def _attention_there_is(self) -> Self:
        found, model = self.export.decode.coverage_penalty, self.model
        if found and model.arch == "recurrent" and model.attention == "none":
            raise ValueError(f"export.decode.coverage_penalty: found {found} with model.attention: none; expected 0.0")
        return self

    @model_validator(mode="after")
    def _words_there_are(self) -> Self:
        if self.model.words is None:
            return self
        if self.augment.subword_dropout:
            found = self.augment.subword_dropout
            raise ValueError(f"augment.subword_dropout: found {found} with model.words, which have none; expected 0.0")
        pair = (self.data.source_language, self.data.target_language)
        if not self.data.tokenized and (closed := [language for language in pair if not spaced(language)]):
            told = "expected data.tokenized: true, or null for subwords"
            raise ValueError(f"model.words: nothing says where words of {closed[0]!r} end; {told}")
        return self
