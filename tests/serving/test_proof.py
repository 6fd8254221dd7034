"""A new package that never ends, or takes all memory, is refused, and the one before it serves, also after a restart
(docs/faults.md 103)."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import packages_tiny
import psutil
import pytest
import toy_package
from onnx import TensorProto, helper, numpy_helper
from running import Running
from versions import named, released
from waiting import until

from serving import kept

Serve = Callable[..., Running]
BOUNDS = ("--watch-s", "0.1", "--proof-s", "4", "--proof-mb", "700")


def changed(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> Callable[[Path], None]:
    """What gives a toy package such nodes before its own; they make `images` of `given`."""

    def change(folder: Path) -> None:
        packages_tiny._bare(folder / "model")
        path = folder / "model" / "detector.onnx"
        model = onnx.load(path)
        own = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *own])
        for node in own:
            node.input[:] = ["changed" if name == "images" else name for name in node.input]
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
        onnx.save(model, str(path))
        packages_tiny.reseal(folder, "5" * 40)

    return change


def endless() -> Callable[[Path], None]:
    """A Loop whose condition stays true."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [value("i", TensorProto.INT64, []), value("on", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, None)],
        [value("still", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["", "go", "images"], ["changed"], body=body)
    return changed([loop], {"go": np.array(True)})


def hungry() -> Callable[[Path], None]:
    """Eight gigabytes, and their sum."""
    nodes = [
        helper.make_node("Expand", ["tiny", "large"], ["much"]),
        helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0),
        helper.make_node("Add", ["images", "sum"], ["changed"]),
    ]
    return changed(nodes, {"tiny": np.zeros(1, np.float32), "large": np.array([2 * 10**9], np.int64)})


BAD = {
    "endless": (endless, "took more than 4 s"),
    "hungry": (hungry, "took more than 700 MB of memory|[Aa]lloc"),
}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return toy_package.make(tmp_path / "toy")


def version(server: Running) -> str:
    (entry,) = server.http.get("/v1/models").json()["models"]
    return str(entry["version"])


@pytest.mark.parametrize("kind", BAD)
def test_the_version_before_it_serves(serve: Serve, toy: Path, tmp_path: Path, kind: str) -> None:
    make, reason = BAD[kind]
    picture = (toy / "golden" / "0.png").read_bytes()
    server = serve(toy, *BOUNDS)
    server.wait_until_ready()
    good = named(toy)
    bad = released(toy, make())
    assert bad != good
    refused = server.wait_for("package refused", 30)
    assert refused["still_served"] == good

    assert re.search(reason, refused["reason"]), refused
    assert server.worker.memory_info().rss < 700e6
    assert psutil.Process(server.worker.pid).children() == []
    assert server.http.post("/v1/detect", files={"image": picture}).json()["version"] == good

    if kind == "endless":  # its refusal takes four seconds of a core
        return
    server.worker.send_signal(signal.SIGKILL)  # the next worker finds the bad one only
    server.wait_for("package refused", 40, count=2)
    until(lambda: version(server) == good)
    assert server.http.post("/v1/detect", files={"image": picture}).json()["version"] == good
    assert server.http.get("/ready").status_code == 200


def test_a_folder_for_what_was_served_outlives_the_server(serve: Serve, toy: Path, tmp_path: Path) -> None:
    first = serve(toy, *BOUNDS, "--keep", tmp_path / "kept")
    first.wait_until_ready()
    good = named(toy)
    until(lambda: list((tmp_path / "kept").glob("toy-*/passport.json")))
    first.stop()
    assert first.process.wait(30) == 0
    (toy / "model" / "detector.onnx").write_bytes(b"damaged")
    second = serve(toy, *BOUNDS, "--keep", tmp_path / "kept")
    second.wait_until_ready()
    assert version(second) == good
    released(toy, lambda folder: [shutil.rmtree(folder), toy_package.make(folder)])  # type: ignore[func-returns-value]
    until(lambda: second.http.get("/v1/models").json()["models"][0]["reason"] is None)


def test_a_copy_is_whole_or_not_at_all(toy: Path, tmp_path: Path) -> None:
    root = tmp_path / "kept"
    assert kept.find(root, "toy", toy) is None
    kept.keep(root, "toy", toy)
    copy = kept.find(root, "toy", toy)
    assert copy is not None
    assert {path.relative_to(toy) for path in toy.rglob("*")} == {path.relative_to(copy) for path in copy.rglob("*")}
    assert kept.find(root, "toy", tmp_path / "other" / "toy") is None
    before = copy.stat().st_mtime_ns
    time.sleep(0.01)
    kept.keep(root, "toy", toy)
    assert copy.stat().st_mtime_ns == before  # it is there already
    (tmp_path / "file").write_text("")
    kept.keep(tmp_path / "file" / "below", "toy", toy)  # no room: told to the log, and no more
