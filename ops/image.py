"""The image that stages run in, where they run in containers: what it is called here, and where it is noted.

`make flow ARGS="--in docker"` notes the digest of an image in `requirements/image-NAME.lock` where a stage depends on
that file: `environment` in params.yaml may name it for all of them, so that another image runs them again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from core.errors import StillhouseError

VARIABLE = "STILLHOUSE_IMAGE"
"""In a container of ours: `NAME DIGEST`."""
FOLDER = "requirements"
NOTE = re.compile(rf"{FOLDER}/image-[a-z0-9-]+\.lock")
PREFIX = "image:"
HEAD = """\
# Images that stages run in, noted by `make flow ARGS="--in ..."`: another one runs again what depends on this file.
"""


def note(name: str) -> str:
    """The file that holds the digest of image `name`, whatever its tag: `requirements/image-stillhouse-train.lock`."""
    path = re.sub(r"(?::[^:/]*)?(?:@.*)?$", "", name)
    return f"{FOLDER}/image-{re.sub(r'[^a-z0-9]+', '-', path.lower()).strip('-')}.lock"


def text(images: Mapping[str, str]) -> str:
    """What a note holds. images: name -> digest."""
    return HEAD + "".join(f"{name} {images[name]}\n" for name in sorted(images))


def current() -> tuple[str, str] | None:
    """Name and digest of the image in which this process runs; None: in none that `make flow` has started."""
    name, _, digest = os.environ.get(VARIABLE, "").partition(" ")
    return (name, digest) if digest else None


def named(name: str, digest: str) -> dict[str, str]:
    """An image among what a passport has of the environment: `image:NAME` -> hex digits of its sha256."""
    return {f"{PREFIX}{name}": digest.removeprefix("sha256:")}


def check(environment: str) -> None:
    """That a stage whose `environment` is the note of an image runs in that image.

    Raises: StillhouseError, for dvc.lock would say that it did.
    """
    if not NOTE.fullmatch(environment):
        return
    here = current()
    noted = Path(environment).read_text(encoding="utf-8") if Path(environment).exists() else ""
    if here is None or " ".join(here) not in noted.splitlines():
        where = f"this is {' '.join(here)}" if here else "this is no container of `make flow`"
        raise StillhouseError(
            f"params.yaml: environment is {environment}, the image that stages run in, and {where}: run "
            '`make flow ARGS="--in docker"` (or podman), or name the lock file of the packages here'
        )
