"""A translator as two ONNX graphs: `encoder`, and `step`, one subword further with a cache (`modalities.text.export`).

Writes `model.json`, `tokenizer.model` and `languages.json` into a model folder; `tasks.translation.predict` says what
is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from core.files import write_json
from core.onnx_session import session
from core.task import Graph
from modalities.text.export.step import AXES, RecurrentEncoder, RecurrentStep, Step
from modalities.text.export.transformer import TransformerEncoder, TransformerStep
from modalities.text.inputs import languages
from modalities.text.inputs.tokenizer import BOS, EOS
from modalities.text.predict.network import pad
from tasks.translation.predict import FORMAT, Predictor

EXAMPLE = {"batch": 2, "source_length": 5, "beam": 3, "past_beam": 4, "past": 7}
"""Sizes of the free axes; all differ, so that none is taken for another."""


def graphs(model: nn.Module, arch: dict[str, Any], params: Any) -> list[Graph]:
    """See `core.task.Graphs`."""
    encoder, step, initial = _modules(model)
    given, axes = _inputs(model, arch, step)
    source = torch.full((EXAMPLE["batch"], EXAMPLE["source_length"]), EOS)
    outputs = [*step.memory, *(f"initial_{name}" for name in initial)]
    return [
        Graph("encoder", encoder, {"source": source}, outputs, {"source": {0: "batch", 1: "source_length"}}),
        Graph("step", step, given, step.outputs, axes),
    ]


def _modules(model: Any) -> tuple[nn.Module, Step, list[str]]:
    """Encoder, step, and which parts of the cache the encoder begins; the others begin empty."""
    model.eval()
    if "key" in model.CACHE:
        return TransformerEncoder(model).eval(), TransformerStep(model).eval(), []
    step = RecurrentStep(model).eval()
    return RecurrentEncoder(model).eval(), step, step.cache


def _inputs(model: Any, arch: dict[str, Any], step: Step) -> tuple[dict[str, Tensor], dict[str, dict[int, str]]]:
    """Examples of what a step reads, and their free axes."""
    n, s, q, before, p = EXAMPLE.values()
    examples = {
        "tokens": torch.full((n, q), EOS),
        "origin": torch.zeros(n, q, dtype=torch.int64),
        "seen": torch.ones(n, q, p + q, dtype=torch.int32),
        "position": torch.tensor([2]),
        "scores": torch.zeros(n, q, 1),
        "banned": torch.zeros(arch["vocabulary"]),
        "count": torch.tensor([2 * q]),
    }
    axes = {name: dict(free) for name, free in AXES.items()}
    if "key" in model.CACHE:
        examples["real"], axes["real"] = torch.ones(n, s, dtype=torch.int32), {0: "batch", 1: "source_length"}
        for i, layer in enumerate(arch["decoder"]):
            for part in ("key", "value"):
                memory, past = f"memory_{part}_{i}", f"past_{part}_{i}"
                examples[memory] = torch.zeros(n, layer["cross_heads"], s, arch["head_width"])
                examples[past] = torch.zeros(n, layer["heads"], p, arch["head_width"])
                axes[memory], axes[past] = {0: "batch", 2: "source_length"}, {0: "batch", 2: "past"}
    else:
        with torch.no_grad():
            (memory, cache), (longer, _) = (model.encode(torch.full((n, length), EOS)) for length in (s, s + 1))
        for name, x in memory.items():
            grown = [axis for axis in range(1, x.ndim) if x.shape[axis] != longer[name].shape[axis]]
            examples[name], axes[name] = x, {0: "batch", **dict.fromkeys(grown, "source_length")}
        for name, x in cache.items():
            examples[f"past_{name}"] = x[:, None].expand(-1, before, *x.shape[1:]).contiguous()
            axes[f"past_{name}"] = {0: "batch", 1: "past_beam"}
    return {name: examples[name] for name in step.inputs}, {name: axes[name] for name in step.inputs}


def describe(folder: Path, arch: dict[str, Any], assets: dict[str, bytes], params: Any) -> None:
    """Write what `Predictor` needs beside the graphs."""
    for name, content in assets.items():
        (folder / name).write_bytes(content)
    pair = languages.parse(assets[languages.ASSET])
    decode = params.export.decode
    sessions = {name: session(folder / f"{name}.onnx", threads=1) for name in ("encoder", "step")}
    read = [given.name for given in sessions["step"].get_inputs()]
    write_json(
        folder / "model.json",
        {
            "task": "translation",
            "format": FORMAT,
            "graphs": list(sessions),
            "inputs": {name: tensors(opened.get_inputs()) for name, opened in sessions.items()},
            "outputs": {name: tensors(opened.get_outputs()) for name, opened in sessions.items()},
            "languages": {"source": pair.source, "target": pair.target, "tokenized": pair.tokenized},
            "memory": [output.name for output in sessions["encoder"].get_outputs() if output.name in read],
            "cache": [name.removeprefix("past_") for name in read if name.startswith("past_")],
            "decode": {
                "beam": decode.beam,
                "length_penalty": decode.length_penalty,
                "coverage_penalty": decode.coverage_penalty,
                "max_tokens": min(decode.max_tokens, arch["max_tokens"]),  # position encodings end there
            },
            "limits": {"max_tokens": arch["max_tokens"]},
        },
    )


def tensors(nodes: Sequence[Any]) -> dict[str, Any]:
    """Name -> `dtype` and `shape` (free axes by name) of a session's inputs or outputs."""
    kinds = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32"}
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
    memory, cache = predictor.encode(source)
    every = predictor.vocabulary
    state: dict[str, Any] = {
        "origin": np.zeros((len(target), 1), np.int64),
        "scores": np.zeros((len(target), 1, 1), np.float32),
        "banned": np.zeros(every, np.float32),
        "count": np.array([every]),  # the best of all are all
    }
    worst = {"log_probs": 0.0, "attention": 0.0}
    for t in range(target.shape[1]):
        seen = np.ones((len(target), 1, t + 1), np.int32)
        state |= {"tokens": target[:, t : t + 1], "seen": seen, "position": np.array([t])}
        values, index, scores, cache = predictor.step(state, memory, cache, attention=True)
        assert scores is not None
        given = np.take_along_axis(log_probs[:, t], index, axis=1)
        weights = predictor.weights(scores)[:, 0]
        worst["log_probs"] = max(worst["log_probs"], float(np.abs(values - given).max()))
        worst["attention"] = max(worst["attention"], float(np.abs(weights - attention[:, t].numpy()).max()))
    return worst
