"""OpenTelemetry: spans reach a collector that is configured; without one nothing of it is even imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collector import Collector, attributes
from running import ROOT, Running
from versions import named
from waiting import until

Serve = Callable[..., Running]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.fixture(scope="module")
def traced(packages: dict[str, Path], collector: Collector) -> Iterator[Running]:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with Running(str(packages["translation"]), environment=environment) as server:
        server.wait_until_ready()
        yield server


def test_a_request_is_a_span_below_its_clients(
    traced: Running, collector: Collector, packages: dict[str, Path]
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "traced-1"}
    assert traced.http.post("/v1/translate", json={"text": ["i eat rice ."] * 2}, headers=headers).status_code == 200
    (span,) = until(lambda: collector.named("POST /v1/translate", TRACE))
    assert span.parent_span_id.hex() == PARENT
    assert span.kind == span.SPAN_KIND_SERVER
    told = attributes(span.attributes)
    assert told["http.request.method"] == "POST"
    assert (told["http.route"], told["http.response.status_code"]) == ("/v1/translate", 200)
    (predict,) = until(lambda: collector.named("predict", TRACE))
    assert predict.parent_span_id == span.span_id
    assert span.start_time_unix_nano <= predict.start_time_unix_nano
    assert predict.end_time_unix_nano <= span.end_time_unix_nano
    assert attributes(predict.attributes) == {
        "stillhouse.items": 2,
        "stillhouse.model": "translation",
        "stillhouse.version": named(packages["translation"]),
    }
    assert collector.services == {"stillhouse"}
    assert collector.paths == {"/v1/traces"}


def test_a_refusal_is_a_span_too(traced: Running, collector: Collector) -> None:
    traced.http.get("/v2/models/none")
    (span,) = until(lambda: collector.named("GET /v2/models/{name}"))
    assert attributes(span.attributes)["http.response.status_code"] == 404
    assert not span.parent_span_id


@pytest.mark.parametrize("given", ["00-nonsense", f"00-{'0' * 32}-{PARENT}-01", "x" * 5000])
def test_a_parent_that_is_none(traced: Running, collector: Collector, given: str) -> None:
    before = len(collector.named("GET /v1/models"))
    assert traced.http.get("/v1/models", headers={"traceparent": given}).status_code == 200
    span = until(lambda: collector.named("GET /v1/models")[before:])[0]
    assert not span.parent_span_id


def test_the_last_spans_are_sent_when_the_server_ends(serve: Serve, packages: dict[str, Path]) -> None:
    with Collector() as collector:
        environment = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/own", "OTEL_SERVICE_NAME": "mine"}
        server = serve(packages["translation"], environment={**environment, "OTEL_BSP_SCHEDULE_DELAY": "600000"})
        server.wait_until_ready()
        server.http.get("/v1/models")
        server.stop()
        assert server.process.wait(60) == 0
        assert collector.named("GET /v1/models")
    assert (collector.services, collector.paths) == ({"mine"}, {"/own"})


def test_nothing_of_what_clients_send_is_told(traced: Running, collector: Collector) -> None:
    """Also not by a library: routes are told, not paths and queries."""
    traced.http.get("/v1/models/secret-name/card?secret-query", headers={"X-Secret": "secret-header"})
    traced.http.post("/v1/translate?model=secret-model", json={"text": "secret text"})
    until(lambda: collector.named("GET /v1/models/{name}/card"))
    until(lambda: collector.named("POST /v1/translate"))
    assert "secret" not in str(collector.spans)


def test_a_collector_that_is_down_costs_nothing_but_its_spans(serve: Serve, packages: dict[str, Path]) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    server = serve(packages["translation"], environment={**environment, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"})
    server.wait_until_ready()
    assert server.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200
    until(lambda: [event for event in server.log() if "level" not in event or event["level"] in ("warning", "error")])
    assert server.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200
    assert all(event["event"] for event in server.log()), "a line of the log is no JSON"
    server.stop()
    assert server.process.wait(60) == 0


def test_without_a_collector_nothing_that_could_send_is_imported() -> None:
    """FastAPI imports the API, which does nothing by itself."""
    code = "import sys; import serving.worker; from serving import tracing; tracing.configure(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={})
    assert "serving.tracing" in done.stdout
    sending = ("opentelemetry.sdk", "opentelemetry.exporter")
    assert [name for name in done.stdout.split() if name.startswith(sending)] == []
