"""A passport in other formats: valid by their own tools, with the passport's digests, and nothing local in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import formats_valid
import pandas as pd
import pytest
import toy_package

from core import lineage
from core.errors import ModelError
from core.files import sha256, write_json
from ops import passport
from ops.passport import formats
from ops.passport.formats.package import LOCAL, address, hidden

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2"
VALUES: dict[str, Any] = toy_package.VALUES | {
    "data": {"source": "/data/wheat", "pin": "0" * 64, "prepared": "1" * 32 + ".dir", "license": "CC BY 4.0"},
    "validation": {"result": "6" * 64, "quarantine": "7" * 64},
    "weights": {"source": f"https://u:{SECRET}@example.org/w.pt?k={SECRET}", "sha256": "4" * 64, "license": "MIT"},
    "code": "2" * 40 + "-dirty",
    "params": {
        "params.yaml": "5" * 64,
        "seed": 7,
        "learning_threads": 2,
        "detection": {"data": {"source": "/data/wheat"}, "model": {"weights": "~/weights.pt"}, "train": {"epochs": 3}},
    },
    "runs": {"train@detection": "8" * 32, "package@detection": "9" * 32},
    "checkpoint": {"weights.safetensors": "a" * 64},
    "evaluation": {
        "signature": "COCO",
        "val": {"map": 0.58, "interval": [0.5, 0.6]},
        "test": {"map": 0.5, "map50": 0.75, "interval": [0.4, 0.6]},
    },
    "environment": {
        "requirements/train-cpu.lock": "3" * 64,
        "stillhouse-train-cpu.cdx.json": "b" * 64,
        "image:stillhouse-train-cpu:latest": "c" * 64,
    },
}


def made(folder: Path, **changes: Any) -> Path:
    return toy_package.make(folder, VALUES | changes)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("formats") / "package")


@pytest.fixture(scope="module")
def exported(package: Path) -> Path:
    target = package.parent / "target"
    formats.export(package, target)
    return target


def read(exported: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((exported / name).read_text("utf-8")))


def test_each_is_valid_and_has_the_digests_of_the_passport(package: Path, tmp_path: Path) -> None:
    bill, _, statement = formats_valid.package(package, tmp_path)
    described = read(tmp_path, "croissant.json")
    formats_valid.digests(package, bill, described, statement)
    of_builder = statement["predicate"]["runDetails"]["builder"]["builderDependencies"]
    assert [each["name"] for each in of_builder] == [
        "stillhouse-train-cpu.cdx.json",
        "image:stillhouse-train-cpu:latest",
    ]
    (image,) = [part for part in bill["components"] if part["type"] == "container"]
    assert (image["name"], image["version"]) == ("stillhouse-train-cpu:latest", f"sha256:{'c' * 64}")
    assert described["license"]["name"] == "CC BY 4.0"
    assert bill["components"][0]["licenses"] == [{"license": {"name": "CC BY 4.0"}}]
    statement["subject"][0]["digest"]["sha256"] = "0" * 64
    with pytest.raises(AssertionError):
        formats_valid.digests(package, bill, described, statement)


@pytest.mark.parametrize("name", formats.NAMES)
def test_neither_a_local_path_nor_a_secret_is_told(exported: Path, name: str) -> None:
    text = (exported / name).read_text("utf-8")
    for word in ("/data/wheat", "~/", "weights.pt", SECRET, str(ROOT), str(exported.parent)):
        assert word not in text, word


def test_the_same_package_gives_the_same_documents(package: Path, exported: Path, tmp_path: Path) -> None:
    formats.export(Path(shutil.copytree(package, tmp_path / "elsewhere")), tmp_path)
    for name in formats.NAMES:
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()


def test_the_bill_tells_figures_with_their_intervals(exported: Path) -> None:
    card = read(exported, "bom.cdx.json")["metadata"]["component"]["modelCard"]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    told = {(entry["slice"], entry["type"]): entry for entry in metrics}
    assert told["test", "map"]["value"] == "0.5"
    assert told["test", "map"]["confidenceInterval"] == {"lowerBound": "0.4", "upperBound": "0.6"}
    assert "confidenceInterval" not in told["test", "map50"]
    assert card["properties"] == [{"name": "stillhouse:signature", "value": "COCO"}]


def test_the_provenance_tells_params_and_runs(exported: Path) -> None:
    predicate = read(exported, "provenance.intoto.json")["predicate"]
    definition = predicate["buildDefinition"]
    assert (definition["externalParameters"]["seed"], definition["externalParameters"]["learning_threads"]) == (7, 2)
    assert definition["externalParameters"]["params"]["train"] == {"epochs": 3}
    assert definition["externalParameters"]["params"]["data"] == {"source": LOCAL}
    assert definition["internalParameters"]["runs"] == VALUES["runs"]
    assert predicate["runDetails"]["metadata"]["invocationId"] == VALUES["runs"]["package@detection"]
    (code,) = (entry for entry in definition["resolvedDependencies"] if entry["name"] == "code")
    assert code["annotations"] == {"uncommitted changes": True}


def drop(content: dict[str, Any], *keys: Any) -> None:
    for key in keys[:-1]:
        content = content[key]
    del content[keys[-1]]


def put(content: dict[str, Any], value: Any, *keys: Any) -> None:
    for key in keys[:-1]:
        content = content[key]
    content[keys[-1]] = value


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bom.cdx.json", lambda content: put(content, "sha256", "components", 0, "hashes", 0, "alg")),
        ("bom.cdx.json", lambda content: put(content, "1" * 31, "components", 0, "hashes", 0, "content")),
        ("bom.cdx.json", lambda content: put(content, "model", "metadata", "component", "type")),
        ("bom.cdx.json", lambda content: put(content, ["nobody"], "dependencies", 0, "dependsOn")),
        ("croissant.json", lambda content: drop(content, "distribution", 0, "md5")),
        ("croissant.json", lambda content: drop(content, "distribution", 0, "encodingFormat")),
        ("croissant.json", lambda content: drop(content, "distribution", 0, "contentUrl")),
        ("provenance.intoto.json", lambda content: drop(content, "subject", 0, "digest")),
        ("provenance.intoto.json", lambda content: put(content, "x", "predicate", "buildDefinition", "other")),
        ("provenance.intoto.json", lambda content: put(content, "https://in-toto.io/Statement/v0.1", "_type")),
    ],
)
def test_the_tools_find_what_is_wrong(
    exported: Path, tmp_path: Path, name: str, change: Callable[[dict[str, Any]], None]
) -> None:
    content = read(exported, name)
    change(content)
    write_json(tmp_path / name, content)
    text = (tmp_path / name).read_text("utf-8")
    with pytest.raises(Exception):  # noqa: B017 - each tool has its own
        {
            "bom.cdx.json": lambda: formats_valid.cyclonedx(text),
            "croissant.json": lambda: formats_valid.croissant(tmp_path / name),
            "provenance.intoto.json": lambda: formats_valid.provenance(text),
        }[name]()


@pytest.mark.parametrize(
    ("source", "pin", "uri", "digest"),
    [
        ("https://example.org/a b.zip", "c" * 64, "https://example.org/a%20b.zip", {"sha256": "c" * 64}),
        ("git@example.org:you/corpus.git", "d" * 40, "ssh://example.org/you/corpus.git", {"gitCommit": "d" * 40}),
        ("/data/wheat", "e" * 64, None, {"sha256": "e" * 64}),
    ],
    ids=["archive", "git", "path"],
)
def test_raw_data_has_its_address_and_pin(
    tmp_path: Path, source: str, pin: str, uri: str | None, digest: dict[str, str]
) -> None:
    data = {"source": source, "pin": pin, "prepared": "1" * 32 + ".dir"}
    bill, _, statement = formats_valid.package(made(tmp_path / "package", data=data), tmp_path / "target")
    (raw, *_) = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert (raw.get("uri"), raw["digest"]) == (uri, digest)
    described = read(tmp_path / "target", "croissant.json")
    archives = [entry["sha256"] for entry in described["distribution"] if entry["@id"] == "raw"]
    assert archives == ([pin] if uri and "sha256" in digest else [])
    assert described.get("url") == uri
    assert [entry["url"] for entry in bill["components"][0].get("externalReferences", [])] == ([uri] if uri else [])


def test_a_package_of_the_sample_by_an_older_pipeline(tmp_path: Path) -> None:
    """Links that came later are missing, and neither pin nor commit is known."""
    data = {"source": "sample", "pin": None, "prepared": "1" * 32 + ".dir"}
    values = {"data": data, "code": None, "evaluation": {}}
    bill, _, statement = formats_valid.package(toy_package.make(tmp_path / "package", values), tmp_path / "target")
    assert [part["bom-ref"] for part in bill["components"]] == ["data"]
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [entry["digest"] for entry in dependencies] == [{"md5": "1" * 32}]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A list at the top, lists below, parquet, and files in a folder."""
    folder = tmp_path / "prepared"
    write_json(folder / "points.json", [{"x": 0.5, "deep": {}, "some": 1}, {"x": 1, "deep": {}}])
    boxes = [{"id": 1, "box": [1, 2.5], "crowd": False}, {"id": 2, "box": [], "crowd": True}]
    write_json(folder / "train.json", {"boxes": boxes, "names": [{"name": "a"}], "empty": [], "note": "x"})
    pd.DataFrame({"id": [7], "text": ["Hi."], "tags": [["a"]]}).to_parquet(folder / "val.parquet")
    (folder / "images").mkdir()
    (folder / "images" / "0.jpg").write_bytes(b"0")
    return folder


