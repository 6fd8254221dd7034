"""Which addresses a source may lead to: a URL in params must not reach into a private network unless it is allowed."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from core.errors import SourceError


def refuse_private(url: str) -> None:
    """Raises: SourceError when the URL's host is, or resolves to, a private, loopback or link-local address."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise SourceError(f"{url!r} names no host")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SourceError(
            f"the host {parts.hostname!r} cannot be found ({error}); check the URL and the network"
        ) from None
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).split("%")[0]).is_global:
            raise SourceError(
                f"{parts.hostname} is the private address {address[0]}; set data.allow_private: true if that is meant"
            )
