"""Builds an image by name, with docker (BuildKit) or podman, and prints what it adds to its base.

    python docker/build.py serve
    python docker/build.py train-cpu --base localhost/stillhouse-base:bookworm

pip in the build asks what pip here asks: its settings (indexes, a certificate) go along as secrets, which are in no
layer, and a folder of wheels as a mount. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CUDA = "nvidia/cuda:13.0.2-runtime-ubuntu24.04@sha256:6a0e31b59e70890446f2c17356d6efc0d54260090a8c63d6ca7c2ad049db95d2"
PYTHON = "python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d"
SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "default-timeout")


@dataclass(frozen=True)
class Image:
    """What distinguishes the images that one Dockerfile makes."""

    file: str
    base: str
    lock: str


IMAGES = {
    "train": Image("train.Dockerfile", CUDA, "train.lock"),
    "train-cpu": Image("train.Dockerfile", PYTHON, "train-cpu.lock"),
    "serve": Image("serve.Dockerfile", PYTHON, "serve.lock"),
    "serve-gpu": Image("serve.Dockerfile", CUDA, "serve-gpu.lock"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Build an image of docker/ and print its size.")
    parser.add_argument("name", choices=sorted(IMAGES))
    parser.add_argument("--engine", choices=("docker", "podman"), help="default: the one that works here")
    parser.add_argument("--base", help="image to build on; apt-based (default: see IMAGES)")
    parser.add_argument("--python", help=f"image whose /usr/local has Python 3.11 ({PYTHON}); CPU images: the base")
    parser.add_argument("--torch-index", default="", help="index of torch's CPU builds, for train-cpu")
    parser.add_argument("--tag", default="latest", help="%(default)s")
    parser.add_argument("arguments", nargs="*", help="after --: more for the engine's build command")
    given = parser.parse_args()
    image = IMAGES[given.name]
    engine = given.engine or available()
    base = given.base or image.base
    tag = f"stillhouse-{given.name}:{given.tag}"
    values = {
        "BASE": base,
        "PYTHON": given.python or (base if image.base == PYTHON else PYTHON),
        "LOCK": image.lock,
        "NAME": f"stillhouse-{given.name}",
        "VERSION": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "COMMIT": commit(),
    }
    if given.torch_index:
        values["TORCH_INDEX"] = given.torch_index
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:  # pip's settings may hold a password: 0700, gone afterwards
        options = [*pip_options(Path(folder)), *given.arguments]
        command = build_command(engine, image, tag, values) + options + [str(ROOT)]
        done = subprocess.run(command, check=False, env={**os.environ, "DOCKER_BUILDKIT": "1"})
    if done.returncode:
        print(f"error: {engine} could not build {tag} on {base}; its last lines say why", file=sys.stderr)
        return done.returncode
    seconds = time.monotonic() - started
    whole, below = size(engine, tag), size(engine, base)
    print(f"{tag}: {whole / 1e6:.0f} MB, {(whole - below) / 1e6:.0f} MB more than {base}; built in {seconds:.0f} s")
    return 0


def available() -> str:
    """docker with BuildKit and a daemon that answers, or podman. Raises: SystemExit when there is neither."""
    for engine, probes in {"docker": ("info", "buildx"), "podman": ("info",)}.items():
        if shutil.which(engine) and all(
            subprocess.run(
                [engine, *probe.split(), *["version"] * (probe == "buildx")], capture_output=True, check=False
            ).returncode
            == 0
            for probe in probes
        ):
            return engine
    raise SystemExit(
        "error: neither docker (with buildx, and a daemon that answers) nor podman works here; install one"
    )


def build_command(engine: str, image: Image, tag: str, values: dict[str, str]) -> list[str]:
    # podman's own format has no HEALTHCHECK.
    kind = ["--format", "docker", "--layers"] if engine == "podman" else ["--load"]
    arguments = [f"--build-arg={key}={value}" for key, value in values.items()]
    start = ["docker", "buildx", "build"] if engine == "docker" else ["podman", "build"]
    return [*start, *kind, "--file", str(ROOT / "docker" / image.file), "--tag", tag, *arguments]


def commit() -> str:
    """HEAD, with `-dirty` where the working tree differs; `unknown` outside of git."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "unknown"
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    return head.stdout.strip() + "-dirty" * bool(changed)


def pip_options(folder: Path) -> list[str]:
    """Secrets and a mount that make pip in the build find what pip here finds; files are written into `folder`."""
    found = pip_settings()
    options, lines = [], []
    for key in SETTINGS:
        words = found.get(key, "").split()
        local = [word for word in words if Path(word.removeprefix("file://")).is_absolute()]
        if key == "find-links" and local:
            options.append(f"--build-context=wheels={local[0].removeprefix('file://')}")
        if rest := [word for word in words if word not in local]:
            lines.append(f"{key} = {' '.join(rest)}")
    if certificate := found.get("cert"):
        options.append(f"--secret=id=ca,src={certificate}")
        lines.append("cert = /run/secrets/ca.pem")
    if lines:
        settings = folder / "pip.conf"
        settings.write_text("\n".join(["[global]", *lines]) + "\n", encoding="utf-8")
        options.append(f"--secret=id=pip,src={settings}")
    return options


def pip_settings() -> dict[str, str]:
    """`pip config list` of this interpreter; the environment wins over files. Empty where there is no pip."""
    listing = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for line in sorted(done.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = value.strip("'\"").replace("\\n", " ")
    return found


def size(engine: str, image: str) -> int:
    """Bytes, unpacked."""
    done = subprocess.run([engine, "image", "inspect", image], capture_output=True, text=True, check=False)
    return int(json.loads(done.stdout)[0]["Size"]) if done.returncode == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
