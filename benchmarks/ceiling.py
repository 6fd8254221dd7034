"""What another runtime makes of the graphs that ship: `python -m benchmarks.ceiling models/TASK/VARIANT/PRECISION ...`.

Of each model folder on images with one graph, at batch 1 and 8 on one thread, in the same rounds (`evaluation.timing`),
how many times as fast as ONNX Runtime with free shapes, as it ships:

fixed       ONNX Runtime, told which batch and size come (free dimension overrides of a session)
OpenVINO    Intel's runtime for CPUs, as far as that is installed (`pip install openvino==2026.4.1`; it is in no lock)

and whether their outputs agree.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.clones import machine
from core import paths
from core.files import read_json
from core.onnx_session import session
from evaluation import timing
from modalities.images.inputs.decode import coloured, decode, fit
from modalities.images.predict.pictures import inputs, network_input

BATCHES, ROUNDS, PATIENCE_S, SEED = (1, 8), 200, 5.0, 7
Run = Callable[[NDArray[np.float32]], list[NDArray[Any]]]
"""Pixels (B, C, H, W) -> the graph's outputs."""


def shipped(graph: Path) -> Run:
    opened = session(graph, threads=1)
    return lambda pixels: list(opened.run(None, {"images": pixels}))


def fixed(graph: Path, shape: tuple[int, ...]) -> Run:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    (given,) = session(graph, threads=1).get_inputs()
    for name, size in zip(given.shape, shape, strict=True):
        if isinstance(name, str):
            options.add_free_dimension_override_by_name(name, size)
    opened = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return lambda pixels: list(opened.run(None, {"images": pixels}))


def openvino(graph: Path, shape: tuple[int, ...]) -> Run:
    import openvino as ov  # noqa: PLC0415 - perhaps it is not installed

    core = ov.Core()
    model = core.read_model(graph)
    model.reshape({"images": list(shape)})
    compiled = core.compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    )
    request = compiled.create_infer_request()

    def run(pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        found = request.infer({"images": pixels})
        return [np.array(found[output]) for output in compiled.outputs]

    return run


def compared(folder: Path, batch: int) -> dict[str, str]:
    """Way to run -> its speed against what ships, and the largest difference of its outputs."""
    described, task = read_json(folder / "model.json"), folder.resolve().parts[-3]
    if len(described["graphs"]) != 1 or "images" not in described["inputs"]:
        sys.exit(f"{folder} holds no single graph of images; give model folders of a task on images")
    (name,) = described["graphs"]
    height, width = described["image_size"]
    colour = "grey" if described["inputs"]["images"]["shape"][1] == 1 else "rgb"
    pictures = [decode(path) for path in inputs(paths.clean(task), "val")[:batch]]
    pixels = network_input([coloured(fit(picture, (height, width))[0], colour) for picture in pictures])
    runs = {"as it ships": shipped(folder / name), "fixed": fixed(folder / name, pixels.shape)}
    if importlib.util.find_spec("openvino"):
        runs["OpenVINO"] = openvino(folder / name, pixels.shape)
    wanted = runs["as it ships"](pixels)

    def timed(run: Run) -> Callable[[int], float]:
        def call(number: int) -> float:
            start = time.perf_counter()
            run(pixels)
            return time.perf_counter() - start

        return call

    seconds = timing.interleave({way: timed(run) for way, run in runs.items()}, ROUNDS, PATIENCE_S, SEED)
    found = {"as it ships": f"{1000 * np.median(seconds['as it ships']):.2f} ms"}
    for way in list(runs)[1:]:
        ratio = timing.ratio(seconds["as it ships"], seconds[way])
        found[way] = f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}], {difference(wanted, runs[way](pixels))}"
    return found


def difference(wanted: list[NDArray[Any]], found: list[NDArray[Any]]) -> str:
    """Between outputs, in words."""
    if [each.shape for each in wanted] != [each.shape for each in found]:
        return "outputs of other shapes"
    worst = max(float(np.abs(one.astype(float) - two).max(initial=0)) for one, two in zip(wanted, found, strict=True))
    return f"outputs differ by {worst:.1e} at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="models/TASK/VARIANT/PRECISION")
    folders = parser.parse_args().folders
    print(machine())
    if not importlib.util.find_spec("openvino"):
        print("OpenVINO is not installed and left out: pip install openvino==2026.4.1")
    for folder in folders:
        for batch in BATCHES:
            told = "; ".join(f"{way} {figure}" for way, figure in compared(folder, batch).items())
            print(f"{folder}, batch {batch}: {told}", flush=True)


if __name__ == "__main__":
    main()
