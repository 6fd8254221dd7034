"""Who may ask a server without a token: no page of another site.

A name that an attacker owns can be made to lead to this machine (DNS rebinding), and a page of any site can post to a
local address; both tell on themselves, by `Host` and by `Origin` (RFC 9110 7.2, RFC 6454). A literal address in `Host`
is never such a name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from serving.errors import RefusalError

AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(?::[0-9]{1,5})?")


def check(headers: list[tuple[bytes, bytes]], own: str, allowed: Collection[str]) -> None:
    """own: the name that the server listens at; allowed: further names, in small letters.

    Raises: RefusalError 421 for a name that is not this server's, 403 for a page of another site.
    """
    host, origin = _first(headers, b"host"), _first(headers, b"origin")
    if host is not None and not _is_ours(_name(host), {"localhost", own.lower(), *allowed}):
        raise RefusalError(
            421, f"this server is not called {host[:64]!r}; start it with --allowed-host NAME, or with a token"
        )
    if origin is None or (host is not None and origin.partition("://")[2].lower() == host.lower()):
        return
    if _name(origin.partition("://")[2]) not in allowed:  # a proxy before this server may give it another host
        raise RefusalError(
            403, f"pages of {origin[:64]!r} may not ask this server; start it with --allowed-host NAME, or with a token"
        )


def _first(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), None)


def _name(authority: str) -> str | None:
    """Without its port."""
    match = AUTHORITY.fullmatch(authority)
    return match[1].strip("[]").lower().rstrip(".") if match else None


def _is_ours(name: str | None, names: Collection[str]) -> bool:
    if name is None:
        return False
    if name in names or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
