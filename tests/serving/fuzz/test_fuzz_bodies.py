"""Bodies of `/v1`: forms and JSON that are spoiled, or as large as they may be and laborious to read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx
import pytest
from correct import boxes
from hypothesis import given, settings
from hypothesis import strategies as st
from running import Running
from tiers import tiers
from unharmed import Known, is_refused

from tasks.detection.predict import Predictor as Detector

LARGE = 10_000_000
"""Bytes: less than the limit of a body."""
SOON_S = 5
"""Within which anybody else is answered, on a machine that does much else."""
FORM = "multipart/form-data; boundary=edge"
URLENCODED = "application/x-www-form-urlencoded"
PART = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'
JSON = "application/json"
TEXTS = "/v2/models/translation/infer"
TENSORS = "/v2/models/detection/infer"
TENSOR = b'{"inputs":[{"name":"pixels","datatype":"FP32","shape":%s,"data":%s}]}'


def json_list(part: bytes) -> bytes:
    return b"[" + b",".join([part] * (LARGE // (len(part) + 1))) + b"]"


@cache
def json_keys() -> bytes:
    return b"{" + b",".join(b'"k%d":1' % i for i in range(LARGE // 13)) + b"}"


HEAVY = {
    "list of lists": ("/v1/detect", JSON, lambda: json_list(b"[]")),
    "lists in lists": ("/v1/detect", JSON, lambda: json_list(b"[" * 100 + b"]" * 100)),
    "list of texts": ("/v1/translate", JSON, lambda: b'{"text":' + json_list(b'""') + b"}"),
    "unknown fields": ("/v1/translate", JSON, json_keys),
    "one text": ("/v1/translate", JSON, lambda: b'{"text":"' + b"a" * LARGE + b'"}'),
    "one escaped text": ("/v1/translate", JSON, lambda: b'{"text":"' + b"\\u0041" * (LARGE // 6) + b'"}'),
    "one image": ("/v1/detect", JSON, lambda: b'{"image":"' + b"A" * LARGE + b'"}'),
    "one number": ("/v1/detect", JSON, lambda: b'{"min_score":' + b"1" * LARGE + b"}"),
    "pixels": (TENSORS, JSON, lambda: TENSOR % (b"[1,1500,1500,3]", json_list(b"1"))),
    "shape": (TENSORS, JSON, lambda: TENSOR % (json_list(b"1"), b"[]")),
    "parameters": (TENSORS, JSON, lambda: b'{"inputs":[],"parameters":' + json_keys() + b"}"),
    "outputs": (TENSORS, JSON, lambda: b'{"outputs":' + json_list(b'{"name":"boxes"}') + b"}"),
    "part of line ends": ("/v1/detect", FORM, lambda: PART + b"\r\n" + b"\r\n" * (LARGE // 2) + b"\r\n--edge--\r\n"),
    "part of almost edges": ("/v1/detect", FORM, lambda: PART + b"\r\n" + b"\r\n--edg" * (LARGE // 7)),
    "part with many headers": ("/v1/detect", FORM, lambda: PART + b"A: b\r\n" * (LARGE // 6)),
    "many parts": ("/v1/detect", FORM, lambda: (PART + b"\r\n\r\n") * (LARGE // 80)),
    "separators": ("/v1/detect", URLENCODED, lambda: b"&" * LARGE),
    "percent signs": ("/v1/detect", URLENCODED, lambda: b"image=" + b"%41" * (LARGE // 3)),
    "a million percent signs": ("/v1/detect", URLENCODED, lambda: b"image=" + b"%41" * 333_000),
}


@contextmanager
def others_are_answered(server: Running) -> Iterator[None]:
    """While this goes on, within `SOON_S`."""
    waits, ended = [0.0], threading.Event()

    def look() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            while not ended.wait(0.005):
                began = time.monotonic()
                assert http.get("/live").status_code == 200
                waits.append(time.monotonic() - began)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
    assert max(waits) < SOON_S


@pytest.mark.parametrize(("path", "kind", "make"), HEAVY.values(), ids=HEAVY)
def test_a_laborious_body_keeps_nobody_waiting(server: Running, path: str, kind: str, make) -> None:  # type: ignore[no-untyped-def]
    content = make()
    with others_are_answered(server):
        assert is_refused(server.http.post(path, content=content, headers={"Content-Type": kind}))


def test_a_tensor_of_millions_of_empty_texts_keeps_nobody_waiting(server: Running) -> None:
    size = LARGE // 4
    entry = {"name": "text", "datatype": "BYTES", "shape": [size], "parameters": {"binary_data_size": size * 4}}
    head = json.dumps({"inputs": [entry]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    with others_are_answered(server):
        assert is_refused(server.http.post(TEXTS, content=head + bytes(size * 4), headers=headers))


@tiers(100, 5000)
def test_a_spoiled_form_is_refused_or_means_the_same(
    server: Running, known: Known, detector: Detector, tries: settings
) -> None:
    form = PART + b"\r\n" + known.picture + b"\r\n--edge\r\n"
    rest = b'Content-Disposition: form-data; name="min_score"\r\n\r\n0.2\r\n--edge--\r\n'
    pieces = st.binary(max_size=5) | st.sampled_from(
        [b"\r\n", b"--edge", b"\r\n--edge--", b'"', b";", b"=", b"%00", b"\xff"]
    )
    places = st.integers(0, len(PART) - 1) | st.integers(len(PART) + len(known.picture), len(form) + len(rest) - 1)

    @tries
    @given(st.lists(st.tuples(places, st.integers(0, 12), pieces), min_size=1, max_size=3))
    def check(changes: list[tuple[int, int, bytes]]) -> None:
        content = form + rest
        for place, length, piece in sorted(changes, reverse=True):
            content = content[:place] + piece + content[place + length :]
        answer = server.http.post("/v1/detect", content=content, headers={"Content-Type": FORM})
        if not is_refused(answer):
            right = [boxes(detector, known.picture, score) for score in scores(content)]
            assert any(one.items() <= answer.json().items() for one in right)

    check()


def scores(content: bytes) -> list[float]:
    """What a changed form may have meant as `min_score`: nothing, what was there, or what is there now."""
    said = content.rpartition(b'name="min_score"\r\n\r\n')[2].partition(b"\r\n--edge")[0]
    try:
        return [0.0, 0.2, float(said)]
    except ValueError:
        return [0.0, 0.2]


@tiers(100, 3000)
def test_any_object_of_json_is_refused_or_right(server: Running, known: Known, tries: settings) -> None:
    values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=3)
    fields = {"text": values, "alignment": values, "beam": values, "check_language": values, "image": values}

    @tries
    @given(
        st.fixed_dictionaries({}, optional={**fields, "min_score": values}), st.sampled_from(["translate", "detect"])
    )
    def check(content: dict[str, object], verb: str) -> None:
        answer = server.http.post(
            f"/v1/{verb}", content=json.dumps(content), headers={"Content-Type": "application/json"}
        )
        if not is_refused(answer):
            assert verb == "translate"
            text = content["text"]
            assert len(answer.json()["translations"]) == (1 if isinstance(text, str) else len(text))  # type: ignore[arg-type]

    check()
