"""Hosts with addresses of their own, an S3 server between them: cut off, killed, they give what one machine gives."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from networks import HERE, KEYS, Networks, Objects
from prefect_server import PrefectServer
from repository import wait_for
from site_of_hosts import Site
from warm import Warm

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(3600)]

NAMES = ("one", "two")
ROUNDS = 20
SEED = 11
STAGES: dict[str, Any] = {"p": []}
STAGES |= {f"x{row}": {"deps": ["p"], "options": "--sleep 1"} for row in range(3)}
STAGES["z"] = [f"x{row}" for row in range(3)]


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    made = Networks()
    yield made
    made.close()


@pytest.fixture(scope="module")
def objects(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    made = Objects(tmp_path_factory.mktemp("objects") / "data")
    yield made
    made.close()


@pytest.fixture(scope="module")
def reached(
    networks: Networks, warm: Warm, empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A Prefect server that other machines reach."""
    running = PrefectServer(tmp_path_factory.mktemp("reached"), warm, empty, HERE)
    yield running
    running.stop()


@pytest.fixture
def site(tmp_path: Path, reached: PrefectServer, objects: Objects, networks: Networks, warm: Warm) -> Iterator[Site]:
    folder = tmp_path / f"net-{tmp_path.name.lower()}"[:30]
    folder.mkdir()
    made = Site(folder, reached, warm, f"s3://dvc/{folder.name}")
    made.more = KEYS
    made.create(
        STAGES, [f"endpointurl = {objects.url}", "region = us-east-1", "connect_timeout = 5", "read_timeout = 10"]
    )
    for name in NAMES:
        prefix = networks.add(name) if name not in networks.names else ["ip", "netns", "exec", f"stillhosts-{name}"]
        made.host(name, "--slots", "1", prefix=prefix)
    made.ready()
    yield made
    made.close()


def again(site: Site, text: str) -> dict[str, Any]:
    """Stages that all have to run."""
    stages = STAGES | {"p": {"options": f"--log {text}"}}
    site.change(stages)
    return stages


def test_two_hosts_and_one_of_them_cut_off(site: Site, networks: Networks) -> None:
    flow = site.start()
    wait_for(lambda: site.executions("x0"))
    cut = next(name for name, host in site.hosts.items() if any(host.executions(f"x{row}") for row in range(3)))
    networks.cut(cut)
    try:
        out, _ = flow.communicate(timeout=900)
    finally:
        networks.cut(cut, whole=True)
    assert flow.returncode == 0, out
    assert site.result() == site.alone(STAGES), out
    wait_for(lambda: "the Prefect server answers again" in site.hosts[cut].said())
    assert site.settled()


def test_hosts_that_are_killed_at_any_moment_change_nothing(site: Site) -> None:
    draw = random.Random(SEED)
    different = []
    for number in range(ROUNDS):
        stages = again(site, f"round{number}")
        flow = site.start()
        time.sleep(draw.uniform(1.0, 14.0))
        name = draw.choice(sorted(site.hosts))
        site.hosts[name].kill()
        site.host(name, "--slots", "1", prefix=["ip", "netns", "exec", f"stillhosts-{name}"])
        out, _ = flow.communicate(timeout=900)
        assert flow.returncode == 0, out
        if site.result() != site.alone_again(stages):
            different.append(number)
        assert site.settled(), out
    assert not different
