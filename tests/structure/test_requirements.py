"""The locks of the images hold the versions that are tested here, and a hash of every file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from imports import ROOT

FOLDER = ROOT / "requirements"
OF_TOOLS = ("containers.lock", "docs.lock")
"""Of programs that are called, and in no image."""
LOCKS = sorted(path.name for path in FOLDER.glob("*.lock") if path.name not in ("none.lock", *OF_TOOLS))
OTHER_BUILDS = ("onnxruntime-gpu", "torch", "triton", "nvidia-", "cuda-")
"""What only an image for GPUs has."""


def pins(name: str) -> dict[str, str]:
    """Distribution -> version."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==(\S+)", text, re.MULTILINE))


def test_there_is_a_lock_for_every_image() -> None:
    assert LOCKS == ["dev.lock", "serve-gpu.lock", "serve.lock", "train-cpu.lock", "train.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_is_the_tested_one(name: str) -> None:
    tested, found = pins("dev.lock"), pins(name)
    assert len(found) > 25
    other = {key: version for key, version in found.items() if tested.get(key) != version}
    assert not [key for key in other if not key.startswith(OTHER_BUILDS) or key in tested], other


@pytest.mark.parametrize("name", OF_TOOLS)
def test_tools_change_no_version_of_the_environment_that_they_come_into(name: str) -> None:
    tested, found = pins("dev.lock"), pins(name)
    assert not {key for key, version in found.items() if tested.get(key, version) != version}


@pytest.mark.parametrize("name", [*LOCKS, *OF_TOOLS])
def test_every_file_has_its_hash_and_no_index_is_named(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(name))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


@pytest.mark.parametrize("name", ["serve.lock", "serve-gpu.lock"])
def test_the_server_comes_without_the_pipeline(name: str) -> None:
    assert not pins(name).keys() & {"torch", "mlflow", "dvc", "prefect", "lightning", "pandas", "onnx", "pytest"}


@pytest.mark.parametrize("name", ["train.lock", "train-cpu.lock"])
def test_the_pipeline_comes_without_what_tests_need(name: str) -> None:
    assert not pins(name).keys() & {"pytest", "ruff", "mypy", "hypothesis", "selenium", "litserve"}


def test_every_requirement_is_locked() -> None:
    locked = {name: pins(f"{name}.lock") for name in ("serve", "train-cpu", "dev")}
    for name, files in {
        "serve": ["serve", "cpu"],
        "train-cpu": ["serve", "train", "cpu"],
        "dev": ["serve", "train", "cpu", "dev"],
    }.items():
        for file in files:
            for line in Path(FOLDER, f"{file}.in").read_text(encoding="utf-8").splitlines():
                if match := re.match(r"[A-Za-z0-9._-]+", line.strip()):
                    if line.startswith("-r"):
                        continue
                    wanted = re.sub(r"[._]+", "-", match[0]).lower()
                    assert wanted in {re.sub(r"[._]+", "-", key) for key in locked[name]}, f"{wanted} of {file}.in"
