"""`precision: auto` is measured at the start, and changes nothing of what is learnt but the format."""

from __future__ import annotations

import copy
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import classification_tiny
import numpy as np
import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
import toy

from core.errors import TrainingError
from core.files import read_json, write_json
from modalities.images import data
from training import formats, hardware, randomness
from training.formats import Format

HALF = Format("bf16", None)
FULL = Format("32", None)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def anew(**changes: Any) -> Any:
    """Fit the same toy without the checkpoints of one before it."""
    shutil.rmtree(".stillhouse", ignore_errors=True)
    torch.manual_seed(5)
    return toy.fit(model=toy.build(), **changes)


@pytest.mark.parametrize("chosen", [FULL, HALF], ids=str)
def test_what_it_chose_learns_as_if_params_had_said_so(chosen: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy has dropout, BatchNorm and an order of samples from torch's global generator."""
    monkeypatch.setattr(formats, "choose", lambda seconds, first: chosen)
    automatic = anew(precision="auto")
    found = automatic.result["format"]
    assert found["precision"] == chosen.precision
    assert all(ms > 0 for ms in found["step_ms"].values()) and list(found["step_ms"]) == ["32", "bf16"]
    named = anew(precision=chosen.precision)
    assert "format" not in named.result
    assert automatic.curves == named.curves
    assert same(automatic.weights, named.weights)


def test_formats_differ_in_what_they_learn() -> None:
    """Or the test above would say nothing."""
    assert not same(anew(precision="32").weights, anew(precision="bf16").weights)


def test_nothing_is_left_of_the_measurement(folder: Path) -> None:
    """Network, gradients, all random generators, and the order and jitter of a task's own loader."""
    made = classification_tiny.settings()
    classification_tiny.edges(folder / "set")
    loader = data.loaders(folder / "set", folder / "set", made, 3, None).train
    again = data.loaders(folder / "set", folder / "set", made, 3, None).train
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(1))
    model(next(iter(again))["images"])
    again.sampler.set_epoch(0)
    before, state = copy.deepcopy(model.state_dict()), randomness.state()

    def loss(network: nn.Module, batch: Any) -> dict[str, Tensor]:
        noise = float(np.random.random())
        return {"loss": network(batch["images"] / 255 + noise).square().mean()}

    ways = formats.candidates(True)
    assert ways[0] == Format("32", True) and len(ways) == 4
    seconds = formats.measured(model, loader, loss, ways)
    assert all(len(taken) == formats.ROUNDS for taken in seconds.values())
    assert same(before, model.state_dict())
    assert all(parameter.grad is None for parameter in model.parameters())
    now = randomness.state()
    assert torch.equal(now["torch"], state["torch"]) and torch.equal(now["numpy"][1], state["numpy"][1])
    assert now["python"] == state["python"] and now["numpy"][2] == state["numpy"][2]
    for mine, other in zip(loader, again, strict=True):
        assert torch.equal(mine["images"], other["images"]) and mine["positions"] == other["positions"]


def test_a_layout_that_is_chosen_is_that_of_network_and_pictures() -> None:
    network = nn.Conv2d(3, 4, 3)
    batch = {"images": torch.rand(2, 3, 8, 8), "labels": 1}
    for last, kind in ((True, torch.channels_last), (False, torch.contiguous_format)):
        assert formats.laid(network, last).weight.is_contiguous(memory_format=kind)
        seen = formats.pictures(batch, last)
        assert seen["images"].is_contiguous(memory_format=kind) and torch.equal(seen["images"], batch["images"])
    assert formats.pictures(batch, None) is batch


def test_a_resumed_training_keeps_its_format(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when this machine would now choose another: nothing is measured again."""
    ctx: Any = SimpleNamespace(name="train@toy", run=toy.Run())
    found = {"precision": "bf16", "channels_last": None, "step_ms": {"32": 2.0, "bf16": 1.0}}
    write_json(folder / formats.FILE, found)
    monkeypatch.setattr(formats, "measured", lambda *arguments: pytest.fail("it was measured"))
    train, told = formats.settle(ctx, toy.build(), toy.loaders().train, toy.loss, toy.train(precision="auto"), folder)
    assert train.precision == "bf16" and told == found
    assert ctx.run.chosen == {"measured": found}


@pytest.mark.parametrize("text", ["{", "[]", '{"precision": "8", "channels_last": null}'])
def test_a_damaged_choice_is_told(folder: Path, text: str) -> None:
    ctx: Any = SimpleNamespace(name="train@toy", run=toy.Run())
    (folder / formats.FILE).write_text(text)
    with pytest.raises(TrainingError, match=r"format.json, the format .* is damaged .*run again"):
        formats.settle(ctx, toy.build(), toy.loaders().train, toy.loss, toy.train(precision="auto"), folder)


def test_the_choice_is_told_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    fitted = toy.fit(precision="auto", epochs=1)
    (kept,) = Path(".stillhouse/resume/train@toy").glob(f"*/{formats.FILE}")
    assert read_json(kept) == fitted.result["format"]
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "precision auto is" in line)
    assert "ms a step" in line and "bf16:" in line


@pytest.mark.parametrize(
    ("half", "chosen"),
    [([0.9] * 9, HALF), ([0.98] * 9, FULL), ([0.5] * 2, FULL), ([0.5, 0.5, *[1.1] * 7], FULL), ([], FULL)],
    ids=["faster", "hardly faster", "too few steps", "faster by the mean alone", "refused"],
)
def test_another_format_is_taken_when_it_is_faster(half: list[float], chosen: Format) -> None:
    assert formats.choose({FULL: [1.0] * 9, HALF: half}, FULL) == chosen


def test_the_measurement_ends_in_time() -> None:
    """With steps so long that nothing can be known the format stays as it was."""

    def slow(network: nn.Module, batch: Any) -> dict[str, Tensor]:
        time.sleep(0.05)
        return toy.loss(network, batch)

    start = time.perf_counter()
    seconds = formats.measured(toy.build(), toy.loaders().train, slow, [FULL, HALF], budget_s=0.2)
    assert time.perf_counter() - start < 1.0
    assert formats.choose(seconds, FULL) == FULL


def test_what_the_machine_refuses_is_left_out_but_not_the_first_format() -> None:
    def refusing(network: nn.Module, batch: Any) -> dict[str, Tensor]:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError('"conv" not implemented for BFloat16')
        return toy.loss(network, batch)

    seconds = formats.measured(toy.build(), toy.loaders().train, refusing, [FULL, HALF])
    assert seconds[HALF] == [] and len(seconds[FULL]) == formats.ROUNDS
    with pytest.raises(RuntimeError, match="BFloat16"):
        formats.measured(toy.build(), toy.loaders().train, refusing, [HALF, FULL])


@pytest.mark.parametrize(("gpu", "bf16", "half"), [(True, True, "bf16"), (True, False, "fp16"), (False, True, "bf16")])
def test_a_gpu_without_bf16_tries_fp16(monkeypatch: pytest.MonkeyPatch, gpu: bool, bf16: bool, half: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert formats.candidates(None) == [FULL, Format(half, None)]


def test_each_process_has_its_own_card(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hardware.device() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert hardware.device() == "cuda:1"


def test_a_sharded_network_is_not_measured() -> None:
    with pytest.raises(ValueError, match="name one"):
        toy.train(precision="auto", strategy="fsdp", clip_norm=None)
