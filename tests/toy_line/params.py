"""The `toy_line` section of `params.yaml`: the least that a task may have, and no word of variants or copies."""

from __future__ import annotations

from core.params import Positive, Section, SourceParams, SplitParams, TaskParams

MODALITY = "text"


class Data(SourceParams):
    splits: SplitParams
    points: Positive
    """Of the embedded sample."""

    @property
    def known_license(self) -> str | None:
        return "CC0-1.0" if self.kind == "sample" else None


class Model(Section):
    width: Positive


class Params(TaskParams):
    data: Data
    model: Model
