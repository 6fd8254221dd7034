"""A student with hints of another width, trained by the stage: what ships is the student alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
import toy

from compression.networks import distillation
from core import checkpoint
from core.checkpoint import Checkpoint
from core.files import read_json
from stages import distill
from training import compress, hardware, results

DVC_YAML = "stages:\n  distill:\n    foreach: ${matrix.distill}\n    do: {params: [seed]}\n"
MATRIX = "matrix: {distill: {toy-student: {task: toy, variant: student}}}\n"


class Net(nn.Module):
    """Two numbers -> a map of `width` channels and one pixel -> their sum."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.hidden, self.out = nn.Linear(2, width), nn.Linear(width, 1)

    def features(self, x: Tensor) -> Tensor:
        return torch.tanh(self.hidden(x))[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x).flatten(1))


class Role:
    """What the stage asks of a task's `model`."""

    parameter_groups = staticmethod(toy.parameter_groups)

    def __init__(self) -> None:
        self.hints: list[float] = []

    def student(self, teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
        return {"width": 3}

    def build(self, arch: dict[str, Any], initial: bool = False) -> Net:
        return Net(arch["width"])

    def regress(self, student: Net, teacher: Net) -> None:
        distillation.attach(student, [student.width], [teacher.width])

    def loss(self, student: Net, batch: Any, params: Any) -> dict[str, Tensor]:
        return toy.loss(student, batch)

    def soft_targets(self, student: Net, teacher: Net, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
        hint = distillation.hints(student, [student.features(batch["x"])], [teacher.features(batch["x"])])
        self.hints.append(hint.item())
        return {"loss": toy.loss(student, batch)["loss"] + hint}


class Run(toy.Run):
    def artifact(self, path: Path) -> None:
        assert path.exists()


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Role:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("params.yaml").write_text("seed: 3\n")
    Path("matrix.yaml").write_text(MATRIX)
    Path("out").mkdir()
    return Role()


def distilled(
    role: Role, teacher: Net, monkeypatch: pytest.MonkeyPatch, initial: str, aware: bool = False, **train: Any
) -> Checkpoint:
    """What the stage leaves."""
    hardware.prepare(1, 3)
    checkpoint_of = Checkpoint({"width": teacher.width}, teacher.state_dict(), {})
    base = compress.Base(role, checkpoint_of, teacher, teacher, toy.loaders(), toy.WATCHED)
    monkeypatch.setattr(compress, "begin", lambda ctx, settings: base)  # a toy has no folders of data and models
    monkeypatch.setattr(compress, "relabelled", lambda ctx, teacher, loaders, settings: loaders)
    settings = SimpleNamespace(train=toy.train(**train), initial=initial, quantization_aware=aware, of="base")
    ctx: Any = SimpleNamespace(
        name="distill@toy-student", variant="student", run=Run(), out=Path("out"),
        params=SimpleNamespace(distill={"student": settings}),
    )  # fmt: skip
    distill.distill(ctx)
    return checkpoint.load(Path("out"))


@pytest.mark.parametrize("aware", [False, True])
def test_regressors_learn_and_stay_behind(role: Role, monkeypatch: pytest.MonkeyPatch, aware: bool) -> None:
    saved = distilled(role, Net(6), monkeypatch, "weights", aware, epochs=10, lr=0.02)
    assert role.hints[-1] < 0.7 * role.hints[0]
    counted = read_json(Path("out") / "result.json")
    assert counted["parameters"] == results.parameters(Net(3))  # of what ships
    Net(3).load_state_dict(saved.weights)  # strict: nothing more, nothing less


@pytest.mark.parametrize("initial", ["teacher", "weights"])
def test_a_student_may_begin_as_its_teacher(role: Role, monkeypatch: pytest.MonkeyPatch, initial: str) -> None:
    teacher = Net(3)  # as wide as the student: all of it fits
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    saved = distilled(role, teacher, monkeypatch, initial, epochs=1, lr=1e-7)
    equal = [torch.allclose(saved.weights[name], value, atol=1e-4) for name, value in before.items()]
    assert all(equal) if initial == "teacher" else not all(equal)
