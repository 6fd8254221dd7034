"""Containers of a docker pool that outlive their worker, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine import Engine
from flows import wait_for

from core.errors import StillhouseError
from pipelines.deploy import crashed


@pytest.fixture
def served(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    if reason := engine.stackless():
        pytest.skip(reason)
    with engine.composed(tmp_path_factory.mktemp("served")) as found:
        if address := found.environment.get("DOCKER_HOST"):
            monkeypatch.setenv("DOCKER_HOST", address)
        yield found


def test_what_has_ended_is_removed_and_what_goes_on_is_told(served: Engine, base: str) -> None:
    def label(pool: str, run: str) -> list[str]:
        return [f"--label={crashed.POOL}={pool}", f"--label={crashed.RUN}={run}", "--network=host"]

    with (
        served.started(base, "sleep", "600", options=label("test-pool", "living")) as living,
        served.started(base, "false", options=label("test-pool", "dead")) as dead,
        served.started(base, "false", options=label("test-other", "another")) as another,
    ):
        for name in (dead, another):
            wait_for(lambda name=name: "exited" in served.call("inspect", name).stdout)  # type: ignore[misc]
        assert crashed.swept("test-pool") == {"living"}
        there = served.call("ps", "--all", "--format", "{{.Names}}").stdout.split()
        assert dead not in there
        assert {living, another} <= set(there)


def test_an_engine_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(StillhouseError, match="the engine of work pool gpu does not answer"):
        crashed.swept("gpu")
