"""Requests and answers of the Open Inference Protocol v2, written and read without the server's own code."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

KINDS = {"UINT8": "<u1", "FP32": "<f4", "INT64": "<i8"}
HEADER = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Message:
    """A request; blob: what stands behind its JSON."""

    model: str
    content: dict[str, Any]
    blob: bytes = b""

    def send(self, http: httpx.Client) -> httpx.Response:
        """As JSON alone where there is no blob."""
        head = json.dumps(self.content).encode()
        headers = {"Content-Type": "application/octet-stream", HEADER: str(len(head))}
        if not self.blob:
            headers = {"Content-Type": "application/json"}
        return http.post(f"/v2/models/{self.model}/infer", content=head + self.blob, headers=headers)


def tensor(name: str, values: list[bytes] | np.ndarray, datatype: str, form: str) -> tuple[dict[str, Any], bytes]:
    """An input and its blob. form: `flat`, `nested`, `binary`; of bytes: `text`, `base64`, `binary`."""
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(np.shape(np.empty(len(values))))}
    if isinstance(values, np.ndarray):
        entry["shape"] = list(values.shape)
        blob = values.astype(KINDS[datatype]).tobytes()
        data: list[Any] = values.ravel().tolist() if form == "flat" else values.tolist()
    else:
        blob = b"".join(struct.pack("<I", len(value)) + value for value in values)
        data = [value.decode() if form == "text" else base64.b64encode(value).decode() for value in values]
    if form == "binary":
        return {**entry, "parameters": {"binary_data_size": len(blob)}}, blob
    if form == "base64":
        entry["parameters"] = {"content_type": "base64"}
    return {**entry, "data": data}, b""


def meaning(message: Message) -> list[Any]:
    """Values of the input of a request that was accepted: bytes, or arrays (height, width, 3)."""
    (entry,) = message.content["inputs"]
    parameters, shape = entry.get("parameters") or {}, tuple(entry["shape"])
    binary, is_bytes = "binary_data_size" in parameters, entry["datatype"] == "BYTES"
    if is_bytes and binary:
        values = _bytes(message.blob)
    elif is_bytes:
        coded = parameters.get("content_type") == "base64"
        values = [base64.b64decode(text) if coded else text.encode() for text in entry["data"]]
    elif binary:
        return list(np.frombuffer(message.blob, KINDS[entry["datatype"]]).reshape(shape))
    else:
        array = np.array(entry["data"], KINDS[entry["datatype"]])
        assert array.shape in (shape, (array.size,)), "accepted though the data is nested otherwise than the shape says"
        return list(array.reshape(shape))
    assert (len(values),) == shape
    return values


def outputs(answer: httpx.Response) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """JSON of an answer, and its arrays by name; BYTES as objects."""
    length = int(answer.headers.get(HEADER, len(answer.content)))
    content, blob, found = json.loads(answer.content[:length]), answer.content[length:], {}
    assert answer.headers["content-type"] == f"application/{'octet-stream' if HEADER in answer.headers else 'json'}"
    for entry in content["outputs"]:
        size, is_bytes = entry.get("parameters", {}).get("binary_data_size"), entry["datatype"] == "BYTES"
        if size is not None:
            part, blob = blob[:size], blob[size:]
            values: Any = _bytes(part) if is_bytes else np.frombuffer(part, KINDS[entry["datatype"]])
        else:
            values = [text.encode() for text in entry["data"]] if is_bytes else entry["data"]
        kind = np.object_ if is_bytes else KINDS[entry["datatype"]]
        found[entry["name"]] = np.array(values, kind).reshape(entry["shape"])
    assert blob == b""
    return content, found


def _bytes(part: bytes) -> list[bytes]:
    values = []
    while part:
        (length,) = struct.unpack("<I", part[:4])
        values.append(part[4 : 4 + length])
        part = part[4 + length :]
    return values
