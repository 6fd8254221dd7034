"""Which addresses a source may lead to: a URL in params must not reach into a private network unless it is allowed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.errors import SourceError

LAST_32 = [ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0/96", "::/96")]
"""Hold an IPv4 address in their last 32 bits: NAT64 (RFC 6052, RFC 8215), IPv4-mapped and -compatible (RFC 4291)."""


def split(url: str) -> SplitResult:
    """The parts of a URL with a host. Raises: SourceError when it is none."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # each raises for nonsense
    except ValueError as error:
        raise SourceError(f"{url!r} is no URL: {error}") from None
    if not host:
        raise SourceError(f"{url!r} names no host")
    return parts


def refuse_private(url: str, proxied: bool = False) -> None:
    """Raises: SourceError when the URL's host is, or resolves to, a private, loopback or link-local address.

    proxied: a proxy makes the connection, so the name need not be known here.
    """
    parts = split(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if proxied and isinstance(error, socket.gaierror):
            return  # behind a proxy only the proxy may know names of the outside
        raise SourceError(
            f"the host {parts.hostname!r} cannot be found ({error}); check the URL and the network"
        ) from None
    for *_, address in found:
        refuse_address(parts.hostname or url, str(address[0]))


def refuse_address(host: str, address: str) -> None:
    """Raises: SourceError when `address`, where `host` is found, is not of the public internet."""
    if not all(meant.is_global for meant in _meant(ipaddress.ip_address(address.partition("%")[0]))):
        raise SourceError(f"{host} is the private address {address}; set data.allow_private: true if that is meant")


def _meant(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[Any]:
    """An address, and the IPv4 addresses at which a translator or tunnel delivers what is sent to it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    if any(address in network for network in LAST_32):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    yield from filter(None, (address.sixtofour, *(address.teredo or ())))


def public_session() -> requests.Session:
    """A session that sends nothing to a private address, whatever the name resolves to when it connects.

    A name may resolve to a public address for `refuse_private` and to a private one a moment later (DNS rebinding).
    A connection through a proxy is the proxy's affair.
    """
    session = requests.Session()
    session.mount("http://", _Public())
    session.mount("https://", _Public())
    return session


class _PublicHttp(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self.host, super()._new_conn())


class _PublicHttps(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self.host, super()._new_conn())


class _PublicHttpPool(HTTPConnectionPool):
    ConnectionCls = _PublicHttp


class _PublicHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHttps


class _Public(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicHttpPool, "https": _PublicHttpsPool}


def _checked(host: str, connected: socket.socket) -> socket.socket:
    try:
        refuse_address(host, str(connected.getpeername()[0]))
    except SourceError:
        connected.close()
        raise
    return connected
