"""The passport of a package: a chain of digests from the raw data to the files that ship.

    python -m core.passport verify FOLDER     offline; names the first broken link, exit code 2

`passport.json` holds `links`, in order: data, validation, code, params, environment, runs, checkpoint, evaluation,
model. Each has `name`, `value` and `chain`: sha256 over the chain before it, its name and its value, so that no link
can be changed alone. `files` has the sha256 of every other file of the package. The chain's end before `model` also
stands in the metadata of each ONNX graph, so that a graph found alone leads back to its passport.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.files import read_json, sha256, write_json

NAME = "passport.json"
METADATA = "stillhouse.passport"


def chained(values: Mapping[str, Any], start: str = "") -> list[dict[str, Any]]:
    """Links of `values`, in their order. start: the chain that they go on."""
    links, chain = [], start
    for name, value in values.items():
        chain = _digest([chain, name, value])
        links.append({"name": name, "value": value, "chain": chain})
    return links


def stamp(folder: Path, links: list[dict[str, Any]]) -> None:
    """Write the chain's end into the metadata of every ONNX graph below `folder`."""
    import onnx

    for path in sorted(folder.rglob("*.onnx")):
        graph = onnx.load(str(path))
        kept = {entry.key: entry.value for entry in graph.metadata_props if entry.key != METADATA}
        onnx.helper.set_model_props(graph, {**kept, METADATA: links[-1]["chain"]})
        onnx.save(graph, str(path))


def seal(folder: Path, links: list[dict[str, Any]]) -> dict[str, Any]:
    """Write `passport.json` over a complete package; returns its content."""
    graphs = {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*.onnx"))}
    passport = {
        "format": 1,
        "links": [*links, *chained({"model": graphs}, links[-1]["chain"])],
        "files": {name: sha256(folder / name) for name in _files(folder)},
    }
    # JSON's own text is sealed too: a changed figure, name or digest in the passport is found.
    write_json(folder / NAME, {**passport, "seal": _digest(passport)})
    return passport


def verify(folder: Path) -> list[str]:
    """Broken links and changed files of a package, the first broken one first; empty when all is as it was packaged.

    Raises: ModelError when there is no readable passport.
    """
    path = folder / NAME
    try:
        passport = read_json(path)
        sealed = {key: value for key, value in passport.items() if key != "seal"}
        links, files = passport["links"], dict(passport["files"])
        again = chained({link["name"]: link["value"] for link in links})
        chains = [(link["name"], link["chain"], made["chain"]) for link, made in zip(links, again, strict=True)]
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; expected a folder made by the stage package") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: {type(error).__name__} {error}") from None
    problems = []
    if passport.get("seal") != _digest(sealed):
        problems.append(f"{NAME} itself was changed: its seal does not fit")
    problems += [
        f"link {name!r} is broken: its digest does not follow from the links before it"
        for name, found, made in chains
        if found != made
    ]
    present = _files(folder)
    if links[-1]["name"] != "model" or len(links) < 2:
        return [*problems, "the last link is not 'model': the chain was cut"]
    graphs = {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*.onnx"))}
    if links[-1]["value"] != graphs:
        problems.append("link 'model' is broken: the graphs are not those that it names")
    problems += [f"{name} is missing" for name in files if name not in present]
    problems += [f"{name} is not in the passport" for name in present if name not in files]
    changed = [name for name in present if name in files and sha256(folder / name) != files[name]]
    problems += [f"{name} was changed: its sha256 is not that of the passport" for name in changed]
    if not problems:
        problems += _graphs(folder, links)
    return problems


def _graphs(folder: Path, links: list[dict[str, Any]]) -> list[str]:
    """Graphs whose metadata do not name this passport."""
    import onnx

    problems = []
    for path in sorted(folder.rglob("*.onnx")):
        found = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}.get(METADATA)
        if found != links[-2]["chain"]:
            problems.append(f"{path.relative_to(folder)} names the passport {found}, not this one")
    return problems


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p != folder / NAME)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def main() -> None:
    match sys.argv[1:]:
        case ["verify", folder]:
            try:
                problems = verify(Path(folder))
            except ModelError as error:
                problems = [str(error)]
            for problem in problems:
                print(f"error: {problem}", file=sys.stderr)
            if problems:
                sys.exit(2)
            print(f"{folder}: all links hold")
        case _:
            print("usage: python -m core.passport verify FOLDER", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main()
