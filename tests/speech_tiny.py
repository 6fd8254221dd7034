"""A tiny canonical dataset of tones, and settings of a tiny network, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import params
from tasks.speech.params import Params

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
RATE = 8000


def settings(**changes: Any) -> Params:
    """Those of params.yaml, of a tiny network; changes: sections, of which these keys differ."""
    values = params.read(PARAMS)["speech"]
    body = {"arch": "crnn", "convolutions": [8], "units": [8], "width": 8, "bidirectional": True}
    tiny: dict[str, Any] = {"model": {"body": body, "dropout": 0.0}, "data": {"sample": {"clips": 60, "keys": 2}}}
    for section, keys in [*tiny.items(), *changes.items()]:
        values[section] = keys and values[section] | keys
    return Params.model_validate(values)


def tone(seconds: float = 0.2, hertz: float = 440.0, rate: int = RATE) -> NDArray[np.float32]:
    """(T,): half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def dataset(folder: Path, target: str = "transcript") -> tuple[Path, Params]:
    """A clean canonical dataset of the embedded sample, and its settings."""
    from modalities.audio.checks import recordings
    from tasks.speech import prepare

    made = settings(data={"target": target, "sample": {"clips": 60, "keys": 2}})
    for name in ("raw", "prepared"):
        (folder / name).mkdir(parents=True)
    prepare.sample(folder / "raw", made, 7)
    prepare.prepare(folder / "raw", folder / "prepared", made, 7)
    recordings.clean(folder / "prepared", {}, folder / "clean", made)
    return folder / "clean", made


def export(folder: Path, clean: Path, made: Params) -> None:
    """The fp32 model folder of a network that has learnt a little."""
    import torch

    from modalities.audio import data, graphs
    from stages.export import write_graph
    from tasks.speech import model

    torch.manual_seed(1)
    loaders = data.loaders(clean, clean, made, 7, None)
    network = model.build(model.architecture(made, loaders.assets))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
    for _ in range(15):
        for batch in loaders.train:
            model.loss(network, batch, made)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    folder.mkdir(parents=True)
    for graph in graphs.graphs(network.eval(), network.arch, made):
        write_graph(graph, folder / f"{graph.name}.onnx", 18)
    graphs.describe(folder, network.arch, loaders.assets, made)
