"""A gate before an ASGI server that trusts every web page: Prefect's and MLflow's.

A browser lets any page send requests to addresses of this machine, and a name that an attacker owns may point to
127.0.0.1 (DNS rebinding). The gate lets through what a program, or a page of the server itself, asks:

    Host              one that the server goes by, else 421
    Origin            the same host and port, where a browser states one, else 403; `null` never
    Sec-Fetch-Site    same-origin, none or absent; from elsewhere a page may only be opened in a tab, else 403
    Authorization     Basic, where a password is set, but for what health checks ask; else 401

and it forbids other pages to show the server's in a frame.

    python -m pipelines.gate prefect --host 127.0.0.1 --port 4200
    python -m pipelines.gate mlflow server --host 127.0.0.1 --port 5000 ...

    GATE_HOSTS       Host headers, by commas; `NAME:*` is any port of a name
    GATE_PASSWORD    USER:PASSWORD; without one nobody is asked (Prefect's API asks by itself)
    GATE_FOLDER      for three small files that MLflow finds the gate by; default: a temporary folder

Standard library only, and a file of its own: the stack's containers have it without the repository.
"""

from __future__ import annotations

import base64
import hmac
import importlib
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HERE = Path(__file__).resolve()
TARGET, HOSTS, PASSWORD, FOLDER = "GATE_TARGET", "GATE_HOSTS", "GATE_PASSWORD", "GATE_FOLDER"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEALTH = ("/health", "/version", "/api/health", "/api/ready")
"""Of MLflow and Prefect: they tell nothing but that the server is alive."""
FORBIDDEN = b"this server answers its own pages and programs only; another page asked\n"


class Gate:
    """An ASGI application around another one."""

    def __init__(self, app: App, hosts: Iterable[str], password: str = ""):
        self._app = app
        self._hosts = [_split(host) for host in hosts]
        self._credentials = b"Basic " + base64.b64encode(password.encode()) if password else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):  # the server's own start and end
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if refused := self._refused(scope, headers):
            await _refuse(scope, send, *refused)
            return
        await self._app(scope, receive, _unframed(send))

    def _refused(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, bytes] | None:
        """Status and text of a refusal; None: let it through."""
        host = _split(headers.get(b"host", b"").decode("latin-1"))
        if not any(host[0] == name and port in ("*", host[1]) for name, port in self._hosts):
            return 421, b"this server does not go by that name (Host header); GATE_HOSTS lists those it has\n"
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is not None:
            if not _same(_split(origin.decode("latin-1").partition("://")[2]), host):
                return 403, FORBIDDEN
        elif site in (b"cross-site", b"same-site") and not _opened(scope, headers):
            return 403, FORBIDDEN
        healthy = scope.get("method") == "GET" and scope["path"] in HEALTH
        if self._credentials and not healthy:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self._credentials):
                return 401, b"a user and a password are needed\n"
        return None


def _split(host: str) -> tuple[str, str]:
    """Name and port of a Host header or of an origin's authority, lower case; the port is empty where none is said."""
    name, colon, port = host.strip().lower().rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host.strip().lower(), "")


def _same(origin: tuple[str, str], host: tuple[str, str]) -> bool:
    """Whether a page's host is the server's; the names of the loopback are one."""
    return origin == host or (origin[1] == host[1] and origin[0] in LOOPBACK and host[0] in LOOPBACK)


def _opened(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether somebody followed a link to a page, which shows it to the reader and to nobody else."""
    whole = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    return whole and scope.get("method") == "GET"


async def _refuse(scope: Scope, send: Send, status: int, text: bytes) -> None:
    if scope["type"] == "websocket":
        await send(
            {"type": "websocket.close", "code": 1008}
        )  # before it was accepted: the handshake is answered by 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="stillhouse", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _unframed(send: Send) -> Send:
    """Adds to every answer that only the server's own pages may frame it."""

    async def framed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = (b"content-security-policy", b"frame-ancestors 'self'")
            message = {**message, "headers": [*message.get("headers", []), own]}
        await send(message)

    return framed


def app() -> App:
    """What uvicorn starts: the application of GATE_TARGET (`module:name`, or `module:factory()`), behind the gate."""
    module, _, name = os.environ[TARGET].partition(":")
    found = getattr(importlib.import_module(module), name.removesuffix("()"))
    target = found() if name.endswith("()") else found
    hosts = [host for host in os.environ.get(HOSTS, "").split(",") if host.strip()]
    return Gate(target, hosts, os.environ.get(PASSWORD, ""))


def loopback(port: int) -> str:
    """GATE_HOSTS of a server that listens on this machine's loopback alone."""
    return ",".join(f"{name}:{port}" for name in LOOPBACK)


def main(arguments: list[str]) -> None:
    """Become the server that the first word names, with the rest of the words."""
    which, *rest = arguments or [""]
    environment = dict(os.environ)
    if which == "prefect":
        # As `prefect server start` does it, which takes no other application.
        environment |= {TARGET: "prefect.server.api.server:create_app()", "PREFECT__SERVER_FINAL": "1"}
        name = __spec__.name if __spec__ else HERE.stem  # run with -m, or as a file
        command = ["uvicorn", "--factory", f"{name}:app", "--app-dir", str(HERE.parents[name.count(".")])]
        command += ["--no-access-log", "--timeout-graceful-shutdown", "5", *rest]
    elif which == "mlflow":
        environment |= {TARGET: "mlflow.server.fastapi_app:app", "PYTHONPATH": _plugin(environment.get("PYTHONPATH"))}
        command = ["mlflow", *rest, "--app-name", "gate"]
    else:
        sys.exit("usage: gate.py prefect|mlflow ARGUMENT ...")
    os.execve(sys.executable, [sys.executable, "-m", *command], environment)  # noqa: S606 - our own interpreter


def _plugin(path: str | None) -> str:
    """PYTHONPATH with this file as MLflow takes other applications: an entry point of an installed package
    (https://mlflow.org/docs/latest/ml/plugins/), here of one that is nothing but its name."""
    folder = Path(os.environ.get(FOLDER) or tempfile.mkdtemp(prefix="gate-")).resolve()
    described = folder / "gate-1.dist-info"
    described.mkdir(parents=True, exist_ok=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: gate\nVersion: 1\n", encoding="utf-8")
    (described / "entry_points.txt").write_text(f"[mlflow.app]\ngate = {HERE.stem}:app\n", encoding="utf-8")
    link = folder / HERE.name
    link.unlink(missing_ok=True)
    link.symlink_to(HERE)
    return os.pathsep.join(filter(None, (str(folder), path)))


if __name__ == "__main__":
    main(sys.argv[1:])
