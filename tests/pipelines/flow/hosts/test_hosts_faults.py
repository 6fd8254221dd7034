"""Hosts that die, remotes and servers that are cut, planners that are killed: nothing is lost or recorded twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from repository import PATIENCE_S, Repository, wait_for
from site_of_hosts import Host, Site

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900)]

CHAIN = {"a": [], "b": {"deps": ["a"], "options": "--sleep 1"}, "c": ["a"], "d": ["b", "c"]}


@pytest.fixture
def two(site: Site) -> Site:
    """A site of two hosts that take one stage at once."""
    site.create(CHAIN)
    site.host("one", "--slots", "1")
    site.host("two", "--slots", "1")
    site.ready()
    return site


def whole(site: Site, stages: dict[str, Any], out: str) -> None:
    """All is as one machine gives it, and nothing is left to do."""
    assert site.result() == site.alone(stages), out
    assert site.settled()


def at_work(site: Site, stage: str) -> Host:
    """The host that has begun a stage, once one has."""
    return wait_for(lambda: next((host for host in site.hosts.values() if host.executions(stage)), None))


def log_of(site: Site, stage: str) -> str:
    """What the planner has of the stage's attempts."""
    return "".join(path.read_text() for path in sorted(site.planner.path.glob(f".stillhouse/flow/*/{stage}*.log")))


class Cut:
    """The remote is away within the block."""

    def __init__(self, site: Site):
        self.store = Path(site.remote)
        self.aside = self.store.with_name("store-aside")

    def __enter__(self) -> None:
        self.store.mkdir(exist_ok=True)
        self.store.rename(self.aside)
        self.store.write_text("no folder")

    def __exit__(self, *_: object) -> None:
        self.store.unlink()
        self.aside.rename(self.store)


def test_a_host_that_dies_loses_its_stage_to_another_one(site: Site) -> None:
    stages = CHAIN | {"b": {"deps": ["a"], "options": "--until go"}}
    site.create(CHAIN)
    site.host("one", "--slots", "1")
    site.ready()
    site.change(stages)
    flow = site.start()
    dead = at_work(site, "b")
    site.host("two", "--slots", "1")
    site.ready("two")
    dead.kill()
    for host in site.hosts.values():
        (host.home / "host" / "slots" / "0").mkdir(parents=True, exist_ok=True)
        (host.home / "host" / "slots" / "0" / "go").touch()
    out, _ = flow.communicate(timeout=PATIENCE_S)
    assert flow.returncode == 0, out + site.hosts["two"].said()
    assert "host one is lost" in out and "(host lost)" in out
    assert site.hosts["two"].ends("b") == 1
    whole(site, stages, out)


@pytest.mark.parametrize("where", ["fetch", "push"])
def test_a_remote_that_is_cut_for_a_while_is_waited_for(site: Site, where: str) -> None:
    first, second = ({"needs": {"label": label}} for label in ("first", "second"))
    stages = {"a": {"options": "--until go", "meta": first}, "b": {"deps": ["a"], "meta": second}}
    site.create(stages)
    host = site.host("one", "--slots", "1", "--label", "first")
    site.host("two", "--slots", "1", "--label", "second")
    site.ready()
    flow = site.start()
    wait_for(lambda: host.executions("a"))
    go = host.home / "host" / "slots" / "0" / "go"
    if where == "push":
        with Cut(site):
            go.touch()
            wait_for(lambda: "cannot push the outputs; trying again" in log_of(site, "a"))
    else:
        go.touch()
        wait_for(lambda: "a: ended with 0" in host.said(), every=0.01)
        with Cut(site):
            wait_for(lambda: "cannot fetch the inputs; trying again" in log_of(site, "b"))
    out, _ = flow.communicate(timeout=PATIENCE_S)
    assert flow.returncode == 0, out
    assert [site.executions(name) for name in "ab"] == [1, 1]
    whole(site, stages, out)


