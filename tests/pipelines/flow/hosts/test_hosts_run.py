"""One pipeline over several hosts gives what one machine gives, and does again only what has changed."""

from __future__ import annotations

from typing import Any

import pytest
from site_of_hosts import Site

pytestmark = pytest.mark.servers

DIAMOND: dict[str, Any] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def log_of(site: Site, stage: str) -> str:
    """Of its last attempt."""
    paths = sorted(site.planner.path.glob(f".stillhouse/flow/*/{stage}*.log"), key=lambda path: path.stat().st_mtime)
    return paths[-1].read_text(encoding="utf-8")


def test_two_hosts_give_what_one_machine_gives(site: Site) -> None:
    stages = DIAMOND | {name: {"deps": ["a"], "options": "--sleep 2"} for name in "bc"}
    site.create(stages)
    site.host("one", "--slots", "1")
    site.host("two", "--slots", "1")
    site.ready()
    done = site.flow("--prefect")
    assert done.returncode == 0, done.stdout + done.stderr + "".join(host.said() for host in site.hosts.values())
    assert site.result() == site.alone(stages)
    assert site.settled()
    assert [site.executions(name) for name in stages] == [1, 1, 1, 1]
    assert all(host.executions("b") or host.executions("c") for host in site.hosts.values())
    assert "d at work" in log_of(site, "d") and "on " in log_of(site, "d")
    assert "Prefect: http" in done.stdout and "warning" not in done.stderr, done.stdout + done.stderr
    (run,) = site.server.ask(
        "flow_runs/filter", flows={"name": {"any_": ["stillhouse"]}}, sort="START_TIME_DESC", limit=1
    )
    tasks = site.server.tasks(run["id"])
    assert {name: task["state_type"] for name, task in tasks.items()} == dict.fromkeys(stages, "COMPLETED")
    runs = site.server.ask("flow_runs/filter", work_pools={"name": {"any_": [site.pool]}})
    assert sorted(run["name"] for run in runs) == sorted(stages)
    assert {run["state_type"] for run in runs} == {"COMPLETED"}


@pytest.mark.slow
def test_only_what_has_changed_runs_and_what_is_known_is_restored(site: Site) -> None:
    site.create(DIAMOND)
    host = site.host("one", "--slots", "1")
    site.ready()
    assert site.flow().returncode == 0
    assert "fetched" not in log_of(site, "b"), "what the host has made it has in its cache"
    assert "nothing to do" in site.flow().stdout
    changed = DIAMOND | {"c": {"deps": ["a"], "options": "--log changed"}}
    site.change(changed)
    done = site.flow()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "c: ran" in done.stdout and "d: unchanged" in done.stdout, "the same output as before"
    assert [len(host.executions(name)) for name in DIAMOND] == [1, 1, 2, 1]
    assert site.result() == site.alone(changed)
    assert site.settled()
    site.change(DIAMOND)
    done = site.flow()
    assert done.returncode == 0 and "c: restored" in done.stdout, done.stdout + done.stderr
    assert len(host.executions("c")) == 2 and site.settled()


@pytest.mark.slow
def test_what_was_made_on_the_laptop_goes_to_the_hosts(site: Site) -> None:
    site.create(DIAMOND)
    assert site.planner.dvc("repro", "b").returncode == 0
    for folder in ("executions", "ends"):
        for path in (site.planner.path / folder).iterdir():
            path.unlink()
        (site.planner.path / folder).rmdir()
    host = site.host("one", "--slots", "1")
    site.ready()
    done = site.flow()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [len(host.executions(name)) for name in DIAMOND] == [0, 0, 1, 1]
    assert site.result() == site.alone(DIAMOND) and site.settled()


@pytest.mark.slow
def test_needs_choose_the_host_and_what_it_gives(site: Site) -> None:
    card = {"meta": {"needs": {"gpus": 1, "label": "fast"}}}
    site.create({"a": card, "b": {"meta": {"needs": {"cores": 1}}}})
    site.host("plain", "--slots", "2", "--gpus", "0")
    site.host("card", "--slots", "2", "--label", "fast", CUDA_VISIBLE_DEVICES="7")
    site.ready()
    done = site.flow()
    assert done.returncode == 0, done.stdout + done.stderr
    (noted,) = site.hosts["card"].executions("a")
    assert noted["CUDA_VISIBLE_DEVICES"] == "7"
    (noted,) = site.hosts["plain"].executions("b")
    assert noted["STILLHOUSE_THREADS"] == "1"


@pytest.mark.slow
def test_a_stage_that_fails_is_told_with_its_log_and_retried_as_it_says(site: Site) -> None:
    stages = {
        "a": {"options": "--fail 75 --times 1", "meta": {"retry": {"times": 1, "wait": "0.1s"}}},
        "b": {"deps": ["a"], "options": "--fail 2"},
        "c": ["b"],
    }
    site.create(stages)
    host = site.host("one", "--slots", "1")
    site.ready()
    done = site.flow()
    assert done.returncode == 1
    assert "error: b failed (mistake):" in done.stderr and "error: as it was told" in done.stderr
    assert "cancelled: c" in done.stderr
    assert [len(host.executions(name)) for name in "abc"] == [2, 1, 0]
    assert set(site.planner.lock) == {"a"} == set(site.planner.outputs())
