"""Which engine the tests use: the one that `docker/build.py` would take, or what STILLHOUSE_TEST_ENGINE names."""

from __future__ import annotations

import os
from functools import cache

import pytest
from engine import Engine
from engine_docker import Docker
from engine_podman import Podman

VARIABLE = "STILLHOUSE_TEST_ENGINE"
ENGINES: dict[str, type[Engine]] = {"docker": Docker, "podman": Podman}


@cache
def choose() -> type[Engine] | str:
    """The engine, or why there is none. Raises: pytest.UsageError for a name that is none of ENGINES."""
    if os.geteuid() != 0:
        return "bases and images are made as root, without user namespaces"
    named = os.environ.get(VARIABLE)
    if named and named not in ENGINES:
        raise pytest.UsageError(f"{VARIABLE} is {named!r}, expected one of {', '.join(ENGINES)}, or nothing")
    reasons = {}
    for engine in [ENGINES[named]] if named else ENGINES.values():
        reason = engine.missing()
        if reason is None:
            return engine
        reasons[engine.program] = reason
    return "; ".join(f"{program}: {reason}" for program, reason in reasons.items())
