"""fp32 model folder -> int8 or fp16 model folder of the same form; without torch.

Reads `encoder.onnx` and `step.onnx` of the source folder, train sentences for static calibration and validation
sentences for the check that quality has not collapsed. int8 makes the matrix products integer ones, also the output
projection; fp16 computes in half precision with float32 inputs and outputs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd

from core.errors import ModelError
from modalities.text.inputs import languages, tokenizer
from modalities.text.inputs.tokenizer import EOS
from modalities.text.predict.search import Arrays, search
from tasks.translation.predict import Predictor, pad
from tasks.translation.score import bleu

GRAPHS = ("encoder", "step")
BESIDE = ("model.json", tokenizer.ASSET, languages.ASSET)
"""What the predictor needs beside the graphs; parity and checksums are of the fp32 graphs only."""
CHECKED = 200
"""Validation sentences of the collapse check."""
CALIBRATED_TOKENS = 12
"""Steps of each calibration batch: the cache grows as it does in use."""
CALIBRATION_BATCH = 16


def quantize(source: Path, folder: Path, precision: str, dataset: Path, params: Any, seed: int) -> dict[str, Any]:
    """See `core.task.Quantize`. Raises: ModelError when BLEU on the validation split falls by more than
    `quantize.max_loss`."""
    settings = params.quantize
    for name in BESIDE:
        shutil.copyfile(source / name, folder / name)
    if precision == "fp16":
        for name in GRAPHS:
            _half(source / f"{name}.onnx", folder / f"{name}.onnx")
    elif settings.mode == "dynamic":
        for name in GRAPHS:
            _dynamic(source / f"{name}.onnx", folder / f"{name}.onnx")
    else:
        _static(source, folder, dataset, settings.calibration, seed)
    before, after = (_validation_bleu(path, dataset) for path in (source, folder))
    if before - after > settings.max_loss:
        raise ModelError(
            f"{precision} has collapsed: BLEU on the validation split is {after:.2f}, with fp32 it is {before:.2f}; "
            f"translation.quantize.max_loss allows a loss of {settings.max_loss}. Try the other `mode`, more "
            f"`calibration`, or take {precision} out of `quantized`"
        )
    return {"bleu_fp32": before, f"bleu_{precision}": after, "mode": "half" if precision == "fp16" else settings.mode}


def _dynamic(source: Path, target: Path) -> None:
    """Weights int8 for each column, activations uint8 with a scale found at run time."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        _bare(source),
        target,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options=_CONST,
    )
    _stamp(target)


_CONST = {"MatMulConstBOnly": True}
"""Products of two activations (attention scores) stay in float: their scales differ from sentence to sentence."""


def _static(source: Path, folder: Path, dataset: Path, sentences: int, seed: int) -> None:
    """Activations with fixed scales, from train sentences decoded greedily."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self, feeds: list[Arrays]):
            self.feeds: Iterator[Arrays] = iter(feeds)

        def get_next(self) -> Arrays | None:
            return next(self.feeds, None)

    feeds = _calibration(source, dataset, sentences, seed)
    for name in GRAPHS:
        quantize_static(
            _bare(source / f"{name}.onnx"),
            folder / f"{name}.onnx",
            Reader(feeds[name]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options=_CONST,
        )
        _stamp(folder / f"{name}.onnx")


def _calibration(source: Path, dataset: Path, sentences: int, seed: int) -> dict[str, list[Arrays]]:
    """What each graph is fed while the fp32 model translates train sentences."""
    predictor = Predictor(source, beam=1)
    texts = pd.read_parquet(dataset / "train.parquet")["source"].sample(frac=1, random_state=seed).tolist()[:sentences]
    limit = predictor.info["limits"]["max_tokens"]
    encoded = [[*ids[: limit - 1], EOS] for ids in predictor.tokenizer.encode(texts)]
    feeds: dict[str, list[Arrays]] = {name: [] for name in GRAPHS}

    def step(tokens: np.ndarray, memory: Arrays, cache: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
        feeds["step"].append({"tokens": tokens, **memory, **cache})
        return predictor.step(tokens, memory, cache)

    for start in range(0, len(encoded), CALIBRATION_BATCH):
        batch = pad(encoded[start : start + CALIBRATION_BATCH])
        feeds["encoder"].append({"source": batch})
        search(step, *predictor.encode(batch), beam=1, penalty=0.0, limit=CALIBRATED_TOKENS)
    return feeds


def _half(source: Path, target: Path) -> None:
    """Weights and computation in fp16; inputs, outputs and the final log-softmax stay in float32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = convert_float_to_float16(
        _bare(source), keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, "LogSoftmax"]
    )
    onnx.save(model, target)
    _stamp(target)


def _bare(path: Path) -> onnx.ModelProto:
    """The graph without the exporter's notes on inner shapes, some of which hold for its example only."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    return model


def _stamp(path: Path) -> None:
    """The IR version that older runtimes and Triton read; tools write the newest they know."""
    model = onnx.load(path)
    model.ir_version = 10
    onnx.save(model, path)


def _validation_bleu(folder: Path, dataset: Path) -> float:
    table = pd.read_parquet(dataset / "val.parquet").head(CHECKED)
    predictions = Predictor(folder, beam=1)(table["source"].tolist())
    return bleu.quick(predictions, table["target"].tolist(), languages.read(folder))
