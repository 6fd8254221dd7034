"""Open Inference Protocol v2 over REST (`/v2`), with the binary tensor extension; works with `tritonclient`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.task import Job, Tensor
from serving import answers, body, flow, limits, schemas
from serving.answers import Answer
from serving.errors import RefusalError
from serving.models import Model, Models
from serving.package import Package
from serving.tensors import decode, encode

HEADER = "inference-header-content-length"
NAME = "stillhouse"
VERSION = "2"


@dataclass(frozen=True)
class Wanted:
    """What the answer to a request must be."""

    id: str | None
    outputs: dict[str, bool]
    """Name -> whether as binary data; empty: all, as `binary` says."""
    binary: bool


@dataclass(frozen=True)
class Asked:
    """A parsed request."""

    inputs: dict[str, np.ndarray]
    parameters: dict[str, Any]
    wanted: Wanted


Infer = Callable[[Request, str, str | None], Awaitable[Response]]
"""(request, a model's name, its version or None for the one that is served) -> the answer."""


def endpoint(models: Models) -> Infer:
    async def infer(request: Request, name: str, version: str | None) -> Response:
        header = request.headers.get(HEADER)

        def prepare(package: Package, content: bytes) -> tuple[Job, Wanted]:
            role = package.role
            asked = parse(content, header, role)
            most = limits.of(role, models.settings.limits)
            return role.tensors(asked.inputs, asked.parameters, package.predictor, most), asked.wanted

        return await flow.answer(
            request, models, flow.Ask(lambda: models.get(name, version), prepare, build, ("v2", header))
        )

    return infer


def router(models: Models, asked: Infer) -> APIRouter:
    """The routes. Responses are written by hand: their form is the protocol's, not one of our models'."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])

    @routes.get("", summary="The server", responses=schemas.okay("Server metadata", schemas.SERVER))
    async def server() -> Response:
        return JSONResponse({"name": NAME, "version": VERSION, "extensions": ["binary_tensor_data"]})

    @routes.get("/health/live", summary="Is the process alive", responses=schemas.okay("It is"))
    async def live() -> Response:
        return JSONResponse({"live": True})

    @routes.get("/health/ready", summary="Is every model ready", responses=schemas.ready())
    async def ready(request: Request) -> Response:
        return readiness(models.unready(), request.state.known)

    @routes.get("/models/{name}", summary="A model", responses=schemas.found("Model metadata", schemas.MODEL))
    async def metadata(name: str) -> Response:
        return JSONResponse(describe(models.get(name)))

    @routes.get("/models/{name}/ready", summary="Is a model ready", responses=schemas.found("It is"))
    async def model_ready(name: str) -> Response:
        models.get(name)
        return readiness({})

    @routes.post("/models/{name}/infer", summary="Predict", **schemas.infer())
    async def infer(name: str, request: Request) -> Response:
        return await asked(request, name, None)

    @routes.get("/models/{name}/versions/{version}", summary="A version", responses=schemas.found("", schemas.MODEL))
    async def metadata_of_version(name: str, version: str) -> Response:
        return JSONResponse(describe(models.get(name, version)))

    @routes.get("/models/{name}/versions/{version}/ready", summary="Is it ready", responses=schemas.found("It is"))
    async def version_ready(name: str, version: str) -> Response:
        models.get(name, version)
        return readiness({})

    @routes.post("/models/{name}/versions/{version}/infer", summary="Predict with a version", **schemas.infer())
    async def infer_version(name: str, version: str, request: Request) -> Response:
        return await asked(request, name, version)

    return routes


def readiness(reasons: dict[str, str], known: bool = True) -> Response:
    """The protocol asks for 200 or a 4xx. known: whether the client may read reasons, which name models and files."""
    told = reasons if known else {"server": "send this server's bearer token to be told"}
    return JSONResponse({"ready": not reasons, **({"reasons": told} if reasons else {})}, 400 if reasons else 200)


def describe(model: Model) -> dict[str, Any]:
    role = model.package.role

    def tensors(known: Sequence[Tensor]) -> list[dict[str, Any]]:
        return [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in known]

    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "stillhouse_onnxruntime",
        "inputs": tensors(role.INPUTS),
        "outputs": tensors(role.OUTPUTS),
        "parameters": role.OPTIONS,
    }


def parse(content: bytes, header: str | None, role: Any) -> Asked:
    """A request's body. header: `Inference-Header-Content-Length`. Raises: RefusalError 400."""
    length = len(content)
    if header is not None:
        if not (header.isdecimal() and len(header) < 12 and int(header) <= length):
            raise RefusalError(400, f"Inference-Header-Content-Length {header[:32]!r}, but the body has {length} bytes")
        length = int(header)
    message = body.parsed(content[:length])
    if not isinstance(message, dict):
        raise RefusalError(400, "the body must be a JSON object with inputs")
    identity, parameters = message.get("id"), message.get("parameters") or {}
    if identity is not None and not isinstance(identity, str):
        raise RefusalError(400, "id must be a string")
    if not isinstance(parameters, dict):
        raise RefusalError(400, "parameters must be an object")
    binary = parameters.get("binary_data_output", False)
    options = {name: value for name, value in parameters.items() if name != "binary_data_output"}
    known_options(options, role, "binary_data_output")
    if not isinstance(binary, bool):
        raise RefusalError(400, "parameters.binary_data_output must be true or false")
    inputs = arrays(message.get("inputs"), role.INPUTS, memoryview(content)[length:])
    outputs = wanted_outputs(message.get("outputs"), role.OUTPUTS, binary)
    return Asked(inputs, options, Wanted(identity, outputs, binary))


def known_options(options: Mapping[str, Any], role: Any, *further: str) -> None:
    """further: what the protocol itself knows. Raises: RefusalError 400 for an option that the model has not."""
    if unknown := [name for name in options if name not in role.OPTIONS]:
        known = ", ".join([*role.OPTIONS, *further]) or "none"
        raise RefusalError(400, f"parameters {unknown[:5]} are not known; known: {known}")


def arrays(entries: Any, known: Sequence[Tensor], blob: memoryview) -> dict[str, np.ndarray]:
    """Arrays by name; binary data of the inputs stands in their order. The role says which go together."""
    if not isinstance(entries, list) or not 1 <= len(entries) <= len(known):
        names = ", ".join(tensor.name for tensor in known)
        raise RefusalError(400, f"inputs must be a list of 1 to {len(known)} tensors of: {names}")
    found: dict[str, np.ndarray] = {}
    for entry in entries:
        name, array, size = decode(entry, known, blob)
        if name in found:
            raise RefusalError(400, f"inputs has {name!r} twice")
        found[name], blob = array, blob[size:]
    if len(blob):
        raise RefusalError(400, f"{len(blob)} bytes of binary data belong to no input")
    return found


def wanted_outputs(entries: Any, known: Sequence[Tensor], default: bool) -> dict[str, bool]:
    """Names that the client asks for -> whether as binary data."""
    if entries is None:
        return {}
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("name"), str) for e in entries
    ):
        raise RefusalError(400, "outputs must be a list of objects with a name")
    names = [tensor.name for tensor in known]
    result: dict[str, bool] = {}
    for entry in entries:
        parameters = entry.get("parameters") or {}
        if entry["name"] not in names or entry["name"] in result:
            raise RefusalError(400, f"there is no (second) output {entry['name'][:64]!r}; known: {', '.join(names)}")
        if not isinstance(parameters, dict) or not isinstance(parameters.get("binary_data", default), bool):
            raise RefusalError(400, f"output {entry['name']!r}: parameters.binary_data must be true or false")
        if set(parameters) - {"binary_data"}:
            raise RefusalError(400, f"output {entry['name']!r}: only the parameter binary_data is known")
        result[entry["name"]] = parameters.get("binary_data", default)
    return result


def build(model: Model, job: Job, results: list[Any], asked: Wanted) -> Answer:
    """The answer, as JSON or with the outputs' binary data behind it."""
    role = model.package.role
    arrays = role.outputs(job, results)
    wanted = asked.outputs or {tensor.name: asked.binary for tensor in role.OUTPUTS}
    datatypes = {tensor.name: tensor.datatype for tensor in role.OUTPUTS}
    made = [encode(output, arrays[output], datatypes[output], binary) for output, binary in wanted.items()]
    message: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    message["outputs"] = [entry for entry, _ in made]
    content = answers.json(message if asked.id is None else {**message, "id": asked.id})
    if not any(wanted.values()):
        return Answer(content)
    headers = {"Inference-Header-Content-Length": str(sum(map(len, content)))}
    return Answer([*content, *(part for _, part in made if part)], "application/octet-stream", headers)
