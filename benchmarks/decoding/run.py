"""One translator, ours and CTranslate2's, timed in turns on the sentences of `test`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clones import ROOT, machine, told
from benchmarks.decoding.ctranslate import convert
from core import checkpoint
from core.files import write_json
from evaluation import timing
from modalities.text.inputs.tokenizer import EOS
from tasks.translation.predict import Predictor, inputs

MEASURED = Path(__file__).parent / "measured"
VERSION = "4.8.5"
PRECISIONS = {"fp32": "float32", "int8": "int8"}
"""Ours -> CTranslate2's `compute_type`."""
BEAMS, SIZES = (1, 5), (1, 32)
SENTENCES = 320
"""Compared, and timed in batches one after the other."""
ROUNDS, PATIENCE_S, SEED = {1: 200, 32: 40}, 20.0, 7
Translate = Callable[[Sequence[str]], list[str]]


def run(name: str, folder: Path, data: Path | None = None) -> Path:
    """Measure, and write `measured/<name>.json`; returns its path. Raises: OSError where something is missing;
    ValueError for a network that CTranslate2 has not."""
    dataset = data or folder.resolve().parents[2] / "data" / "translation" / "validated" / "dataset"
    texts = inputs(dataset, "test", SENTENCES)
    rows = []
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        converted = Path(scratch) / "ctranslate2"
        convert(folder / "checkpoint", converted)
        for precision, beam in product(PRECISIONS, BEAMS):
            ours = Predictor(folder / precision, threads=1, beam=beam)
            rows += _rows(precision, beam, ours, _theirs(ours, converted, precision), texts)
    arch = checkpoint.load(folder / "checkpoint").arch
    found = {
        "commit": told("git", "rev-parse", "HEAD", cwd=ROOT),
        "machine": f"{machine()}, ctranslate2 {version('ctranslate2')}",
        "model": {
            "width": arch["width"],
            "encoder_layers": len(arch["encoder"]),
            "decoder_layers": len(arch["decoder"]),
            "vocabulary": arch["vocabulary"],
        },
        "sentences": len(texts),
        "rows": rows,
    }
    path = MEASURED / f"{name}.json"
    MEASURED.mkdir(exist_ok=True)
    write_json(path, found)
    return path


def _theirs(ours: Predictor, converted: Path, precision: str) -> Translate:
    """CTranslate2 with our subwords, beam, penalty and limit."""
    import ctranslate2  # noqa: PLC0415 - perhaps it is not installed

    translator = ctranslate2.Translator(
        str(converted), inter_threads=1, intra_threads=1, compute_type=PRECISIONS[precision]
    )
    coder, limit = ours.tokenizer, ours.info["limits"]["max_tokens"]
    pieces = coder.pieces(range(coder.size()))
    number = {piece: i for i, piece in enumerate(pieces)}

    def translate(texts: Sequence[str]) -> list[str]:
        sources = [[*(pieces[i] for i in ids[: limit - 1]), pieces[EOS]] for ids in coder.encode(texts)]
        found = translator.translate_batch(
            sources,
            beam_size=ours.decode["beam"],
            length_penalty=ours.decode["length_penalty"],
            max_decoding_length=ours.decode["max_tokens"],
            disable_unk=True,
        )
        return coder.decode([[number[piece] for piece in each.hypotheses[0]] for each in found])

    return translate


def _rows(precision: str, beam: int, ours: Predictor, theirs: Translate, texts: list[str]) -> list[dict[str, Any]]:
    equal = sum(one == other for one, other in zip(ours(texts), theirs(texts), strict=True))
    rows = []
    for size in SIZES:
        calls = {"CTranslate2": _timed(theirs, texts, size), "ours": _timed(ours, texts, size)}
        seconds = timing.interleave(calls, ROUNDS[size], PATIENCE_S, SEED)
        ratio = timing.ratio(seconds["CTranslate2"], seconds["ours"])
        rows.append(
            {
                "precision": precision,
                "beam": beam,
                "batch": size,
                "equal": equal,
                "rounds": len(seconds["ours"]),
                "sentences_s": {name: float(size / np.median(each)) for name, each in seconds.items()},
                "ratio": ratio.as_json(),
            }
        )
        print(
            f"{precision}, beam {beam}, batch {size}: {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]", flush=True
        )
    return rows


def _timed(translate: Translate, texts: list[str], size: int) -> timing.Call:
    """By the processor's time, of all threads: who else uses the machine costs both little, and a call that hands its
    work to a thread of its own, as CTranslate2's do, is not charged for waiting till that gets a turn."""

    def call(number: int) -> float:
        first = number * size % (len(texts) - size + 1)
        batch = texts[first : first + size]
        start = time.process_time()
        translate(batch)
        return time.process_time() - start

    return call
