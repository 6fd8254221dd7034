"""From a request to its answer, the same way for every endpoint.

The model is asked for a place before the body is read; all memory that the request takes is counted; reading, decoding
and answering happen in threads, for one client after another, and what nobody waits for any more is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from core.task import Job
from serving import body, deadline
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


async def answer(request: Request, models: Models, ask: Ask) -> Response:
    """Raises: RefusalError, ClientGoneError."""
    client, lease = request.state.client, request.state.lease
    limit_s = deadline.of(request, models.settings)
    with models.place(ask.choose().name).admission.enter(client):
        content = [await body.read(request, models.settings, lease)]
        made = await body.unless_gone(request, computed(models, client, lease, limit_s, ask, content))
        return made.response()


async def computed(models: Models, client: str, lease: Lease, limit_s: float, ask: Ask, content: list[bytes]) -> Answer:
    """The answer to a request that has been read. content: its body alone; the list is emptied, so that nothing but the
    thread that reads the body holds it. Raises: RefusalError."""
    model = ask.choose()  # a new version may have come with the body; this one waits for us before it goes
    with model.used():
        end = time.monotonic() + limit_s
        job, known = await model.prepare(client, lambda package: ask.prepare(package, content.pop()), end)
        lease.resize(model.held(job))
        made = await model.compute(client, job, end, lambda results: ask.build(model, job, results, known))
        lease.resize(made.size)
        return made
