"""A page of another site can neither read from Prefect's and MLflow's servers nor start anything (docs/faults.md 105).

In a real browser, which knows the servers' passwords and has used both UIs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import chromium
import httpx
import pytest
from foreign import Site, tried
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from pipelines.flow.server import answers

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[3]
NAMES = "MAP *.example 127.0.0.1"
"""evil.example is a site of its own; rebound.example is what an attacker's name becomes after DNS rebinding."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    folder = tmp_path_factory.mktemp("browser")
    running = chromium.started(folder / "profile", folder, f"--host-resolver-rules={NAMES}")
    yield running
    running.quit()


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """The port of a site with the foreign page."""
    with Site() as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running.server_port
        running.shutdown()


def begun(folder: Path, api: str, command: Callable[[int], list[str]], **environment: str) -> Iterator[str]:
    """A server process in `folder`; yields its address once it is healthy, by its API below `api`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    variables = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(folder / "home"),
        "DO_NOT_TRACK": "1",
        **environment,
    }
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *command(port)],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            until(lambda: answers(url + api, 1.0), 150)  # httpx would read certificates at every look
            yield url
        finally:
            process.terminate()
            process.wait(30)


def until(condition: Callable[[], object], seconds: float = 30) -> object:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def own(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[str, str]]]:
    """`make flow-ui`: its address, user and password."""
    folder = tmp_path_factory.mktemp("own")
    (folder / ".stillhouse" / "prefect").mkdir(parents=True)
    shutil.copy(empty, folder / ".stillhouse" / "prefect" / "prefect.db")
    for url in begun(folder, "/api", lambda port: ["-m", "pipelines.flow.server", "--port", str(port)]):
        user, _, password = (folder / ".stillhouse/prefect/password").read_text().strip().partition(":")
        assert f"{user}:{password}" in (folder / "log").read_text()
        yield url, (user, password)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[str, str]]]:
    """MLflow as the stack starts it, with a password that the browser has been told."""
    folder = tmp_path_factory.mktemp("mlflow")
    gate = str(ROOT / "pipelines" / "gate.py")

    def command(port: int) -> list[str]:
        store = f"sqlite:///{folder / 'mlflow.db'}"
        return [gate, "mlflow", "server", f"--backend-store-uri={store}", f"--port={port}", "--workers=1"]

    variables = {
        "GATE_HOSTS": "mlflow:5000,localhost:*,127.0.0.1:*",
        "GATE_PASSWORD": "stillhouse:secret",
        "GATE_FOLDER": str(folder / "gate"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    for url in begun(folder, "", command, **variables):
        yield url, ("stillhouse", "secret")


def pages(site: int) -> list[str]:
    """Of another site, of another server of this machine."""
    return [f"http://evil.example:{site}/", f"http://127.0.0.1:{site}/", f"http://localhost:{site}/"]


def test_a_trusting_server_is_open_to_all_of_it(browser: webdriver.Chrome, site: int) -> None:
    """That the page's tries are real."""
    with Site(trusting=True) as open_to_all:
        threading.Thread(target=open_to_all.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{open_to_all.server_port}"
        told = tried(browser, pages(site)[0], url, "/read", "/write", "{}")
        until(lambda: len(open_to_all.posted) == 4)  # the form's comes when the frame has loaded
        open_to_all.shutdown()
    secret = dict.fromkeys(("read", "read with credentials", "write"), "'secret'")
    blind = dict.fromkeys(("blind text/plain", "blind application/x-www-form-urlencoded"), "sent")
    assert told == {**secret, **blind, "script": "loaded", "websocket": "refused"}
    assert sorted(open_to_all.posted) == ["application/json", "application/x-www-form-urlencoded", *["text/plain"] * 2]


def test_prefect(browser: webdriver.Chrome, site: int, own: tuple[str, tuple[str, str]]) -> None:
    url, auth = own
    flow = httpx.post(f"{url}/api/flows/", json={"name": "stillhouse"}, auth=auth, trust_env=False).json()["id"]
    body = json.dumps({"flow_id": flow, "state": {"type": "SCHEDULED"}})

    def runs() -> int:
        return int(httpx.post(f"{url}/api/flow_runs/count", json={}, auth=auth, trust_env=False).json())

    browser.get(url)
    until(lambda: browser.find_elements(By.CSS_SELECTOR, "input[type=password]"))
    browser.find_element(By.CSS_SELECTOR, "input[type=password]").send_keys(":".join(auth), Keys.ENTER)
    until(lambda: "login" not in browser.current_url)
    browser.get(f"{url}/flows")
    until(lambda: "stillhouse" in browser.find_element(By.TAG_NAME, "body").text)

    for page in pages(site):
        told = tried(browser, page, url, "/api/admin/version", "/api/flow_runs/", body)
        assert (
            told.pop("blind text/plain") == told.pop("blind application/x-www-form-urlencoded") == "sent"
        )  # to no end
        assert set(told.values()) == {"refused"}, (page, told)
        assert browser.title == "free prizes"
    assert runs() == 0
    browser.get(url.replace("127.0.0.1", "rebound.example"))
    assert "does not go by that name" in browser.find_element(By.TAG_NAME, "body").text

    asked = httpx.post(f"{url}/api/flow_runs/", content=body, auth=auth, trust_env=False)
    assert asked.is_success and runs() == 1, "what the pages sent was no request that starts something"


def test_mlflow(browser: webdriver.Chrome, site: int, mlflow: tuple[str, tuple[str, str]]) -> None:
    url, auth = mlflow
    read, write = "/api/2.0/mlflow/experiments/search?max_results=100", "/api/2.0/mlflow/experiments/create"

    def experiments() -> set[str]:
        found = httpx.get(url + read, auth=auth, trust_env=False).json()["experiments"]
        return {experiment["name"] for experiment in found}

    assert httpx.get(url + read, trust_env=False).status_code == 401
    browser.get(url.replace("//", f"//{auth[0]}:{auth[1]}@"))
    browser.get(f"{url}/#/experiments")
    until(lambda: "Default" in browser.find_element(By.TAG_NAME, "body").text)

    for page in pages(site):
        told = tried(browser, page, url, read, write, json.dumps({"name": "evil"}))
        assert told.pop("blind text/plain") == told.pop("blind application/x-www-form-urlencoded") == "sent"
        assert set(told.values()) == {"refused"}, (page, told)
    assert experiments() == {"Default"}
    browser.get(url.replace("127.0.0.1", "rebound.example"))
    assert "does not go by that name" in browser.find_element(By.TAG_NAME, "body").text


def test_mlflows_own_ui_is_on_the_loopback_behind_the_gate(tmp_path: Path) -> None:
    """`make ui`."""
    for url in begun(tmp_path, "", lambda port: ["-m", "pipelines.ui", "--port", str(port)]):
        path = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        for headers, expected in (
            ({}, 200),
            ({"Host": "rebound.example"}, 421),
            ({"Origin": "http://localhost:8000"}, 403),
            ({"Origin": url}, 200),
        ):
            assert httpx.get(path, headers=headers, trust_env=False).status_code == expected, headers
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)} - {
            "127.0.0.1",
            "127.0.1.1",
            "::1",
        }
        for address in others:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as outside:
                assert outside.connect_ex((address, int(url.rsplit(":", 1)[1]))) != 0
