"""A bearer token: from the environment or a file, asked for everywhere but where nothing is told, never told itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest
import raw_http
import tritonclient.grpc as triton
from refusals import refused
from running import Running
from tritonclient.utils import InferenceServerException
from versions import named
from waiting import until

from serving.rpc.messages import SERVICE

Serve = Callable[..., Running]
TOKEN = "Correct-Horse_battery.staple~42"
EXPECTED = "expected the header Authorization: Bearer TOKEN"
OPEN = (
    "/live",
    "/ready",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2",
    "/",
    "/docs",
    "/openapi.json",
    "/page/style.css",
)
CLOSED = (
    ("GET", "/v1/models"),
    ("GET", "/v1/models/translation/card"),
    ("GET", "/v1/models/translation/passport"),
    ("GET", "/v1/models/none/card"),
    ("POST", "/v1/translate"),
    ("POST", "/v1/detect"),
    ("GET", "/v2/models/translation"),
    ("GET", "/v2/models/none"),
    ("GET", "/v2/models/translation/ready"),
    ("POST", "/v2/models/translation/infer"),
    ("GET", "/metrics"),
    ("GET", "/metrics/"),
    ("GET", "/nothing"),
    ("GET", "//metrics"),
    ("GET", "/page/../metrics"),
    ("GET", "/page/..%2fmetrics"),
    ("GET", "/live/../metrics"),
    ("POST", "/v1/translate?path=/live"),
)


@pytest.fixture(scope="module")
def guarded(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    file = tmp_path_factory.mktemp("secrets") / "token"
    file.write_text(f"{TOKEN}\n")
    with Running(str(packages["translation"]), "--token-file", str(file), "--grpc-port", "0") as server:
        server.wait_until_ready()
        yield server


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_without_the_token(guarded: Running, method: str, path: str) -> None:
    with raw_http.connected(guarded) as connection:  # httpx would tidy these paths up
        raw_http.send(connection, [raw_http.head(path, method, Content_Length=0)])
        answer = raw_http.answer(connection)
    if path.startswith("/page/"):
        assert answer.status == 404  # an open path, below which nothing is but the page
        return
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.error.startswith(EXPECTED)


@pytest.mark.parametrize("path", OPEN)
def test_what_tells_nothing_of_models_is_open(guarded: Running, packages: dict[str, Path], path: str) -> None:
    answer = guarded.http.get(path)
    assert answer.status_code == 200
    assert named(packages["translation"]) not in answer.text


@pytest.mark.parametrize(("method", "path"), [entry for entry in CLOSED if entry[1] in ("/v1/models", "/metrics")])
def test_with_the_token(guarded: Running, method: str, path: str) -> None:
    assert guarded.http.request(method, path, headers=bearer(TOKEN)).status_code == 200
    assert guarded.http.request(method, path, headers={"authorization": f"bEARER   {TOKEN}"}).status_code == 200


def test_with_the_token_a_model_answers(guarded: Running) -> None:
    answer = guarded.http.post("/v1/translate", json={"text": "i eat rice ."}, headers=bearer(TOKEN))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.lower()}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}\xff",
        f"Bearer {TOKEN},Bearer {TOKEN}",
    ],
)
def test_with_something_else(guarded: Running, value: str) -> None:
    answer = guarded.http.get("/v1/models", headers=[(b"Authorization", value.encode("latin-1"))])
    refused(answer, 401, EXPECTED)
    assert TOKEN not in answer.text


def test_a_body_is_not_read_without_the_token(guarded: Running) -> None:
    """The answer comes before the body does."""
    with raw_http.connected(guarded) as connection:
        raw_http.send(connection, [raw_http.head("/v1/translate", Content_Length=1_000_000)])
        assert raw_http.answer(connection).status == 401


def test_the_token_is_nowhere_to_be_read(guarded: Running) -> None:
    guarded.http.get("/v1/models", headers=bearer(TOKEN))
    guarded.http.get("/v1/models", headers=bearer("x" + TOKEN))
    guarded.http.get(f"/{TOKEN}?token={TOKEN}")
    guarded.wait_for("request", status=401)
    log = [{**event, "path": ""} for event in guarded.log()]  # what a client writes into a path is its own
    assert TOKEN not in str(log)
    for process in (psutil.Process(guarded.process.pid), guarded.worker):
        assert TOKEN not in " ".join(process.cmdline())
    for path in ("/metrics", "/v1/models", "/openapi.json"):
        assert TOKEN not in guarded.http.get(path, headers=bearer(TOKEN)).text


def test_a_token_from_the_environment(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], environment={"STILLHOUSE_TOKEN": TOKEN})
    until(lambda: server.http.get("/ready").status_code == 200)
    refused(server.http.get("/v1/models"), 401, EXPECTED)
    assert server.http.get("/v1/models", headers=bearer(TOKEN)).status_code == 200


def test_without_a_token_nothing_is_asked_for(server: Running) -> None:
    assert server.http.get("/v1/models").status_code == 200
    assert server.http.get("/v1/models", headers=bearer(TOKEN)).status_code == 200


@pytest.mark.parametrize("path", ["/ready", "/v2/health/ready"])
def test_why_it_is_not_ready_is_told_to_those_with_the_token(serve: Serve, tmp_path: Path, path: str) -> None:
    server = serve(tmp_path / "missing", environment={"STILLHOUSE_TOKEN": TOKEN})
    server.wait_for("package refused")
    stranger, friend = server.http.get(path), server.http.get(path, headers=bearer(TOKEN))
    assert (stranger.status_code, friend.status_code) == (400, 400)
    assert "missing" not in stranger.text
    assert "missing" in friend.json()["reasons"]


def test_calls_over_grpc_need_it_too(guarded: Running) -> None:
    where = guarded.wait_for("listening for gRPC")["address"]
    with triton.InferenceServerClient(where) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.get_server_metadata().name == "stillhouse"
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            for asked in (client.get_model_metadata, client.is_model_ready):
                with pytest.raises(InferenceServerException, match=r"UNAUTHENTICATED\] expected the header") as raised:
                    asked("translation", headers=headers)
                assert TOKEN not in str(raised.value)
        assert client.is_model_ready("translation", headers={"authorization": f"Bearer {TOKEN}"})


def test_no_message_is_waited_for_without_it(guarded: Running) -> None:
    """Few may come at once: who has no token could hold all their places by messages that never come."""
    ended = threading.Event()

    def never() -> Iterator[bytes]:
        ended.wait(60)
        yield from ()

    with grpc.insecure_channel(guarded.wait_for("listening for gRPC")["address"]) as channel:
        for method in ("ServerLive", "ServerReady", "ServerMetadata"):
            assert channel.stream_unary(f"/{SERVICE}/{method}")(never(), timeout=5)
        with pytest.raises(grpc.RpcError) as refused:
            channel.stream_unary(f"/{SERVICE}/ModelInfer")(never(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        ended.set()
