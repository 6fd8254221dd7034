"""Takes gRPC's connections, within bounds, and ends without cutting a call off."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from serving import logs
from serving.listener import descriptors
from serving.metrics import Metrics
from serving.models import Models
from serving.rpc.entrance import Entrance, message_bytes
from serving.rpc.messages import SERVICE
from serving.rpc.service import PUBLIC, methods
from serving.settings import Settings

CALLS = 256
"""At once, of one connection."""
IDLE_MS = 30_000
"""How long a connection without a call is kept."""
IDENTITY = 1
"""The bit of no compression. A message is unpacked by the library, which looks at its size before that alone: 16 MB of
zeros, packed, would be gigabytes."""


def options(settings: Settings, connections: int) -> list[tuple[str, int]]:
    """https://grpc.github.io/grpc/core/group__grpc__arg__keys.html

    A call whose answer is not read keeps its place for as long as its connection is there, and nothing in this library
    ends the call alone. So a connection ends after a while: clients are told to take another for their next calls,
    those under way have the time that a call may take, and what is left then is cut off.
    """
    call_s = 2 * settings.read_s + settings.deadline_s + settings.read_s  # its turn, its message, the work, the answer
    return [
        ("grpc.max_receive_message_length", message_bytes(settings)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", CALLS),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.max_connection_age_ms", int(2 * settings.read_s * 1000)),
        ("grpc.max_connection_age_grace_ms", int(call_s * 1000)),
        ("grpc.server_handshake_timeout_ms", int(settings.read_s * 1000)),  # else 2 minutes, in which nothing may come
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.compression_enabled_algorithms_bitset", IDENTITY),
        ("grpc.http2.bdp_probe", 0),  # a window does not grow beyond 64 kB by itself, whoever sends
        ("grpc.so_reuseport", int(settings.way.workers > 1)),  # a port that another server has is an error
    ]


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listener:
    """Until `close`. Raises: OSError when the port cannot be had."""

    def __init__(self, models: Models, metrics: Metrics):
        settings = models.settings
        most = descriptors() // 4
        assert settings.grpc_port is not None
        self._where = address(settings.host, settings.grpc_port)
        self._server = grpc.aio.server(options=options(settings, most), maximum_concurrent_rpcs=most)
        entrance = Entrance(models, metrics, most)
        known = methods(models)
        handlers: dict[str, Any] = {name: entrance.handler(name, known[name], name in PUBLIC) for name in known}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def open(self) -> None:
        try:
            self._server.add_insecure_port(self._where)
        except RuntimeError as error:
            raise OSError(f"{self._where} cannot be used for gRPC: {error}") from None
        await self._server.start()
        logs.event("listening for gRPC", address=self._where)

    async def close(self, drain_s: float) -> None:
        """Take no more calls; answer what is under way, for `drain_s` at most."""
        await self._server.stop(drain_s)
