"""Which images the engine has, by their digests, and the notes of them on which stages depend. Nothing is pulled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docker.errors import ImageNotFound

from core.errors import StillhouseError
from core.files import write_text
from ops import image
from pipelines.flow.containers.choice import CPU, GPU, notes
from pipelines.flow.containers.engine import Engine
from pipelines.flow.plan import Plan


@dataclass(frozen=True)
class Image:
    name: str
    digest: str
    """`sha256:...`, the engine's id: that of all it holds."""


def found(engine: Engine, names: Mapping[str, str]) -> dict[str, Image]:
    """The image of each step. names: step -> name of its image.

    Raises: StillhouseError naming every image that the engine lacks.
    """
    steps: dict[str, list[str]] = {}
    for step, name in names.items():
        steps.setdefault(name, []).append(step)
    images, missing = {}, []
    connected = engine.client()
    try:
        for name in steps:
            try:
                identity = str(connected.api.inspect_image(name)["Id"])
                images[name] = Image(name, f"sha256:{identity.removeprefix('sha256:')}")
            except ImageNotFound:
                missing.append(name)
    finally:
        connected.close()
    if missing:
        listed = "\n".join(f"  - {name}: {_how(name, engine)} ({_some(steps[name])})" for name in missing)
        raise StillhouseError(f"--in {engine.kind}: the engine lacks images that stages are to run in:\n{listed}")
    return {step: images[name] for step, name in names.items()}


def note(plan: Plan, images: Mapping[str, Image]) -> list[str]:
    """Write down the digests where a step depends on them. Returns: a sentence for each file that has changed.

    Raises: StillhouseError for a step that depends on another image than the one that it runs in.
    """
    digests: dict[str, dict[str, str]] = {}
    wrong = []
    for name, step in plan.steps.items():
        its = images[name]
        for noted in notes(step):
            if noted != image.note(its.name):
                wrong.append(f"  - {name} depends on {noted} and runs in {its.name}: {image.note(its.name)}")
            digests.setdefault(noted, {})[its.name] = its.digest
    if wrong:
        raise StillhouseError(
            "stages would be recorded with an image that they do not run in; `environment` in params.yaml, or the "
            "stage's own `deps` in dvc.yaml, is to name the right one:\n" + "\n".join(wrong)
        )
    changed = []
    for noted, each in digests.items():
        path, text = Path(noted), image.text(each)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            changed.append(f"{path}: noted anew; what depends on it runs again")
    return changed


def unnoted(plan: Plan, images: Mapping[str, Image]) -> list[str]:
    """A sentence where another image would run nothing again. (`plan` depends on no environment, and need not.)"""
    seen = {images[name].name for name, step in plan.steps.items() if notes(step)}
    names = sorted({each.name for each in images.values()} - seen)
    files = ", ".join(dict.fromkeys(image.note(name) for name in names))
    said = (
        f"DVC does not see the image ({', '.join(names)}): another one runs nothing again, unless `environment` in "
        f"params.yaml, or `deps` of a stage with an image of its own, names {files}"
    )
    return [said] if names else []


def _how(name: str, engine: Engine) -> str:
    ours = {CPU: "train-cpu", GPU: "train"}.get(name)
    return f"make image NAME={ours}" if ours else f"{engine.kind} pull {name}"


def _some(names: Sequence[str]) -> str:
    first, *rest = names
    return first + (f" and {len(rest)} more" if rest else "")
