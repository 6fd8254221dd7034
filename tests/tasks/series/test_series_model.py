"""Networks: what they see, what they say, and the formulas that are written here and not in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import series_tiny as tiny
import torch

from modalities.series import data
from modalities.series.backbones.stacks import Dilated, Peephole, Recurrent
from tasks.series import model

pytestmark = pytest.mark.models

ARCHS = ("rnn", "lstm", "gru", "birnn", "seq2seq", "dilated", "patch", "linear")


def network(dataset: Path, **settings: Any) -> tuple[Any, Any, Any]:
    made = tiny.settings(model=settings, prune=None)
    loaders = data.loaders(dataset, dataset, made, 7, None)
    torch.manual_seed(0)
    return model.build(model.architecture(made, loaders.assets)), next(iter(loaders.train)), made


@pytest.mark.parametrize("arch", ARCHS)
def test_a_step_of_each(seasons: Path, arch: str) -> None:
    made_of = {"patch": 5} if arch == "patch" else {}
    net, batch, made = network(seasons, arch=arch, **made_of)
    model.loss(net, batch, made)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    said = model.predictions(net.eval(), batch, {})
    assert np.shape(said[0]["quantiles"]) == (4, 1, 3)
    assert (np.diff(said[0]["quantiles"]) >= 0).all()


def test_units_of_the_data_do_not_matter(seasons: Path) -> None:
    """Normalised by the window: of a history that is larger and lies elsewhere, so is the forecast."""
    net, batch, _ = network(seasons, arch="linear", dropout=0.0)
    with torch.no_grad():
        plain = net.eval()(batch["history"])
        net.values_std *= 0  # the floor is in units of train
        once, moved = net(batch["history"]), net(5 * batch["history"] + 100)
    assert torch.allclose(moved, 5 * once + 100, rtol=1e-4)
    assert torch.allclose(plain, once, rtol=0.05, atol=0.05)


def test_a_dilated_network_never_looks_ahead() -> None:
    torch.manual_seed(0)
    net, x = Dilated(2, 8, 3, 3, 0.0).eval(), torch.randn(1, 20, 2)
    changed = x.clone()
    changed[:, 12:] += 1
    same = (net(x) - net(changed)).abs().amax((0, 2)) < 1e-6
    assert same[:12].all() and not same[12:].any()


def test_one_bias_for_each_gate_is_what_torch_has_in_two() -> None:
    torch.manual_seed(0)
    mine, torchs, x = Recurrent("lstm", 3, 5, 1), torch.nn.LSTM(3, 5, batch_first=True), torch.randn(2, 7, 3)
    weights = mine.layers[0].weight_ih_l0
    with torch.no_grad():
        torchs.weight_ih_l0.copy_(weights[:, :3])
        torchs.bias_ih_l0.copy_(weights[:, 3])
        torchs.bias_hh_l0.zero_()
        torchs.weight_hh_l0.copy_(mine.layers[0].weight_hh_l0)
        assert torch.allclose(mine(x)[0], torchs(x)[0], atol=1e-6)


def test_gates_see_the_memory() -> None:
    """Gers and Schmidhuber 2000: two steps of one unit, by hand; without peeps it is an LSTM."""
    cell = Peephole(1, 1)
    with torch.no_grad():
        cell.given.weight.copy_(torch.tensor([[0.5], [-0.3], [0.8], [0.2]]))
        cell.before.weight.copy_(torch.tensor([[0.1], [0.4], [-0.6], [0.7]]))
        cell.peeps.copy_(torch.tensor([[0.9], [-0.5], [1.1]]))
        found = cell(torch.tensor([[[1.0], [2.0]]]))[0].ravel().tolist()

    def sigmoid(u: float) -> float:
        return float(1 / (1 + np.exp(-u)))

    hidden = memory = 0.0
    for x, said in zip((1.0, 2.0), found, strict=True):
        enter, forget = sigmoid(0.5 * x + 0.1 * hidden - 0.5 * memory), sigmoid(-0.3 * x + 0.4 * hidden + 0.9 * memory)
        memory = forget * memory + enter * np.tanh(0.8 * x - 0.6 * hidden)
        hidden = sigmoid(0.2 * x + 0.7 * hidden + 1.1 * memory) * np.tanh(memory)
        assert said == pytest.approx(hidden, abs=1e-6)


def test_the_notes_translator_of_a_sine_has_251_parameters(tmp_path: Path) -> None:
    from tasks.series.prepare import prepare, sample

    changes = {
        "data": {"time": None, "id": None, "values": ["sin"], "targets": ["cos"], "window": 10, "horizon": 10,
                 "sample": {"kind": "sine", "count": 1, "steps": 200}},
        "model": {"arch": "seq2seq", "cell": "rnn", "width": 10, "layers": 1, "normalise": "none", "quantiles": [0.5],
                  "loss": "mse"},
        "prune": None,
    }  # fmt: skip
    made = tiny.settings(**changes)
    for name in ("raw", "dataset"):
        (tmp_path / name).mkdir()
    sample(tmp_path / "raw", made, 7)
    prepare(tmp_path / "raw", tmp_path / "dataset", made, 7)
    loaders = data.loaders(tmp_path / "dataset", tmp_path / "dataset", made, 7, None)
    net, batch = model.build(model.architecture(made, loaders.assets)), next(iter(loaders.train))
    assert sum(p.numel() for p in net.parameters()) == 251
    assert torch.allclose(batch["future"][..., 0] ** 2 + batch["history"][..., 0] ** 2, torch.ones(32, 10), atol=1e-5)
    forced, free = net(batch["history"], batch["future"]), net(batch["history"])
    assert torch.equal(forced[:, 0], free[:, 0]) and not torch.allclose(forced[:, 1:], free[:, 1:])
    with torch.no_grad():
        again = net(batch["history"], free[..., 0])  # fed what it says itself, it says the same
    assert torch.allclose(again, free, atol=1e-5)


def test_half_of_the_channels(seasons: Path) -> None:
    made = tiny.settings(model={"width": 32})
    loaders = data.loaders(seasons, seasons, made, 7, None)
    net = model.build(model.architecture(made, loaders.assets))
    before = sum(p.numel() for p in net.parameters())
    arch = model.prune(net, net.arch, made.prune["pruned"])
    again = model.build(arch)
    again.load_state_dict(net.state_dict())
    assert arch["width"] == 16 and sum(p.numel() for p in again.parameters()) < 0.4 * before
    batch = next(iter(loaders.train))
    assert torch.equal(net.eval()(batch["history"]), again.eval()(batch["history"]))


def test_labels_of_steps_and_of_windows(tmp_path: Path) -> None:
    from core.files import read_json, write_json
    from tasks.series.prepare import prepare, sample

    made, dataset = tiny.settings(**tiny.ADDITION), tmp_path / "dataset"
    for folder in (tmp_path / "raw", dataset):
        folder.mkdir()
    sample(tmp_path / "raw", made, 7)
    prepare(tmp_path / "raw", dataset, made, 7)
    for of, steps in (("step", 8), ("whole", 1)):
        write_json(dataset / "layout.json", read_json(dataset / "layout.json") | {"label_of": of})
        loaders = data.loaders(dataset, dataset, made, 7, None)
        net, batch = model.build(model.architecture(made, loaders.assets)), next(iter(loaders.train))
        model.loss(net, batch, made)["loss"].backward()
        assert np.shape(model.predictions(net, batch, {})[0]["probabilities"]) == (steps, 2)
        assert torch.isfinite(model.soft_targets(net, net, batch, made.distill["distilled"], made)["loss"])
