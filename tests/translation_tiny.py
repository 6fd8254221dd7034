"""A tiny canonical dataset, tiny settings, and an exported model, for tests."""

from __future__ import annotations

import itertools
import json
import logging
import multiprocessing
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from core import params as params_module
from tasks.translation.params import Params

ROOT = Path(__file__).resolve().parents[1]
WHO = {"i": "私", "you": "君", "he": "彼", "she": "彼女"}
WHAT = {"eat": "食べ る", "see": "見 る", "buy": "買 う"}
THING = {"rice": "米", "fish": "魚", "bread": "パン", "apples": "りんご", "books": "本", "cars": "車"}


class Exported(NamedTuple):
    """A trained model and what was made of it."""

    net: Any
    folder: Path
    """Of the fp32 graphs."""
    data: Path
    params: Params


def dataset(folder: Path, tokenized: bool = True) -> Path:
    """72 sentences with one rule of grammar: 60 train, 6 val, 6 test."""
    folder.mkdir(parents=True)
    pairs = [
        (f"{who} {what} {thing} .", f"{WHO[who]} は {THING[thing]} を {WHAT[what]} 。")
        for who, what, thing in itertools.product(WHO, WHAT, THING)
    ]
    table = pd.DataFrame(pairs, columns=["source", "target"]).sample(frac=1, random_state=1).reset_index(drop=True)
    if not tokenized:
        table["target"] = table["target"].str.replace(" ", "")
    table = table.assign(id=table.index, file="pairs.tsv", row=table.index + 1)
    for name, part in (("train", table[:60]), ("val", table[60:66]), ("test", table[66:])):
        part.reset_index(drop=True).to_parquet(folder / f"{name}.parquet")
    (folder / "languages.json").write_text(json.dumps({"source": "en", "target": "ja", "tokenized": tokenized}))
    return folder


def settings(**sections: dict[str, Any]) -> Params:
    """params.yaml with a tiny model; `sections` override single values: settings(model={"cell": "lstm"})."""
    values = params_module.read(ROOT / "params.yaml")["translation"]
    values["model"] |= {
        "vocabulary": 100, "width": 32, "feed_forward": 64, "heads": 4, "layers": 2, "dropout": 0.0, "max_tokens": 40,
    }  # fmt: skip
    values["train"] |= {"batch_size": 16, "batch_tokens": 400, "lr": 0.01, "workers": 0, "weight_decay": 0.0}
    values["augment"] |= {"subword_dropout": 0.0}
    values["export"] |= {"samples": 4}
    values["export"]["decode"] |= {"beam": 3, "max_tokens": 30}
    for name, override in sections.items():
        values[name] |= override
    return Params.model_validate(values)


def trained(folder: Path, params: Params, epochs: int = 0) -> tuple[Any, dict[str, Any], Any]:
    """A model on `dataset` (after `epochs` of AdamW), its architecture and the loaders."""
    import torch

    from tasks.translation import data, model
    from training import optimizer as optimizers

    torch.manual_seed(0)
    loaders = data.loaders(folder, folder, params, 7, None)
    arch = model.architecture(params, loaders.assets)
    net = model.build(arch)
    optimizer = optimizers.build(model.parameter_groups(net, params.train), params.train.optimizer, fused=False)
    for _ in range(epochs):
        for batch in loaders.train:
            model.loss(net, batch, params)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    return net, arch, loaders


def export(folder: Path, net: Any, arch: dict[str, Any], assets: dict[str, bytes], params: Params) -> None:
    """Write a model folder by the function that the stage `export` uses.

    A recurrent network is exported in a process of its own, as the stage does: from the second `nn.GRU` in a process
    on, torch 2.13's exporter fixes the source length to that of the example.
    """
    folder.mkdir()
    arguments = folder, net.state_dict(), arch, assets, params
    if arch["arch"] == "recurrent":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(_export, arguments)
    else:
        _export(*arguments)


def _export(folder: Path, weights: Any, arch: dict[str, Any], assets: dict[str, bytes], params: Params) -> None:
    # pytest would capture a million lines of the exporter's trace.
    logging.getLogger("torch.__trace").propagate = False
    from stages.export import write_graph
    from tasks.translation import graphs, model

    net = model.build(arch)
    net.load_state_dict(weights)
    for graph in graphs.graphs(net, arch, params):
        write_graph(graph, folder / f"{graph.name}.onnx", params.export.opset)
    graphs.describe(folder, arch, assets, params)
