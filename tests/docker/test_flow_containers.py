"""Stages in containers, on a real engine: what they see, how they end, and that nothing of them is left."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine import Engine
from flows import Flows, wait_for

from ops import image

CHAIN: dict[str, Any] = {"a": [], "b": ["a"], "c": ["a"], "top": ["b", "c"]}
Make = Callable[[Mapping[str, Any]], Flows]


@pytest.fixture(scope="module")
def served(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine with a socket."""
    if reason := engine.stackless():
        pytest.skip(reason)
    with engine.composed(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def make(served: Engine, base: str, tmp_path: Path) -> Iterator[Make]:
    """Repositories by their stages, which run in the base image; none of their containers is left."""
    made: list[Flows] = []

    def create(stages: Mapping[str, Any]) -> Flows:
        made.append(Flows.create(served, tmp_path / f"repository{len(made)}", base, stages))
        return made[-1]

    yield create
    assert not [container for flows in made for container in flows.containers()]


def digest(name: str, *parents: str) -> str:
    """What a stage makes of its parents' outputs."""
    return hashlib.sha256((name + "".join(parents)).encode()).hexdigest()


def test_a_chain_gives_what_it_gives_here(make: Make, base: str) -> None:
    flows = make(CHAIN)
    done = flows.run("--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    a = digest("a")
    assert flows.content("top") == digest("top", digest("b", a), digest("c", a))
    assert flows.settled()  # by plain DVC, here
    assert "another one runs nothing again" in done.stderr
    again = flows.run()
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True)


def test_what_a_stage_sees(make: Make, base: str) -> None:
    """The checkout at its place, read-only but for the output; the caller's ids; of the environment what is for it."""
    flows = make({"a": [], "top": {"deps": ["a"], "meta": {"needs": {"cores": 1}}}})
    done = flows.run("--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("a", "top"):
        (seen,) = flows.seen(name)
        assert seen["host"] == os.uname().nodename  # the network of the host is the default
        assert seen["user"] == [os.getuid(), os.getgid()]
        assert (seen["here"], seen["home"]) == (str(flows.path), "/tmp")
        assert seen["written"] == []
        assert seen["secret"] is None
        assert re.fullmatch(rf"{re.escape(base)} sha256:[0-9a-f]{{64}}", seen["image"])
        status = (flows.path / flows.out(name)).stat()
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
    assert flows.seen("top")[0]["threads"] == "1"


def test_without_network(make: Make) -> None:
    flows = make({"a": []})
    assert flows.run("--network", "none").returncode == 0
    assert flows.seen("a")[0]["networks"] == ["lo"]


def test_what_the_cache_restores_starts_no_container(make: Make) -> None:
    flows = make({"a": []})
    assert flows.run().returncode == 0
    flows.write({"a": {"options": "--sleep 0"}})
    assert flows.run().returncode == 0
    flows.write({"a": []})
    assert flows.run().returncode == 0
    assert len(flows.seen("a")) == 2
    assert "is cached" in flows.log("a")


def test_a_failed_stage_is_a_mistake_with_its_own_words(make: Make) -> None:
    flows = make({"a": {"options": "--fail 3", "meta": {"retry": {"times": 2, "wait": "0s"}}}, "b": ["a"]})
    done = flows.run()
    assert done.returncode == 1
    assert flows.attempts("a") == ["mistake"]
    assert "error: as it was told" in done.stderr
    assert "cancelled: b" in done.stderr


def test_out_of_memory_is_told_and_tried_with_smaller_batches(make: Make) -> None:
    meta = {"needs": {"memory": "100MB"}, "retry": {"times": 2, "wait": "0s", "smaller_batch": True}}
    flows = make({"a": {"options": "--take 150", "meta": meta}})
    done = flows.run()
    assert done.returncode == 0, done.stdout + done.stderr + flows.log("a")
    assert flows.attempts("a") == ["out of memory", None]
    assert "the 0.1 GB of needs.memory are not enough" in flows.log("a")
    assert not any((folder / "oom").exists() for folder in (flows.path, Path.cwd()))  # of podman's conmon


def test_a_killed_container_is_no_failed_stage(make: Make) -> None:
    go = Path(".stillhouse", "go")
    flows = make({"a": {"options": f"--until {go}", "meta": {"retry": {"times": 1, "wait": "0s"}}}})
    flow = flows.start()
    (container,) = wait_for(lambda: flows.seen("a") and flows.containers())
    flows.engine.call("kill", container)
    wait_for(lambda: len(flows.seen("a")) == 2)
    (flows.path / go).touch()
    output, _ = flow.communicate(timeout=240)
    assert flow.returncode == 0, output
    assert flows.attempts("a") == ["killed", None]
    assert "killed by others" in flows.log("a")


def test_sigterm_reaches_the_stage(make: Make) -> None:
    flows = make({"a": {"options": "--until .stillhouse/go"}})
    flow = flows.start()
    wait_for(lambda: flows.seen("a"))
    flow.terminate()
    output, _ = flow.communicate(timeout=240)
    assert flow.returncode == 143, output
    assert "told to end, and saved" in flows.log("a")
    assert flows.attempts("a") == ["stopped"]
    assert not flows.containers()
    (flows.path / ".stillhouse" / "go").touch()
    assert flows.run().returncode == 0
    assert flows.settled()


def test_a_container_ends_with_its_flow(make: Make) -> None:
    flows = make({"a": {"options": "--until .stillhouse/go"}})
    flow = flows.start()
    wait_for(lambda: flows.seen("a"))
    flow.kill()
    flow.communicate(timeout=240)
    wait_for(lambda: not flows.containers())
    assert "told to end, and saved" in flows.log("a")


def test_what_is_left_when_all_is_killed_goes_before_the_next_flow(make: Make) -> None:
    flows = make({"a": {"options": "--until .stillhouse/go"}})
    flow = flows.start()
    wait_for(lambda: flows.seen("a"))
    family = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(flows.path)]
    ours = [process for process in family if "python" in process.name()]
    supervisors = [process for process in ours if "pipelines.flow.containers.supervisor" in process.cmdline()]
    assert supervisors
    for process in [*supervisors, *ours]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    flow.communicate(timeout=240)
    assert len(flows.containers()) == 1
    (flows.path / ".stillhouse" / "go").touch()
    done = flows.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed: containers that an earlier flow left (a)" in done.stdout
    assert flows.settled()


def test_a_supervisor_that_is_killed_leaves_nothing(make: Make) -> None:
    flows = make({"a": {"options": "--until .stillhouse/go", "meta": {"retry": {"times": 1, "wait": "0s"}}}})
    flow = flows.start()
    wait_for(lambda: flows.seen("a"))
    (first,) = flows.containers()
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if process.info["cwd"] == str(flows.path) and "pipelines.flow.containers.supervisor" in process.info["cmdline"]:
            process.kill()
    wait_for(lambda: len(flows.seen("a")) == 2)
    assert first not in flows.containers()
    (flows.path / ".stillhouse" / "go").touch()
    output, _ = flow.communicate(timeout=240)
    assert flow.returncode == 0, output
    assert flows.attempts("a") == ["killed", None]


def test_an_engine_that_comes_back_costs_nothing(make: Make, served: Engine) -> None:
    """The service is killed while a stage runs, and is started again; the stage's container lives on."""
    if served.program != "podman":
        pytest.skip("Docker's own engine is not killed by a test")
    flows = make({"a": {"options": "--until .stillhouse/go"}})
    flow = flows.start(CONTAINER_HOST="")  # none: the flow serves a socket of its own
    wait_for(lambda: flows.seen("a"))
    (service,) = [
        process
        for process in psutil.Process(flow.pid).children()
        if process.cmdline()[:3] == ["podman", "system", "service"]
    ]
    service.send_signal(signal.SIGKILL)
    wait_for(lambda: [p for p in psutil.Process(flow.pid).children() if p.pid != service.pid and "podman" in p.name()])
    (flows.path / ".stillhouse" / "go").touch()
    output, _ = flow.communicate(timeout=240)
    assert flow.returncode == 0, output
    assert flows.attempts("a") == [None]
    assert len(flows.seen("a")) == 1


def test_missing_images_are_told_before_any_work(make: Make) -> None:
    flows = make({"a": [], "b": {"deps": ["a"], "meta": {"image": "stillhouse-test-nowhere:1"}}})
    done = flows.run()
    assert done.returncode == 2
    assert "stillhouse-test-nowhere:1: " in done.stderr
    assert "pull stillhouse-test-nowhere:1 (b)" in done.stderr
    assert not flows.seen("a")


def test_no_engine_is_told_before_any_work(make: Make, tmp_path: Path) -> None:
    flows = make({"a": []})
    nobody = f"unix://{tmp_path / 'nobody.sock'}"
    done = flows.run(DOCKER_HOST=nobody, CONTAINER_HOST=nobody)
    assert done.returncode == 2
    assert f"no engine answers at {nobody}" in done.stderr
    elsewhere = flows.run(DOCKER_HOST="tcp://10.0.0.1:2375", CONTAINER_HOST="tcp://10.0.0.1:2375")
    assert elsewhere.returncode == 2
    assert "the engine must be this machine's" in elsewhere.stderr


@pytest.fixture
def other(served: Engine, base: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes image `stillhouse-test-other` anew, of the same content with another label; its name."""
    name = f"{served.registry}stillhouse-test-other:1"

    def build(label: str) -> str:
        (tmp_path / "Dockerfile").write_text(f"FROM {base}\nLABEL test={label}\n", encoding="utf-8")
        served.call("build", "--quiet", "--tag", name, "--file", str(tmp_path / "Dockerfile"), str(tmp_path))
        return name

    yield build
    served.call("rmi", "--force", name, check=False)


def test_another_image_runs_again_what_depends_on_it(make: Make, other: Callable[[str], str], base: str) -> None:
    """A stage with an image of its own, which it names among its dependencies; the others do not run again."""
    name = other("first")
    note = image.note(name)
    flows = make({"a": [], "b": {"deps": ["a"], "reads": [note], "meta": {"image": name}}})
    assert flows.run().returncode == 0
    noted = (flows.path / note).read_text(encoding="utf-8")
    assert flows.seen("b")[0]["image"] in noted.splitlines()
    assert flows.seen("b")[0]["image"].startswith(name)
    assert flows.seen("a")[0]["image"].startswith(base)
    other("second")
    done = flows.run()
    assert done.returncode == 0, done.stderr
    assert f"{note}: noted anew" in done.stderr
    assert (len(flows.seen("a")), len(flows.seen("b"))) == (1, 2)
    assert flows.seen("b")[0]["image"] != flows.seen("b")[1]["image"]


def test_an_image_that_a_stage_does_not_run_in_is_no_dependency(make: Make) -> None:
    flows = make({"a": {"reads": ["requirements/image-another.lock"]}})
    done = flows.run()
    assert done.returncode == 2
    assert "a depends on requirements/image-another.lock and runs in" in done.stderr
