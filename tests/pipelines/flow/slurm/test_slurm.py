"""Stages as jobs of the stand-in: what sbatch is asked for, and what becomes of how a job ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from clusters import Cluster
from repository import Make

from core.errors import StillhouseError
from pipelines.flow.needs import Needs
from pipelines.flow.slurm import commands, place
from pipelines.flow.slurm.place import Queue


def needs(**values: object) -> Needs:
    return Needs.model_validate(values)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["--cpus-per-task=1"]),
        ({"needs": {"cores": 4, "memory": "2GB"}}, ["--cpus-per-task=4", "--mem=1908M"]),
        ({"needs": {"cores": "all"}}, ["--exclusive", "--mem=0"]),
        ({"needs": {"cores": "all", "memory": "1GB"}}, ["--exclusive", "--mem=954M"]),
        ({"needs": {"gpus": 4, "label": "fast"}}, ["--cpus-per-task=1", "--gres=gpu:2", "--constraint=fast"]),
        ({"timeout": "90s"}, ["--cpus-per-task=1", "--time=3"]),
    ],
)
def test_what_a_stage_needs_is_what_sbatch_is_asked_for(given: dict[str, object], expected: list[str]) -> None:
    assert place.options(needs(**given), gpus=2) == ["--nodes=1", "--ntasks=1", *expected]


def test_room_is_counted_in_stages_and_a_whole_node_has_the_threads_that_it_has() -> None:
    queue = Queue(2)
    whole = queue.take("a", needs(needs={"cores": "all"}).needs, 1)
    some = queue.take("b", needs(needs={"cores": 3}).needs, 1)
    assert whole and some and (whole.threads, some.threads) == (0, 3)
    assert queue.take("c", needs().needs, 1) is None
    queue.give_back("a")
    assert queue.take("c", needs().needs, 1)


def test_a_job_knows_nothing_of_the_job_that_the_flow_is_in() -> None:
    given = {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "9", "SLURM_CONF": "/c", "SBATCH_ACCOUNT": "a", "HOME": "/h"}
    assert commands.own(given) == {"SLURM_CONF": "/c", "SBATCH_ACCOUNT": "a", "HOME": "/h"}


def test_the_gpus_of_a_cluster_are_those_of_its_richest_node(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "fast,big|gpu:a100:4(S:0-1)\n(null)|(null)\nbig|gpu:2,shard:8\n"
    monkeypatch.setattr(commands, "_call", lambda command: said)
    assert commands.offered() == ({"fast", "big"}, 4)


def test_a_lost_answer_submits_no_second_job(fake: Cluster, tmp_path: Path) -> None:
    (fake.home / "forgetful").touch()
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nsleep 60\n")
    words = [f"--chdir={tmp_path}", f"--output={tmp_path}/log", str(script)]
    job = commands.submit(words, "stillhouse:x:1", dict(fake.variables))
    assert commands.mine("stillhouse:x:") == {job: "stillhouse:x:1"}
    commands.cancel(job)
    assert commands.mine("stillhouse:x:") == {}
    assert commands.state(job).name == "CANCELLED"
    assert commands.state("99").name == commands.GONE
    (fake.home / "away").touch()
    with pytest.raises(commands.AwayError, match="Unable to contact"):
        commands.state(job)


def test_stages_are_jobs_one_after_the_other(fake: Cluster, make: Make) -> None:
    """And a label that no node has is told before any work."""
    label = {"deps": ["a"], "meta": {"needs": {"label": "fast"}}, "options": "--log of-the-job"}
    repository = make({"a": [], "b": label})
    done = repository.flow("--in", "slurm")
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.settled()
    (log,) = (repository.path / ".stillhouse" / "flow").glob("*/b.log")
    assert "\njob 2" in log.read_text() and "\nof-the-job\n" in log.read_text()
    assert not list((repository.path / ".stillhouse" / "slurm").iterdir())
    repository.write({"a": [], "b": {"deps": ["a"], "meta": {"needs": {"label": "none"}}, "options": "--log x"}})
    done = repository.flow("--in", "slurm")
    assert done.returncode == 2
    assert "b needs label 'none', and no node has this feature (fast, large)" in done.stderr


def test_without_slurm_it_is_told_where_to_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StillhouseError, match="sinfo is not installed; run it where `sbatch` works"):
        commands.offered()
