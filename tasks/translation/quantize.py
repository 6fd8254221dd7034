"""fp32 model folder -> int8 or fp16 model folder of the same form; without torch.

Reads `encoder.onnx` and `step.onnx` of the source folder, and train sentences for static calibration. int8 makes the
matrix products integer ones, also the output projection, and keeps embeddings as integers; fp16 computes in half
precision with float32 inputs and outputs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from compression.graphs import calibration, quantization
from compression.graphs.sensitivity import Floats
from modalities.text.inputs import languages, tokenizer
from modalities.text.inputs.tokenizer import EOS
from modalities.text.predict.network import pad
from modalities.text.predict.search import Arrays, search
from tasks.translation.predict import Predictor

GRAPHS = ("encoder", "step")
BESIDE = ("model.json", tokenizer.ASSET, languages.ASSET)
"""What the predictor needs beside the graphs; parity and checksums are of the fp32 graphs only."""
CALIBRATED_TOKENS = 12
"""Steps of each calibration batch: the cache grows as it does in use."""
CALIBRATION_BATCH = 16


def quantize(
    source: Path,
    folder: Path,
    precision: str,
    dataset: Path,
    params: Any,
    seed: int,
    floats: Floats | None = None,
    ranges: Path | None = None,
) -> dict[str, Any]:
    """See `core.task.Quantize`."""
    settings = params.quantize
    for name in BESIDE:
        shutil.copyfile(source / name, folder / name)
    calibrated = None
    if precision == "int8" and settings.mode == "static":
        calibrated = _calibration(source, dataset, settings.calibration, seed)
    for name in GRAPHS:
        graph, target = source / f"{name}.onnx", folder / f"{name}.onnx"
        if precision == "fp16":
            quantization.products_fp16(graph, target)
        else:
            scales: Any = settings.decoder_scales if name == "step" else "column"
            feeds = calibrated[name] if calibrated else None
            kept = (floats or {}).get(graph.name, ())
            quantization.products_int8(graph, target, feeds, scales, settings.weight_bits, kept, ranges)
    return {"how": "half precision" if precision == "fp16" else f"{settings.mode} int8"}


def feeds(source: Path, dataset: Path, params: Any, seed: int) -> dict[str, list[calibration.Feed]]:
    """See `core.task.Quantize`."""
    return {f"{name}.onnx": fed for name, fed in _calibration(source, dataset, CALIBRATION_BATCH, seed).items()}


def others(dataset: Path, params: Any) -> dict[str, Any]:
    """See `core.task.Quantize`: scales of their own for the columns of the decoder's weights, and for each input."""
    settings, changed = params.quantize, {}
    if settings.decoder_scales != "column":
        settings = settings.model_copy(update={"decoder_scales": "column"})
        changed["a scale for each column of the decoder's weights"] = settings
    if settings.mode == "static":
        changed["scales of activations found at run time"] = settings.model_copy(update={"mode": "dynamic"})
    return {told: params.model_copy(update={"quantize": each}) for told, each in changed.items()}


def _calibration(source: Path, dataset: Path, sentences: int, seed: int) -> dict[str, list[Arrays]]:
    """What each graph is fed while the fp32 model translates train sentences."""
    predictor = Predictor(source, beam=1)
    texts = pd.read_parquet(dataset / "train.parquet")["source"].sample(frac=1, random_state=seed).tolist()[:sentences]
    limit = predictor.info["limits"]["max_tokens"]
    encoded = [[*ids[: limit - 1], EOS] for ids in predictor.tokenizer.encode(texts)]
    feeds: dict[str, list[Arrays]] = {name: [] for name in GRAPHS}

    def step(state: Arrays, memory: Arrays, cache: Arrays) -> Any:
        feeds["step"].append({name: x.copy() for name, x in predictor.fed(state, memory, cache).items()})
        return predictor.step(state, memory, cache)

    for start in range(0, len(encoded), CALIBRATION_BATCH):
        batch = pad(encoded[start : start + CALIBRATION_BATCH])
        feeds["encoder"].append({"source": batch})
        memory, cache = predictor.encode(batch)
        search(step, memory, cache, predictor.vocabulary, beam=1, penalty=0.0, limit=CALIBRATED_TOKENS)
    return feeds
