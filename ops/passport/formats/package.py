"""What the documents are written from: a package that is as it was packaged, without what tells where it was made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core import strict_yaml
from core.address import public
from core.errors import ModelError
from core.files import read_json, sha256
from ops import passport

LOCAL = "local path"
"""Stands for a path of the machine that made the package."""
PATH = re.compile(r"[/~$\\]|[A-Za-z]:[\\/]|file:", re.I)
"""How a path begins that leads anywhere on a machine; `$HOME` is filled in by `prepare`."""
LOGIN = re.compile(r"[\w.-]+@([\w.-]+):(?!//)(.+)")
"""An address as ssh writes it, with the name by which one logs in."""
ADDRESS = re.compile(r"(https?|ssh|git|git\+\w+)://.", re.I)


@dataclass(frozen=True)
class Package:
    """What a package says of itself."""

    task: str
    version: str
    """As the server names it."""
    files: dict[str, str]
    """sha256 of every file, the passport among them."""
    links: dict[str, Any]
    """The passport's, by name; addresses in them are public ones, and local paths are `LOCAL`."""
    model: dict[str, Any]
    """`model.json`."""
    tag: str | None
    """What the model card's front matter calls the kind of task, e.g. `object-detection`."""

    @property
    def params(self) -> dict[str, Any]:
        """The task's section of `params.yaml`."""
        return dict(self.links.get("params", {}).get(self.task, {}))

    @property
    def md5(self) -> str | None:
        """DVC's of the data set. Of a folder it is that of DVC's listing, see `core.lineage.digest`."""
        found = re.fullmatch(r"([0-9a-f]{32})(\.dir)?", str(self.links.get("data", {}).get("prepared")))
        return found[1] if found else None

    @property
    def locks(self) -> dict[str, str]:
        """sha256 of the lock files of the environment, relative to the repository."""
        environment = self.links.get("environment", {})
        return {name: digest for name, digest in environment.items() if name.startswith("requirements/")}

    @property
    def commit(self) -> str | None:
        """Of the code, without the mark of changes that were not committed."""
        return str(self.links["code"]).partition("-")[0] if self.links.get("code") else None

    @property
    def dirty(self) -> bool:
        return str(self.links.get("code")).endswith("-dirty")


def read(folder: Path) -> Package:
    """Raises: ModelError when the package is not as it was packaged."""
    content = passport.read(folder)
    if problems := passport.verify(folder):
        raise ModelError(f"{folder} is not as it was packaged, so nothing is said of it: {'; '.join(problems)}")
    try:
        model = read_json(folder / "model" / "model.json")
        task, front = model["task"], _front(folder / "MODEL_CARD.md")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"{folder}: model/model.json or MODEL_CARD.md cannot be read ({type(error).__name__}: {error}); "
            "expected a folder made by the stage package"
        ) from None
    return Package(
        task=task,
        version=content["seal"][: passport.DIGITS],
        files=content["files"] | {passport.NAME: sha256(folder / passport.NAME)},
        links={link["name"]: hidden(link["value"]) for link in content["links"]},
        model=model,
        tag=front.get("pipeline_tag"),
    )


def hidden(value: Any) -> Any:
    """`value` in which no text is a local path, and no address has a user, password or query."""
    match value:
        case dict():
            return {key: hidden(entry) for key, entry in value.items()}
        case list():
            return [hidden(entry) for entry in value]
        case str():
            text = LOGIN.sub(r"ssh://\1/\2", public(value)) if LOGIN.fullmatch(value) else public(value)
            return LOCAL if PATH.match(text) else text
        case _:
            return value


def address(text: Any) -> str | None:
    """`text` as a URI, if it is an address that others may ask."""
    return quote(text, safe="%/:=&?~#+!$,;'@()*[]") if isinstance(text, str) and ADDRESS.match(text) else None


def _front(card: Path) -> dict[str, Any]:
    """The front matter of a model card; packages had none before there was one."""
    found = re.match(r"---\n(.*?)\n---\n", card.read_text(encoding="utf-8"), re.S) if card.exists() else None
    return strict_yaml.mapping(found[1]) if found else {}
