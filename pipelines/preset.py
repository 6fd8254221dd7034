"""Write a preset into `params.yaml`: `python -m pipelines.preset bccd [--data PATH]`.

A preset (`presets/<name>.yaml`) holds only the keys that differ; comments and everything else in `params.yaml` stay.
`--data` points the preset's tasks at a local copy of the data instead of the public source that the preset names.
`git checkout params.yaml` undoes it.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from core import params
from core.errors import ParamsError, StillhouseError, suggest
from core.files import write_text
from pipelines import matrix

PRESETS = Path("presets")
NULL, TEXT = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"
TRUTHS = re.compile("y|n|yes|no|on|off", re.IGNORECASE)
"""Words that are written here as YAML 1.2 has them, and read as YAML 1.1 has them: truth values."""


def apply(name: str, data: str | None = None, path: Path = Path("params.yaml")) -> list[str]:
    """Merge preset `name` into `path`; return its tasks. Raises: ParamsError, and leaves `path` as it was."""
    names = sorted(preset.stem for preset in PRESETS.glob("*.yaml"))
    if name not in names:
        raise ParamsError([f"unknown preset {name!r}; {suggest(name, names)}"])
    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar(NULL, "null"))
    yaml.representer.add_representer(
        str, lambda dumper, word: dumper.represent_scalar(TEXT, word, style='"' if TRUTHS.fullmatch(word) else None)
    )
    values = yaml.load(path.read_text(encoding="utf-8"))
    override = params.read(PRESETS / f"{name}.yaml")
    merge(values, override)
    tasks = [str(task) for task in override.get("tasks", values["tasks"])]
    if data is not None:
        for task in tasks:
            values[task]["data"].update(
                {"source": str(Path(data).resolve()), "sha256": None, "commit": None, "files": None}
            )
    text = io.StringIO()
    yaml.dump(values, text)
    params.check(params.parse(text.getvalue(), path))
    write_text(path, text.getvalue())
    return tasks


def merge(values: MutableMapping[str, Any], override: MutableMapping[str, Any]) -> None:
    """Put `override` into `values`, mapping by mapping; lists and scalars are replaced.

    So is a backbone of another name: its keys are those of another network. An optimiser's or a schedule's stay.
    """
    for key, value in override.items():
        old = values.get(key)
        if isinstance(value, MutableMapping) and isinstance(old, MutableMapping) and not _other(key, value, old):
            merge(old, value)
        else:
            values[key] = value


def _other(key: str, new: MutableMapping[str, Any], old: MutableMapping[str, Any]) -> bool:
    return key == "backbone" and bool(new.get("name", old.get("name")) != old.get("name"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a preset into params.yaml.")
    parser.add_argument("name", help="a file in presets/, without .yaml")
    parser.add_argument("--data", help="a local copy of the data")
    arguments = parser.parse_args()
    try:
        tasks = apply(arguments.name, arguments.data)
        matrix.refresh(params.load()[1])
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"params.yaml now holds preset {arguments.name} ({', '.join(tasks)}). Next: make repro")


if __name__ == "__main__":
    main()
