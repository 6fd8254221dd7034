"""A package whose every byte is vouched for: one flipped bit in any file is found, also in an ONNX file found alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import toy_package
from onnx import numpy_helper

from core.errors import ModelError
from core.files import sha256
from ops import passport
from ops.passport import chain, graph

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "MODEL_CARD.md",
    "evaluation.json",
    "golden/0.png",
    "golden/1.png",
    "golden/samples.json",
    "model/checksums.json",
    "model/detector.onnx",
    "model/model.json",
    "passport.json",
)
MODEL = "model/detector.onnx"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package.make(tmp_path_factory.mktemp("made") / "package")


@pytest.fixture
def package(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "package"))


def found(path: Path) -> list[str]:
    """What `python -m ops.passport verify` prints."""
    try:
        return passport.verify(path)
    except ModelError as error:
        return [str(error)]


def rewrite(package: Path, **changes: Any) -> None:
    """Change the passport's content; seal and form fit afterwards."""
    content = passport.read(package) | changes
    content["seal"] = chain.digest({key: value for key, value in content.items() if key != "seal"})
    (package / passport.NAME).write_text(passport._written(content))


def test_an_untouched_package_holds_and_so_does_its_graph_alone(package: Path, tmp_path: Path) -> None:
    assert {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()} == set(FILES)
    assert passport.verify(package) == []
    shutil.copy(package / MODEL, tmp_path / "found.onnx")
    assert passport.verify(tmp_path / "found.onnx") == []


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_in_any_file_is_found(package: Path, name: str) -> None:
    path = package / name
    content = bytearray(path.read_bytes())
    places = {*range(0, len(content), max(1, len(content) // 60)), len(content) - 1}
    for place in places:
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        assert found(package), f"bit {place % 8} of byte {place}"
        content[place] ^= 1 << place % 8
    path.write_bytes(content)
    assert found(package) == []


def test_one_flipped_bit_anywhere_in_a_graph_alone_is_found(package: Path) -> None:
    path = package / MODEL
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        assert found(path), f"bit {place % 8} of byte {place}"
        content[place] ^= 1 << place % 8


def test_a_graph_cut_or_lengthened_is_found(package: Path) -> None:
    path = package / MODEL
    content = path.read_bytes()
    for changed in (*(content[:end] for end in range(0, len(content), 37)), content[:-1], content + b"\0"):
        path.write_bytes(changed)
        assert found(path)


def test_a_stamped_graph_is_the_same_graph(package: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    toy_package.detector(bare)
    stamped = onnx.load(str(package / MODEL))
    onnx.checker.check_model(stamped, full_check=True)
    assert stamped.graph == onnx.load(str(bare)).graph
    images = {"images": np.full((2, 3, 32, 32), 51, np.float32)}
    before, after = (onnxruntime.InferenceSession(str(path)).run(None, images) for path in (bare, package / MODEL))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_what_onnx_runtime_reads_leads_home(package: Path) -> None:
    session = onnxruntime.InferenceSession(str(package / MODEL))
    links = json.loads(session.get_modelmeta().custom_metadata_map[graph.KEY])["links"]
    assert {link["name"]: link["value"] for link in links[:-1]} == toy_package.VALUES
    assert links[:-1] == passport.read(package)["links"][:-1]


def test_the_passport_names_the_graph_that_was_evaluated(package: Path, tmp_path: Path) -> None:
    toy_package.detector(tmp_path / "bare.onnx")
    link = passport.read(package)["links"][-1]
    assert link["name"] == "model"
    assert link["value"] == {MODEL: {"file": sha256(package / MODEL), "graph": sha256(tmp_path / "bare.onnx")}}


def test_a_changed_middle_link_is_named_and_no_other(package: Path) -> None:
    links = passport.read(package)["links"]
    links[2]["value"] = {"seed": 8}
    rewrite(package, links=links)
    problems = passport.verify(package)
    assert problems[0].startswith("link 'params' is broken")
    assert not any("'code'" in problem or "'evaluation'" in problem for problem in problems)


def test_a_changed_middle_link_of_a_graph_alone_is_named(package: Path) -> None:
    path = package / MODEL
    stamped = graph.read(path)
    stamped.links[1]["value"] = "4" * 40
    restamp(path, graph._text({"format": graph.FORMAT, "links": stamped.links}))
    assert [problem.split(":")[0] for problem in passport.verify(path)] == ["link 'code' is broken"]


def restamp(path: Path, text: str) -> None:
    """Write another text where the passport of a graph stands, as protobuf would."""
    stamped = graph.read(path)
    path.write_bytes(stamped.content[: stamped.own["size"]] + graph._entry(text))


def test_the_same_content_in_other_words_is_found(package: Path) -> None:
    text = graph.read(package / MODEL).text
    restamp(package / MODEL, text.replace(": ", ":"))
    assert passport.verify(package / MODEL) == ["the passport does not stand behind the graph as it was written"]
    restamp(package / MODEL, text)
    assert passport.verify(package) == []
    (package / passport.NAME).write_text(json.dumps(passport.read(package)))
    assert passport.verify(package) == ["passport.json itself was changed: it is not written as `package` writes it"]


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\ud800"', "[" * 100_000])
def test_values_that_no_digest_can_have_are_damage(package: Path, value: str) -> None:
    text = graph.read(package / MODEL).text
    restamp(package / MODEL, text.replace('"seed": 7', f'"seed": {value}'))
    with pytest.raises(ModelError, match="its passport is damaged"):
        passport.verify(package / MODEL)


def test_links_that_changed_places_are_found(package: Path) -> None:
    links = passport.read(package)["links"]
    links[1], links[2] = links[2], links[1]
    rewrite(package, links=links)
    assert passport.verify(package)[0].startswith("link 'params' is broken")


def test_a_cut_chain_is_found(package: Path) -> None:
    rewrite(package, links=passport.read(package)["links"][:-1])
    assert passport.verify(package) == ["the last link is not 'model': the chain was cut"]


def test_a_swapped_graph_is_found_although_files_and_seal_fit(package: Path) -> None:
    path = package / MODEL
    changed = onnx.load(str(path))
    changed.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(128, np.float32), "most"))
    onnx.save(changed, str(path))
    rewrite(package, files=passport.read(package)["files"] | {MODEL: sha256(path)})
    assert passport.verify(package)[0] == "link 'model' is broken: the graphs are not those that it names"
    assert found(path)[0].startswith("link 'graph' is broken")


def test_a_graph_of_another_package_is_found_although_all_digests_fit(package: Path, tmp_path: Path) -> None:
    other = toy_package.make(tmp_path / "other", toy_package.VALUES | {"code": "5" * 40})
    shutil.copy(other / MODEL, package / MODEL)
    links = passport.read(package)["links"][:-1]
    links += chain.chained({"model": {MODEL: passport._graph(package / MODEL)}}, links[-1]["chain"])
    files = passport.read(package)["files"] | {MODEL: sha256(package / MODEL)}
    rewrite(package, links=links, files=files)
    assert passport.verify(package) == [f"{MODEL} carries another passport"]


def test_added_and_missing_files_are_named(package: Path) -> None:
    (package / "model" / "extra").write_text("x")
    (package / "golden" / "samples.json").unlink()
    assert passport.verify(package) == ["golden/samples.json is missing", "model/extra is not in the passport"]


def test_a_graph_is_stamped_once(package: Path) -> None:
    with pytest.raises(ModelError, match="carries a passport already"):
        passport.stamp(package / "model", passport.chained(toy_package.VALUES))


def call(*arguments: str, folder: Path = ROOT, before: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m ops.passport ARGUMENTS` in `folder`, after the statements `before`."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); {before}\nimport runpy; sys.argv[1:] = {list(arguments)}\n"
    )
    program += "runpy.run_module('ops.passport', run_name='__main__')"
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_ends_with_two_when_something_is_wrong(package: Path) -> None:
    for whole in (package, package / MODEL):
        assert call("verify", str(whole)).returncode == 0
    (package / "model" / "model.json").write_text("{}")
    broken = call("verify", str(package))
    assert broken.returncode == 2
    assert broken.stderr.startswith("error: model/model.json was changed")


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"x" * 5000, graph._mark(), graph._mark() + b"\xff" * 50])
def test_what_carries_no_passport_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.onnx").write_bytes(content)
    for command in ("verify", "trace"):
        refused = call(command, str(tmp_path / "some.onnx"))
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: ") and len(refused.stderr.splitlines()) == 1


def test_a_missing_folder_or_command_is_told(tmp_path: Path) -> None:
    assert "is no file" in call("verify", str(tmp_path / "nothing")).stderr
    assert "passport.json does not exist" in call("verify", str(tmp_path)).stderr
    assert "usage" in call("verify").stderr


def test_a_graph_found_alone_traces_back_without_onnx_or_repository(package: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "elsewhere"
    lonely.mkdir()
    shutil.move(package / MODEL, lonely / "m.onnx")
    shutil.rmtree(package)
    traced = call("trace", "m.onnx", folder=lonely, before="sys.modules.update(onnx=None, onnxruntime=None)")
    assert traced.returncode == 0, traced.stderr
    lines = [" ".join(line.split()) for line in traced.stdout.splitlines()]
    assert "data source /data/wheat" in lines
    assert f"prepared {'1' * 32}.dir" in lines
    assert f"code git checkout {'2' * 40}" in lines
    assert "evaluation test map 0.5, interval 0.4 to 0.6" in lines
    assert f"environment requirements/train-cpu.lock {'3' * 64}" in lines
    assert "detection.train epochs 3" in lines
    assert lines[-1] == "m.onnx: all links hold"


def test_a_trace_of_a_changed_graph_warns(package: Path) -> None:
    content = bytearray((package / MODEL).read_bytes())
    content[10] ^= 1
    (package / MODEL).write_bytes(content)
    traced = call("trace", str(package / MODEL))
    assert traced.returncode == 2
    assert "/data/wheat" in traced.stdout
    assert traced.stderr.startswith("error: link 'graph' is broken")


def test_a_trace_sends_no_control_sequences(tmp_path: Path) -> None:
    values = toy_package.VALUES | {"code": "\x1b[2Jgone"}
    traced = call("trace", str(toy_package.make(tmp_path / "package", values)))
    assert traced.returncode == 0 and "\x1b" not in traced.stdout
