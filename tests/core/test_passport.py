"""A package whose every byte is vouched for: one flipped bit in any file is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core import passport
from core.errors import ModelError
from core.files import write_json

ROOT = Path(__file__).resolve().parents[2]
VALUES = {"data": {"prepared": "1" * 32}, "code": "2" * 40, "evaluation": {"metrics": {"map": 0.5}}}


def graph(path: Path) -> None:
    """A graph that adds one."""
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    made = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "add", value[:1], value[1:], [one])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "model").mkdir(parents=True)
    (folder / "golden").mkdir()
    graph(folder / "model" / "add.onnx")
    write_json(folder / "model" / "model.json", {"task": "toy"})
    write_json(folder / "golden" / "samples.json", [{"input": 1, "output": 2}])
    links = passport.chained(VALUES)
    passport.stamp(folder / "model", links)
    passport.seal(folder, links)
    return folder


def test_an_untouched_package_holds(package: Path) -> None:
    assert passport.verify(package) == []


@pytest.mark.parametrize("name", ["model/add.onnx", "model/model.json", "golden/samples.json", "passport.json"])
def test_one_flipped_bit_is_found(package: Path, name: str) -> None:
    path = package / name
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), max(1, len(content) // 25)):
        content[position] ^= 1
        path.write_bytes(content)
        try:
            assert passport.verify(package), f"bit 0 of byte {position}"
        except ModelError:
            assert name == "passport.json"
        content[position] ^= 1
    path.write_bytes(content)
    assert passport.verify(package) == []


def test_the_first_broken_link_is_named(package: Path) -> None:
    path = package / "passport.json"
    content = json.loads(path.read_text())
    content["links"][1]["value"] = "3" * 40
    content["seal"] = passport._digest({k: v for k, v in content.items() if k != "seal"})
    path.write_text(json.dumps(content))
    assert passport.verify(package)[0].startswith("link 'code' is broken")


def reseal(package: Path, content: dict[str, object]) -> None:
    """Write a changed passport with a seal that fits."""
    content["seal"] = passport._digest({k: v for k, v in content.items() if k != "seal"})
    (package / "passport.json").write_text(json.dumps(content))


def test_a_swapped_graph_is_found_although_files_and_seal_fit(package: Path) -> None:
    path = package / "model" / "add.onnx"
    graph = onnx.load(str(path))
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full(1, 2, np.float32), "one"))
    onnx.save(graph, str(path))
    content = json.loads((package / "passport.json").read_text())
    content["files"]["model/add.onnx"] = passport.sha256(path)
    reseal(package, content)
    assert passport.verify(package) == ["link 'model' is broken: the graphs are not those that it names"]


def test_a_cut_chain_is_found(package: Path) -> None:
    content = json.loads((package / "passport.json").read_text())
    content["links"] = content["links"][:1]
    reseal(package, content)
    assert passport.verify(package) == ["the last link is not 'model': the chain was cut"]


def test_added_and_missing_files_are_named(package: Path) -> None:
    (package / "model" / "extra").write_text("x")
    (package / "golden" / "samples.json").unlink()
    assert passport.verify(package) == ["golden/samples.json is missing", "model/extra is not in the passport"]


def test_a_graph_names_its_passport(package: Path) -> None:
    stamped = {entry.key: entry.value for entry in onnx.load(str(package / "model" / "add.onnx")).metadata_props}
    assert stamped[passport.METADATA] == passport.chained(VALUES)[-1]["chain"]


def test_the_command_ends_with_two_when_something_is_wrong(package: Path) -> None:
    def call() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "core.passport", "verify", str(package)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert call().returncode == 0
    (package / "model" / "model.json").write_text("{}")
    broken = call()
    assert broken.returncode == 2
    assert broken.stderr.startswith("error: model/model.json was changed")
    assert "Traceback" not in broken.stderr
