"""What can be said of the Dockerfiles without building: hadolint, and defaults that docker/build.py repeats."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("serve.Dockerfile", "train.Dockerfile")
EVERY = sorted(str(path.relative_to(ROOT / "docker")) for path in (ROOT / "docker").rglob("*.Dockerfile"))


def build_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docker_build", ROOT / "docker" / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", EVERY)
def test_hadolint_finds_nothing(file: str) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint: not installed (pip install -r requirements/containers.lock)")
    command = [hadolint, "--failure-threshold", "style", str(ROOT / "docker" / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stdout


@pytest.mark.parametrize("file", FILES)
def test_defaults_are_those_of_the_image_named_first(file: str) -> None:
    text = (ROOT / "docker" / file).read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^ARG (\w+)=(\S*)$", text, re.M))
    build = build_module()
    name = file.removesuffix(".Dockerfile")
    image = build.IMAGES[name]
    assert (defaults["BASE"], defaults["LOCK"], defaults["PYTHON"]) == (image.base, image.lock, build.PYTHON)
    assert defaults["NAME"] == f"stillhouse-{name}"


def test_each_image_has_a_lock_and_a_file() -> None:
    for name, image in build_module().IMAGES.items():
        assert (ROOT / "requirements" / image.lock).exists(), name
        assert (ROOT / "docker" / image.file).exists(), name
        assert image.lock == f"{name}.lock"


def test_no_image_of_others_floats() -> None:
    """An exact version, never `latest` or a major version alone, and the digest of what it meant when it was tried."""
    build = build_module()
    compose = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    others = [name for name in re.findall(r"image: \$\{\w+:-(\S+)\}", compose) if not name.startswith("stillhouse-")]
    assert len(others) == 2
    for name in (build.CUDA, build.PYTHON, *others):
        assert re.search(r":\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?@sha256:[0-9a-f]{64}$", name), name
