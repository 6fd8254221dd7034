"""The engine on a toy task: it learns, stops, resumes exactly, and says what went wrong (docs/faults.md 66-72)."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
import toy
from warm import Warm

from core.errors import TrainingError
from training import hardware, resume
from training.share import Share
from training.watch import Watched

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def killed(process: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a training was killed in the middle of its fourth epoch; two checkpoints are kept."""
    where = tmp_path_factory.mktemp("killed")
    assert process(cwd=where, TOY_KILL_AFTER="3").returncode == -signal.SIGKILL
    return where


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm("toy", path=[Path(toy.__file__).parent]) as running:
        yield running


@pytest.fixture(scope="module")
def process(warm: Warm) -> Process:
    """Fit the toy in a process of its own, by default in the working directory."""
    return lambda cwd=None, **environment: warm.run(
        [sys.executable, toy.__file__],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.fixture(scope="module")
def undisturbed(process: Process, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the weights that a training ends with when nothing happens to it."""
    return process(cwd=tmp_path_factory.mktemp("undisturbed")).stdout.split()[-1]


def test_it_learns_and_records_curves() -> None:
    fitted = toy.fit(epochs=12, ema_decay=0.0)
    assert fitted.result["best"] > 0.5
    assert fitted.result["steps"] == 12 * 8
    assert [step for step, _ in fitted.curves["val/score"]] == [8 * (i + 1) for i in range(12)]
    assert fitted.curves["train/loss"][0][1] > fitted.curves["train/loss"][-1][1]


def test_the_same_seed_gives_the_same_weights() -> None:
    first = toy.fit().weights
    shutil.rmtree(".stillhouse")  # or the second would go on where the first ended
    second = toy.fit().weights
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_best_validation_is_kept_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.9, 0.2, 0.3])
    monkeypatch.setattr(toy.Metric, "compute", lambda self: {"score": next(scores)})
    assert toy.fit().result == {"best": pytest.approx(0.9), "epoch": 1, "epochs": 4, "steps": 32}


def test_the_last_epoch_is_validated_whatever_the_interval() -> None:
    fitted = toy.fit(epochs=5, validate_every=2)
    assert [step for step, _ in fitted.curves["val/score"]] == [16, 32, 40]


def test_of_an_error_the_lowest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.1, 0.2, 0.3])
    monkeypatch.setattr(toy.Metric, "compute", lambda self: {"error": next(scores)})
    found = toy.fit(watched=Watched("error", "lower", toy.Metric), patience=2).result
    assert found == {"best": pytest.approx(0.1), "epoch": 1, "epochs": 4, "steps": 32}


def test_it_stops_after_patience_without_a_better_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.4, 0.4, 0.4, 0.4])
    monkeypatch.setattr(toy.Metric, "compute", lambda self: {"score": next(scores)})
    assert toy.fit(epochs=5, patience=2).result["epochs"] == 3


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(
    folder: Path, killed: Path, process: Process, undisturbed: str
) -> None:
    """docs/faults.md 69, by SIGKILL."""
    os.chdir(shutil.copytree(killed, folder / "copy"))
    resumed = process()
    assert "going on from" in resumed.stdout, resumed.stderr
    assert resumed.stdout.split()[-1] == undisturbed


@pytest.mark.parametrize(
    "train",
    [
        {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
        {"schedule": {"name": "plateau", "patience": 1, "factor": 0.5}, "lr": 0.3, "epochs": 6},
    ],
    ids=["momentum", "plateau"],
)
def test_the_state_of_optimiser_and_schedule_outlives_a_kill(
    folder: Path, process: Process, train: dict[str, Any]
) -> None:
    """docs/faults.md 69 with what these two remember: velocities, and how low the rate is already."""
    asked = json.dumps(train)
    assert process(TOY_KILL_AFTER="3", TOY_TRAIN=asked).returncode == -signal.SIGKILL
    resumed = process(TOY_TRAIN=asked)
    assert "going on from" in resumed.stdout, resumed.stderr
    (folder / "control").mkdir()
    os.chdir(folder / "control")
    save_file(toy.fit(**train).weights, "weights.safetensors")
    assert resumed.stdout.split()[-1] == resume.files.sha256(Path("weights.safetensors"))
    if "schedule" in train:
        newest = max((folder / "control" / ".stillhouse" / "resume" / "train@toy").glob("*/*.ckpt"))
        (state,) = torch.load(newest, weights_only=True)["lr_schedulers"]
        assert state["lr_lambdas"][0]["share"] < 1  # it was lowered at least once


def test_a_truncated_checkpoint_falls_back_to_the_one_before(folder: Path, killed: Path, process: Process) -> None:
    """docs/faults.md 70."""
    shutil.copytree(killed, folder, dirs_exist_ok=True)
    (where,) = (folder / ".stillhouse" / "resume" / "train@toy").iterdir()
    checkpoints = sorted(where.glob("*.ckpt"))
    assert len(checkpoints) == 2
    checkpoints[-1].write_bytes(checkpoints[-1].read_bytes()[:1000])
    resumed = process()
    assert "is damaged" in resumed.stderr
    assert checkpoints[0].name in resumed.stdout


def test_a_malicious_pickle_is_refused(folder: Path, killed: Path, process: Process) -> None:
    """docs/faults.md 71: the checkpoint's sum fits, its content would run a command."""

    class Malicious:
        def __reduce__(self) -> Any:
            return os.system, ("touch hacked",)

    shutil.copytree(killed, folder, dirs_exist_ok=True)
    path = max((folder / ".stillhouse" / "resume" / "train@toy").glob("*/*.ckpt"))
    path.write_bytes(pickle.dumps(Malicious()))
    path.with_suffix(".sha256").write_text(resume.files.sha256(path))
    refused = process()
    assert (
        refused.returncode == 1
        and "TrainingError: the checkpoint to resume from holds something other" in refused.stderr
    )
    assert not (folder / "hacked").exists()


def test_a_loss_that_is_not_finite_stops_with_its_batch() -> None:
    """docs/faults.md 66."""
    seen = iter(range(100))

    def broken(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        parts = toy.loss(model, batch)
        return parts | ({"loss": parts["loss"] * float("nan")} if next(seen) == 11 else {})

    with pytest.raises(TrainingError, match=r"not finite at epoch 1, batch 3 .*learning rate"):
        toy.fit(loss=broken)
    assert resume.newest(next((Path(".stillhouse") / "resume" / "train@toy").iterdir())) is not None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_exhausted_memory_is_told_with_advice(error: Exception) -> None:
    """docs/faults.md 67."""

    def hungry(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        raise error

    with pytest.raises(TrainingError, match="lower `batch_size`"):
        toy.fit(loss=hungry)


def test_a_killed_loader_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md 72, with a real worker process that dies."""
    monkeypatch.setattr(torch.utils.data.TensorDataset, "__getitem__", lambda self, i: os._exit(9))
    with pytest.raises(TrainingError, match="lower `workers`"):
        toy.fit(workers=1)


def test_sigterm_ends_with_143_and_loses_no_step(folder: Path, process: Process, undisturbed: str) -> None:
    """docs/faults.md 68: in mid-epoch; the step ends, a checkpoint is written, and the resumed end is the same."""
    done = process(TOY_TERM_AT="12")
    assert done.returncode == 143, done.stderr
    (last,) = (folder / ".stillhouse" / "resume" / "train@toy").glob("*/000000013.ckpt")
    resumed = process()
    assert last.name in resumed.stdout
    assert resumed.stdout.split()[-1] == undisturbed


def test_checkpoints_within_an_epoch_outlive_a_kill(folder: Path, process: Process) -> None:
    """docs/faults.md 69 with epochs of hours: here every step is due."""
    killed = process(TOY_KILL_AFTER="2", TOY_SAVE_EVERY="0", TOY_TRAIN='{"workers": 1}')
    assert killed.returncode == -signal.SIGKILL
    resumed = process(TOY_TRAIN='{"workers": 1}')
    assert "000000019.ckpt" in resumed.stdout, resumed.stderr
    (folder / "control").mkdir()
    os.chdir(folder / "control")
    assert resumed.stdout.split()[-1] == process(TOY_TRAIN='{"workers": 1}').stdout.split()[-1]


@pytest.mark.slow
def test_two_processes_share_the_batches() -> None:
    """Lightning starts the second one by this one's own command line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment["TOY_TRAIN"] = '{"devices": 2, "strategy": "ddp"}'
    command = [sys.executable, str(Path(toy.__file__))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 4/4") == 2
    assert len(set(done.stdout.split()) & {word for word in done.stdout.split() if len(word) == 64}) == 1


def test_shares_are_disjoint_and_equal() -> None:
    loader = toy.loaders().val  # two batches of 32
    shares = [list(Share(loader, rank, 2)) for rank in (0, 1)]
    assert [len(share) for share in shares] == [1, 1]
    assert not torch.equal(shares[0][0]["x"], shares[1][0]["x"])
    assert len(Share(loader, 0, 3)) == 0


def test_precision_by_name() -> None:
    assert hardware.precision("32") == "32-true"
    assert hardware.precision("bf16") == "bf16-mixed"
    assert hardware.precision("fp16") == "16-mixed"


def test_without_patience_it_never_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy.Metric, "compute", lambda self: {"score": 0.5})
    assert toy.fit(epochs=5, patience=None).result["epochs"] == 5