def test_records_come_out_of_the_data_set(tmp_path: Path, dataset: Path) -> None:
    data = {"source": "sample", "pin": None, "prepared": lineage.digest(dataset)}
    folder = made(tmp_path / "package", data=data)
    _, _, _ = formats_valid.package(folder, tmp_path / "target", dataset)
    # Addresses are relative to the data set.
    found = formats_valid.croissant(Path(shutil.copy(tmp_path / "target" / "croissant.json", dataset)))
    rows = {records.uuid: list(found.records(records.uuid)) for records in found.metadata.record_sets}
    assert rows == {
        "points": [{"points/x": 0.5}, {"points/x": 1.0}],
        "train/boxes": [
            {"train/boxes/box": [1.0, 2.5], "train/boxes/crowd": False, "train/boxes/id": 1},
            {"train/boxes/box": [], "train/boxes/crowd": True, "train/boxes/id": 2},
        ],
        "train/names": [{"train/names/name": b"a"}],
        "val": [{"val/id": 7, "val/text": b"Hi."}],
    }
    described = read(tmp_path / "target", "croissant.json")["distribution"]
    for entry in described:
        if entry["@type"] == "cr:FileObject" and entry["@id"] != "listing":
            assert entry["sha256"] == sha256(dataset / entry["contentUrl"])
    (pictures,) = (entry for entry in described if entry["@type"] == "cr:FileSet")
    assert (pictures["includes"], pictures["encodingFormat"]) == ("images/*.jpg", "image/jpeg")


