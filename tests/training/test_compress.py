"""Every task's network with weights that are masked or rounded: a step of training in all ways, and what ships of it.

All of it is generic: nothing of a task knows of it, so each task's real loss runs on a batch of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import classification_tiny
import detection_tiny
import pytest
import series_tiny
import speech_tiny
import torch
import translation_tiny
from torch import nn

from compression.networks import allocation, parametrized, rounding, sparsity
from core import task
from training import allocate, results
from training.compress import Base, labelled

pytestmark = pytest.mark.models

SOUND = {"arch": "crnn", "convolutions": [8, 8], "units": [8], "width": 8, "bidirectional": True}
DATA: dict[str, Callable[[Path], Path]] = {
    "detection": detection_tiny.squares,
    "classification": classification_tiny.edges,
    "translation": translation_tiny.dataset,
    "series": series_tiny.seasons,
    "speech": lambda folder: speech_tiny.dataset(folder)[0],
}
SETTINGS: dict[str, Callable[[], Any]] = {
    "detection": lambda: detection_tiny.settings(model={"backbone": "cnn"}),
    "classification": classification_tiny.settings,
    "translation": translation_tiny.settings,
    "series": series_tiny.settings,
    "speech": lambda: speech_tiny.settings(model={"body": SOUND}),
}
WAYS = ("rounded", "weights", "2:4", "2:4, rounded")


@pytest.fixture(scope="module", params=sorted(DATA))
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Base]:
    """Params of a task, and an untrained base of it with its loaders."""
    name = request.param
    folder, made = DATA[name](tmp_path_factory.mktemp(name) / "data"), SETTINGS[name]()
    role, data = task.load(name, "model"), task.load(name, "data")
    loaders = data.loaders(folder, folder, made, 7, None)
    torch.manual_seed(0)
    arch = role.architecture(made, loaders.assets)
    network = role.build(arch).train()
    saved: Any = type("Saved", (), {"arch": arch})
    return made, Base(role, saved, network, network, loaders, None)  # type: ignore[arg-type]  # nothing is watched


def test_every_task_is_tried() -> None:
    assert set(DATA) == set(task.names())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_a_step_and_what_ships(begun: tuple[Any, Base], way: str, bf16: bool) -> None:
    made, base = begun
    network = copy.deepcopy(base.network)
    pattern = way.partition(",")[0]
    if pattern != "rounded":
        sparsity.prune(network, 0.5, pattern, "magnitude")
    if "rounded" in way:
        assert rounding.begin(network) > 2
    average = copy.deepcopy(network).eval().requires_grad_(False)
    loss, batch = labelled(base.role, made), next(iter(base.loaders.train))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        loss(network, batch)["loss"].backward()
        assert torch.isfinite(loss(average, batch)["loss"])
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    optimizer.step()
    assert set(network.state_dict()) == set(average.state_dict())  # so that one is averaged into the other
    for each in (network, average):
        plain = base.role.build(base.checkpoint.arch)
        plain.load_state_dict(parametrized.shipped(each.state_dict()))
        zeros = sum(
            int((layer.weight == 0).sum()) for layer in plain.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
        )
        assert (zeros > 0) == (pattern != "rounded")


def test_measured_shares_prune_every_task_as_far_as_uniform_ones(
    begun: tuple[Any, Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "LEVELS", (1.0, 1.5))
    monkeypatch.setattr(allocation, "STEPS", 8)
    made, base = begun
    (settings, *_) = made.prune.values()
    allowed = get_args(type(settings).model_fields["allocation"].annotation)
    if allowed == ("uniform",):
        pytest.skip("this task refuses other shares than equal ones as params.yaml is read")
    settings = settings.model_copy(update={"ratio": 0.5, "allocation": "measured"})
    loss = labelled(base.role, made)
    shares, found = allocate.shares(base, settings, loss)
    assert set(shares.ratio) <= set(found) and found  # type: ignore[arg-type]

    def left(ratio: Any) -> int:
        network = copy.deepcopy(base.network)
        base.role.prune(network, base.checkpoint.arch, settings.model_copy(update={"ratio": ratio}))
        return results.macs(network, next(iter(base.loaders.val)), loss)

    whole, uniform, measured = results.macs(base.network, next(iter(base.loaders.val)), loss), left(0.5), left(shares)
    most = left(allocate.Shares({layer: tried[-1].share for layer, tried in found.items()}))
    assert measured <= max(uniform, most) and measured > uniform - 0.35 * (whole - uniform)
