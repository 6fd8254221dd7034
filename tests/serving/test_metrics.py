"""What Prometheus reads: requests, batches, what waits, what is served, how far the inputs have drifted."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import scraped
import translation_tiny as tiny
from PIL import Image
from running import Running
from versions import named
from waiting import until
from waiting_requests import asked, waits

from serving.watch import LEAST

Serve = Callable[..., Running]


@pytest.fixture(scope="module")
def watched(packages: dict[str, Path]) -> Iterator[Running]:
    """A server of this file alone, for tests that count."""
    with Running(*map(str, packages.values())) as server:
        server.wait_until_ready()
        yield server


def test_metrics_are_as_prometheus_wants_them(watched: Running) -> None:
    answer = watched.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = scraped.families(watched)
    expected = {
        "stillhouse_requests": "counter",
        "stillhouse_request_seconds": "histogram",
        "stillhouse_active_requests": "gauge",
        "stillhouse_batch_size": "histogram",
        "stillhouse_batch_seconds": "histogram",
        "stillhouse_queue_seconds": "histogram",
        "stillhouse_queue_items": "gauge",
        "stillhouse_loads": "counter",
        "stillhouse_worker_restarts": "gauge",
        "stillhouse_model": "gauge",
        "stillhouse_model_ready": "gauge",
        "stillhouse_input_drift_psi": "gauge",
        "process_resident_memory_bytes": "gauge",
    }
    assert {name: families[name].type for name in expected} == expected
    assert all(families[name].documentation for name in expected)


def test_requests_are_counted_by_route_and_status(watched: Running) -> None:
    def counts() -> list[float]:
        wanted = [("/v1/translate", "200"), ("/v1/translate", "400"), ("/v2/models/{name}", "404"), ("unknown", "404")]
        return [
            scraped.total(watched, "stillhouse_requests_total", route=route, status=status) for route, status in wanted
        ]

    before = counts()
    for _ in range(3):
        watched.http.post("/v1/translate", json={"text": "i eat rice ."})
    watched.http.post("/v1/translate", json={"text": ""})
    for i in range(2):
        watched.http.get(f"/v2/models/none{i}")
        watched.http.get(f"/nothing/{i}")
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [3, 1, 2, 2]


def test_routes_of_clients_own_making_are_one_label(watched: Running) -> None:
    """Else every scanner would fill the memory with labels."""
    for i in range(20):
        watched.http.get(f"/scan/{i}")
        watched.http.get(f"/page/{i}.php")
        watched.http.get(f"/v1/models/{i}/card")
        watched.http.request(f"VERB{i}", "/v1/translate")
    samples = scraped.families(watched)["stillhouse_requests"].samples
    assert len({sample.labels["route"] for sample in samples}) < 20
    assert not [sample for sample in samples if re.search(r"\d\d|php|VERB", str(sample.labels["route"]))]


def test_latency_and_batches_are_measured(watched: Running) -> None:
    names = ("stillhouse_batch_size_count", "stillhouse_batch_seconds_count", "stillhouse_queue_seconds_count")

    def totals() -> list[float]:
        return [scraped.total(watched, name, model="translation") for name in (*names, "stillhouse_batch_size_sum")]

    before, requests = totals(), scraped.total(watched, "stillhouse_request_seconds_count", route="/v1/translate")
    watched.http.post("/v1/translate", json={"text": ["i eat rice .", "you see fish .", "he buy cars ."]})
    batches, computed, waited, items = (now - then for now, then in zip(totals(), before, strict=True))
    assert items == waited == 3
    assert 1 <= batches == computed <= 2
    assert scraped.total(watched, "stillhouse_request_seconds_count", route="/v1/translate") == requests + 1
    seconds = scraped.total(watched, "stillhouse_request_seconds_sum", route="/v1/translate")
    assert seconds >= scraped.total(watched, "stillhouse_batch_seconds_sum", model="translation") > 0


def test_what_is_served_and_what_waits(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], "none=/does/not/exist", *waits())
    server.wait_for("model ready")
    server.wait_for("package refused")
    version = named(packages["translation"])
    assert scraped.total(server, "stillhouse_model", model="translation", task="translation", version=version) == 1
    assert scraped.total(server, "stillhouse_model_ready", model="translation") == 1
    assert scraped.total(server, "stillhouse_model_ready") == 1
    assert scraped.total(server, "stillhouse_loads_total", model="none", result="refused") >= 1
    with ExitStack() as stack:
        asked(stack, server, ["i eat rice ."] * 5)
        until(lambda: scraped.total(server, "stillhouse_queue_items", model="translation") == 5)
        assert scraped.total(server, "stillhouse_active_requests") == 2


def drift(server: Running, model: str) -> dict[str, float]:
    samples = scraped.families(server)["stillhouse_input_drift_psi"].samples
    return {sample.labels["feature"]: sample.value for sample in samples if sample.labels["model"] == model}


def test_drift_rises_when_inputs_are_not_those_of_the_training(
    serve: Serve, packages: dict[str, Path], sentences: list[str]
) -> None:
    server = serve(packages["translation"])
    server.wait_until_ready()

    def ask(texts: list[str]) -> None:
        for i in range(0, len(texts), 50):
            answer = server.http.post("/v1/translate", json={"text": texts[i : i + 50], "check_language": False})
            assert answer.status_code == 200, answer.text

    ask(sentences[: LEAST - 1])
    assert drift(server, "translation") == {}  # too few to tell
    ask(sentences)
    usual = drift(server, "translation")
    assert set(usual) == {"characters", "words", "digits", "capitals", "latin"}
    assert max(usual.values()) < 0.1
    ask(["THE 12 APPLES AND 345 OTHERS OF THE HOUSE BEHIND THE HILL"] * len(sentences))
    strange = drift(server, "translation")
    assert {name for name, index in strange.items() if index > 0.25} == {"characters", "words", "digits", "capitals"}


@pytest.fixture
def sentences() -> list[str]:
    """All that the toy language can say, so in about the proportions of the training data."""
    said = itertools.product(tiny.WHO, tiny.WHAT, tiny.THING)
    return [f"{who} {what} {thing} ." for who, what, thing in said] * 3


def test_drift_of_pictures(watched: Running) -> None:
    dark = io.BytesIO()
    Image.new("RGB", (96, 64), (1, 1, 1)).save(dark, "PNG")
    for _ in range(LEAST):
        assert watched.http.post("/v1/detect", files={"image": dark.getvalue()}).status_code == 200
    found = drift(watched, "detection")
    assert found["brightness"] > 0.25
    assert found["width"] < found["brightness"]
