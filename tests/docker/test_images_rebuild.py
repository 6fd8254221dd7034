"""A change of code makes an image again in seconds: the packages' layer is not touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from built import CPU, Built
from engine import Engine

SECONDS = {"docker": {"serve": 30, "train-cpu": 30}, "podman": {"serve": 60, "train-cpu": 240}}
"""Room for a busy machine. podman 4 reads all packages (2 GB) to see that they are the same; BuildKit need not."""


@pytest.mark.parametrize("name", CPU)
def test_a_change_of_code_rebuilds_in_seconds(
    engine: Engine, base: str, tree: Path, image: Callable[[str], Built], name: str
) -> None:
    before = engine.inspect(image(name).tag)["RootFS"]["Layers"]
    code = tree / "core" / "errors.py"
    kept = code.read_bytes()
    code.write_bytes(kept + f"# changed for {name}\n".encode())
    started = time.monotonic()
    try:
        printed = engine.build(tree, name, base, "changed")
    finally:
        code.write_bytes(kept)
    seconds = time.monotonic() - started
    after = engine.inspect(engine.tag(name, "changed"))["RootFS"]["Layers"]
    print(f"{name}: {seconds:.1f} s; {printed.strip().splitlines()[-1]}")
    assert seconds < SECONDS[engine.program][name]
    same = [old == new for old, new in zip(before, after, strict=True)]
    assert same.index(False) >= 3, "the packages' layer was made again"
    assert not all(same)
    shown = engine.once(engine.tag(name, "changed"), "tail", "-n", "1", "/app/core/errors.py")
    assert shown == f"# changed for {name}\n"