def test_the_environment_lists_what_its_lock_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lock = tmp_path / "requirements" / "train-cpu.lock"
    lock.parent.mkdir()
    lock.write_text("numpy==2.0.1 \\\n    --hash=sha256:00\npyjwt[crypto]==2.9 ; x\n    # via numpy==1\n", "utf-8")
    folder = made(tmp_path / "package", environment={"requirements/train-cpu.lock": sha256(lock)})
    bill, _, _ = formats_valid.package(folder, tmp_path / "target")
    libraries = [part["purl"] for part in bill["components"] if part["type"] == "library"]
    assert libraries == ["pkg:pypi/numpy@2.0.1", "pkg:pypi/pyjwt@2.9"]
    lock.write_text("numpy==3\n", "utf-8")  # another environment than the package's
    bill, _, _ = formats_valid.package(folder, tmp_path / "target")
    assert "requirements/train-cpu.lock not here as when" in formats.export(folder, tmp_path / "target")[-1]
    assert not [part for part in bill["components"] if part["type"] == "library"]


def test_nothing_is_said_of_a_package_that_was_changed(package: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(package, tmp_path / "package"))
    (folder / "MODEL_CARD.md").write_text("other", "utf-8")
    with pytest.raises(ModelError, match=r"not as it was packaged.*MODEL_CARD\.md was changed"):
        formats.export(folder, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_documents_are_not_written_into_the_package(package: Path) -> None:
    with pytest.raises(ModelError, match="lies in the package"):
        formats.export(package, package / "formats")
    assert passport.verify(package) == []


def test_another_data_set_is_refused_or_told(
    package: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=f"its DVC md5 is {lineage.digest(dataset)}, the passport says 1{{32}}.dir"):
        formats.export(package, tmp_path / "target", dataset)
    monkeypatch.chdir(tmp_path)
    assert "prepared is not here" in formats.export(package, tmp_path / "target")[0]
    shutil.move(dataset, tmp_path / "data" / "detection" / "prepared")
    note, _ = formats.export(package, tmp_path / "target")
    assert "is not the data set of this package" in note
    assert [entry["@id"] for entry in read(tmp_path / "target", "croissant.json")["distribution"]] == ["listing"]


def test_the_command_says_what_it_wrote_and_what_is_wrong(package: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ops.passport", "export"]
    done = subprocess.run([*command, package, tmp_path / "a"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'a'}: {', '.join(formats.NAMES)}\n"
    nothing = [tmp_path / "nothing", tmp_path / "b"]
    done = subprocess.run([*command, *nothing], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "passport.json does not exist" in done.stderr
    done = subprocess.run([*command, package], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "export FOLDER TARGET [DATA]" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/you/wheat", LOCAL), ("~/wheat", LOCAL), ("$HOME/wheat", LOCAL), ("C:\\wheat", LOCAL),
        ("file:///wheat", LOCAL), ("sample", "sample"), ("wheat/a.zip", "wheat/a.zip"),
        ("https://u:p@example.org/a?k=1#f", "https://example.org/a"), ("ssh://git@example.org/a", "ssh://example.org/a"),
        ("git@example.org:a/b.git", "ssh://example.org/a/b.git"),
    ],
)  # fmt: skip
def test_what_is_told_of_an_address(text: str, told: str) -> None:
    assert hidden({"a": [text, 1, None]}) == {"a": [told, 1, None]}
    assert (address(told) is not None) == ("://" in told)


@pytest.mark.parametrize("link", ["data", "runs", "params", "environment", "checkpoint", "evaluation"])
@pytest.mark.parametrize("data_is_here", [False, True])
def test_a_foreign_passport_with_links_of_another_form_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, data_is_here: bool
) -> None:
    """Its seals hold: whoever writes a whole package can seal it."""
    package = made(tmp_path / "package", **{link: ["of another form", 7]})
    assert passport.verify(package) == []
    monkeypatch.chdir(tmp_path)
    if data_is_here:
        (tmp_path / "data" / "detection" / "prepared").mkdir(parents=True)
    with pytest.raises(ModelError, match=r"passport\.json has links of another form"):
        formats.export(package, tmp_path / "out")
