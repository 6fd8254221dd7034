"""Every knob of the server, and the command line that sets them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import gpu
from core.errors import StillhouseError
from core.task import Limits
from ops.passport import keys
from serving import cores, limits
from serving.board import Board, Seat
from serving.ways import MOST, Way, choose

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TOKEN = "STILLHOUSE_TOKEN"  # noqa: S105 - the name of a variable
SIGNATURE = "STILLHOUSE_REQUIRE_SIGNATURE"
"""Variable that names files of trusted keys, as PATH does folders: joined by ':'."""
RESTARTS = "STILLHOUSE_RESTARTS"
"""Variable in which the supervisor tells a worker how many came before it."""
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Variable of prometheus_client: the folder in which several workers share their figures."""


@dataclass(frozen=True)
class Settings:
    packages: dict[str, Path]
    """Folders that the stage `package` made, by the name that clients use; or folders of such folders, each of which is
    then served under its own name."""
    host: str = "127.0.0.1"
    port: int = 8080
    allowed_hosts: tuple[str, ...] = ()
    """Names by which a server without a token may be called, beside `localhost`, `host` and literal addresses."""
    threads: int | None = None
    """ONNX Runtime's threads for one batch; 0: all cores; None: what `instances` leave to each, see `serving.ways`."""
    instances: int | None = None
    """Batches of one model that a worker computes side by side; None: one, or what its cores allow a lone worker."""
    provider: str = gpu.CPU
    """Of ONNX Runtime, which is not imported here: the supervisor stays small and is there at once."""
    max_batch: int | None = None
    """Items computed together; None: what the task recommends."""
    max_wait_ms: float = 0.0
    """How long a batch that is not full waits for more, at most. 0: it leaves when an instance is free."""
    queue: int = 128
    """Requests, and items, of one client that wait for one model at most; more are refused with 429. Of all clients
    together it is twice as many. Several workers have equal parts of it."""
    deadline_s: float = 30.0
    """What is not answered by then is refused with 429; a request may ask for less (`X-Deadline-Ms`)."""
    body_mb: float = 16.0
    read_s: float = 30.0
    """Within which a request's headers, and then its body, must have come; else 408."""
    requests_mb: float = 256.0
    """Memory of all requests together: bodies, decoded inputs, answers that are not read; more are refused with 429."""
    limits: Limits = field(default_factory=limits.defaults)
    """Of one request: `items`, and what the modalities of the served tasks count."""
    drain_s: float = 30.0
    """After SIGTERM: for requests under way."""
    drain_delay_s: float = 0.0
    """After SIGTERM: how long to go on taking requests while `/ready` says no, so that a balancer notices."""
    watch_s: float = 2.0
    """How often to look for a new version of a package; 0: only after SIGHUP."""
    proof_s: float = 60.0
    """Within which a new package must have been loaded and have predicted its golden samples."""
    proof_mb: float = 2048.0
    """Memory that it may take meanwhile."""
    keep: Path | None = None
    """Where the packages that were served last are kept, for a start at which a newer one is no good."""
    token: str | None = field(default=None, repr=False)
    """Bearer token that requests must carry."""
    text_log: bool = False
    require_signature: tuple[Path, ...] = ()
    """Public keys, certificates or identity files, one of which must vouch for a package that is served; none: packages
    may be unsigned."""
    grpc_port: int | None = None
    """Where the Open Inference Protocol is spoken over gRPC, too; None: nowhere."""
    coalesce: bool = False
    """Whether equal requests that come while one of them is computed get its answer."""
    measure: bool = False
    """Whether to find out at the start by what `instances` and `threads` each model is fastest in one worker."""
    workers: int | None = None
    """Processes that serve; None: as many as there are cores for their `threads`, see `serving.ways`."""
    pin: bool = True
    """Whether each of several workers stays on its own cores, where it can tell them apart, see `serving.cores`."""

    @property
    def way(self) -> Way:
        """How the server uses the cores. A GPU computes one batch after another, by itself on all of it; and what is
        measured is how one worker is fastest."""
        if self.provider != gpu.CPU:
            return Way(self.instances or 1, self.threads or 0, self.workers or 1)
        return choose(self.instances, self.threads, cores.available(), 1 if self.measure else self.workers)


