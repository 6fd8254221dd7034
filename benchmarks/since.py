"""How many times as fast as the base was at an earlier commit: `python -m benchmarks.since COMMIT PRESET CHECKOUT`.

The weights of the base in CHECKOUT, where `make repro` of the preset has ended, are exported by the code of COMMIT in a
worktree of its own, and its graph is timed against every model folder of CHECKOUT, one thread, batch 1 and 8, all of
them in the same rounds (`evaluation.timing`). Of a task on images with one graph, whose network had the same weights.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from benchmarks.ceiling import BATCHES, PATIENCE_S, ROUNDS, SEED, Run, shipped
from benchmarks.clones import ROOT, do, machine, told
from evaluation import timing
from modalities.images.inputs.decode import decode, fit
from modalities.images.predict.pictures import inputs, network_input

EXPORT = """
import sys
from pathlib import Path
from core import checkpoint, params, task
from stages.export import write_graph
name, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
saved, settings = checkpoint.load(folder), params.load()[1][name]
role, graphs = task.load(name, "model"), task.load(name, "graphs")
arch = role.architecture(settings, saved.assets)
network = role.build(arch)
network.load_state_dict(saved.weights)
for graph in graphs.graphs(network.eval(), arch, settings):
    write_graph(graph, out / f"{graph.name}.onnx", settings.export.opset)
"""
"""Run in a worktree, by the code there."""


def exported(commit: str, preset: str, task: str, checkout: Path, out: Path) -> Path:
    """The graph of the base as `commit` exported it."""
    with tempfile.TemporaryDirectory() as aside:
        place = Path(aside) / "then"
        do("git", "worktree", "add", "--quiet", "--detach", str(place), commit, cwd=ROOT)
        try:
            do(sys.executable, "-m", "pipelines.preset", preset, cwd=place)
            weights = checkout.resolve() / "models" / task / "base" / "checkpoint"
            do(sys.executable, "-c", EXPORT, task, str(weights), str(out), cwd=place)
        finally:
            do("git", "worktree", "remove", "--force", str(place), cwd=ROOT)
    (graph,) = out.glob("*.onnx")
    return graph


def timed(run: Run, batches: list[np.ndarray]) -> Callable[[int], float]:
    def call(number: int) -> float:
        pixels = batches[number % len(batches)]
        start = time.perf_counter()
        run(pixels)
        return time.perf_counter() - start

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("preset")
    parser.add_argument("checkout", type=Path)
    given = parser.parse_args()
    (task,) = yaml.safe_load((ROOT / "presets" / f"{given.preset}.yaml").read_text(encoding="utf-8"))["tasks"]
    folders = sorted(path.parent for path in (given.checkout / "models" / task).glob("*/*/model.json"))
    with tempfile.TemporaryDirectory() as out:
        runs = {"then": shipped(exported(given.commit, given.preset, task, given.checkout, Path(out)))}
        for folder in folders:
            (graph,) = folder.glob("*.onnx")
            runs[f"{folder.parent.name} {folder.name}"] = shipped(graph)
        height, width = yaml.safe_load((given.checkout / "params.yaml").read_text("utf-8"))[task]["model"]["image_size"]
        paths = inputs(given.checkout / "data" / task / "validated" / "dataset", "val")
        pictures = [fit(decode(path), (height, width))[0] for path in paths]
        print(machine(), "at", told("git", "rev-parse", "--short", "HEAD", cwd=ROOT))
        for batch in BATCHES:
            firsts = range(0, len(pictures) - batch + 1, batch)
            batches = [network_input(pictures[first : first + batch]) for first in firsts]
            calls = {name: timed(run, batches) for name, run in runs.items()}
            seconds = timing.interleave(calls, ROUNDS, PATIENCE_S, SEED)
            print(f"batch {batch}: then {1000 * np.median(seconds['then']):.2f} ms")
            for name in list(runs)[1:]:
                ratio = timing.ratio(seconds["then"], seconds[name])
                print(f"  {name}: {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] times as fast", flush=True)


if __name__ == "__main__":
    main()
