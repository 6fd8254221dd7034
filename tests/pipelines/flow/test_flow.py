"""`python -m pipelines.flow` as a user runs it, on real DVC repositories."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from repository import Make, Repository, wait_for

WIDE = {
    "a": [],
    "b": ["a"],
    "c": ["a"],
    "d": ["a"],
    "e": ["b", "c"],
    "f": ["d"],
}


def overlap(repository: Repository, first: str, second: str) -> bool:
    """Whether two stages ran at the same time."""
    begins = [repository.executions(name)[-1]["began"] for name in (first, second)]
    ends = [repository.ends(name)[-1]["ended"] for name in (first, second)]
    return bool(max(begins) < min(ends))


def test_the_same_as_dvc_repro_side_by_side(make: Make) -> None:
    slow = {name: {"deps": deps, "options": "--sleep 2"} for name, deps in WIDE.items()}
    serial, parallel = make(WIDE), make(slow)
    assert serial.dvc("repro").returncode == 0
    done = parallel.flow("--jobs", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert parallel.outputs() == serial.outputs()
    assert set(parallel.lock) == set(serial.lock) == set(WIDE)
    assert {n: e["outs"] for n, e in parallel.lock.items()} == {n: e["outs"] for n, e in serial.lock.items()}
    assert overlap(parallel, "b", "c") or overlap(parallel, "c", "d")
    assert not overlap(parallel, "a", "b")
    assert parallel.settled()
    again = parallel.flow("--jobs", "3")
    assert again.returncode == 0 and "nothing to do" in again.stdout


def test_only_what_changed_runs_and_dry_says_why(make: Make) -> None:
    repository = make(WIDE)
    assert repository.flow().returncode == 0
    repository.write({**WIDE, "c": {"deps": ["a"], "options": "--log new"}})
    dry = repository.flow("--dry")
    assert "changed command" in dry.stdout and "after c" in dry.stdout
    assert "2 of 6 stages, 1 of them for sure" in dry.stdout
    assert len(repository.executions("c")) == 1, "a dry run runs nothing"
    done = repository.flow("--jobs", "2")
    assert done.returncode == 0
    assert {name: len(repository.executions(name)) for name in WIDE} == {
        "a": 1, "b": 1, "c": 2, "d": 1, "e": 1, "f": 1,
    }, "c gives the same as before, so DVC leaves e alone"  # fmt: skip
    assert "e: unchanged" in done.stdout
    assert repository.flow("--force", "d").returncode == 0
    assert [len(repository.executions(name)) for name in "adf"] == [2, 2, 1]


def test_a_failure_cancels_what_depends_on_it_and_nothing_else(make: Make) -> None:
    repository = make({**WIDE, "b": {"deps": ["a"], "options": "--fail 2"}})
    done = repository.flow("--jobs", "2")
    assert done.returncode == 1
    assert "error: b failed (mistake):" in done.stderr and "error: as it was told" in done.stderr
    assert "cancelled: e" in done.stderr
    log = next(line.split("log: ")[1] for line in done.stderr.splitlines() if "log: " in line)
    assert "as it was told" in (repository.path / log).read_text(encoding="utf-8")
    assert set(repository.outputs()) == {"a", "c", "d", "f"}
    assert len(repository.executions("b")) == 1, "a retry cannot cure bad data"
    repository.write(WIDE)
    assert repository.flow().returncode == 0
    assert repository.settled()


@pytest.mark.parametrize(
    ("options", "meta", "succeeds", "executions"),
    [
        pytest.param("--kill --times 1", {"retry": {"times": 2, "wait": "0.1s"}}, True, 2, id="killed"),
        pytest.param(
            "--fail 75 --times 2",
            {"retry": {"times": 2, "wait": "0.1s"}},
            True,
            3,
            id="temporary",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "--fail 75", {"retry": {"times": 1, "wait": "0.1s"}}, False, 2, id="exhausted", marks=pytest.mark.slow
        ),
        pytest.param(
            "--fail 76 --times 2", {"retry": {"times": 3, "wait": "0.1s", "smaller_batch": True}}, True, 3, id="memory"
        ),
        pytest.param(
            "--fail 76",
            {"retry": {"times": 3, "wait": "0.1s"}},
            False,
            1,
            id="memory, not declared",
            marks=pytest.mark.slow,
        ),
        pytest.param("--fail 2", {"retry": {"times": 3, "wait": "0.1s"}}, False, 1, id="mistake"),
        pytest.param("--kill", {}, False, 1, id="no retries", marks=pytest.mark.slow),
        pytest.param("--sleep 60", {"timeout": "5s", "retry": {"times": 3, "wait": "0.1s"}}, False, 1, id="timeout"),
    ],
)
def test_retries_cure_what_a_retry_can_cure(
    make: Make, options: str, meta: dict[str, object], succeeds: bool, executions: int
) -> None:
    repository = make({"a": {"options": options, "meta": meta}})
    done = repository.flow()
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    noted = repository.executions("a")
    assert len(noted) == executions
    if "smaller_batch" in str(meta):
        assert [entry.get("STILLHOUSE_BATCH_PARTS") for entry in noted] == [None, "2", "4"]
    if "timeout" in meta:
        assert "failed (timeout)" in done.stderr
    if succeeds:
        assert repository.settled()


def test_threads_are_divided_and_gpus_are_given_out(make: Make) -> None:
    gpu = {"options": "--sleep 1", "meta": {"needs": {"gpus": 1, "cores": 1}}}
    repository = make({"a": gpu, "b": gpu, "c": gpu, "d": {"options": "--sleep 1"}})
    assert repository.flow("--jobs", "4", "--gpus", "2", CUDA_VISIBLE_DEVICES="3,5,7").returncode == 0
    given = {name: repository.executions(name)[0]["CUDA_VISIBLE_DEVICES"] for name in "abcd"}
    assert {given[name] for name in "abc"} == {"3", "5"} and given["d"] == ""
    same = next((x, y) for x in "abc" for y in "abc" if x < y and given[x] == given[y])
    assert not overlap(repository, *same)
    threads = [int(repository.executions(name)[0]["STILLHOUSE_THREADS"]) for name in "abcd"]
    assert all(1 <= count <= len(os.sched_getaffinity(0)) for count in threads)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_stages_and_keeps_what_has_finished(make: Make, signum: signal.Signals) -> None:
    repository = make({"a": [], "b": {"deps": ["a"], "options": "--sleep 30"}, "c": ["b"]})
    flow = repository.start("--jobs", "2")
    wait_for(lambda: repository.executions("b"))
    flow.send_signal(signum)
    out, _ = flow.communicate(timeout=30)
    assert flow.returncode == 128 + signum, out
    assert "the same command goes on from there" in out
    assert set(repository.lock) == {"a"} and not left(repository)
    repository.write({"a": [], "b": ["a"], "c": ["b"]})
    assert repository.flow().returncode == 0
    assert len(repository.executions("a")) == 1
    assert repository.settled()


def test_kill_9_of_the_flow_ends_the_stages(make: Make) -> None:
    repository = make({"a": [], "b": {"deps": ["a"], "options": "--sleep 30"}})
    flow = repository.start()
    wait_for(lambda: repository.executions("b"))
    flow.kill()
    flow.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while left(repository) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left(repository)
    repository.write({"a": [], "b": ["a"]})
    assert repository.flow().returncode == 0
    assert repository.settled()


def test_dvc_repro_by_hand_in_the_middle_does_no_harm(make: Make) -> None:
    """It is refused what is being made; the flow goes on."""
    stages = {"a": {"options": "--until go"}, "b": ["a"], "c": {"options": "--until go"}}
    repository = make(stages)
    flow = repository.start("--jobs", "2")
    wait_for(lambda: repository.executions("a") and repository.executions("c"))
    by_hand = repository.dvc("repro")
    assert by_hand.returncode and "busy" in by_hand.stderr, by_hand.stderr
    (repository.path / "go").touch()
    out, _ = flow.communicate(timeout=60)
    assert flow.returncode == 0, out
    assert [len(repository.executions(name)) for name in "abc"] == [1, 1, 1]
    assert set(repository.lock) == set(stages)
    assert repository.settled()


def test_a_second_flow_waits_and_finds_the_work_done(make: Make) -> None:
    repository = make({"a": {"options": "--until go"}, "b": ["a"]})
    first = repository.start()
    wait_for(lambda: repository.executions("a"))
    second = repository.start()
    assert second.stdout is not None
    assert "waiting for it" in next(line for line in second.stdout if "running in this" in line)
    (repository.path / "go").touch()
    first.communicate(timeout=60)
    told, _ = second.communicate(timeout=60)
    assert first.returncode == second.returncode == 0 and "nothing to do" in told
    assert [len(repository.executions(name)) for name in "ab"] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [True, False])
def test_siblings_twenty_rounds(make: Make, changed: bool) -> None:
    repository = make({"p": []})
    for number in range(20):
        parent = {"options": f"--log round{number}"} if changed else []
        stages = {"p": parent} | {
            name: {"deps": ["p"], "options": f"--log {name}{number} --sleep 0.2"} for name in ("x", "y", "z")
        }
        repository.write(stages)
        done = repository.flow("--jobs", "3")
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(repository.lock) == set(stages)
    assert len(repository.executions("x")) == 20
    assert repository.settled()


def left(repository: Repository) -> list[str]:
    """Processes of stages that still work in the repository."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(repository.path) and "work.py" in words:
            found.append(" ".join(words))
    return found


def test_a_cache_that_cannot_be_written_is_told_before_any_work(make: Make) -> None:
    repository = make({"a": []})
    config = repository.path / ".dvc" / "config"
    config.write_text(config.read_text(encoding="utf-8") + "[cache]\ndir = /proc/stillhouse\n", encoding="utf-8")
    done = repository.flow()
    assert done.returncode == 2
    assert "DVC's cache /proc/stillhouse cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert not repository.executions("a")


def test_help_names_every_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.flow", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for option in ("--jobs", "--gpus", "--dry", "--force", "--downstream"):
        assert option in done.stdout
