"""Who may ask: whom the token lets in, or, without one, no page of another site."""

from __future__ import annotations

import hmac

from serving import hosts
from serving.errors import RefusalError
from serving.settings import Settings

Headers = list[tuple[bytes, bytes]]
"""Names in small letters."""


class Access:
    def __init__(self, settings: Settings):
        self._token = settings.token.encode() if settings.token else None
        self._host, self._allowed = settings.host, frozenset(name.lower() for name in settings.allowed_hosts)

    def known(self, headers: Headers) -> bool:
        """Whether the client may read and ask everything. Raises: RefusalError 403, 421, see `serving.hosts`."""
        if self._token is None:
            hosts.check(headers, self._host, self._allowed)
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def unknown() -> RefusalError:
    """401."""
    reason = "expected the header Authorization: Bearer TOKEN, with this server's"
    return RefusalError(401, reason, {"WWW-Authenticate": "Bearer"})
