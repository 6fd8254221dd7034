"""New versions come while the server answers: no request fails, and a bad one does not come (docs/faults.md 95)."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import httpx
import packages_tiny
import pytest
import scraped
from load import Load
from PIL import Image
from running import Running
from versions import flipped, named, released, resealed
from waiting import until

Serve = Callable[..., Running]
Fresh = Callable[[str], Path]


def translate(client: httpx.Client) -> httpx.Response:
    """Of so many sentences that requests are at every step on their way when a version changes."""
    return client.post("/v1/translate", json={"text": "i eat rice . " * 20})


def detect(client: httpx.Client) -> httpx.Response:
    """In a picture that takes longer to read than to look at."""
    return client.post("/v1/detect", files={"image": picture()})


@cache
def picture() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((1500, 1000), 50).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("ask", [pytest.param(translate, marks=pytest.mark.slow), detect])
def test_no_request_fails_while_versions_change(
    serve: Serve, fresh: Fresh, ask: Callable[[httpx.Client], httpx.Response]
) -> None:
    package = fresh("detection" if ask is detect else "translation")
    versions = [named(package)]
    server = serve(package, "--watch-s", "0.05")
    server.wait_until_ready()
    expected = {**ask(server.http).json(), "version": ""}
    with Load(server, ask) as load:
        for code in ("4", "5"):
            seen = len(load.answers)
            until(lambda: len(load.answers) > seen + 8)  # noqa: B023 - called here
            versions.append(released(package, lambda folder: packages_tiny.reseal(folder, code * 40)))  # noqa: B023
            server.wait_for("model ready", version=versions[-1], replaces=versions[-2])
        seen = len(load.answers)
        until(lambda: len(load.answers) > seen + 8)
    assert load.errors == []
    assert {answer.status_code for answer in load.answers} == {200}
    assert all({**answer.json(), "version": ""} == expected for answer in load.answers)
    assert {answer.json()["version"] for answer in load.answers} == set(versions)
    assert scraped.total(server, "stillhouse_loads_total", result="loaded") == 3
    assert scraped.total(server, "stillhouse_model", version=versions[-1]) == 1
    assert scraped.total(server, "stillhouse_model") == 1


def test_versions_that_fail_do_not_come(serve: Serve, fresh: Fresh) -> None:
    """docs/faults.md 95: golden samples that are not reproduced, a changed byte; the old version answers on."""
    package = fresh("translation")
    old = named(package)
    server = serve(package, "--watch-s", "0.05")
    server.wait_until_ready()
    with Load(server, translate) as load:
        for i, spoil in enumerate((packages_tiny.tampered, spoilt_graph), 1):
            released(package, spoil)
            refusal = server.wait_for("package refused", count=i)
            assert refusal["still_served"] == old
        seen = len(load.answers)
        until(lambda: len(load.answers) > seen + 20)
    assert load.errors == []
    assert {(answer.status_code, answer.json()["version"]) for answer in load.answers} == {(200, old)}
    assert server.http.get("/ready").status_code == 200
    (entry,) = server.http.get("/v1/models").json()["models"]
    assert (entry["ready"], entry["version"]) == (True, old)
    assert "link 'model' is broken" in entry["reason"]
    assert scraped.total(server, "stillhouse_loads_total", result="refused") == 2
    assert scraped.total(server, "stillhouse_model", version=old) == 1


def spoilt_graph(folder: Path) -> None:
    resealed(folder)
    flipped(folder / "model" / "encoder.onnx")


def test_the_way_back_is_a_release_too(serve: Serve, fresh: Fresh, packages: dict[str, Path]) -> None:
    package = fresh("translation")
    new = released(package)
    server = serve(package, "--watch-s", "0.05")
    server.wait_until_ready()
    old = released(package, packages_tiny.reseal)
    assert old == named(packages["translation"]) != new
    server.wait_for("model ready", version=old, replaces=new)
    assert translate(server.http).json()["version"] == old


def test_a_package_that_is_gone_is_served_on(serve: Serve, fresh: Fresh) -> None:
    """Between the removal of the old folder and the coming of the new one there is none."""
    package = fresh("translation")
    server = serve(package, "--watch-s", "0.02")
    server.wait_until_ready()
    away = package.rename(package.with_name("away"))
    for _ in range(15):  # while the server looks several times
        assert translate(server.http).status_code == 200
    assert server.http.get("/ready").status_code == 200
    resealed(away)
    away.rename(package)
    server.wait_for("model ready", version=named(package))
    assert [event for event in server.log() if event["event"] == "package refused"] == []


def test_without_watching_a_signal_looks_for_new_versions(serve: Serve, fresh: Fresh) -> None:
    package = fresh("translation")
    old = named(package)
    server = serve(package, "--watch-s", "0")
    server.wait_until_ready()
    new = released(package)
    assert translate(server.http).json()["version"] == old
    server.stop(signal.SIGHUP)
    server.wait_for("model ready", version=new, replaces=old)
    assert translate(server.http).json()["version"] == new
    assert server.process.poll() is None


def test_a_signal_tries_a_refused_package_again(serve: Serve, fresh: Fresh) -> None:
    server = serve(fresh("translation").with_name("none"), "--watch-s", "0")
    server.wait_for("package refused")
    server.stop(signal.SIGHUP)
    server.wait_for("package refused", count=2)


def test_a_signal_before_the_worker_listens_to_it_is_not_lost_and_kills_nobody(serve: Serve, fresh: Fresh) -> None:
    package = fresh("translation")
    server = serve(package, "--watch-s", "0")  # comes back when the socket is there, before the worker is
    server.stop(signal.SIGHUP)
    server.wait_until_ready()
    assert not [event for event in server.log() if event["event"].startswith("worker died")]
