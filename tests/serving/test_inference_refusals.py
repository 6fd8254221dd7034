"""Wrong v2 requests are 400 and the reason names the field (docs/faults.md 82-85)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
from refusals import refused
from running import Running


def pixels(**changes: Any) -> dict[str, Any]:
    """A right input, changed; None takes a key out."""
    right = {"name": "pixels", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]}
    return {key: value for key, value in {**right, **changes}.items() if value is not None}


def image(text: str) -> dict[str, Any]:
    coded = {"content_type": "base64"}
    return {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text], "parameters": coded}


def infer(server: Running, body: Any, model: str = "detection", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.http.post(f"/v2/models/{model}/infer", content=content, headers=headers)


def test_the_input_that_the_wrong_ones_differ_from_is_right(server: Running) -> None:
    assert infer(server, {"inputs": [pixels()]}).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param(
            pixels(datatype="INT64"), "input 'pixels': datatype 'INT64', expected UINT8 or FP32", id="row-82-datatype"
        ),
        (pixels(datatype=None), "datatype 'None', expected UINT8 or FP32"),
        (pixels(datatype=["UINT8"]), "expected UINT8 or FP32"),
        (pixels(data=[1, 2, 3.5]), "values of UINT8 cannot be float"),
        (pixels(data=[1, 2, True]), "values of UINT8 cannot be bool"),
        (pixels(data=[1, 2, "3"]), "values of UINT8 cannot be str"),
        (pixels(data=[1, 2, 256]), "a value is out of the range of UINT8"),
        (pixels(data=[1, 2, -1]), "a value is out of the range of UINT8"),
        (pixels(datatype="FP32", data=[1, 2, 256]), "values lie from 1 to 256, expected 0 to 255"),
        pytest.param(pixels(shape=[1, 1, 3]), r"shape \[1, 1, 3\], expected \[-1, -1, -1, 3\]", id="row-83-shape"),
        (pixels(shape=[1, 1, 1, 4], data=[1, 2, 3, 4]), r"expected \[-1, -1, -1, 3\]"),
        (pixels(shape=[1, 1, 2, 3]), r"3 values, but the shape \[1, 1, 2, 3\] has 6"),
        (pixels(shape=[1, 1, -1, 3]), "shape must be a list of sizes"),
        (pixels(shape="1113"), "shape must be a list of sizes"),
        (pixels(shape=[1, 2**62, 2**62, 3]), "shape must be a list of sizes"),
        (pixels(shape=[1, 2**30, 2**30, 3]), "3 values, but the shape"),
        (pixels(shape=[0, 1, 1, 3], data=[]), "pixels: has 0 images, expected 1 to 64"),
        (pixels(shape=[1, 0, 1, 3], data=[]), "height and width of at least 1"),
        (pixels(data=[[[[1, 2]]]]), "rows of data are not all of the 3 values"),
        (pixels(data=[[7]]), "data is nested 2 deep; expected flat, or as deep as the shape"),
        (pixels(data=None), "expected data, a list, or parameters.binary_data_size"),
        (pixels(parameters={"binary_data_size": 3}), "has data and binary_data_size; expected one of them"),
        (pixels(data=None, parameters={"binary_data_size": 3}), "binary_data_size 3, but 0 bytes are left"),
        (pixels(data=None, parameters={"binary_data_size": -1}), "binary_data_size -1, but 0 bytes are left"),
        pytest.param(
            pixels(datatype="FP32", data=[1, 1e39, 3]),
            r"the value at \[0, 0, 0, 1\] is not finite",
            id="row-84-not-finite",
        ),
        pytest.param(image("$$"), "input 'image': a string is not valid base64", id="row-85-base64"),
        (image("aGVsbG8="), r"image\[0\]: these bytes cannot be read as an image"),
        (pixels(name="picture"), "there is no input 'picture'; expected one of image, pixels"),
        (pixels(name=None), "expected objects with name"),
        ("pixels", "expected objects with name"),
    ],
)
def test_a_wrong_input(server: Running, wrong: Any, reason: str) -> None:
    refused(infer(server, {"inputs": [wrong]}), 400, reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "the body must be a JSON object with inputs"),
        ({}, "inputs must be a list of 1 to 2 tensors of: image, pixels"),
        ({"inputs": []}, "inputs must be a list of 1 to 2 tensors"),
        ({"inputs": [pixels(), pixels()]}, "inputs has 'pixels' twice"),
        ({"inputs": [pixels()] * 3}, "inputs must be a list of 1 to 2 tensors"),
        ({"inputs": [pixels()], "id": 7}, "id must be a string"),
        ({"inputs": [pixels()], "parameters": [1]}, "parameters must be an object"),
        ({"inputs": [pixels()], "parameters": {"seed": 1}}, r"parameters \['seed'\] are not known; known: min_score"),
        ({"inputs": [pixels()], "outputs": [{"name": "masks"}]}, "no .*output 'masks'; known: boxes, scores"),
        ({"inputs": [pixels()], "outputs": [{"name": "boxes"}] * 2}, "second.* output 'boxes'"),
        ({"inputs": [pixels()], "outputs": {"name": "boxes"}}, "outputs must be a list of objects with a name"),
        (b'{"inputs": [', "the body is no JSON: EOF while parsing"),
        (b'{"inputs": NaN}', "the body is no JSON"),
        (b'{"id": "\xff"}', "the body is no JSON: invalid unicode"),
        (b"", "the body is no JSON"),
    ],
)
def test_a_wrong_message(server: Running, body: Any, reason: str) -> None:
    refused(infer(server, body), 400, reason)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_no_number_in_binary_data(server: Running, number: float) -> None:
    """docs/faults.md 84: JSON cannot hold it, a float can."""
    head = {"inputs": [pixels(datatype="FP32", data=None, parameters={"binary_data_size": 12})]}
    text, data = json.dumps(head).encode(), np.array([1, number, 3], "<f4").tobytes()
    answer = infer(server, text + data, **{"Inference-Header-Content-Length": str(len(text))})
    refused(answer, 400, r"input 'pixels': the value at \[0, 0, 0, 1\] is not finite")


@pytest.mark.parametrize(
    ("data", "length", "reason"),
    [
        (b"\1\2\3\4", None, "1 bytes of binary data belong to no input"),
        (b"\1\2", None, "binary_data_size 3, but 2 bytes are left"),
        (b"\1\2\3", "100000", "Inference-Header-Content-Length '100000', but the body has"),
        (b"\1\2\3", "-1", "Inference-Header-Content-Length '-1'"),
        (b"\1\2\3", "1e2", "Inference-Header-Content-Length '1e2'"),
        (b"\1\2\3", "3", "the body is no JSON"),
    ],
)
def test_binary_data_of_another_size(server: Running, data: bytes, length: str | None, reason: str) -> None:
    text = json.dumps({"inputs": [pixels(data=None, parameters={"binary_data_size": 3})]}).encode()
    header = {"Inference-Header-Content-Length": length or str(len(text))}
    refused(infer(server, text + data, **header), 400, reason)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (b"\x05\0\0\0hell", "element 0 is longer than the data"),
        (b"\xff\xff\xff\xffhello", "element 0 is longer than the data"),
        (b"\x05\0", "element 0 is longer than the data"),
        (b"\x05\0\0\0hello\x01\0\0\0!", "does not hold the 1 elements that the shape says, and no more"),
        (b"", "does not hold the 1 elements"),
        (b"\x02\0\0\0\xff\xfe", r"text\[0\]: no valid UTF-8 at byte 0"),
    ],
)
def test_wrong_elements_of_bytes(server: Running, elements: bytes, reason: str) -> None:
    parameters = {"binary_data_size": len(elements)}
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": parameters}
    text = json.dumps({"inputs": [tensor]}).encode()
    header = {"Inference-Header-Content-Length": str(len(text))}
    refused(infer(server, text + elements, "translation", **header), 400, reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"image": "$$$$"}, "image: .*not valid base64"),  # docs/faults.md 85
        ({"image": "aGVsbG8="}, "image: these bytes cannot be read as an image"),
        ({"image": 7}, "image: .*expected a base64 string, found int"),
        ({"image": "aGVsbG8=", "min_score": 2}, "min_score: Input should be less than or equal to 1"),
        ({"image": "aGVsbG8=", "threshold": 0.5}, "threshold: Extra inputs are not permitted"),
        ({}, "image: Field required"),
    ],
)
def test_the_plain_endpoint_is_as_strict(server: Running, body: Any, reason: str) -> None:
    refused(server.http.post("/v1/detect", json=body), 400, reason)
