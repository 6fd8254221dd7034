"""The passport of a package: a chain of digests from the raw data to the files that ship.

    python -m ops.passport verify FOLDER|FILE.onnx    offline; names the first broken link, exit code 2
    python -m ops.passport trace FOLDER|FILE.onnx     the way back to data, code, params, runs and figures

`passport.json` holds `links`, in order: data, validation, code, params, runs, checkpoint, evaluation, environment,
model; `chain.py` says how they hang together. `files` has the sha256 of every other file of the package, `seal` that of
the passport's own content. The links before `model` also stand in each ONNX graph (`graph.py`), so that a graph found
alone leads home.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.files import sha256, write_text
from ops.passport import chain, graph
from ops.passport.chain import chained
from ops.passport.graph import stamp

__all__ = ["NAME", "chained", "read", "seal", "stamp", "verify"]

NAME = "passport.json"
FORMAT = 2
DIGITS = 12
"""Of the seal, hexadecimal, that name a version: equal content, equal version."""


def seal(folder: Path, links: list[dict[str, Any]]) -> dict[str, Any]:
    """Write `passport.json` over a package that is complete, its graphs stamped with `links`; returns its content."""
    graphs = {name: _graph(folder / name) for name in _files(folder) if name.endswith(".onnx")}
    passport = {
        "format": FORMAT,
        "links": [*links, *chained({"model": graphs}, links[-1]["chain"])],
        "files": {name: sha256(folder / name) for name in _files(folder)},
    }
    passport["seal"] = chain.digest(passport)
    write_text(folder / NAME, _written(passport))
    return passport


def read(folder: Path) -> dict[str, Any]:
    """The content of a package's passport, of the right form but not verified. Raises: ModelError."""
    path = folder / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}, expected {FORMAT}")
        if not isinstance(content["files"], dict):
            raise ValueError("`files` is no mapping")
        return {**content, "links": chain.checked(content["links"])}
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{path} does not exist; expected a folder made by the stage package") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} is damaged ({type(error).__name__}: {error}); take the package anew from where it came"
        ) from None


def verify(path: Path) -> list[str]:
    """What is not as it was packaged, of a package folder or of one of its ONNX files; empty when all is.

    The first entry names the first broken link, if a link is broken.
    Raises: ModelError when there is no passport, or none that can be read.
    """
    return _verify_folder(path) if path.is_dir() else graph.verify(path)


def _verify_folder(folder: Path) -> list[str]:
    passport = read(folder)
    links, files, present = passport["links"], passport["files"], _files(folder)
    problems = chain.broken(links)
    problems += _model(folder, links, present)
    if passport.get("seal") != chain.digest({key: value for key, value in passport.items() if key != "seal"}):
        problems.append(f"{NAME} itself was changed: its seal does not fit")
    if (folder / NAME).read_text(encoding="utf-8") != _written(passport):
        problems.append(f"{NAME} itself was changed: it is not written as `package` writes it")
    problems += [f"{name} is missing" for name in files if name not in present]
    problems += [f"{name} is not in the passport" for name in present if name not in files]
    changed = [name for name in present if name in files and sha256(folder / name) != files[name]]
    return problems + [f"{name} was changed: its sha256 is not that of the passport" for name in changed]


def _model(folder: Path, links: list[dict[str, Any]], present: list[str]) -> list[str]:
    """Whether the last link names the graphs that are there, and each of them carries the links before it."""
    if links[-1]["name"] != "model":
        return ["the last link is not 'model': the chain was cut"]
    problems, found = [], {}
    for name in (name for name in present if name.endswith(".onnx")):
        try:
            found[name] = _graph(folder / name)
            problems += [f"{name}: {problem}" for problem in graph.verify(folder / name)]
            if graph.read(folder / name).links[:-1] != links[:-1]:
                problems.append(f"{name} carries another passport")
        except ModelError as error:
            problems.append(str(error))
    if found != links[-1]["value"]:
        problems.insert(0, "link 'model' is broken: the graphs are not those that it names")
    return problems


def _graph(path: Path) -> dict[str, str]:
    """What the link `model` says of a graph: sha256 of the file, and of the graph in it, which was evaluated."""
    return {"file": sha256(path), "graph": graph.read(path).own["sha256"]}


def _written(passport: dict[str, Any]) -> str:
    return json.dumps(passport, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _files(folder: Path) -> list[str]:
    """Names of all files of a package but the passport."""
    found = (path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return sorted(path.relative_to(folder).as_posix() for path in found)
