"""On the device: `python -m evaluation.device NAME [FOLDER ...]` writes `devices/NAME.json`, for git where you develop.

FOLDER is a package, or what `python -m evaluation.device.kit` packs: each model in it is measured with the inputs
beside it. Without one the device alone is measured, so that models which never were there can be estimated. What an
earlier call measured of other models stays. The machine should do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import onnxruntime

from core import cpu, devices
from core.devices import Measured, Profile
from core.errors import ModelError, StillhouseError
from core.files import write_json
from core.visible import visible
from evaluation import timing
from evaluation.device import micro, models

ROUNDS = 200


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.device", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the device: small letters, digits, - and _")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"calls of each model, at least ({ROUNDS})")
    arguments = parser.parse_args()
    try:
        profile = measure(arguments.name, arguments.folders, arguments.rounds)
    except StillhouseError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    write_json(devices.path(profile.name), profile.model_dump())
    print(f"{devices.path(profile.name)}: {profile.cpu}, {len(profile.models)} models; add it to git where you develop")


def measure(name: str, folders: list[Path], rounds: int = ROUNDS) -> Profile:
    """The device, and the models in `folders`. Raises: StillhouseError."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
        raise ModelError(f"found {name!r}, expected a name of small letters, digits, - and _, at most 32")
    made: dict[str, Measured] = devices.read(name).models if devices.path(name).is_file() else {}
    for folder in folders:
        for key, found in models.measure(folder, timing.up_to_blocks(rounds)).items():
            made[key] = found
            print(f"{found.name}: {found.ms:.3g} ms [{found.low:.3g}, {found.high:.3g}]", flush=True)
    print("measuring kernels, about a minute", flush=True)
    kernels = micro.kernels()
    return Profile.model_validate(
        {
            "format": devices.FORMAT,
            "name": name,
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "cpu": cpu.name(),
            "architecture": platform.machine(),
            "int8_instructions": cpu.int8_instructions(),
            "onnxruntime": onnxruntime.__version__,
            "kernels": kernels,
            "call_us": micro.call(kernels),
            "host_ms": micro.host(),
            "models": {key: each.model_dump() for key, each in made.items()},
        }
    )


if __name__ == "__main__":
    main()
