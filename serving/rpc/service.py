"""Open Inference Protocol v2 over gRPC: the methods, by the same way from request to answer as over REST."""

from __future__ import annotations

from typing import Any

from core.task import Job
from serving import flow, inference, limits
from serving.answers import Answer
from serving.errors import RefusalError
from serving.inference import Wanted
from serving.models import Model, Models
from serving.package import Package
from serving.rpc import tensors
from serving.rpc.entrance import Call, Method
from serving.rpc.messages import CLASSES, FIELDS
from serving.rpc.wire import SHORT

PUBLIC = ("ServerLive", "ServerReady", "ServerMetadata")
"""What needs no token: it tells nothing of models. Their messages say nothing, and none is read: who has no token takes
no place among those whose messages come."""


def methods(models: Models) -> dict[str, Method]:
    """By name."""

    async def asked(call: Call, name: str) -> Any:
        content = await call.read()
        if len(content) > SHORT:
            raise RefusalError(413, f"the message has {len(content)} bytes, expected at most {SHORT}")
        return tensors.message(f"{name}Request", content)

    async def live(call: Call) -> Answer:
        return _answer("ServerLiveResponse", live=True)

    async def ready(call: Call) -> Answer:
        return _answer("ServerReadyResponse", ready=not models.unready())

    async def server(call: Call) -> Answer:
        return _answer("ServerMetadataResponse", name=inference.NAME, version=inference.VERSION)

    async def model_ready(call: Call) -> Answer:
        request = await asked(call, "ModelReady")
        try:
            models.get(request.name, request.version or None)
        except RefusalError:
            return _answer("ModelReadyResponse", ready=False)
        return _answer("ModelReadyResponse", ready=True)

    async def metadata(call: Call) -> Answer:
        request = await asked(call, "ModelMetadata")
        told = inference.describe(models.get(request.name, request.version or None))
        return _answer("ModelMetadataResponse", **{key: told[key] for key in FIELDS["ModelMetadataResponse"]})

    async def infer(call: Call) -> Answer:
        content = [await call.read()]
        name, version = tensors.addressee(content[0])

        def prepare(package: Package, content: bytes) -> tuple[Job, Wanted]:
            role = package.role
            request = tensors.parse(content, role)
            most = limits.of(role, models.settings.limits)
            return role.tensors(request.inputs, request.parameters, package.predictor, most), request.wanted

        ask = flow.Ask(lambda: models.get(name, version), prepare, _build, "gRPC")
        with models.place(ask.choose().name).admission.enter(call.client):
            return await flow.computed(models, call.client, call.lease, call.limit_s, ask, content)

    return {
        "ServerLive": live,
        "ServerReady": ready,
        "ServerMetadata": server,
        "ModelReady": model_ready,
        "ModelMetadata": metadata,
        "ModelInfer": infer,
    }


def _build(model: Model, job: Job, results: list[Any], asked: Wanted) -> Answer:
    role = model.package.role
    return tensors.response(model.name, model.version, role, role.outputs(job, results), asked)


def _answer(name: str, /, **values: Any) -> Answer:
    return tensors.packed(CLASSES[name](**values))
