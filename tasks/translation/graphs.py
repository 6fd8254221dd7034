"""A translator as two ONNX graphs: `encoder`, and `step`, one subword further with a key/value cache.

Writes `model.json`, `tokenizer.model` and `languages.json` into a model folder; `tasks.translation.predict` says what
is in them. Shapes: `B` sentences, `S` source subwords, `P` subwords in the cache, `V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from core.files import write_json
from core.onnx_session import session
from core.task import Graph
from modalities.text.inputs import languages
from modalities.text.inputs.tokenizer import BOS, EOS
from tasks.translation.predict import Predictor, pad

EXAMPLE = {"batch": 2, "source_length": 5, "past_length": 3}


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """See `core.task.Graphs`."""
    model.eval()
    encoder, step = _Encoder(model).eval(), STEPS[model.CACHE](model).eval()
    source = torch.full((EXAMPLE["batch"], EXAMPLE["source_length"]), EOS)
    with torch.no_grad():
        memory, cache = model.encode(source)
        for _ in range(EXAMPLE["past_length"]):
            _, _, cache = model.decode(source[:, :1], memory, cache)
    inputs = {"tokens": source[:, :1], **memory, **{f"past_{name}": x for name, x in cache.items()}}
    return [
        Graph("encoder", encoder, {"source": source}, _encoder_outputs(model), {"source": _source_axes()}),
        Graph(
            name="step",
            module=step,
            inputs=inputs,
            outputs=["log_probs", "attention", *(f"present_{name}" for name in model.CACHE)],
            dynamic={name: step.axes.get(name, {0: "batch"}) for name in inputs},
        ),
    ]


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write what `Predictor` needs beside the graphs."""
    for name, content in assets.items():
        (folder / name).write_bytes(content)
    pair = languages.parse(assets[languages.ASSET])
    decode = params.export.decode
    sessions = {name: session(folder / f"{name}.onnx", threads=1) for name in ("encoder", "step")}
    given, read = (
        [node.name for node in nodes] for nodes in (sessions["encoder"].get_outputs(), sessions["step"].get_inputs())
    )
    write_json(
        folder / "model.json",
        {
            "task": "translation",
            "format": 1,
            "graphs": list(sessions),
            "inputs": {name: tensors(opened.get_inputs()) for name, opened in sessions.items()},
            "outputs": {name: tensors(opened.get_outputs()) for name, opened in sessions.items()},
            "languages": {"source": pair.source, "target": pair.target, "tokenized": pair.tokenized},
            "memory": [name for name in given if not name.startswith("initial_")],
            "cache": [name.removeprefix("past_") for name in read if name.startswith("past_")],
            "decode": {
                "beam": decode.beam,
                "length_penalty": decode.length_penalty,
                "max_tokens": min(decode.max_tokens, arch["max_tokens"]),  # position encodings end there
            },
            "limits": {"max_tokens": arch["max_tokens"]},
        },
    )


def tensors(nodes: Sequence[Any]) -> dict[str, Any]:
    """Name -> `dtype` and `shape` (free axes by name) of a session's inputs or outputs."""
    kinds = {"tensor(float)": "float32", "tensor(int64)": "int64"}
    return {node.name: {"dtype": kinds[node.type], "shape": node.shape} for node in nodes}