@dataclass(frozen=True)
class Inherited:
    """What a worker has of its supervisor."""

    listening: int
    """Descriptor of a socket that is open already."""
    seat: Seat | None
    """Among other workers; None: it is alone."""


def parse(arguments: Sequence[str]) -> tuple[Settings, Inherited | None]:
    """Settings, and what a worker inherits; None: this is no worker. Raises: SystemExit with what is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not given.host:
        parser.error("--host is empty, which would be all addresses; expected one, e.g. 127.0.0.1 or 0.0.0.0")
    packages: dict[str, Path] = {}
    for word in given.packages:
        folder = Path(os.path.abspath(word))  # noqa: PTH100 - not resolve(): a link gives its own name
        name, path = word.split("=", 1) if "=" in word else (folder.name, word)
        if not path:
            parser.error(f"{word}: there is no folder behind the name; expected NAME=PACKAGE")
        if not NAME.fullmatch(name):
            parser.error(f"{word}: the name {name!r} is not letters, digits, '.', '_' and '-' (at most 64)")
        if name in packages:
            parser.error(f"two packages are named {name!r}; name one of them: NAME={path}")
        packages[name] = Path(path).absolute()
    if given.grpc_port and given.grpc_port == given.port:
        parser.error(f"--grpc-port is {given.port}, which --port is already; expected another one")
    given.provider = _provider(parser, given.provider)
    chosen = (given.instances, given.threads, given.workers if given.workers != 1 else None)
    if given.measure and (chosen != (None, None, None) or given.provider != gpu.CPU):
        parser.error("--measure chooses --instances and --threads of one worker, on a CPU; give it or them")
    given.allowed_hosts = tuple(given.allowed_host)
    options = {name: value for name, value in vars(given).items() if name in Settings.__dataclass_fields__}
    most = {limit.name: getattr(given, f"max_{limit.name}") for limit in limits.known()}
    options |= {"packages": packages, "limits": most}
    options |= {"token": _token(parser, given), "require_signature": _trusted(parser, given)}
    return Settings(**options), _inherited(given)


def _inherited(given: argparse.Namespace) -> Inherited | None:
    if given.fd is None:
        return None
    seat = None if given.board is None else Seat(Board(given.board, given.workers), given.worker)
    return Inherited(given.fd, seat)


def _provider(parser: argparse.ArgumentParser, given: str | None) -> str:
    """What the command line names, else the CPU's, in the strict mode CUDA's."""
    try:
        wanted = gpu.provider()
    except StillhouseError as error:
        parser.error(str(error))
    if wanted == gpu.CUDA and given not in (None, gpu.CUDA):
        parser.error(f"--provider is {given}, but {gpu.VARIABLE}=1 demands {gpu.CUDA}; leave one of them out")
    return given or wanted


def _token(parser: argparse.ArgumentParser, given: argparse.Namespace) -> str | None:
    """From a file or the environment, never from the command line, which every process can read."""
    token = os.environ.get(TOKEN)
    if given.token_file:
        try:
            token = Path(given.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            parser.error(f"--token-file {given.token_file} cannot be read: {error}")
    if token is not None and not re.fullmatch(r"[\x21-\x7e]{16,}", token):
        parser.error(f"the token of --token-file or ${TOKEN} must be 16 or more printable ASCII characters, no space")
    return token


def _trusted(parser: argparse.ArgumentParser, given: argparse.Namespace) -> tuple[Path, ...]:
    """Of the command line and the environment. What cannot be used ends the start: nobody is to think it was."""
    words = list(given.require_signature)
    if SIGNATURE in os.environ:
        words += os.environ[SIGNATURE].split(os.pathsep)
    for word in words:
        if not word:
            parser.error(f"--require-signature or ${SIGNATURE} names no file; expected a public key, or leave it out")
        try:
            keys.trust(Path(word))
        except StillhouseError as error:
            parser.error(f"--require-signature or ${SIGNATURE}: {error}")
    return tuple(Path(word).absolute() for word in words)


def _parser() -> argparse.ArgumentParser:
    default = Settings({})
    parser = argparse.ArgumentParser("python -m serving", description="Serves packaged models over HTTP.")
    add = parser.add_argument
    add(
        "packages",
        nargs="+",
        metavar="[NAME=]PACKAGE",
        help="a folder made by the stage `package`, or a folder of such",
    )
    add("--host", default=default.host, help="default: only this machine (%(default)s)")
    name = "a name by which a server without a token may be called, beside localhost; may be repeated"
    add("--allowed-host", action="append", default=[], metavar="NAME", help=name)
    add("--port", type=_integer(0, 65535), default=default.port, help="%(default)s; 0: any free one")
    add("--grpc-port", type=_integer(0, 65535), help="for the Open Inference Protocol over gRPC, too; default: none")
    add("--threads", type=_integer(0, 1024), help="of one batch; 0: all cores; default: cores over --instances")
    add("--workers", type=_integer(1, 64), help=f"processes that serve; default: one for each core, {MOST} at most")
    add(
        "--instances", type=_integer(1, 64), help="batches of a model that a worker computes side by side; default: one"
    )
    add("--no-pin", dest="pin", action="store_false", help="let several workers move between cores")
    add("--measure", action="store_true", help="choose --instances and --threads of one worker by a measurement")
    add("--provider", help=f"of ONNX Runtime; {gpu.CPU}, with {gpu.VARIABLE}=1 {gpu.CUDA}")
    add("--max-batch", type=_integer(1, 4096), help="items computed together; default: the task's")
    add("--max-wait-ms", type=_number(0, 10_000), default=default.max_wait_ms, help="for a fuller batch; %(default)s")
    add("--queue", type=_integer(1, 1_000_000), default=default.queue, help="requests that wait a model; %(default)s")
    add("--deadline-s", type=_number(0.001, 3600), default=default.deadline_s, help="of a request; %(default)s")
    add("--body-mb", type=_number(0.001, 4096), default=default.body_mb, help="of a request; %(default)s")
    add("--read-s", type=_number(0.1, 3600), default=default.read_s, help="to receive a request; %(default)s")
    add("--requests-mb", type=_number(1, 10**6), default=default.requests_mb, help="of all requests; %(default)s")
    for limit in limits.known():
        flag, words = f"--max-{limit.name.replace('_', '-')}", f"{limit.help}; %(default)s"
        add(flag, type=_integer(1, limit.most), default=limit.default, help=words)
    add("--coalesce", action="store_true", help="compute equal requests once that come at the same time")
    add("--drain-s", type=_number(0, 3600), default=default.drain_s, help="for the last requests; %(default)s")
    add("--drain-delay-s", type=_number(0, 3600), default=default.drain_delay_s, help="not ready first; %(default)s")
    add("--watch-s", type=_number(0, 3600), default=default.watch_s, help="for new versions; 0: on SIGHUP")
    add("--proof-s", type=_number(1, 3600), default=default.proof_s, help="to try a package; %(default)s")
    add("--proof-mb", type=_number(64, 10**6), default=default.proof_mb, help="likewise, memory; %(default)s")
    kept = "folder for the packages that were served last; default: a new one, removed at the end"
    add("--keep", type=lambda text: Path(text).absolute(), metavar="FOLDER", help=kept)
    key = f"public key, certificate or identity file, which must vouch for a package; may be repeated; or ${SIGNATURE}"
    add("--require-signature", action="append", default=[], metavar="KEY", help=key)
    add("--token-file", help=f"file with a bearer token that requests must carry; or ${TOKEN}")
    add("--text-log", action="store_true", help="lines for people instead of JSON")
    for name in ("--fd", "--board", "--worker"):  # what a worker inherits
        add(name, type=int, help=argparse.SUPPRESS)
    return parser


def _integer(low: int, high: int) -> Callable[[str], float]:
    return _bounded(int, low, high)


def _number(low: float, high: float) -> Callable[[str], float]:
    return _bounded(float, low, high)


def _bounded(kind: type[float], low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {kind.__name__} from {low} to {high}, found {text!r}")
        return value

    return convert
