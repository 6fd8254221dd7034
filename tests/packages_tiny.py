"""Small packages of models that know their toy task: a detector, a translator, a classifier, a listener and one that
forecasts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import classification_tiny
import detection_tiny
import once
import series_tiny
import speech_tiny
import translation_tiny

from core import onnx_session, task
from core.files import write_json, write_text
from ops import drift, passport
from ops.passport import graph as stamped

MADE_OF = (
    "tests/*_tiny.py",
    "params.yaml",
    "requirements/*.lock",
    *(f"{name}/**/*.py" for name in ("core", "ops", "modalities", "compression", "tasks", "stages", "training")),
)
"""What the packages are made of: all that is imported here, and what it reads."""
CARD = "<!doctype html><html lang=en><title>{name}</title><h1>{name}</h1><p>A toy.</p></html>"


def kept(make: Callable[[Path], Path]) -> Path:
    """The package of one of the functions below, from the user's cache; not to be changed. To train and export all
    takes 25 seconds of a core, so what one run has made serves the others until code, params or libraries change.
    """
    name = make.__name__
    return once.in_all_runs(f"package-{name}", MADE_OF, make) / name


@contextmanager
def one_thread() -> Iterator[None]:
    """Networks this small are learnt no faster by several, which wait for each other where the machine is busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def detection(folder: Path) -> Path:
    """A package in `folder`, from real training and export."""
    import torch

    from stages.export import write_graph
    from tasks.detection import data, graphs, model

    still = {
        "scale": [1.0, 1.0],
        "shift": 0.0,
        "aspect": 0.0,
        "colour": 0.0,
        "flip_horizontal": 0.0,
        "flip_vertical": 0.0,
    }
    train = {"freeze_blocks": 5, "jitter": still}
    params = detection_tiny.settings(model={"weights": "packaged", "width": 16}, train=train)
    dataset = detection_tiny.squares(folder / "data")
    torch.manual_seed(1)
    loaders = data.loaders(dataset, dataset, params, 7, None)
    arch = model.architecture(params, loaders.assets)
    net = model.build(arch, initial=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(16):
        for batch in loaders.train:
            model.loss(net, batch, params)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    made = folder / "detection" / "model"
    made.mkdir(parents=True)
    for graph in graphs.graphs(net.eval(), arch, params):
        write_graph(graph, made / f"{graph.name}.onnx", 18)
    graphs.describe(made, arch, loaders.assets, params)
    return package(folder / "detection", "detection", dataset)


@one_thread()
def translation(folder: Path) -> Path:
    """Likewise; English to Japanese."""
    params = translation_tiny.settings(model={"width": 64, "feed_forward": 128}, train={"lr": 0.003})
    dataset = translation_tiny.dataset(folder / "pairs")
    net, arch, loaders = translation_tiny.trained(dataset, params, epochs=16)
    (folder / "translation").mkdir()
    translation_tiny.export(folder / "translation" / "model", net, arch, loaders.assets, params)
    return package(folder / "translation", "translation", dataset)


@one_thread()
def classification(folder: Path) -> Path:
    """Likewise; which edge of a picture is bright."""
    params = classification_tiny.settings()
    dataset = classification_tiny.edges(folder / "edges")
    net, _ = classification_tiny.trained(dataset, params)
    classification_tiny.export(folder / "classification" / "model", net, params)
    return package(folder / "classification", "classification", dataset)


@one_thread()
def speech(folder: Path) -> Path:
    """Likewise; which keys of a telephone are pressed."""
    dataset, params = speech_tiny.dataset(folder / "keys")
    speech_tiny.export(folder / "speech" / "model", dataset, params)
    return package(folder / "speech", "speech", dataset)


@one_thread()
def series(folder: Path) -> Path:
    """Likewise; a wave of six hours."""
    import torch

    from modalities.series import data
    from tasks.series import model

    params = series_tiny.settings(model={"arch": "linear"}, prune=None)
    dataset = series_tiny.seasons(folder / "waves")
    torch.manual_seed(1)
    loaders = data.loaders(dataset, dataset, params, 7, None)
    network = model.build(model.architecture(params, loaders.assets))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(10):
        for batch in loaders.train:
            model.loss(network, batch, params)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    series_tiny.export(folder / "series" / "model", network.eval(), loaders.assets, params)
    return package(folder / "series", "series", dataset)


def package(folder: Path, name: str, dataset: Path) -> Path:
    """Golden samples, statistics, card and passport around `folder/model`."""
    predict, role = task.load(name, "predict"), task.load(name, "serve")
    onnx_session.seal(folder / "model")
    inputs = predict.inputs(dataset, "val", 3)
    (folder / "golden").mkdir()
    samples: list[dict[str, Any]] = []
    for i, (value, output) in enumerate(zip(inputs, predict.Predictor(folder / "model")(inputs), strict=True)):
        if isinstance(value, Path):
            (folder / "golden" / f"{i}{value.suffix}").write_bytes(value.read_bytes())
        key = {"file": f"{i}{value.suffix}"} if isinstance(value, Path) else {"input": value}
        samples.append({**key, "output": output})
    write_json(folder / "golden" / "samples.json", samples)
    rows = [role.features(role.item(value)) for value in predict.inputs(dataset, "train")]
    write_json(folder / drift.NAME, drift.statistics(rows))
    write_text(folder / "MODEL_CARD.html", CARD.format(name=name))
    reseal(folder)
    return folder


def reseal(folder: Path, code: str = "2" * 40) -> None:
    """A passport over what is in `folder` now: another `code` is another version of an equal model."""
    _bare(folder / "model")
    links = passport.chained({"data": {"prepared": "1" * 32}, "code": code, "evaluation": {"val": {"score": 0.5}}})
    passport.stamp(folder / "model", links)
    onnx_session.seal(folder / "model")
    passport.seal(folder, links)


def _bare(model: Path) -> None:
    """Take off the passports that graphs carry already."""
    for path in model.glob("*.onnx"):
        if stamped.KEY.encode() in path.read_bytes():
            found = stamped.read(path)
            path.write_bytes(found.content[: found.own["size"]])


def tampered(folder: Path) -> None:
    """Golden samples that the model does not predict, in a package whose passport holds."""
    path = folder / "golden" / "samples.json"
    samples = json.loads(path.read_text(encoding="utf-8"))
    for sample in samples:
        if isinstance(sample["output"], str):
            sample["output"] = "まったく違う文です。"
        else:
            sample["output"] = [{"box": [0, 0, 3, 3], "score": 0.99, "label": "square", "category_id": 1}]
    write_json(path, samples)
    reseal(folder)
