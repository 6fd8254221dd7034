"""`python -m pipelines.flow.hosts NAME_OF_POOL`, or `make host POOL=NAME`: this machine runs stages for a pool.

Exit codes: 0 stopped by Ctrl-C or SIGTERM, 2 something to mend.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from core import paths
from core.errors import StillhouseError
from pipelines.flow.hosts import api
from pipelines.flow.hosts.clones import Clones
from pipelines.flow.hosts.worker import Worker, handled
from pipelines.flow.needs import BYTES
from pipelines.flow.slots import Slots, visible_gpus

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
LABEL = re.compile(r"[a-z][a-z0-9-]{0,47}")


def main() -> None:
    arguments = _arguments()
    try:
        _work(arguments)
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(0)


def _work(arguments: argparse.Namespace) -> None:
    home = Path(arguments.home)
    home.mkdir(parents=True, exist_ok=True)
    api.connect()
    from pipelines.deploy import repository  # noqa: PLC0415 - it imports Prefect, which reads its settings

    source = repository.url(arguments.repository, Path.cwd())
    gpus = visible_gpus()
    slots = Slots(
        arguments.slots or max(1, len(os.sched_getaffinity(0)) // 2),
        gpus if arguments.gpus is None else gpus[: arguments.gpus],
        cores=arguments.cores,
        memory=arguments.memory,
    )
    lock = FileLock(home / "host.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StillhouseError(f"another host works in {home}; give this one a folder of its own (--home)") from None
    with lock:
        worker = Worker(
            api.Api(arguments.pool), arguments.name, Clones(home, source), slots, tuple(arguments.label), _say
        )
        handled(worker)
        worker.run()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.flow.hosts", description="Run stages for a pool.")
    parser.add_argument("pool", type=_name, help="a Prefect work pool; it is made where there is none of this name")
    parser.add_argument("--name", type=_name, default=_own(), help="of this host; default: %(default)s")
    parser.add_argument("--repository", default="origin", help="where git fetches commits: a URL, folder or git remote")
    parser.add_argument("--home", default=str(paths.STATE / "host"), help="for clones and cache; default: %(default)s")
    parser.add_argument("--slots", type=_count, default=0, help="stages at once; default: one for two cores")
    parser.add_argument("--cores", type=_count, default=None, help="default: all")
    parser.add_argument("--memory", type=_size, default=None, help="such as 16GB; default: all")
    parser.add_argument("--gpus", type=_count, default=None, help="how many; default: all")
    parser.add_argument("--label", action="append", default=[], type=_label, help="what stages may ask for by `needs`")
    return parser.parse_args()


def _own() -> str:
    return re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower())[:63].strip("-.") or "host"


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected lower-case letters, digits, dots and dashes, found {text!r}")
    return text


def _label(text: str) -> str:
    if not LABEL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected lower-case letters, digits and dashes, found {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1024, found {text!r}")
    return int(text)


def _size(text: str) -> int:
    if not (found := re.fullmatch(r"([0-9]+)(MB|GB)", text)):
        raise argparse.ArgumentTypeError(f"expected a size with a unit (16GB), found {text!r}")
    return int(found[1]) * BYTES[found[2]]


if __name__ == "__main__":
    main()
