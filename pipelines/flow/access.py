"""Who may talk to the Prefect server of this repository: whoever has its password.

The password is made once and lies in `.stillhouse/prefect/password`, for this user alone. The server asks for it, the
flow and `make deploy` have it, and while `make flow-ui` runs a profile in the same folder tells address and password to
Prefect's own commands: `PREFECT_HOME=.stillhouse/prefect prefect worker start --pool local`.
"""

from __future__ import annotations

import json
import os
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from core import paths
from core.errors import StillhouseError
from pipelines import gate

HOME = paths.STATE / "prefect"
USER = "stillhouse"
BYTES = 16
PROFILE = "profiles.toml"


def password() -> str:
    """`USER:PASSWORD`, as Prefect calls its auth string; made where there is none yet."""
    path = home() / "password"
    if not path.exists():
        aside = path.with_name(f".password.{os.getpid()}")
        with _private(aside) as file:
            file.write(f"{USER}:{secrets.token_hex(BYTES)}\n")
        with suppress(FileExistsError):  # another process was faster: its password it is
            os.link(aside, path)
        aside.unlink()
    found = path.read_text(encoding="utf-8").strip()
    if not found.startswith(f"{USER}:"):
        raise StillhouseError(f"{path} holds no password ({USER}:...); delete it, and it is made anew")
    path.chmod(0o600)
    return found


def home() -> Path:
    """Prefect's folder in this repository, for this user alone."""
    HOME.mkdir(parents=True, exist_ok=True)
    HOME.chmod(0o700)
    return HOME.resolve()


def server(port: int) -> dict[str, str]:
    """Environment of a server on the loopback at `port`: its password, the hosts and pages that it answers."""
    pages = [f"http://{name}:{port}" for name in gate.LOOPBACK]
    return {
        "PREFECT_SERVER_API_AUTH_STRING": password(),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(pages),
        "PREFECT_SERVER_UI_API_URL": f"{pages[0]}/api",  # else the pages would look at port 4200
        gate.HOSTS: gate.loopback(port),
    }


def client(url: str) -> dict[str, str]:
    """Environment of what talks to `url`: the password, if that is the server of this repository's `make flow-ui`."""
    here = url.rstrip("/").replace("://localhost:", "://127.0.0.1:")
    if "PREFECT_API_AUTH_STRING" in os.environ or here != running():
        return {}
    return {"PREFECT_API_AUTH_STRING": password()}


def running() -> str | None:
    """Address of the API that `make flow-ui` offers now."""
    try:
        known = tomllib.loads((HOME / PROFILE).read_text(encoding="utf-8"))
        # A checkout that was copied meanwhile has the profile, and the password, of the original's server.
        return str(known["profiles"][USER]["PREFECT_API_URL"]) if known["home"] == str(HOME.resolve()) else None
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError):
        return None


@contextmanager
def offered(url: str) -> Iterator[None]:
    """Within the block Prefect's commands find the server at `url` with PREFECT_HOME set to `HOME`."""
    path = home() / PROFILE
    values = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": password()}
    first = [f"home = {json.dumps(str(path.parent))}", f'active = "{USER}"']  # the first is ours; Prefect reads it over
    lines = [*first, f"[profiles.{USER}]", *(f"{name} = {json.dumps(v)}" for name, v in values.items())]
    with _private(path) as file:
        file.write("\n".join(lines) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _private(path: Path) -> TextIO:
    """A new file for this user alone, in place of one that may be there."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
