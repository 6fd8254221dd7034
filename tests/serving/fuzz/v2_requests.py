"""Hypothesis strategies for requests of the Open Inference Protocol v2: right ones, and right ones spoiled."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as tensors
from PIL import Image
from v2 import Message, tensor

NAMES = {"detection": ("boxes", "scores", "labels", "category_ids", "owners"), "translation": ("translation",)}
WORDS = ["she", "buy", "cars", "I", "see", "a", "dog", "the", "cat", "Zürich", "42", "😀", "日本"]
ODD = [
    *(None, True, False, 0, 1, -1, 2, 3, 255, 256, 2**31 - 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30),
    *(0.5, -0.0, 1e-320, 1e38, 1e39, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "x", "image", "pixels", "text", "BYTES", "UINT8", "FP32", "FP64", "INT64", "BOOL", "\0", "\ud800", "aGk="),
    *(
        [],
        {},
        [[]],
        [1, 1, 1, 3],
        [0, 0, 0, 3],
        [-1],
        {"binary_data_size": 0},
        {"data": []},
        {"content_type": "base64"},
    ),
]
"""Values that take the place of others."""


def picture(kind: str, width: int, height: int) -> bytes:
    rng, buffer = np.random.default_rng(width * height), io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


PICTURES = [picture("PNG", 8, 6), picture("JPEG", 20, 30), picture("WEBP", 33, 5), picture("PNG", 1, 1)]
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.just(3))
PIXELS = {"UINT8": st.integers(0, 255), "FP32": st.floats(0, 255, width=32)}


@st.composite
def wanted(draw: st.DrawFn, model: str) -> dict[str, Any]:
    """What is asked for beside the inputs: an id, options, outputs."""
    content: dict[str, Any] = draw(st.fixed_dictionaries({}, optional={"id": st.text(max_size=9)}))
    always = {"check_language": st.just(False)} if model == "translation" else {}
    option = {"min_score": st.floats(0, 1) | st.just(0)} if model == "detection" else {"beam": st.integers(1, 4)}
    binary = {"binary_data_output": st.booleans()}
    content["parameters"] = draw(st.fixed_dictionaries(always, optional=option | binary))
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(NAMES[model]), min_size=1, unique=True))
        form = st.fixed_dictionaries({}, optional={"parameters": st.fixed_dictionaries({"binary_data": st.booleans()})})
        content["outputs"] = [{"name": name, **draw(form)} for name in names]
    return content


@st.composite
def requests(draw: st.DrawFn) -> Message:
    """What the protocol allows."""
    name = draw(st.sampled_from(["image", "pixels", "text"]))
    if name == "pixels":
        datatype = draw(st.sampled_from(sorted(PIXELS)))
        kind = np.dtype("u1" if datatype == "UINT8" else "f4")
        values: Any = draw(tensors.arrays(kind, SHAPES, elements=PIXELS[datatype]))
        form = draw(st.sampled_from(["flat", "nested", "binary"]))
    else:
        datatype = "BYTES"
        texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(lambda words: " ".join(words).encode())
        values = draw(st.lists(st.sampled_from(PICTURES) if name == "image" else texts, min_size=1, max_size=3))
        form = draw(st.sampled_from(["base64", "binary", "text"][: 2 + (name == "text")]))
    entry, blob = tensor(name, values, datatype, form)
    model = "translation" if name == "text" else "detection"
    return Message(model, {**draw(wanted(model)), "inputs": [entry]}, blob)


@st.composite
def spoiled(draw: st.DrawFn) -> Message:
    """A request with one to three values of its JSON replaced, left out or doubled, or bytes of its blob changed."""
    right = draw(requests())
    content, blob = copy.deepcopy(right.content), right.blob
    for _ in range(draw(st.integers(1, 3))):
        if blob and draw(st.integers(0, 3)) == 0:
            at, new = draw(st.integers(0, len(blob))), draw(st.binary(max_size=9))
            blob = blob[:at] + new + blob[at + draw(st.integers(0, 9)) :]
        else:
            _spoil(draw, content)
    return Message(right.model, content, blob)


def _spoil(draw: st.DrawFn, content: dict[str, Any]) -> None:
    """One value somewhere in `content`."""
    place, key = draw(_places(content))
    change = draw(st.sampled_from(["replace", "replace", "remove", "double", "wrap", "nudge"]))
    if change == "remove":
        del place[key]
    elif change == "double" and isinstance(place, list):
        place.append(copy.deepcopy(place[key]))
    elif change == "wrap":
        place[key] = [place[key]]
    elif change == "nudge" and type(place[key]) in (int, float):
        place[key] += draw(st.sampled_from([-1, 1, 0.5, 2**32]))
    else:
        place[key] = copy.deepcopy(draw(st.sampled_from(ODD)))


@st.composite
def _places(draw: st.DrawFn, content: dict[str, Any]) -> tuple[Any, Any]:
    """A dictionary or list within `content`, and one of its keys; the deep ones as often as the others."""
    place: Any = content
    key: Any = draw(st.sampled_from(["inputs", *sorted(content)])) if "inputs" in content else "id"
    content.setdefault(key, None)
    while place[key] and isinstance(place[key], dict | list) and draw(st.integers(0, 7)):
        place = place[key]
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    return place, key


NUMBERS = [-1, -0.01, 255.5, 256, 3.5, 2**31, 2**63, 2**64, 10**30, 1e39, 1e308, True, None, "1", [1]]
FLOATS = [float("nan"), float("inf"), float("-inf"), -1.0, -0.1, 255.1, 256.0, 3e38, 1e-45]
SIZES = [-1, 0, 1, 2, 4, 2**31 - 1, 2**31, 2**32, 2**62, 1.0, "1", None, True]


@st.composite
def near_misses(draw: st.DrawFn) -> Message:
    """A request with one thing wrong that all checks but one let pass."""
    message = draw(requests())
    content, blob = copy.deepcopy(message.content), message.blob
    (entry,) = content["inputs"]
    wrong = draw(st.sampled_from(["shape", "dimension", "data", "data"]))
    if wrong == "shape":
        entry["shape"][draw(st.integers(0, len(entry["shape"]) - 1))] = draw(st.sampled_from(SIZES))
    elif wrong == "dimension":
        entry["shape"] = draw(st.sampled_from([[1, *entry["shape"]], [*entry["shape"], 1], entry["shape"][::-1], []]))
    elif blob:
        blob = draw(_wrong_floats(blob) if entry["datatype"] == "FP32" else _wrong_bytes(blob))
        entry["parameters"]["binary_data_size"] = len(blob)
    elif entry["datatype"] == "BYTES":
        i = draw(st.integers(0, len(entry["data"]) - 1))
        entry["data"][i] = draw(st.sampled_from(["*", "a", "aGk", "aGk=\n", "aGk= ", "日本", entry["data"][i][:-1]]))
    else:
        place: Any = entry["data"]
        while isinstance(place[0], list):
            place = place[draw(st.integers(0, len(place) - 1))]
        place[draw(st.integers(0, len(place) - 1))] = draw(st.sampled_from(NUMBERS))
    return Message(message.model, content, blob)


@st.composite
def _wrong_floats(draw: st.DrawFn, blob: bytes) -> bytes:
    values = np.frombuffer(blob, "<f4").copy()
    values[draw(st.integers(0, len(values) - 1))] = draw(st.sampled_from(FLOATS))
    return draw(st.sampled_from([values.tobytes(), values.tobytes()[:-1], values.astype("<f8").tobytes()]))


@st.composite
def _wrong_bytes(draw: st.DrawFn, blob: bytes) -> bytes:
    at = draw(st.integers(0, len(blob)) | st.just(0))
    return blob[:at] + draw(st.binary(max_size=5)) + blob[at + draw(st.integers(0, 5)) :]
