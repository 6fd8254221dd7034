"""The server's image, run as it is meant to be: another user, a read-only root, no capability."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from built import Built
from engine import Engine

PATHS = ("/packages/detection", "/packages/translation")


def mounts(packages: dict[str, Path]) -> list[str]:
    return [f"--volume={path}:/packages/{name}:ro" for name, path in packages.items()]


def golden(package: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def client(engine: Engine, image: Callable[[str], Built], packages: dict[str, Path]) -> Iterator[httpx.Client]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [*engine.locked_down, "--network=host", *mounts(packages)]
    with (
        engine.started(
            image("serve").tag, *PATHS, "--host=127.0.0.1", f"--port={port}", "--threads=1", options=options
        ) as name,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        end = time.monotonic() + 60
        while time.monotonic() < end and not ready(client):
            time.sleep(0.1)
        assert engine.call("exec", name, "id", "-u").stdout.strip() == "10001"
        yield client


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_it_is_alive_and_ready(client: httpx.Client) -> None:
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert {model["name"] for model in client.get("/v1/models").json()["models"]} == {"detection", "translation"}


def test_it_detects_what_the_package_says(client: httpx.Client, packages: dict[str, Path]) -> None:
    for sample in golden(packages["detection"]):
        path = packages["detection"] / "golden" / str(sample["file"])
        kind = {"Content-Type": f"image/{path.suffix[1:].replace('jpg', 'jpeg')}"}
        boxes = client.post("/v1/detect", content=path.read_bytes(), headers=kind).raise_for_status().json()["boxes"]
        expected = sample["output"]
        assert isinstance(expected, list) and boxes
        assert [box["label"] for box in boxes] == [box["label"] for box in expected]
        for found, told in zip(boxes, expected, strict=True):
            assert found["box"] == pytest.approx(told["box"], abs=0.1)
            assert found["score"] == pytest.approx(told["score"], abs=1e-3)


def test_it_translates_what_the_package_says(client: httpx.Client, packages: dict[str, Path]) -> None:
    for sample in golden(packages["translation"]):
        answer = client.post("/v1/translate", json={"text": sample["input"]}).raise_for_status().json()
        assert [translation["text"] for translation in answer["translations"]] == [sample["output"]]


def test_the_health_check_follows_the_server(
    engine: Engine, image: Callable[[str], Built], packages: dict[str, Path]
) -> None:
    """At the port that the image exposes, in a network of its own; and without a server it says so."""
    tag = image("serve").tag
    options = [*engine.locked_down, "--network=none", *mounts(packages)]
    with engine.started(tag, *PATHS, "--threads=1", options=options) as name:
        engine.wait_healthy(name)
    with engine.started(tag, "60", options=[*options, "--entrypoint", "sleep"]) as name:
        assert not engine.healthy(name)


def test_without_a_package_it_explains_itself(engine: Engine, image: Callable[[str], Built]) -> None:
    done = engine.call("run", "--rm", "--network=none", image("serve").tag)
    assert "a folder made by the stage `package`" in done.stdout


def test_it_stops_when_told(engine: Engine, image: Callable[[str], Built], packages: dict[str, Path]) -> None:
    """As process 1 it gets SIGTERM itself: it drains and ends by itself, with 0, not by a kill 10 s later."""
    options = [*engine.locked_down, "--network=none", *mounts(packages)]
    with engine.started(image("serve").tag, *PATHS, options=options) as name:
        end = time.monotonic() + 60
        while "model ready" not in engine.call("logs", name).stderr:
            assert time.monotonic() < end, "no model became ready"
            time.sleep(0.1)
        engine.call("stop", "--time", "30", name)
        state = json.loads(engine.call("inspect", name).stdout)[0]["State"]
        assert state["ExitCode"] == 0, state
