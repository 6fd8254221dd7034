"""The endpoint that people expect of a task: `POST /v1/detect`, `POST /v1/translate`, ... (role `serve`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from core.task import Job
from serving import answers, body, events, flow, limits, schemas
from serving.answers import Answer
from serving.errors import RefusalError, faults
from serving.models import Model, Models
from serving.package import Package

FIELDS = 16
"""Of a form or an object, at most."""
FORM_BYTES = 1_000_000
"""Of a form that is percent-encoded, at most: Python unpacks it byte by byte. Files come as multipart/form-data."""


Asked = Callable[[Request, str | None], Awaitable[Response]]
"""(request, the name of a model or None for any that fits) -> the answer."""


def endpoint(models: Models, role: Any) -> Asked:
    """Of a task's role `serve`."""

    def choose(model: str | None) -> Model:
        if model is None:
            return models.of_verb(role.VERB)
        chosen = models.get(model)
        if chosen.package.role.VERB != role.VERB:
            raise RefusalError(404, f"the model {model!r} is for /v1/{chosen.package.role.VERB}")
        return chosen

    async def asked(request: Request, model: str | None) -> Response:
        headers = request.headers

        def prepare(package: Package, content: bytes) -> tuple[Job, None]:
            own = package.role
            asked = parse(headers, content, own)
            return own.plain(asked, package.predictor, limits.of(own, models.settings.limits)), None

        if events.wanted(headers):
            return flow.streamed(request, models, flow.Ask(lambda: choose(model), prepare, build_part))
        same = (role.VERB, headers.get("content-type"))
        return await flow.answer(request, models, flow.Ask(lambda: choose(model), prepare, build, same))

    return asked


def router(asked: Asked, role: Any) -> APIRouter:
    """The endpoint, documented."""
    routes = APIRouter(prefix="/v1", tags=["Tasks"])

    async def documented(request: Request, model: str | None = None) -> Response:
        return await asked(request, model)

    routes.add_api_route(
        f"/{role.VERB}",
        documented,
        methods=["POST"],
        name=role.VERB,
        summary=f"{role.VERB.capitalize()}: one request",
        **schemas.plain(role),
    )
    return routes


def build(model: Model, job: Job, results: list[Any], known: None) -> Answer:
    named = {"model": model.name, "version": model.version}
    return Answer(answers.json({**named, **model.package.role.answer(job, results)}))


def build_part(model: Model, job: Job, results: list[Any], known: None) -> Answer:
    """The last event names model and version."""
    return Answer(answers.json(model.package.role.answer(job, results)))


def parse(headers: Headers, content: bytes, role: Any) -> BaseModel:
    """The task's `Request` from JSON, a form, or a raw body. Raises: RefusalError 400, 415."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        values = body.parsed(content)
        if isinstance(values, dict) and len(values) > FIELDS:
            raise RefusalError(400, f"the body has {len(values)} fields, expected at most {FIELDS}")
    elif kind == "multipart/form-data":
        values = _form(MultiPartParser, headers, content, max_files=1, max_part_size=len(content) + 1)
    elif kind == "application/x-www-form-urlencoded":
        if not content.isascii():
            raise RefusalError(400, "the form is not ASCII; expected UTF-8, percent-encoded")
        if len(content) > FORM_BYTES or content.count(b"&") > FIELDS:
            raise RefusalError(413, f"the form is larger than {FORM_BYTES} bytes or has more than {FIELDS} fields")
        values = _form(FormParser, headers, content, max_part_size=len(content) + 1)
    elif field := next((f for start, f in role.RAW.items() if kind == start or kind.startswith(_group(start))), None):
        values = {field: content if role.Request.model_fields[field].annotation is bytes else _text(content)}
    else:
        kinds = ["application/json", "multipart/form-data", *(k + "*" if k.endswith("/") else k for k in role.RAW)]
        raise RefusalError(415, f"Content-Type {kind[:64]!r} is not taken here; send one of {', '.join(kinds)}")
    try:
        result: BaseModel = role.Request.model_validate(values)
    except ValidationError as error:
        raise faults(error) from None
    return result


def _group(start: str) -> str:
    """`image/` stands for all its kinds; a whole media type for itself alone."""
    return start if start.endswith("/") else "\0"


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusalError(400, f"the body is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}") from None


def _form(parser: Any, headers: Headers, content: bytes, **most: int) -> dict[str, Any]:
    async def stream() -> AsyncIterator[bytes]:
        yield content
        yield b""

    try:
        reader = parser(headers, stream(), max_fields=FIELDS, **most)
        reader.spool_max_size = len(content) + 1  # it is in memory already; no copy on a disk that may be read-only
        form = asyncio.run(reader.parse())  # this is a thread of its own; nothing is waited for
    except MultiPartException as error:
        raise RefusalError(400, f"the form cannot be read: {error.message}") from None
    except (ValueError, KeyError) as error:  # a boundary that is missing, a charset that does not exist
        raise RefusalError(400, f"the form cannot be read: {error}") from None
    values: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name in values:
            raise RefusalError(400, f"the form has {name[:64]!r} twice")
        if parser is MultiPartParser and isinstance(value, str) and value.encode() not in content:
            raise RefusalError(400, f"the form's {name[:64]!r} is not UTF-8")  # it was taken for Latin-1
        values[name] = value.file.read() if isinstance(value, UploadFile) else value
    return values
