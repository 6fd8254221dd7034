"""The passport of a package: a chain of digests from the raw data to the files that ship.

    python -m ops.passport verify FOLDER|FILE.onnx    offline; names the first broken link, exit code 2
    python -m ops.passport verify FOLDER --key KEY    ... and whether KEY's owner signed it
    python -m ops.passport trace FOLDER|FILE.onnx     the way back to data, code, params, runs and figures
    python -m ops.passport keygen FILE                a new private key, and FILE.pub
    python -m ops.passport sign FOLDER --key FILE     or --sigstore

`passport.json` holds `links`, in order: data, validation, code, params, runs, checkpoint, evaluation, environment,
model; `chain.py` says how they hang together. `files` has the sha256 of every other file of the package, `seal` that of
the passport's own content. The links before `model` also stand in each ONNX graph (`graph.py`), so that a graph found
alone leads home. Digests tell damage; who made the package, its signature tells (`signature.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.files import sha256, write_text
from core.visible import visible
from ops.passport import chain, graph, signature
from ops.passport.chain import chained
from ops.passport.contents import contents
from ops.passport.graph import stamp

__all__ = ["NAME", "chained", "read", "seal", "stamp", "verify"]

NAME = "passport.json"
FORMAT = 2
KEYS = {"format", "links", "files", "seal"}
SHOWN = 500
"""Characters of a problem that are told: names in a package may be as long as who made it wished."""
DIGITS = 12
"""Of the seal, hexadecimal, that name a version: equal content, equal version."""


def seal(folder: Path, links: list[dict[str, Any]]) -> dict[str, Any]:
    """Write `passport.json` over a package that is complete, its graphs stamped with `links`; returns its content."""
    files = _sealed(contents(folder).files)
    graphs = {name: _graph(folder / name) for name in files if name.endswith(".onnx")}
    passport = {
        "format": FORMAT,
        "links": [*links, *chained({"model": graphs}, links[-1]["chain"])],
        "files": {name: sha256(folder / name) for name in files},
    }
    passport["seal"] = chain.digest(passport)
    write_text(folder / NAME, _written(passport))
    return passport


def read(folder: Path) -> dict[str, Any]:
    """The content of a package's passport, of the right form but not verified. Raises: ModelError."""
    path = folder / NAME
    if path.exists() and not path.is_file():
        raise ModelError(f"{path} is a folder or a device, no file of the package; take the package anew")
    try:
        content = json.loads(path.read_bytes().decode())
        if not isinstance(content, dict) or content.keys() != KEYS:
            raise ValueError("expected format, links, files and seal, and nothing else")
        if type(content["format"]) is not int or content["format"] != FORMAT:
            raise ValueError(f"format {str(content['format'])[:20]!r}, expected {FORMAT}")
        if not isinstance(content["files"], dict):
            raise ValueError("`files` is no mapping")
        chain.digest(content)  # NaN and half characters have none
        return {**content, "links": chain.checked(content["links"])}
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{path} does not exist; expected a folder made by the stage package") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} is damaged ({type(error).__name__}: {error}); take the package anew from where it came"
        ) from None


def verify(path: Path, keys: Sequence[Path] = ()) -> list[str]:
    """What is not as it was packaged, of a package folder or of one of its ONNX files; empty when all is.

    The first entry names the first broken link, if a link is broken. keys: public keys, certificates or identity
    files, one of which must vouch for the whole folder; without any, a signature is not looked at.
    Raises: ModelError when there is no passport, or none that can be read; StillhouseError when a key is none.
    """
    try:
        if path.is_dir():
            problems = _verify_folder(path, keys)
        elif keys:
            raise ModelError(f"{path} is no folder, and a signature is over a whole package; name the package's folder")
        else:
            problems = graph.verify(path)
    except OSError as error:
        raise ModelError(f"{error.filename or path} cannot be read: {error.strerror}; take the package anew") from None
    return [visible(problem if len(problem) <= SHOWN else f"{problem[:SHOWN]} ...") for problem in problems]


def _verify_folder(folder: Path, keys: Sequence[Path]) -> list[str]:
    passport, found = read(folder), contents(folder)
    links, files, present = passport["links"], passport["files"], _sealed(found.files)
    problems = chain.broken(links)
    problems += _model(folder, links, present)
    if passport["seal"] != chain.digest({key: value for key, value in passport.items() if key != "seal"}):
        problems.append(f"{NAME} itself was changed: its seal does not fit")
    if (folder / NAME).read_bytes() != _written(passport).encode():
        problems.append(f"{NAME} itself was changed: it is not written as `package` writes it")
    problems += found.problems
    problems += [f"{name} is missing" for name in files if name not in present]
    problems += [f"{name} is not in the passport" for name in present if name not in files]
    changed = [name for name in present if name in files and sha256(folder / name) != files[name]]
    problems += [f"{name} was changed: its sha256 is not that of the passport" for name in changed]
    return problems + (signature.problems(folder, found, keys) if keys else [])


def _model(folder: Path, links: list[dict[str, Any]], present: list[str]) -> list[str]:
    """Whether the last link names the graphs that are there, and each of them carries the links before it."""
    if links[-1]["name"] != "model":
        return ["the last link is not 'model': the chain was cut"]
    problems, found = [], {}
    for name in (name for name in present if name.endswith(".onnx")):
        try:
            found[name] = _graph(folder / name)
            problems += [f"{name}: {problem}" for problem in graph.verify(folder / name)]
            if _text(graph.read(folder / name).links[:-1]) != _text(links[:-1]):  # in this order, too
                problems.append(f"{name} carries another passport")
        except ModelError as error:
            problems.append(str(error))
    if _text(found) != _text(links[-1]["value"]):
        problems.insert(0, "link 'model' is broken: the graphs are not those that it names")
    return problems


def _graph(path: Path) -> dict[str, str]:
    """What the link `model` says of a graph: sha256 of the file, and of the graph in it, which was evaluated."""
    return {"file": sha256(path), "graph": graph.read(path).own["sha256"]}


def _written(passport: dict[str, Any]) -> str:
    """The one text of a passport; the order within a link's value is that of the graphs."""
    links = [{key: link[key] for key in ("name", "value", "chain")} for link in passport["links"]]
    ordered = {"format": passport["format"], "links": links, "files": dict(sorted(passport["files"].items()))}
    return _text(ordered | {"seal": passport["seal"]}) + "\n"


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _sealed(files: list[str]) -> list[str]:
    """Those that the passport names: all but itself, and the signature over it."""
    return [name for name in files if name not in (NAME, signature.NAME)]