def parity(model: nn.Module, folder: Path, dataset: Path, params: Any) -> dict[str, float]:
    """Largest absolute difference of log-probabilities (nats) and attention: torch without a cache against ONNX Runtime
    through it, both forced along the references of validation sentences."""
    table = pd.read_parquet(dataset / "val.parquet").head(params.export.samples)
    predictor = Predictor(folder, threads=1)
    limit = predictor.info["limits"]["max_tokens"]
    source = pad([[*ids[: limit - 1], EOS] for ids in predictor.tokenizer.encode(table["source"].tolist())])
    target = pad([[BOS, *ids[:limit]] for ids in predictor.tokenizer.encode(table["target"].tolist(), "target")])
    model.eval()
    with torch.no_grad():
        memory, first = model.encode(torch.from_numpy(source))
        start = None if "key" in first else first  # a Transformer takes all steps at once only without a cache
        hidden, attention, _ = model.decode(torch.from_numpy(target), memory, start)
        log_probs = torch.log_softmax(model.project(hidden), -1).numpy()
    seen, cache = predictor.encode(source)
    worst = {"log_probs": 0.0, "attention": 0.0}
    for t in range(target.shape[1]):
        scores, weights, cache = predictor.step(target[:, t : t + 1], seen, cache)
        worst["log_probs"] = max(worst["log_probs"], float(np.abs(scores - log_probs[:, t]).max()))
        worst["attention"] = max(worst["attention"], float(np.abs(weights - attention[:, t].numpy()).max()))
    return worst


class _Encoder(nn.Module):
    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        memory, cache = self.model.encode(source)
        initial = () if "key" in cache else tuple(cache.values())  # an empty cache needs no output
        return (*memory.values(), *initial)


class _Step(nn.Module):
    axes: ClassVar[dict[str, dict[int, str]]]

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        # Their own, transposed: a weight shared with an embedding look-up cannot be quantized as a MatMul's.
        *narrow, projection = model.target_embedding.matrices()
        self.register_buffer("narrow", narrow[0] if narrow else None)
        self.register_buffer("projection", projection)

    def advance(self, tokens: Tensor, memory: dict[str, Tensor], cache: dict[str, Tensor]) -> tuple[Tensor, ...]:
        hidden, attention, present = self.model.decode(tokens, memory, cache)
        last = hidden[:, 0] if self.narrow is None else hidden[:, 0] @ self.narrow
        log_probs = torch.log_softmax(last @ self.projection, -1)
        return (log_probs, attention[:, 0], *present.values())


class _TransformerStep(_Step):
    axes: ClassVar = {
        "mask": {0: "batch", 1: "source_length"},
        "memory_key": {0: "batch", 2: "source_length"},
        "memory_value": {0: "batch", 2: "source_length"},
        "past_key": {0: "batch", 2: "past_length"},
        "past_value": {0: "batch", 2: "past_length"},
    }

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor,
        memory_key: Tensor,
        memory_value: Tensor,
        past_key: Tensor,
        past_value: Tensor,
    ) -> tuple[Tensor, ...]:
        memory = {"mask": mask, "memory_key": memory_key, "memory_value": memory_value}
        return self.advance(tokens, memory, {"key": past_key, "value": past_value})


class _SSRUStep(_Step):
    axes: ClassVar = {name: _TransformerStep.axes[name] for name in ("mask", "memory_key", "memory_value")}

    def forward(
        self, tokens: Tensor, mask: Tensor, memory_key: Tensor, memory_value: Tensor, past_state: Tensor
    ) -> tuple[Tensor, ...]:
        memory = {"mask": mask, "memory_key": memory_key, "memory_value": memory_value}
        return self.advance(tokens, memory, {"state": past_state})


class _RecurrentStep(_Step):
    axes: ClassVar = {"mask": {0: "batch", 1: "source_length"}, "memory": {0: "batch", 1: "source_length"}}

    def forward(self, tokens: Tensor, mask: Tensor, memory: Tensor, past_hidden: Tensor) -> tuple[Tensor, ...]:
        return self.advance(tokens, {"mask": mask, "memory": memory}, {"hidden": past_hidden})


STEPS: dict[tuple[str, ...], type[_Step]] = {
    ("key", "value"): _TransformerStep,
    ("state",): _SSRUStep,
    ("hidden",): _RecurrentStep,
}
"""By what a network's cache holds."""


def _source_axes() -> dict[int, str]:
    return {0: "batch", 1: "source_length"}


def _encoder_outputs(model: Any) -> list[str]:
    initial = [] if "key" in model.CACHE else [f"initial_{name}" for name in model.CACHE]
    return [*model.MEMORY, *initial]
