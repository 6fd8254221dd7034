"""Profiles of devices: what `python -m evaluation.device NAME` wrote on a machine that models are made for.

`compare.budget.device` names one; it is checked when `params.yaml` is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from core import kinds
from core.errors import ModelError
from core.files import sha256
from core.section import Section, typed

FOLDER = Path("devices")
FORMAT = 1
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
"""It becomes a file's name, and a dependency in `matrix.yaml`."""
Positive = Annotated[float, Field(gt=0)]


class Kernel(Section):
    """What one kernel took, on one thread."""

    macs: float = Field(ge=0)
    """Multiply-adds."""
    bytes: Positive
    """Read and written, weights with them."""
    us: Positive
    """Microseconds."""


class Measured(Section):
    """What a model took there: a call of its `Predictor` at batch 1 on one thread, from raw input to result."""

    name: str
    """Of its folder."""
    files: dict[str, str]
    """sha256 of its graphs and of `model.json`, which tells how they are run."""
    inputs: int = Field(ge=1)
    """How many different ones were predicted."""
    ms: Positive
    """The median, with its 95 % interval."""
    low: Positive
    high: Positive
    session: str
    """Models of one session were measured in the same rounds, so they can be compared block by block."""
    blocks: list[Positive]
    """Median milliseconds of each block of rounds."""


class Profile(Section):
    """A device."""

    format: Literal[1]
    name: Name
    measured: str
    """When, UTC."""
    cpu: str
    architecture: str
    int8_instructions: list[str]
    onnxruntime: str
    kernels: dict[str, Annotated[list[Kernel], Field(min_length=1)]]
    """By kind (`core.kinds`), at some sizes."""
    call_us: float = Field(ge=0)
    """Of a run of a graph beyond its kernels."""
    host_ms: Positive
    """Of a fixed piece of Python."""
    models: dict[str, Measured]
    """By `key`."""


def path(name: str) -> Path:
    return FOLDER / f"{name}.json"


def read(name: str) -> Profile:
    """The profile of a device. Raises: ModelError where there is none, or it is of another form."""
    where, makes = path(name), f"`python -m evaluation.device {name}` on that device writes"
    anew = f"remove it, and {makes} another"  # that keeps what it finds of models, so it reads the file as well
    try:
        value = json.loads(where.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(each.stem for each in FOLDER.glob("*.json"))) or "none"
        raise ModelError(f"there is no profile {where}; {makes} it; there are: {known}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{where} cannot be read ({error}); {anew}") from None
    problems = list[str]()
    found = typed(Profile, value, "", problems)
    if problems or found.name != name:
        told = problems[0] if problems else f"name: found {found.name!r}, expected {name!r}"
        raise ModelError(f"{where} is no profile of this version: {told}; {anew}")
    assert isinstance(found, Profile)
    return found


def whole(name: str) -> Profile:
    """A profile by which any model can be judged. Raises: ModelError, also where it lacks a kind of kernels."""
    found = read(name)
    if lacking := [kind for kind in kinds.ALL if kind not in found.kernels]:
        told = f"the profile {path(name)} lacks kernels of kind {', '.join(lacking)}"
        raise ModelError(f"{told}; `python -m evaluation.device {name}` on that device measures them")
    return found


def files(folder: Path) -> dict[str, str]:
    """What tells a model folder from any other that takes another time: its graphs, and how they are run."""
    return {each.name: sha256(each) for each in [*sorted(folder.glob("*.onnx")), folder / "model.json"]}


def key(digests: Mapping[str, str]) -> str:
    """Of `files`, in one word."""
    return "-".join(digest[:16] for _, digest in sorted(digests.items()))
