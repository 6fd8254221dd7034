"""The endpoint that people expect of a task: `POST /v1/detect`, `POST /v1/translate`, ... (role `serve`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core import task
from serving import body, deadline, schemas
from serving.errors import RefusalError, faults
from serving.models import Model, Models
from serving.package import Package
from serving.settings import Settings

FIELDS = 16
"""Of a form or an object, at most."""
FORM_BYTES = 1_000_000
"""Of a form that is percent-encoded, at most: Python unpacks it byte by byte. Files come as multipart/form-data."""


def router(models: Models, settings: Settings) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["Tasks"])
    for name in task.names():
        _add(routes, name, task.load(name, "serve"), models, settings)
    return routes


def _add(routes: APIRouter, name: str, role: Any, models: Models, settings: Settings) -> None:
    def choose(model: str | None) -> Model:
        if model is None:
            return models.of_task(name)
        chosen = models.get(model)
        if chosen.package.task != name:
            raise RefusalError(404, f"the model {model!r} is for {chosen.package.task}, not for {name}")
        return chosen

    async def endpoint(request: Request, model: str | None = None) -> Response:
        choose(model)  # before the body is read
        limit_s = deadline.of(request, settings)
        content = await body.read(request, settings)
        asked = await parse(request.headers, content, role)

        def prepare(package: Package) -> Any:
            return role.plain(asked, package.predictor, settings.limits)

        used, job, results = await body.unless_gone(request, models.predict(lambda: choose(model), prepare, limit_s))
        return JSONResponse({"model": used.name, "version": used.version, **role.answer(job, results)})

    routes.add_api_route(
        f"/{role.VERB}",
        endpoint,
        methods=["POST"],
        name=role.VERB,
        summary=f"{name}: one request",
        **schemas.plain(role),
    )


async def parse(headers: Headers, content: bytes, role: Any) -> BaseModel:
    """The task's `Request` from JSON, a form, or a raw body. Raises: RefusalError 400, 415."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        values = body.parsed(content)
        if isinstance(values, dict) and len(values) > FIELDS:
            raise RefusalError(400, f"the body has {len(values)} fields, expected at most {FIELDS}")
    elif kind == "multipart/form-data":
        values = await _form(MultiPartParser, headers, content, max_files=1, max_part_size=len(content) + 1)
    elif kind == "application/x-www-form-urlencoded":
        if not content.isascii():
            raise RefusalError(400, "the form is not ASCII; expected UTF-8, percent-encoded")
        if len(content) > FORM_BYTES or content.count(b"&") > FIELDS:
            raise RefusalError(413, f"the form is larger than {FORM_BYTES} bytes or has more than {FIELDS} fields")
        values = await _form(FormParser, headers, content, max_part_size=len(content) + 1)
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


async def _form(parser: Any, headers: Headers, content: bytes, **limits: int) -> dict[str, Any]:
    async def stream() -> AsyncIterator[bytes]:
        yield content
        yield b""

    try:
        reader = parser(headers, stream(), max_fields=FIELDS, **limits)
        reader.spool_max_size = len(content) + 1  # it is in memory already; no copy on a disk that may be read-only
        form = await reader.parse()
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
        values[name] = await value.read() if isinstance(value, UploadFile) else value
    return values
