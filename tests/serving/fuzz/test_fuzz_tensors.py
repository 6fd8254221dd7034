"""Protocol v2: whatever tensors a request has, they are refused with a reason, or predicted as the Predictor does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from correct import arrays, translation
from hypothesis import given, settings
from hypothesis import strategies as st
from running import Running
from tiers import tiers
from unharmed import is_refused
from v2 import HEADER, Message, meaning, outputs
from v2_requests import NAMES, NUMBERS, near_misses, requests, spoiled

from tasks.detection.predict import Predictor as Detector
from tasks.translation.predict import Predictor as Translator

Right = Callable[[Message, httpx.Response], None]
DEEP = 200_000
TENSORS = "/v2/models/detection/infer"
KEYS = ["inputs", "name", "data", "shape", "datatype", "parameters", "outputs", "other"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)
PIXEL = b'{"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,1,3],"data":%s}]}'
NESTED = {
    "lists": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"inputs":' * DEEP + b"1" + b"}" * DEEP,
    "open lists": b"[" * DEEP,
    "data": PIXEL % (b"[" * DEEP + b"]" * DEEP),
    "an unknown key": b'{"inputs":[],"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "200 lists": PIXEL % (b"[" * 200 + b"1,2,3" + b"]" * 200),
}
HUGE = {
    "an integer of 5,000 digits": "9" * 5000,
    "a number beyond floats": "1e99999",
    "a number that is almost none": "1e-99999",
    "a fraction of 100,000 digits": "0." + "1" * 100_000,
    "minus nothing": "-",
    "not a number": "NaN",
    "infinite": "-Infinity",
}


@pytest.fixture(scope="session")
def right(detector: Detector, translator: Translator) -> Right:
    """Fails unless the answer to a request is right."""

    def check(message: Message, answer: httpx.Response) -> None:
        values, asked = meaning(message), message.content.get("parameters") or {}
        assert isinstance(message.content.get("id", ""), str | None)
        if message.model == "translation":
            texts = [translation(translator, value.decode(), asked.get("beam")).encode() for value in values]
            expected = {"translation": np.array(texts, object)}
        else:
            score = asked.get("min_score", 0.0)
            assert type(score) in (int, float)
            assert 0 <= score <= 1
            expected = arrays(detector, [rounded(value) for value in values], score)
        content, found = outputs(answer)
        assert content.get("id") == message.content.get("id")
        assert content["model_name"] == message.model
        names = [entry["name"] for entry in message.content.get("outputs") or []] or list(NAMES[message.model])
        assert list(found) == names
        for name in names:
            assert found[name].shape == expected[name].shape
            assert (found[name] == expected[name]).all(), name

    return check


def rounded(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    assert ((value >= 0) & (value <= 255)).all(), "accepted though pixels lie beyond 0 to 255"
    return np.rint(value).astype(np.uint8)


@tiers(80, 2000)
def test_what_the_protocol_allows_is_predicted(server: Running, right: Right, tries: settings) -> None:
    @tries
    @given(requests())
    def check(message: Message) -> None:
        answer = message.send(server.http)
        assert answer.status_code == 200, answer.text
        right(message, answer)

    check()


@pytest.mark.parametrize("wrong", [spoiled(), near_misses()], ids=["spoiled", "near miss"])
@tiers(150, 10_000)
def test_what_is_wrong_is_refused_or_predicted_for_what_it_is(
    server: Running, right: Right, tries: settings, wrong: st.SearchStrategy[Message]
) -> None:
    @tries
    @given(wrong)
    def check(message: Message) -> None:
        answer = message.send(server.http)
        if not is_refused(answer):
            right(message, answer)

    check()


@tiers(100, 3000)
def test_any_other_json_is_refused(server: Running, tries: settings) -> None:
    @tries
    @given(st.sampled_from(sorted(NAMES)), JSON)
    def check(model: str, content: Any) -> None:
        assert is_refused(Message(model, content).send(server.http))

    check()


@tiers(100, 3000)
def test_any_other_bytes_are_refused(server: Running, tries: settings) -> None:
    lengths = st.integers(-2, 50).map(str) | st.text("0123456789-+._exX,", max_size=30) | st.just("9" * 400)

    @tries
    @given(st.binary(max_size=40), st.none() | lengths)
    def check(content: bytes, length: str | None) -> None:
        headers = {} if length is None else {HEADER: length}
        assert is_refused(server.http.post(TENSORS, content=content, headers=headers))

    check()


@tiers(60, 1000)
def test_a_wrong_length_of_the_header_never_moves_its_end(server: Running, tries: settings) -> None:
    """The JSON ends where the header says or the request is refused: there is one right number."""
    content = {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 1, 1, 3]}]}
    content["inputs"][0]["parameters"] = {"binary_data_size": 3}
    head = json.dumps(content).encode()

    @tries
    @given(st.integers(-5, len(head) + 10) | st.integers())
    def check(length: int) -> None:
        answer = server.http.post(TENSORS, content=head + b"\n\n\n", headers={HEADER: str(length)})
        assert is_refused(answer) == (length != len(head))

    check()
    assert is_refused(server.http.post(TENSORS, content=PIXEL % b"[1,2,3]", headers={HEADER: "200"}))


@pytest.mark.parametrize("content", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("path", [TENSORS, "/v1/detect", "/v1/translate"])
def test_deeply_nested_json_is_refused(server: Running, path: str, content: bytes) -> None:
    assert is_refused(server.http.post(path, content=content, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
def test_what_is_no_value_of_a_pixel_is_refused(server: Running, datatype: str, number: Any) -> None:
    entry = {"name": "pixels", "datatype": datatype, "shape": [1, 1, 1, 3], "data": [1, number, 3]}
    answer = Message("detection", {"inputs": [entry]}).send(server.http)
    assert is_refused(answer) == (datatype != "FP32" or number != 3.5)


@pytest.mark.parametrize("number", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize(
    "place",
    [
        '{"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,1,3],"data":[1,2,%s]}]}',
        '{"inputs":[{"name":"pixels","datatype":"FP32","shape":[1,1,1,3],"data":[1,2,%s]}]}',
        '{"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,%s,3],"data":[1,2,3]}]}',
        '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%s}}]}',
        '{"parameters":{"min_score":%s},"inputs":[]}',
    ],
)
def test_numbers_beyond_all_bounds_are_refused(server: Running, place: str, number: str) -> None:
    content = (place % number).encode()
    answer = server.http.post(TENSORS, content=content)
    allowed = number[0] in "01" and "FP32" in place and "99999" not in number.replace("-99999", "")
    assert is_refused(answer) != allowed
