"""An address without what opens it: what may be printed, logged and packaged of a URL.

A user part (`https://token@host/`) and a query (`?X-Amz-Signature=...` of a presigned address) are passwords, and
a fragment may be (`#access_token=...`). A URL's parts are those of RFC 3986 (https://www.rfc-editor.org/rfc/rfc3986).
"""

from __future__ import annotations

import re

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^\s'\"<>`|]*)")
RELATIVE = re.compile(r"(with url: [^\s?#]*)[?#][^\s]*")
"""How urllib3 names the rest of an address in its errors."""


def public(text: str) -> str:
    """`text`, a URL or any words with URLs in them, in which no URL has a user, password, query or fragment."""
    return RELATIVE.sub(r"\1", URL.sub(lambda found: found[1] + _bare(found[2]), text))


def has_user(url: str) -> bool:
    """Whether a URL has a user part that is more than the name by which git logs in over SSH."""
    scheme, _, rest = url.partition("://")
    if not _ or "@" not in re.split(r"[?#]", rest)[0]:
        return False
    user = _user(re.split(r"[?#]", rest)[0])
    return ":" in user or (bool(user) and scheme.lower().removeprefix("git+").endswith(("http", "https")))


def _bare(rest: str) -> str:
    """What follows `://`."""
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    user = _user(rest)
    return rest[len(user) + 1 :] if user else rest


def _user(rest: str) -> str:
    """The part before `@`; a slash within a password is nonsense to a server, but no less a secret."""
    authority, slash, _ = rest.partition("/")
    if "@" in authority:
        return authority.rpartition("@")[0]
    host, colon, port = authority.rpartition(":")
    broken = slash and colon and not port.isdigit() and not port.endswith("]")
    return rest.rpartition("@")[0] if broken and "@" in rest and host else ""
