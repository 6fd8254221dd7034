"""What a stage is made of: DVC's md5 of data, the inputs of a stage instance, the git commit.

`dvc.lock` and `dvc.yaml` are read as text; DVC itself takes a second to import.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core import matrix
from core import params as params_module
from core.errors import StillhouseError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""As safe as SafeLoader, and about eight times faster where libyaml is there."""


def dvc_md5(path: Path | str) -> str | None:
    """The md5 that DVC has recorded for an output, or for a dependency inside one; None when it has none."""
    entries = [entry for stage in locked().values() for entry in (*stage.get("outs", []), *stage.get("deps", []))]
    return next((str(entry["md5"]) for entry in entries if entry["path"] == str(path) and "md5" in entry), None)


def locked() -> dict[str, Any]:
    """Stages of `dvc.lock` by name; empty before the first run."""
    path = Path("dvc.lock")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) if path.exists() else None  # noqa: S506
        return dict((content or {}).get("stages", {}))
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as error:
        raise StillhouseError(
            f"dvc.lock is damaged ({str(error).splitlines()[0]}): `python -m ops.repair` mends it"
        ) from None


def inputs(name: str) -> dict[str, str]:
    """Dependency -> md5 of a stage instance as its files are now, and `params` -> md5 of the params it reads.

    name: as DVC names it, e.g. `train@detection`.
    """
    stage, item = instances()[name]
    values = params_module.read(Path("params.yaml"))
    used = {key: _value(values, key) for key in (fill(key, item) for key in stage.get("params", []))}
    text = json.dumps(used, sort_keys=True, default=str)
    found = {dep: digest(Path(dep)) for dep in (fill(dep, item) for dep in stage.get("deps", []))}
    return found | {"params": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}


def inputs_key(name: str) -> str:
    """Sixteen hex digits that change with any dependency or param of the stage instance."""
    text = json.dumps(inputs(name), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def instances() -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Every stage instance of `dvc.yaml` by name: its definition and its item of `matrix.yaml`."""
    stages = yaml.load(Path("dvc.yaml").read_text(encoding="utf-8"), Loader=_LOADER)["stages"]  # noqa: S506
    items = matrix.read()
    return {
        f"{name}@{key}": (stage["do"], item)
        for name, stage in stages.items()
        for key, item in (items.get(name, {}).items() if "foreach" in stage else ())
    }


def digest(path: Path) -> str:
    """The md5 that DVC gives a file or a folder (then with `.dir`); `missing` where there is nothing.

    Of a folder it is the md5 of its sorted list of names and md5s as JSON:
    https://github.com/treeverse/dvc-data/blob/3.18.3/src/dvc_data/hashfile/tree.py#L133-L162
    """
    if path.is_file():
        with path.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if not path.is_dir():
        return "missing"
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listing = [{"md5": digest(files[name]), "relpath": name} for name in sorted(files) if not _ignored(files[name])]
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def _ignored(file: Path) -> bool:
    """As `.dvcignore` says: what Python leaves beside the code, what is not finished, signatures of packages."""
    if file.parts[0] == "packages" and len(file.parts) == 3 and file.name == "model.sig":
        return True
    return "__pycache__" in file.parts or any(part.endswith((".pyc", ".partial")) for part in file.parts)


def git_commit() -> str | None:
    """The commit that is checked out, with `-dirty` when tracked files differ from it; None outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        # These change with every experiment; the passport records params.yaml and dvc.lock by themselves, and
        # matrix.yaml follows from the former.
        apart = [f":!{name}" for name in ("params.yaml", "matrix.yaml", "dvc.lock", "data")]
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *apart)
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def fill(text: str, item: Mapping[str, str]) -> str:
    """`${item.task}` and the like replaced by what the item of `matrix.yaml` says."""
    return re.sub(r"\$\{item\.(\w+)\}", lambda match: item[match[1]], text)


def _value(values: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
