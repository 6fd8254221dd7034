"""What OpenAPI says of routes whose bodies are read by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from core.task import Tensor
from serving import events
from serving.tensors import DTYPES

Schema = dict[str, Any]
OBJECT: Schema = {"type": "object"}
BINARY: Schema = {"type": "string", "format": "binary"}
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "What was wrong, where, and what was expected"}},
}
READY: Schema = {
    "type": "object",
    "required": ["ready"],
    "properties": {
        "ready": {"type": "boolean"},
        "reasons": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Why not, by model"},
    },
}
SERVER: Schema = {
    "type": "object",
    "required": ["name", "version", "extensions"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "extensions": {"type": "array", "items": {"type": "string"}},
    },
}
_TENSORS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
    },
}
MODEL: Schema = {
    "type": "object",
    "required": ["name", "versions", "platform", "inputs", "outputs"],
    "properties": {
        "name": {"type": "string"},
        "versions": {"type": "array", "items": {"type": "string"}},
        "platform": {"type": "string"},
        "inputs": _TENSORS,
        "outputs": _TENSORS,
    },
}
MODELS: Schema = {
    "type": "object",
    "required": ["models"],
    "properties": {
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "ready", "reason", "task", "version", "verb", "about"],
                "properties": {
                    "name": {"type": "string"},
                    "ready": {"type": "boolean"},
                    "reason": {"type": ["string", "null"], "description": "Why the newest package is not served"},
                    "task": {"type": ["string", "null"]},
                    "version": {"type": ["string", "null"]},
                    "verb": {"type": ["string", "null"], "description": "The endpoint is `/v1/VERB`"},
                    "about": OBJECT,
                },
            },
        }
    },
}
INFER_REQUEST: Schema = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "description": "Which go together, and in what number, is the model's to say",
            "items": {
                "type": "object",
                "required": ["name", "datatype", "shape"],
                "properties": {
                    "name": {"type": "string"},
                    "datatype": {"enum": list(DTYPES)},
                    "shape": {
                        "type": "array",
                        "maxItems": 8,
                        "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
                    },
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "binary_data_size": {"type": "integer", "minimum": 0},
                            "content_type": {"enum": ["base64"], "description": "Of strings in `data`"},
                        },
                    },
                    "data": {"type": "array", "items": {}, "description": "Flat, or nested like the shape"},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        },
    },
}
INFER_RESPONSE: Schema = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": _TENSORS,
    },
}
REFUSALS = {
    400: "Not what was expected; `error` says where",
    401: "No bearer token, or a wrong one",
    403: "A page of another site, to a server without a token",
    404: "No such model, or it is not ready",
    405: "No such method",
    408: "The body did not come in time",
    413: "The body is too large",
    415: "The media type or coding is not known",
    421: "The host is not this server, which has no token",
    429: "Busy; `Retry-After` says when to try again",
}


DEADLINE: Schema = {
    "name": "X-Deadline-Ms",
    "in": "header",
    "description": "Milliseconds within which the answer must come; then it is 429",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}
LENGTH: Schema = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "Bytes of JSON that the body begins with, when binary data stands behind it",
    "schema": {"type": "integer", "minimum": 0},
}


def json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def refusals(*statuses: int) -> dict[int | str, Schema]:
    return {status: {"description": REFUSALS[status], "content": json(ERROR)} for status in statuses}


def okay(description: str, schema: Schema = OBJECT) -> dict[int | str, Schema]:
    return {200: {"description": description, "content": json(schema)}} | refusals(401, 403, 421, 429)


def found(description: str, schema: Schema = OBJECT) -> dict[int | str, Schema]:
    return okay(description or "It is", schema) | refusals(404)


def ready() -> dict[int | str, Schema]:
    return okay("It is", READY) | {400: {"description": "It is not", "content": json(READY)}}


def infer() -> dict[str, Any]:
    """Keywords of a route that takes a v2 request."""
    content = json(INFER_REQUEST) | {"application/octet-stream": {"schema": BINARY}}
    answers = okay("Outputs", INFER_RESPONSE)
    answers[200]["content"] |= {"application/octet-stream": {"schema": BINARY}}
    return _posted(content, answers, LENGTH)


def _posted(content: Schema, answers: dict[int | str, Schema], *headers: Schema) -> dict[str, Any]:
    extra = {"requestBody": {"required": True, "content": content}, "parameters": [DEADLINE, *headers]}
    return {"openapi_extra": extra, "responses": answers | refusals(*REFUSALS)}


def plain(role: Any) -> dict[str, Any]:
    """Keywords of a route that takes a task's `Request`."""
    content = json(_whole(role.Request))
    for kind, field in role.RAW.items():
        if role.Request.model_fields[field].annotation is bytes:
            content |= {f"{kind}*": {"schema": BINARY}, "multipart/form-data": {"schema": _form(role.Request)}}
        else:
            content[kind] = {"schema": {"type": "string"}}
    answer = _whole(role.Response)
    answer["properties"] |= {"model": {"type": "string"}, "version": {"type": "string"}}
    answer["required"] = [*answer.get("required", []), "model", "version"]
    answers = okay("The answer; with `Accept: text/event-stream` its parts as they are computed", answer)
    answers[200]["content"] |= {events.KIND: {"schema": {"type": "string"}}}
    return _posted(content, answers)


def complete(document: Schema, roles: Iterable[Any]) -> None:
    """Leave out 422, which FastAPI declares wherever there is a parameter: ours are all strings. Give examples of what
    the served tasks take."""
    samples = examples(roles)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if path.endswith("/infer") and samples:
                operation["requestBody"]["content"]["application/json"]["examples"] = samples
    document.pop("components", None)


def examples(roles: Iterable[Any]) -> Schema:
    """Requests of protocol v2 with one tensor, of those for which a role has an example."""
    tensors = [tensor for role in roles for tensor in role.INPUTS if tensor.example is not None]
    return {tensor.name: {"value": {"inputs": [sample(tensor)]}} for tensor in tensors}


def sample(tensor: Tensor) -> Schema:
    """A tensor of a request, from its example."""
    shape, values = [], tensor.example
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": tensor.example}


def _whole(model: type[BaseModel]) -> Schema:
    """A model's schema with the models inside it written out, so that it can stand anywhere."""
    schema = model.model_json_schema()
    inner = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolve(inner[value["$ref"].rsplit("/", 1)[1]])
            return {key: resolve(part) for key, part in value.items()}
        return [resolve(part) for part in value] if isinstance(value, list) else value

    result: Schema = resolve(schema)
    return result


def _form(model: type[BaseModel]) -> Schema:
    """Files come as they are, not as base64."""
    schema = _whole(model)
    for field in schema["properties"].values():
        if field.get("format") in ("byte", "base64", "binary"):
            field["format"] = "binary"
    return schema
