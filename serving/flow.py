"""From a request to its answer, the same way for every endpoint.

The model is asked for a place before the body is read; all memory that the request takes is counted; reading, decoding
and answering happen in threads, for one client after another, and what nobody waits for any more is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from core.task import Job
from serving import answers, body, deadline, events
from serving.answers import Answer
from serving.budget import Lease
from serving.models import Model, Models
from serving.package import Package


@dataclass(frozen=True)
class Ask:
    """What an endpoint makes of a request."""

    choose: Callable[[], Model]
    """The model that is asked for. Raises: RefusalError 404."""
    prepare: Callable[[Package, bytes], tuple[Job, Any]]
    """(package, body) -> the job, and what `build` must know of the request; in a thread. Raises: RefusalError,
    DataError."""
    build: Callable[[Model, Job, list[Any], Any], Answer]
    """(model, job, a result for each of its items, what `prepare` said) -> the answer; in a thread."""
    same: Hashable = None
    """What decides the answer beside model and body: requests that are equal in all three may share one."""


async def answer(request: Request, models: Models, ask: Ask) -> Response:
    """Raises: RefusalError, ClientGoneError."""
    client, lease = request.state.client, request.state.lease
    limit_s = deadline.of(request, models.settings)
    packed = answers.accepts(request.headers.get("accept-encoding", ""), answers.GZIP)
    with models.place(ask.choose().name).admission.enter(client):
        content = [await body.read(request, models.settings, lease)]
        made = await body.unless_gone(request, computed(models, client, lease, limit_s, ask, content, packed))
        return made.response()


async def computed(
    models: Models, client: str, lease: Lease, limit_s: float, ask: Ask, content: list[bytes], packed: bool = False
) -> Answer:
    """The answer to a request that has been read. content: its body alone; the list is emptied, so that nothing but the
    thread that reads the body holds it; packed: whether the client takes gzip. Raises: RefusalError."""
    model = ask.choose()  # a new version may have come with the body; this one waits for us before it goes
    with model.used():
        end = time.monotonic() + limit_s

        async def made() -> Answer:
            job, known = await model.prepare(client, lambda package: ask.prepare(package, content.pop()), end)
            lease.resize(model.held(job))
            answer = await model.compute(client, job, end, lambda results: ask.build(model, job, results, known))
            if packed and answer.size >= answers.LARGE:
                lease.grow(answer.size)
                answer = await model.turns.run(client, answer.compressed)
            return answer

        if models.coalescing is None:
            found = await made()
        else:
            digest = await model.turns.run(client, lambda: sha256(content[0]).digest())
            key = (model.name, model.version, ask.same, packed, digest)
            found = await models.coalescing.run(key, end, made)
        lease.resize(found.size)
        return found


def streamed(request: Request, models: Models, ask: Ask) -> Response:
    """Likewise, each part of the answer as it is computed. The model is asked when the response is sent."""
    client, lease = request.state.client, request.state.lease
    limit_s = deadline.of(request, models.settings)

    async def work(tell: events.Tell) -> None:
        with models.place(ask.choose().name).admission.enter(client):
            content = [await body.read(request, models.settings, lease)]
            await body.unless_gone(request, _told(client, lease, limit_s, ask, content, tell))

    ask.choose()  # a model that is not there is known before anything is read
    return events.Stream(work)


async def _told(client: str, lease: Lease, limit_s: float, ask: Ask, content: list[bytes], tell: events.Tell) -> None:
    model = ask.choose()
    with model.used():
        end = time.monotonic() + limit_s
        job, known = await model.prepare(client, lambda package: ask.prepare(package, content.pop()), end)
        held = model.held(job)
        lease.resize(held)
        parts = await model.turns.run(client, lambda: model.divided(job))
        results: list[Any] = []
        number = 0

        async def advance() -> None:
            """Tell the parts of which every result is there."""
            nonlocal number
            while number < len(parts) and len(results) >= (count := len(parts[number].items)):
                part, own = parts[number], results[:count]
                del results[:count]
                made = await model.turns.run(client, lambda: ask.build(model, part, own, known))  # noqa: B023 - at once
                lease.resize(held + made.size)
                await tell(events.event(b"".join(made.pieces), number))
                number += 1

        async def each(result: Any) -> None:
            results.append(result)
            await advance()

        await model.tell(client, job, end, each)
        await advance()
        await tell(events.named("done", {"model": model.name, "version": model.version, "parts": number}))