def test_a_server_that_restarts_costs_nothing(two: Site) -> None:
    stages = CHAIN | {"b": {"deps": ["a"], "options": "--sleep 6"}}
    two.change(stages)
    flow = two.start()
    at_work(two, "b")
    two.server.stop(signal.SIGKILL)
    try:
        wait_for(lambda: any("does not answer" in host.said() for host in two.hosts.values()))
    finally:
        two.server.start()
    out, _ = flow.communicate(timeout=PATIENCE_S)
    assert flow.returncode == 0, out
    assert [two.executions(name) for name in stages] == [1, 1, 1, 1]
    whole(two, stages, out)


def test_a_planner_that_is_killed_is_succeeded(two: Site) -> None:
    """What ended meanwhile is restored, and runs nowhere again."""
    stages = CHAIN | {"b": {"deps": ["a"], "options": "--sleep 4"}}
    two.change(stages)
    flow = two.start()
    at_work(two, "b")
    flow.kill()
    flow.communicate(timeout=PATIENCE_S)
    wait_for(lambda: not two.open_runs())
    done = two.flow()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [two.executions(name) for name in stages] == [1, 1, 1, 1]
    assert "b: restored" in done.stdout
    whole(two, stages, done.stdout)


def test_stages_of_a_killed_planner_are_ended_by_the_next(site: Site) -> None:
    site.create({"a": {"options": "--until go"}})
    host = site.host("one")
    site.ready()
    flow = site.start()
    wait_for(lambda: host.executions("a"))
    flow.kill()
    flow.communicate(timeout=PATIENCE_S)
    second = site.start()
    wait_for(lambda: len(host.executions("a")) == 2)
    assert "a: is no longer wanted here; it is stopped" in host.said()
    for slot in (host.home / "host" / "slots").iterdir():
        (slot / "go").touch()
    out, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, out
    assert host.ends("a") == 1


def test_ctrl_c_ends_the_stages_on_the_hosts(site: Site) -> None:
    site.create({"a": [], "b": {"deps": ["a"], "options": "--sleep 100"}})
    host = site.host("one")
    site.ready()
    flow = site.start()
    wait_for(lambda: host.executions("b"))
    flow.send_signal(signal.SIGINT)
    out, _ = flow.communicate(timeout=PATIENCE_S)
    assert flow.returncode == 130, out
    assert set(site.planner.lock) == {"a"} and set(site.planner.outputs()) == {"a"}
    wait_for(lambda: "b: ended with" in host.said())
    assert host.stop() == 0


def test_two_planners_of_one_checkout_follow_each_other(two: Site) -> None:
    first, second = two.start(), two.start()
    outs = [flow.communicate(timeout=PATIENCE_S)[0] for flow in (first, second)]
    assert first.returncode == second.returncode == 0, outs
    assert sum("waiting for it" in out and "nothing to do" in out for out in outs) == 1
    assert [two.executions(name) for name in CHAIN] == [1, 1, 1, 1]
    whole(two, CHAIN, outs[0])


