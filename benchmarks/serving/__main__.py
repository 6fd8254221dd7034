"""See the package."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import benchmarks.serving
from benchmarks.serving import page, record
from benchmarks.serving.curve import curve
from benchmarks.serving.latency import latency
from benchmarks.serving.memory import memory
from benchmarks.serving.overload import overload
from benchmarks.serving.peers import peers
from benchmarks.serving.subject import flags, serving, subject
from benchmarks.serving.throughput import throughput
from core import task
from serving import cores
from serving.ways import Way, choose

CONNECTIONS = (1, 4, 16)
ALL = ("throughput", "peers", "latency", "load")
COMMANDS = (*ALL, "overload", "memory", "start", "all", "table")


@dataclass(frozen=True)
class Times:
    """Of one command."""

    seconds: float
    """Of each load."""
    rounds: int
    patience: int
    """So many times the rounds are tried to find that many quiet ones."""


FULL = {
    "throughput": Times(8, 5, 1),
    "peers": Times(8, 5, 1),
    "latency": Times(8, 5, 6),
    "load": Times(10, 1, 1),
    "overload": Times(8, 1, 1),
    "start": Times(8, 5, 1),
}
SHORT = {
    "throughput": Times(3, 3, 1),
    "peers": Times(2.5, 3, 1),
    "latency": Times(4, 3, 1),
    "load": Times(3.5, 1, 1),
}
"""For `all`: a package in about four minutes."""


def main() -> None:
    options = _parser().parse_args()
    if options.command == "table":
        page.write()
        return
    way = choose(options.instances, options.threads, cores.available(), options.workers)
    print(record.machine(), *flags(way))
    names = {package.name: subject(package).task for package in options.packages}
    if options.command == "start":
        for _ in range(_times("start", options).rounds):
            with serving(*map(str, options.packages), *flags(way)) as server:
                print(f"ready after {server.ready_s:.2f} s, {server.memory_mb():.0f} MB at rest")
        return
    if options.command == "memory":
        with serving(*map(str, options.packages), *flags(way)) as server:
            memory(server, {name: task.load(of, "serve") for name, of in names.items()})
        return
    curves = {}
    for package in options.packages:
        for command in ALL if options.command == "all" else (options.command,):
            found = _measure(command, package, way, options)
            if command == "load":
                curves[subject(package).task] = found
            if options.record or options.command == "all":
                record.keep(subject(package).task, command, found, way)
    if options.picture and curves:
        page.picture(curves, options.picture)
        print(options.picture)
    if options.record or options.command == "all":
        page.write()
        print(page.PAGE)


def _measure(command: str, package: Path, way: Way, options: argparse.Namespace) -> dict[str, object]:
    given, times = subject(package), _times(command, options)
    if command == "peers":
        return peers(given, way, times.seconds, times.rounds, CONNECTIONS)
    with serving(str(package), *flags(way)) as server:
        if command == "throughput":
            return throughput(given, server, way, times.seconds, times.rounds, options.batch)
        if command == "latency":
            return latency(given, server, times.seconds, times.rounds, times.patience)
        if command == "load":
            return curve(given, server, times.seconds)
        return overload(given, server, times.seconds, options.minutes)


def _times(command: str, options: argparse.Namespace) -> Times:
    usual = (SHORT if options.command == "all" else FULL)[command]
    return Times(options.seconds or usual.seconds, options.rounds or usual.rounds, usual.patience)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.serving",
        description=benchmarks.serving.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("packages", nargs="*", type=lambda text: Path(text).absolute())
    parser.add_argument("--threads", type=int, help="of ONNX Runtime for a batch; default: the server's")
    parser.add_argument("--workers", type=int, help="processes that serve; default: the server's")
    parser.add_argument("--instances", type=int, help="batches side by side; default: the server's")
    parser.add_argument("--seconds", type=float, help="of each load; default: the command's")
    parser.add_argument("--rounds", type=int, help="default: the command's")
    parser.add_argument("--minutes", type=int, default=10, help="of overload; %(default)s")
    parser.add_argument("--batch", type=int, default=8, help="of the second bare loop; %(default)s")
    parser.add_argument("--picture", type=Path, help="of load: where to draw latency over load, e.g. load.png")
    parser.add_argument("--record", action="store_true", help="keep what was found, and make docs/serving.md anew")
    return parser


if __name__ == "__main__":
    main()
