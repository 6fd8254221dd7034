"""What needs no engine of stages in containers; what does is in tests/docker/test_flow_containers.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import StillhouseError
from pipelines.flow.containers import engine, images, mounts
from pipelines.flow.containers.choice import CPU, GPU, Choice, refuse_here
from pipelines.flow.containers.images import Image
from pipelines.flow.needs import Needs
from pipelines.flow.plan import Plan, Step

DIGEST = "sha256:" + "a" * 64


def tree(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")


def seen(root: Path, *outs: str, read: tuple[Path, ...] = ()) -> dict[str, bool]:
    found = mounts.mounts(root, outs, read)
    assert list(found) == sorted(found)  # what lies deeper comes later
    return {str(path.relative_to(root)) if root in path.parents else str(path): can for path, can in found.items()}


def test_a_checkout_is_read_only_but_for_the_outputs_and_the_state(tmp_path: Path) -> None:
    tree(tmp_path, "dvc.yaml", "core/a.py", "data/t/prepared/x", "data/t/validated/y", "data/t/.validated.7.partial")
    assert seen(tmp_path, "data/t/validated", "data/t/report.json") == {
        str(tmp_path): False,
        ".stillhouse": True,
        "data/t": True,
        "data/t/prepared": False,
    }


def test_an_output_at_the_top_leaves_all_else_read_only(tmp_path: Path) -> None:
    tree(tmp_path, "dvc.yaml", ".dvc/config", "models/m", "other/o")
    (tmp_path / ".venv").symlink_to("other")
    assert seen(tmp_path, "out", "models/n") == {
        str(tmp_path): True,
        ".dvc": False,
        ".stillhouse": True,
        "dvc.yaml": False,
        "models": True,
        "models/m": False,
        "other": False,
    }


def test_what_lies_elsewhere_is_read_only_and_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "data/raw/a", "checkout/dvc.yaml")
    root = tmp_path / "checkout"
    found = mounts.mounts(root, ["made/a"], [tmp_path / "data/raw", tmp_path / "nowhere"])
    assert found[tmp_path / "data/raw"] is False
    assert tmp_path / "nowhere" not in found
    assert mounts.besides(root, root / ".dvc" / "cache") == []
    assert mounts.besides(root, tmp_path / "cache") == [tmp_path / "cache"]


def step(name: str, deps: tuple[str, ...] = (), image: str | None = None) -> Step:
    return Step(name, (), needs=Needs.model_validate({"image": image}), deps=deps)


def test_which_image_a_stage_runs_in() -> None:
    own = step("a", image="trainer:2")
    assert Choice("docker").of(own, ("0",)) == "trainer:2"
    assert [Choice("docker").of(step("b"), gpus) for gpus in ((), ("0",))] == [CPU, GPU]
    assert Choice("docker", image="x:1").of(step("b"), ("0",)) == "x:1"


def test_the_digest_is_noted_where_a_stage_depends_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    note = "requirements/image-trainer.lock"
    plan = Plan({"a": step("a", ("core", note)), "b": step("b"), "plan": step("plan")})
    its = {"a": Image("trainer:2", DIGEST), "b": Image("other:1", DIGEST), "plan": Image("trainer:2", DIGEST)}
    assert [note in said for said in images.note(plan, its)] == [True]
    assert Path(note).read_text().splitlines()[-1] == f"trainer:2 {DIGEST}"
    assert not images.note(plan, its)
    (warning,) = images.unnoted(plan, its)
    assert "(other:1)" in warning and "requirements/image-other.lock" in warning
    its["a"] = its["plan"] = Image("trainer:2", DIGEST.replace("a", "b"))
    assert images.note(plan, its)
    its["a"] = Image("another:2", DIGEST)
    with pytest.raises(StillhouseError, match=r"a depends on requirements/image-trainer.lock and runs in another:2"):
        images.note(plan, its)


def test_a_stage_of_an_image_does_not_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_here(Plan({"a": step("a", ("core",))}))
    with pytest.raises(StillhouseError, match="--in docker"):
        refuse_here(Plan({"a": step("a", ("requirements/image-trainer.lock",))}))


def test_an_engine_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://far")
    with pytest.raises(StillhouseError, match="must be this machine's"), engine.serving("docker"):
        pass
