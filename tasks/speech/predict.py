"""Role `predict` of speech: a recording in, what is said in it out; numpy, soundfile and ONNX Runtime only.

Reads a model folder: `speech.onnx`, `samples` float32 (batch, samples) -1 to 1 with zeros behind each end and `lengths`
int64 (batch,) -> `logits` (batch, classes), or `log_probs` (batch, frames, symbols) and `frames` (batch,); and
`model.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.files import read_json
from core.onnx_session import CPU, session
from modalities.audio.inputs import canonical, ctc
from modalities.audio.inputs.decode import Samples, decode
from modalities.audio.inputs.said import of_class, of_transcript, padded

FORMAT = 1
EXAMPLE = "recording.wav"
"""An input, for the model card."""


class Predictor:
    """folder: a model folder; threads: 0: ONNX Runtime chooses; provider: an execution provider; beam: of transcripts,
    None: as the folder says. Raises: ModelError when the folder holds no usable model."""

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, beam: int | None = None):
        try:
            self.info = read_json(Path(folder) / "model.json")
            found = (self.info["task"], self.info["format"])
            self.rate, self.least = int(self.info["rate"]), int(self.info["least"])
            self.symbols, self.step = list(self.info["symbols"]), float(self.info["step"])
            self.classes, self.units = self.info["target"] == "class", self.info["units"]
            self.beam = beam or int(self.info["beam"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            told = f"{type(error).__name__}: {error}"
            raise ModelError(f"{folder}/model.json: {told}; expected a model folder made by `export`") from None
        if found != ("speech", FORMAT):
            raise ModelError(f"{folder}/model.json: expected task speech, format {FORMAT}; make the model folder again")
        self.session = session(Path(folder) / "speech.onnx", threads, provider)

    def __call__(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """inputs: paths, bytes of files, or samples at `rate`; one batch.

        Returns: for each what `inputs.said` makes of it. Raises: DataError, naming the position.
        """
        every = [decode(one, self.rate, canonical.LONGEST, f"input {i}").samples for i, one in enumerate(inputs)]
        return self.transcribe(every) if every else []

    def transcribe(self, every: Sequence[Samples]) -> list[dict[str, Any]]:
        """Samples at `rate` of each recording, computed as one batch."""
        given = padded(every, self.least)
        if self.classes:
            (logits,) = self.session.run(["logits"], given)
            return [of_class(row, self.symbols) for row in logits]
        rows, frames = self.session.run(["log_probs", "frames"], given)
        found = [ctc.decode(row[:count], self.beam) for row, count in zip(rows, frames.tolist(), strict=True)]
        return [of_transcript(each, self.symbols, self.units, self.step) for each in found]


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[Path]:
    """Recordings of a split, in order."""
    return [canonical.file(dataset, row) for row in canonical.rows(dataset, split)[:limit]]
