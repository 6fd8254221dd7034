"""Whose keys stand behind Sigstore's signatures: the certificate authority, its log, and the log of signatures.

A trust root is a file that an instance of Sigstore publishes, in JSON: a client trust configuration, which names its
servers, too, or a trusted root (https://github.com/sigstore/protobuf-specs). That of the public instance comes with the
`sigstore` library, so nothing is fetched to verify.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from core.errors import StillhouseError

CONFIGURATION = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
PUBLIC = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
"""Folder of the public instance among those that the library brings."""


def public() -> str:
    """The client trust configuration of the public instance, as it was when the library was released.

    Its own way to it writes into the user's cache and takes what lies there, which a server may not, and should not.
    """
    return _configuration(json.loads(_embedded("trusted_root.json")))


def read(path: Path, servers: bool = False) -> str:
    """The client trust configuration of a file, which may be a trusted root unless `servers` are asked for.

    Raises: StillhouseError naming the file and the field when it cannot be read, or is neither.
    """
    kinds = "a client trust configuration" + ("" if servers else " or a trusted root")
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except OSError as error:
        raise StillhouseError(f"the trust root {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise StillhouseError(f"the trust root {path} is no JSON; expected {kinds} of a Sigstore instance") from None
    kind = content.get("mediaType") if isinstance(content, dict) else None
    if kind != CONFIGURATION and (servers or kind != ROOT):
        expected = CONFIGURATION if servers else f"{CONFIGURATION} or {ROOT}"
        raise StillhouseError(f"the trust root {path} is not {kinds}: mediaType is {kind!r}; expected {expected}")
    text = _configuration(content) if kind == ROOT else text
    _check(path, text)
    return text


def _check(path: Path, text: str) -> None:
    """Raises: StillhouseError when the library cannot use it, or finds no authority or no log in it."""
    from sigstore.models import ClientTrustConfig
    from sigstore.verify import Verifier

    try:
        for name in ("certificateAuthorities", "ctlogs", "tlogs"):
            if not json.loads(text).get("trustedRoot", {}).get(name):
                raise ValueError(f"trustedRoot.{name} is missing or empty")
        Verifier(trusted_root=ClientTrustConfig.from_json(text).trusted_root)
    except Exception as error:  # the library has many
        raise StillhouseError(
            f"the trust root {path} cannot be used: {_told(error)}; take it anew from the Sigstore instance"
        ) from None


def _configuration(root: Any) -> str:
    """Around a trusted root; to verify, no server is asked, so those of the public instance only fill the form."""
    servers = json.loads(_embedded("signing_config.v0.2.json"))
    return json.dumps({"mediaType": CONFIGURATION, "trustedRoot": root, "signingConfig": servers})


def _embedded(name: str) -> bytes:
    return resources.files("sigstore").joinpath("_store", PUBLIC, name).read_bytes()


def _told(error: Exception) -> str:
    """In one line; of a field that is wrong, which."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split()) or type(error).__name__
