"""The process that serves: HTTP on a socket that is open already, and gRPC where it is asked for; drained by SIGTERM,
reloaded by SIGHUP."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Any

import uvloop

from serving import logs, tracing
from serving.app import Application
from serving.board import Seat
from serving.listener import Listener
from serving.settings import Inherited, Settings

SWITCH_S = 0.0005
"""How long a thread may keep Python from another that waits, instead of 5 ms: the one that computes batches needs it
for moments only, and must not wait behind requests that are read (0.87 of a bare loop became 1.0)."""


def serve(settings: Settings, inherited: Inherited) -> None:
    """Until SIGTERM."""
    logs.configure(settings.text_log)
    tracing.configure()
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, socket.socket(fileno=inherited.listening), inherited.seat))
    tracing.finish()
    logs.event("stopped")


async def _serve(settings: Settings, listening: socket.socket, seat: Seat | None) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    app = Application(settings, seat)
    refreshing: set[asyncio.Task[None]] = set()

    def stop() -> None:
        if app.models.draining:
            stopping.set()
            return
        app.models.draining = True
        logs.event("draining", delay_s=settings.drain_delay_s)
        loop.call_later(settings.drain_delay_s, stopping.set)

    def reload() -> None:
        task = asyncio.create_task(app.models.refresh(force=True))
        refreshing.add(task)
        task.add_done_callback(refreshing.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # see `supervisor`
    listener, calls = Listener(app, listening, settings.read_s, seat=seat), _calls(app)
    async with app.running():
        listener.open()
        if calls is not None:
            await calls.open()
        await stopping.wait()
        ends = [listener.close(settings.drain_s), *([calls.close(settings.drain_s)] if calls is not None else [])]
        await asyncio.gather(*ends)


def _calls(app: Application) -> Any:
    """The listener for gRPC, where one is asked for."""
    if app.settings.grpc_port is None:
        return None
    from serving.rpc.listener import Listener as Calls

    return Calls(app.models, app.metrics)
