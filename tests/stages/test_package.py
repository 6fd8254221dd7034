"""What a package says of its origin: the stage instances that made it, the pin of its data, and their licence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from core import params, paths
from core.checkpoint import INITIAL
from core.files import write_json, write_text
from core.params import SourceParams
from evaluation.card import Use
from ops import passport
from stages.package import environment, makers, pin, provenance, use

ROOT = Path(__file__).resolve().parents[2]

SHIPPED = params.load(ROOT / "params.yaml")[1]["detection"]
PARAMS = SHIPPED.model_copy(
    update={
        "prune": {
            "slim": SHIPPED.prune["pruned"],
            "slimmer": SHIPPED.prune["pruned"].model_copy(update={"of": "student"}),
        },
        "distill": {"student": SHIPPED.distill["distilled"]},
    }
)


@pytest.mark.parametrize(
    ("variant", "precision", "between"),
    [
        ("base", "fp32", ["export@toy-base"]),
        ("base", "int8", ["export@toy-base", "quantize@toy-base-int8"]),
        ("slim", "fp32", ["prune@toy-slim", "export@toy-slim"]),
        ("slimmer", "fp32", ["distill@toy-student", "prune@toy-slimmer", "export@toy-slimmer"]),
        ("student", "int8", ["distill@toy-student", "export@toy-student", "quantize@toy-student-int8"]),
    ],
)
def test_makers_lead_from_training_to_evaluation(variant: str, precision: str, between: list[str]) -> None:
    context: Any = SimpleNamespace(task="toy", params=PARAMS)
    row = {"variant": variant, "precision": precision}
    assert makers(context, row) == ["train@toy", *between, f"evaluate@toy-{variant}-{precision}"]


def source(place: str, **values: Any) -> SourceParams:
    return SourceParams(
        **{"source": place, "sha256": None, "commit": None, "files": None, "allow_private": False, **values}
    )


def test_data_is_pinned_by_what_its_source_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noted = tmp_path / "data" / "sources" / "toy.json"
    noted.parent.mkdir(parents=True)
    noted.write_text('{"a.txt": "1"}')
    assert pin("toy", source("https://example.org/a.zip", sha256="1" * 64)) == "1" * 64
    assert pin("toy", source("https://example.org/a.git", commit="2" * 40)) == "2" * 40
    assert pin("toy", source("/data/wheat")) == hashlib.sha256(noted.read_bytes()).hexdigest()
    assert pin("toy", source("sample")) is None


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The chosen row of a comparison, and in the working directory what a passport is made of."""
    monkeypatch.chdir(tmp_path)
    names = "params.yaml", "environment.lock", "requirements/torch.txt", "data/toy/validated/validation.json"
    for name in (*names, "data/toy/validated/quarantine.jsonl", "models/toy/base/checkpoint/weights.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    figures = {"quality": 0.5, "interval": [0.4, 0.6], "metrics": {"map": 0.5}, "test_interval": [0.4, 0.6]}
    return {"variant": "base", "precision": "fp32", **figures}


@pytest.mark.parametrize(
    ("noted", "stated", "expected"),
    [
        ({"source": "none"}, "MIT", {"source": "none"}),
        (
            {"source": "packaged", "sha256": "1" * 64, "license": "Apache-2.0"},
            None,
            {"source": "packaged", "sha256": "1" * 64, "license": "Apache-2.0"},
        ),
        (
            {"source": "/data/a.pt", "sha256": "2" * 64, "license": None, "loaded": 9},
            "MIT",
            {"source": "/data/a.pt", "sha256": "2" * 64, "license": "MIT", "loaded": 9},
        ),
    ],
)
def test_the_passport_tells_what_training_started_from(
    evaluated: dict[str, Any], noted: dict[str, Any], stated: str | None, expected: dict[str, Any]
) -> None:
    write_json(paths.checkpoint("toy", "base") / INITIAL, noted)
    values = params.load(ROOT / "params.yaml")[1]["detection"]
    data = values.data.model_copy(update={"weights_license": stated})
    context: Any = SimpleNamespace(
        task="toy", name="package@toy", seed=7, learning_threads=2, params=values.model_copy(update={"data": data}),
        run=SimpleNamespace(key="k"), head=SimpleNamespace(environment="environment.lock"),
    )  # fmt: skip
    found = provenance(context, {"signature": "s", "metric": "map"}, evaluated)
    assert found["weights"] == expected
    assert (found["params"]["seed"], found["params"]["learning_threads"]) == (7, 2)
    assert found["data"]["license"] == data.known_license
    assert not passport.chain.broken(passport.chained(found))


def test_what_ships_names_the_source_without_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passport, what is stamped into ONNX files, and card."""
    head, tasks = params.load()
    secret = "hunter2"
    data = tasks["detection"].data.model_copy(
        update={"source": f"https://example.org/a.zip?sig={secret}#{secret}", "sha256": "1" * 64}
    )
    root = Path.cwd()
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml", "requirements", "LICENSE"):
        (tmp_path / name).symlink_to(root / name)
    for name in ("validation.json", "quarantine.jsonl"):
        write_text(paths.validated("detection") / name, "{}")
    write_text(paths.prepared("detection") / "train.json", "{}")
    write_json(paths.checkpoint("detection", "base") / INITIAL, {"source": "none"})
    context: Any = SimpleNamespace(
        task="detection", head=head, seed=1, learning_threads=2, name="package@detection",
        run=SimpleNamespace(key="k"), params=tasks["detection"].model_copy(update={"data": data}),
    )  # fmt: skip
    row = {
        "variant": "base",
        "precision": "fp32",
        "quality": 0.5,
        "metrics": {},
        "interval": [0, 1],
        "test_interval": [0, 1],
    }
    links = provenance(context, {"signature": "s", "metric": "map"}, row)
    shipped = json.dumps([links, passport.chained(links)])
    assert secret not in shipped
    assert links["data"]["source"] == links["params"]["detection"]["data"]["source"] == "https://example.org/a.zip"


def test_the_environment_is_lock_files_and_the_bill_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("stages.package.IMAGE", tmp_path)
    locks = {"requirements/dev.lock", "requirements/torch.txt"}
    assert set(environment("requirements/dev.lock")) == locks
    (tmp_path / "stillhouse-train.cdx.json").write_text("{}")
    found = environment("requirements/dev.lock")
    assert set(found) == locks | {"stillhouse-train.cdx.json"}
    assert found["stillhouse-train.cdx.json"] == hashlib.sha256(b"{}").hexdigest()
    monkeypatch.setenv("STILLHOUSE_IMAGE", f"stillhouse-train:latest sha256:{'c' * 64}")
    assert environment("requirements/dev.lock") == found | {"image:stillhouse-train:latest": "c" * 64}


@pytest.mark.parametrize("task", ["detection", "translation"])
def test_a_licence_is_that_of_the_source_and_never_guessed(task: str) -> None:
    data = params.load()[1][task].data
    assert data.source == "sample" and data.license is None
    known = data.known_license
    assert known and ("CC BY" in known or "Unicode-3.0" in known)
    other = data.model_copy(update={"source": "/data/wheat"})
    assert other.known_license is None
    assert other.model_copy(update={"license": "MIT"}).known_license == "MIT"


def test_how_a_model_is_called_comes_from_its_role() -> None:
    class Request(BaseModel):
        left: bytes
        right: str

    def role(raw: dict[str, str]) -> SimpleNamespace:
        return SimpleNamespace(VERB="match", RAW=raw, Request=Request)

    assert use(role({"image/": "left", "application/pdf": "left"}), "a.png") == Use("match", "left", True, "a.png")
    assert use(role({"text/plain": "right"}), "Hi.") == Use("match", "right", False, "Hi.")
    for raw in ({}, {"image/": "left", "text/plain": "right"}):
        assert use(role(raw), {"right": "Hi."}) == Use("match", None, False, {"right": "Hi."})
