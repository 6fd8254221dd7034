"""The process that serves: uvicorn on a socket that is open already, drained by SIGTERM, reloaded by SIGHUP."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from types import FrameType

import uvicorn
import uvloop

from serving import logs, tracing
from serving.app import Application
from serving.protocol import configured
from serving.settings import Settings

BACKLOG = 2048
IDLE_S = 30
"""How long a connection without a request is kept."""

SWITCH_S = 0.0005
"""How long a thread may keep Python from another that waits, instead of 5 ms: the one that computes batches needs it
for moments only, and must not wait behind requests that are read (0.87 of a bare loop became 1.0)."""


class Server(uvicorn.Server):
    """uvicorn that says `not ready` for a while before it stops taking connections."""

    models_app: Application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's own keeps the signal and in the end raises it again, which would end the process too early."""
        models, delay_s = self.models_app.models, self.models_app.settings.drain_delay_s
        if models.draining:
            self._leave()
            return
        models.draining = True
        logs.event("draining", delay_s=delay_s)
        asyncio.get_running_loop().call_later(delay_s, self._leave)

    def _leave(self) -> None:
        self.should_exit = True


def serve(settings: Settings, descriptor: int) -> None:
    """Until SIGTERM. descriptor: of a listening socket."""
    logs.configure(settings.text_log)
    tracing.configure()
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, socket.socket(fileno=descriptor)))
    tracing.finish()
    logs.event("stopped")


async def _serve(settings: Settings, listening: socket.socket) -> None:
    app = Application(settings)
    config = uvicorn.Config(
        app,
        http=configured(settings.read_s),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        backlog=BACKLOG,
    )
    server = Server(config)
    server.models_app = app
    refreshing: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(app.models.refresh(force=True))
        refreshing.add(task)
        task.add_done_callback(refreshing.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # see `supervisor`
    await server.serve(sockets=[listening])
