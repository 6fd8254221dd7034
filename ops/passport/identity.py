"""Whose keyless signatures are trusted: an identity file, JSON.

    {"identity": "me@example.org", "issuer": "https://accounts.google.com", "trust_root": "trusted_root.json"}

`identity` is what the signer's certificate is for: an address, or the URI of a workflow. `issuer` is who vouched for it
to Sigstore. `trust_root` is a file, beside this one unless its path is absolute, see `trust_root.py`; without it, the
public instance of Sigstore is trusted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import StillhouseError
from ops.passport import trust_root

FIELDS = ("identity", "issuer", "trust_root")
EXAMPLE = '{"identity": "me@example.org", "issuer": "https://accounts.google.com"}'


@dataclass(frozen=True)
class Identity:
    identity: str
    issuer: str
    trust_config: str
    """JSON, checked: what was read is what is used."""


def read(path: Path) -> Identity:
    """Read an identity file, and its trust root. Raises: StillhouseError naming the file and the field at fault."""
    try:
        fields = json.loads(path.read_bytes(), object_pairs_hook=_once)
    except OSError as error:
        raise StillhouseError(f"the identity file {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise StillhouseError(f"the identity file {path} cannot be read: {error}; expected JSON: {EXAMPLE}") from None
    if not isinstance(fields, dict):
        raise StillhouseError(f"the identity file {path} is no JSON object; expected {EXAMPLE}")
    for name in fields:
        if name not in FIELDS:
            raise StillhouseError(f"the identity file {path} has an unknown field {name!r}; expected {FIELDS}")
    identity, issuer = (_text(path, fields, name) for name in FIELDS[:2])
    if "trust_root" not in fields:
        return Identity(identity, issuer, trust_root.public())
    root = path.parent / _text(path, fields, "trust_root")
    try:
        return Identity(identity, issuer, trust_root.read(root))
    except StillhouseError as error:
        raise StillhouseError(f"the identity file {path}: trust_root: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises: ValueError when a field stands there twice: readers differ in which one counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field stands there twice")
    return fields


def _text(path: Path, fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value or value != value.strip():
        found = repr(value) if name in fields else "nothing"
        raise StillhouseError(f"the identity file {path}: {name} is {found}; expected text, as in {EXAMPLE}")
    return value
