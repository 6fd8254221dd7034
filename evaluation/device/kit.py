"""Where you develop: `python -m evaluation.device.kit TASK FOLDER` packs all candidates of a task, with inputs,
to be measured on a device."""

from __future__ import annotations

import argparse
import shutil
import sys
from itertools import product
from pathlib import Path

from core import matrix, params, paths, task
from core.errors import ModelError, StillhouseError
from core.files import write_json
from core.spread import spread
from core.visible import visible
from evaluation.device.models import INPUTS

COUNT = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.device.kit", description=__doc__)
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=int, default=COUNT, help=f"at most ({COUNT})")
    arguments = parser.parse_args()
    try:
        names = pack(arguments.task, arguments.folder, arguments.inputs)
    except StillhouseError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{arguments.folder}: {', '.join(names)}; on the device: python -m evaluation.device NAME {arguments.folder}")


def pack(name: str, folder: Path, count: int = COUNT) -> list[str]:
    """Copies the model folders that there are, and inputs; returns their names. Raises: StillhouseError."""
    _, tasks = params.load()
    if name not in tasks:
        raise ModelError(f"task {name!r} is not in `tasks` of params.yaml: {list(tasks)}")
    pairs = product(matrix.variants(tasks[name]), tasks[name].precisions)
    found = {"-".join(pair): path for pair in pairs if (path := paths.model(name, *pair)).is_dir()}
    if not found:
        raise ModelError(f"there is no model below models/{name}; `make repro` makes them")
    if folder.exists():
        raise ModelError(f"{folder} exists; name another folder, or remove it")
    samples, every = [], task.load(name, "predict").inputs(paths.clean(name), "val")
    (folder / INPUTS).mkdir(parents=True)
    for number in spread(len(every), count):
        value = every[number]
        if hasattr(value, "read_bytes"):  # a file, or a part of one
            (folder / INPUTS / f"{number}{value.suffix}").write_bytes(value.read_bytes())
            samples.append({"file": f"{number}{value.suffix}"})
        else:
            samples.append({"input": value})
    write_json(folder / INPUTS / "samples.json", samples)
    for each, path in found.items():
        shutil.copytree(path, folder / each)
    return list(found)


if __name__ == "__main__":
    main()