def test_two_planners_of_two_checkouts_share_the_hosts(two: Site) -> None:
    other = two.folder / "other"
    subprocess.run(["git", "clone", "--quiet", str(two.planner.path), str(other)], check=True)
    command = [sys.executable, "-m", "pipelines.flow", "--bare", "--no-prefect", "--pool", two.pool]
    home = two.folder / "other-home"
    home.mkdir()
    beside = two.warm.Popen(
        command, cwd=other, env=two.environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    done = two.flow()
    out, _ = beside.communicate(timeout=PATIENCE_S)
    assert done.returncode == beside.returncode == 0, done.stdout + done.stderr + out
    second = Repository(other, two.warm)
    assert second.lock == two.planner.lock and second.outputs() == two.planner.outputs()
    whole(two, CHAIN, out)


def test_a_host_that_lacks_the_commit_is_told_and_left_out(two: Site) -> None:
    stranger = two.folder / "stranger"
    subprocess.run(["git", "init", "--quiet", str(stranger)], check=True)
    two.host("three", "--slots", "8", "--repository", str(stranger))
    two.ready("three")
    done = two.flow()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("host three is given nothing more: git has no commit") == 1
    assert not any(two.hosts["three"].executions(name) for name in CHAIN)
    whole(two, CHAIN, done.stdout)


def test_a_host_with_other_packages_is_told_and_left_out(site: Site) -> None:
    site.create({"a": []})
    (site.planner.path / "train.lock").write_text("pytest==0.0.1 \\\n    --hash=sha256:00\n")
    text = (site.planner.path / "dvc.yaml").read_text()
    (site.planner.path / "dvc.yaml").write_text(text.replace("- work.py", "- work.py\n    - train.lock"))
    site.commit()
    host = site.host("one")
    site.ready()
    done = site.flow()
    assert done.returncode == 1
    assert (
        "host one is given nothing more: other packages are installed: train.lock asks for pytest 0.0.1" in done.stderr
    )
    assert "no host of the pool is at work (one: other packages" in done.stderr
    assert not host.executions("a")


def test_what_can_be_mended_is_told_before_any_work(two: Site) -> None:
    planner = two.planner.path
    (planner / "work.py").write_text((planner / "work.py").read_text() + "\n")
    done = two.flow()
    assert done.returncode == 2 and "these files differ from HEAD: work.py; commit and push them" in done.stderr
    two.git("checkout", "work.py")
    two.change({"a": {"meta": {"needs": {"label": "gpu"}}}})
    done = two.flow()
    assert done.returncode == 2 and "a: no host has the label 'gpu'" in done.stderr
    two.change({"a": []})
    with Cut(two):
        done = two.flow()
    assert done.returncode == 2 and "the DVC remote 'store' takes nothing" in done.stderr
    done = two.warm.run(
        [sys.executable, "-m", "pipelines.flow", "--bare", "--no-prefect", "--pool", "nobody"],
        cwd=planner,
        env=two.environment(two.folder),
    )
    assert done.returncode == 2 and "no host has ever been in pool 'nobody'" in done.stderr
    assert not any(two.executions(name) for name in CHAIN)


def test_a_run_cannot_carry_a_command(two: Site) -> None:
    """Neither by its parameters nor by its job variables, whoever made it."""
    server, trace = two.server, two.folder / "trace"
    wait_for(lambda: server.ask("deployments/filter", deployments={"name": {"any_": [two.pool]}}))
    (deployment,) = server.ask("deployments/filter", deployments={"name": {"any_": [two.pool]}})
    commit = two.git("rev-parse", "HEAD")
    path = f"deployments/{deployment['id']}/create_flow_run"
    for wrong in ({"stage": f"a; touch {trace}", "commit": commit}, {"stage": "a", "commit": "HEAD"}, {"stage": "a"}):
        answer = httpx.post(f"{server.url}/{path}", json={"parameters": wrong, "state": {"type": "SCHEDULED"}})
        assert answer.status_code in (409, 422), answer.text
    command = {"job_variables": {"command": f"touch {trace}", "env": {"LD_PRELOAD": "x"}}}
    made = httpx.post(
        f"{server.url}/{path}",
        json={"parameters": {"stage": "a", "commit": commit}, "work_queue_name": "one", **command},
    )
    assert made.status_code in (409, 422) or made.is_success
    flow = server.ask("flows/filter", flows={"name": {"any_": ["stage"]}})[0]["id"]
    (pool,) = server.ask("work_pools/filter", work_pools={"name": {"any_": [two.pool]}})
    queues = server.ask(f"work_pools/{two.pool}/queues/filter")
    queue = next(each["id"] for each in queues if each["name"] == "one")
    for parameters in ({"stage": f"a; touch {trace}", "commit": commit}, {"stage": "nowhere", "commit": commit}):
        # Past the deployment and its schema, by who may write to the server.
        past = {"flow_id": flow, "work_pool_name": two.pool, "work_queue_name": "one", "parameters": parameters}
        body = past | {"state": {"type": "SCHEDULED", "state_details": {}}, **command}
        wait_for(lambda body=body: httpx.post(f"{server.url}/flow_runs/", json=body).is_success)  # type: ignore[misc]
    assert pool["type"] == "stillhouse-hosts" and queue
    wait_for(lambda: "is no order of a stage and is not run: stage" in two.hosts["one"].said())
    wait_for(lambda: "nowhere: ended with 2" in two.hosts["one"].said())
    assert not trace.exists()
