"""One task's sample, pruned in every way at several shares, in a clone of this commit."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clones import clone, do, machine, told

MEASURED = Path(__file__).parent / "measured"
CHANNELS = (0.3, 0.5, 0.7)
WEIGHTS = (0.5, 0.75, 0.9, 0.94)
WAYS: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "magnitude": ({"importance": "magnitude"}, CHANNELS),
    "taylor": ({"importance": "taylor"}, CHANNELS),
    "bn_scale": ({"importance": "bn_scale"}, CHANNELS),
    "measured": ({"importance": "taylor", "allocation": "measured"}, CHANNELS),
    "weights": ({"importance": "magnitude", "pattern": "weights", "scaling": "none"}, WEIGHTS),
    "relative": ({"importance": "magnitude", "pattern": "weights", "scaling": "layer"}, WEIGHTS),
    "groups": ({"importance": "magnitude", "pattern": "2:4"}, (0.5,)),
}
"""Names of methods -> settings of `prune.<name>`, and the shares that are tried."""
WITHOUT = {"translation": ("bn_scale",)}
"""What a task cannot: there is no BatchNorm."""
KEPT = (
    "variant",
    "quality",
    "interval",
    "test",
    "test_interval",
    "size_mb",
    "speed",
    "speed_8",
    "parameters",
    "macs",
    "zeros",
)


def run(task: str, folder: Path) -> Path:
    """Prune the sample of `task` in a clone at `folder` and write `measured/<task>.json`; returns that file.

    Raises: FileExistsError when there is something at `folder`.
    """
    clone(folder)
    path = folder / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(asked(values, task), sort_keys=False), encoding="utf-8")
    do(sys.executable, "-m", "pipelines.repro", f"compare@{task}", cwd=folder)
    return read(task, folder)


def asked(values: dict[str, Any], task: str) -> dict[str, Any]:
    """`params.yaml` with this task alone, in fp32, and a pruned variant for every method and share."""
    (settings,) = values[task]["prune"].values()
    changed = {name: settings | own | {"ratio": share} for name, (own, share) in variants(task).items()}
    section = {key: value for key, value in values[task].items() if key != "search"}
    section |= {"precisions": ["fp32"], "prune": changed, "distill": {}}
    made: dict[str, Any] = json.loads(json.dumps(values | {"tasks": [task], task: section}))  # no anchors of YAML
    return made


def variants(task: str) -> dict[str, tuple[dict[str, Any], float]]:
    """Name of each variant -> its settings and its share."""
    ways = {way: found for way, found in WAYS.items() if way not in WITHOUT.get(task, ())}
    return {f"{way}_{round(100 * share)}": (own, share) for way, (own, shares) in ways.items() for share in shares}


def read(task: str, folder: Path) -> Path:
    """Take the figures that a finished run left in the checkout `folder`. Returns: `measured/<task>.json`."""
    comparison = json.loads((folder / "reports" / task / "comparison.json").read_text(encoding="utf-8"))
    rows = [{key: row[key] for key in KEPT} | {"packed_mb": packed(folder, task, row)} for row in comparison["rows"]]
    keys = ("title", "better", "val_inputs", "test_inputs")
    found = {
        "commit": told("git", "rev-parse", "HEAD", cwd=folder),
        "machine": machine(),
        **{key: comparison[key] for key in keys},
        "rows": rows,
    }
    MEASURED.mkdir(exist_ok=True)
    path = MEASURED / f"{task}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def packed(folder: Path, task: str, row: dict[str, Any]) -> float:
    """Megabytes of a candidate's graphs after gzip."""
    graphs = sorted((folder / "models" / task / row["variant"] / row["precision"]).glob("*.onnx"))
    return sum(len(gzip.compress(graph.read_bytes(), mtime=0)) for graph in graphs) / 1e6
