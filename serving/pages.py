"""The web page, the model cards, the passports and the API's documentation; every file is on this server."""

from __future__ import annotations

import mimetypes
from collections.abc import Collection
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from serving import schemas
from serving.errors import RefusalError
from serving.models import Models

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
CARD = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
DOCS = f"{POLICY}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
HERE = Path(__file__).resolve().parent
File = tuple[bytes, str, str]
"""Content, media type, ETag."""


def router(tasks: Collection[str]) -> APIRouter:
    """tasks: whose panels are there; more may come."""
    routes = APIRouter(include_in_schema=False)
    known = _own()
    panels: dict[str, dict[str, File]] = {}

    def find(name: str) -> File | None:
        for task in tasks:
            if task not in panels:
                panels[task] = _panel(task)
        return known.get(name) or next((files[name] for files in panels.values() if name in files), None)

    def serve(request: Request, name: str) -> Response:
        if (found := find(name)) is None:
            raise RefusalError(404, "there is no such page")
        content, kind, tag = found
        headers = {"Content-Security-Policy": POLICY, "ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    @routes.get("/")
    async def page(request: Request) -> Response:
        return serve(request, "index.html")

    @routes.get("/page/{name:path}")
    async def file(request: Request, name: str) -> Response:
        return serve(request, name)

    @routes.get("/docs")
    async def docs() -> Response:
        made = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Stillhouse",
            swagger_js_url=f"page/docs/{SWAGGER[0]}",
            swagger_css_url=f"page/docs/{SWAGGER[1]}",
            swagger_favicon_url="page/favicon.svg",
        )
        made.headers["Content-Security-Policy"] = DOCS
        return made

    return routes


def about(models: Models) -> APIRouter:
    """What there is to know of the models, for the page and for people."""
    routes = APIRouter(prefix="/v1", tags=["Models"])

    @routes.get("/models", summary="All models", responses=schemas.okay("Models", schemas.MODELS))
    async def all_models() -> Response:
        listed = []
        for place in models.places.values():
            entry = {"name": place.name, "ready": place.current is not None, "reason": place.reason}
            if model := place.current:
                package = model.package
                entry |= {
                    "task": package.task,
                    "version": model.version,
                    "verb": package.role.VERB,
                    "about": package.about,
                }
            listed.append({"task": None, "version": None, "verb": None, "about": {}} | entry)
        return JSONResponse({"models": listed})

    @routes.get(
        "/models/{name}/card",
        summary="Model card",
        responses=schemas.refusals(401, 403, 404, 421, 429),
        response_class=HTMLResponse,
    )
    async def card(name: str) -> Response:
        content = models.get(name).package.card
        if content is None:
            raise RefusalError(404, f"the package of {name!r} has no MODEL_CARD.html; package the model again")
        return Response(content, media_type="text/html", headers={"Content-Security-Policy": CARD})

    @routes.get("/models/{name}/samples", summary="Golden samples", responses=schemas.found("Inputs, outputs"))
    async def samples(name: str) -> Response:
        listed = [{"file": None, "input": None} | sample for sample in models.get(name).package.samples]
        return JSONResponse({"samples": listed})

    @routes.get(
        "/models/{name}/samples/{file}",
        summary="A file of a golden sample",
        responses=schemas.refusals(401, 403, 404, 421, 429),
        response_class=Response,
    )
    async def sample(name: str, file: str) -> Response:
        content = models.get(name).package.files.get(file)
        if content is None:
            raise RefusalError(404, f"{name!r} has no golden sample {file[:64]!r}")
        kind = mimetypes.guess_type(file)[0] or ""
        plain = kind.startswith(("image/", "audio/")) and kind != "image/svg+xml"  # what a browser does not run
        headers = {"Content-Security-Policy": CARD, "Cache-Control": "no-cache"}
        return Response(content, media_type=kind if plain else "application/octet-stream", headers=headers)

    @routes.get("/models/{name}/passport", summary="Passport", responses=schemas.found("Its chain of digests"))
    async def passport(name: str) -> Response:
        return JSONResponse(models.get(name).package.passport)

    return routes


def _own() -> dict[str, File]:
    """The server's own files by the name below /page/, read once: no path from a request reaches the disk."""
    static = Path(str(files("fastapi_offline") / "static"))
    return _below(HERE / "page", "") | {f"docs/{name}": _described(static / name) for name in SWAGGER}


def _panel(task: str) -> dict[str, File]:
    """Likewise, of a task that is served."""
    return _below(HERE.parent / "tasks" / task / "page", f"tasks/{task}/")


def _below(folder: Path, start: str) -> dict[str, File]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {start + str(path.relative_to(folder)): _described(path) for path in found}


def _described(path: Path) -> File:
    content = path.read_bytes()
    kind = {".js": "text/javascript", ".svg": "image/svg+xml"}.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return content, kind or "application/octet-stream", f'"{sha256(content).hexdigest()[:32]}"'
