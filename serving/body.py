"""The body of a request: whole, of bounded size, in bounded time, unpacked with a bound on what comes out."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import pydantic_core
from starlette.requests import ClientDisconnect, Request

from serving.budget import Lease
from serving.errors import ClientGoneError, RefusalError
from serving.settings import Settings

Result = TypeVar("Result")
WINDOW = {"gzip": 31, "deflate": 15}
"""zlib's `wbits` by content coding."""
VALUES = 1_000_000
"""Of a body of JSON, at most: while it is parsed nobody else is served, a second for some millions."""


async def read(request: Request, settings: Settings, lease: Lease) -> bytes:
    """lease: grows with what has come. Raises: RefusalError 408, 413, 415, 429 or 400; ClientGoneError."""
    most = int(settings.body_mb * 1e6)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
        raise _large(settings)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity" and coding not in WINDOW:
        raise RefusalError(415, f"Content-Encoding {coding[:32]!r} is not known; send gzip, deflate or plain")
    parts = _bounded(request.stream(), most, settings)
    if coding != "identity":
        parts = _bounded(_unpack(parts, WINDOW[coding], most), most, settings)
    try:
        async with asyncio.timeout(settings.read_s):
            return await _whole(parts, lease)
    except TimeoutError:
        raise RefusalError(
            408, f"the body did not come within {settings.read_s:g} s", {"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise ClientGoneError from None


async def _whole(parts: AsyncIterator[bytes], lease: Lease) -> bytes:
    held: list[bytes] = []
    async for part in parts:
        try:
            lease.grow(len(part))
        except RefusalError as refusal:
            refusal.headers["Connection"] = "close"  # the rest is not wanted
            raise
        held.append(part)
    return b"".join(held)


async def _bounded(parts: AsyncIterator[bytes], most: int, settings: Settings) -> AsyncIterator[bytes]:
    """Raises: RefusalError 413."""
    left = most
    async for part in parts:
        left -= len(part)
        if left < 0:
            raise _large(settings)
        yield part


def parsed(content: bytes) -> Any:
    """A body of JSON. Raises: RefusalError 400, 413."""
    values = sum(map(content.count, (b",", b"[", b"{")))  # at most this many, but for one
    if values > VALUES:
        raise RefusalError(
            413, f"the JSON has {values} values or more, expected at most {VALUES}; send large tensors as binary data"
        )
    try:
        return pydantic_core.from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise RefusalError(400, f"the body is no JSON: {error}") from None


async def _unpack(parts: AsyncIterator[bytes], window: int, most: int) -> AsyncIterator[bytes]:
    """At most one byte more than `most`, whatever the parts claim to hold."""
    machine, left = zlib.decompressobj(window), most + 1
    try:
        async for part in parts:
            rest = part
            while rest and left > 0:
                unpacked = machine.decompress(rest, left)
                left -= len(unpacked)
                yield unpacked
                rest = machine.unconsumed_tail
            if machine.unused_data:
                raise RefusalError(400, "the compressed body ends before the body does")
    except zlib.error:
        raise RefusalError(400, "the body is not what Content-Encoding says: it cannot be unpacked") from None
    if left > 0 and not machine.eof:
        raise RefusalError(400, "the compressed body ends too early")


def _large(settings: Settings) -> RefusalError:
    return RefusalError(413, f"the body is larger than {settings.body_mb:g} MB, the limit", {"Connection": "close"})


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled when the client closes the connection. The body has been read.

    Raises: ClientGoneError.
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leaves(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        task.cancel()
        leaving.cancel()


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
