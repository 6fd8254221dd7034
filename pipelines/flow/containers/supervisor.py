"""Holds the container of one stage: `python -m pipelines.flow.containers.supervisor SPEC SHELL -c COMMAND`.

DVC starts it in the place of a stage's command, and takes its exit code for that command's. So a container that ran out
of memory, that was killed, whose engine is gone or whose image is, is told by the codes that `pipelines.flow.outcome`
knows:

    0 to 255    of the command; 137 also of a container that was killed or removed by others
    76          memory ran out, as the engine says
    75          the engine does not answer, or has failed
    2           the engine refuses: no such image, a mount that it does not let

What the command says goes from the container straight into the log, which lies in the checkout: an engine that dies and
comes back costs no line of it, and the container is followed further.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from docker.client import DockerClient
from docker.errors import APIError, ImageNotFound
from docker.types import DeviceRequest, Mount

from core.errors import MEMORY, MISTAKE, TEMPORARY
from core.family import die_with_parent
from pipelines.flow.containers import engine, mounts

STOP_S = 25.0
"""From SIGTERM to SIGKILL in the container: done before `process.GRACE_S` is over and this process is killed."""
TICK_S = 0.2
ENGINE_S = 60.0
"""For how long an engine may be away."""
TRIES = 5
KILLED = 128 + signal.SIGKILL
PASSED = re.compile(
    r"(STILLHOUSE|MLFLOW|DVC|OMP|MKL|OPENBLAS|AWS|GX)_\w+|DO_NOT_TRACK|ORT_DISABLE_TELEMETRY|CUDA_VISIBLE_DEVICES"
    r"|(?i:https?_proxy|no_proxy)|LANG|LC_ALL|TZ|USER|LOGNAME|PYTHONHASHSEED"
)
"""Variables that a stage has from the flow; all others are the image's."""
INSIDE = f"""
exec >>"$1" 2>&1 </dev/null
why=$2
shift 2
trap : TERM  # it is the command's, which this waits for
"$@"
code=$?
[ $code -eq 0 ] && exit 0
for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r $file ] && while read -r what count; do
        if [ "$what" = oom_kill ] && [ "$count" -gt 0 ]; then
            echo "error: $why"
            exit {MEMORY}
        fi
    done <$file
done
exit $code
"""
"""The shell's script that the container begins with: the log, the words for memory that ran out, and the command. The
kernel counts what it ends for want of memory (version 2 and 1 of its control groups); the engine's word for it,
OOMKilled, podman gives not always, and neither for a process within."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a container is made of."""

    address: str
    """Of the engine."""
    image: str
    """Its digest."""
    name: str
    """The image's, for people."""
    stage: str
    labels: Mapping[str, str]
    root: str
    """Of the checkout."""
    outs: Sequence[str]
    """Of the stage, relative to the root."""
    read: Sequence[str]
    """Files and folders besides the checkout that it may read."""
    log: str
    user: Mapping[str, Any]
    """As `engine.user`."""
    network: str
    memory: int
    """Bytes; 0: no limit."""
    cores: int
    """0: no limit."""
    gpus: Sequence[str]
    """As CUDA_VISIBLE_DEVICES calls them here."""
    variables: Sequence[str]
    """Of the environment, besides PASSED."""
    home: str
    """HOME, an empty folder."""

    def values(self) -> dict[str, Any]:
        return asdict(self)


class Supervisor:
    def __init__(self, spec: Spec, command: Sequence[str]):
        self._spec, self._command = spec, command
        self._asked: float | None = None
        self._told = False
        self._ended = threading.Event()
        self._problem: BaseException | None = None

    def run(self) -> int:
        """Run the command to its end. Returns: the exit code for DVC."""
        signal.signal(signal.SIGTERM, self._stop)
        die_with_parent(signal.SIGTERM)
        try:
            connected = self._reached()
            try:
                engine.sweep(connected, self._stage)  # of an attempt whose supervisor was killed
                container = self._started(connected)
                try:
                    return self._followed(connected, container)
                finally:
                    engine.remove(connected, container)
            finally:
                connected.close()
        except ImageNotFound:
            return _say(MISTAKE, f"the engine has no image {self._spec.name} any more")
        except APIError as error:
            refused = not error.is_server_error()
            return _say(MISTAKE if refused else TEMPORARY, f"the engine answers: {engine.reason(error)}")
        except engine.UNREACHABLE as error:
            return _say(TEMPORARY, f"the engine at {self._spec.address} does not answer: {engine.reason(error)}")

    @property
    def _stage(self) -> dict[str, str]:
        return {key: self._spec.labels[key] for key in (engine.STAGE, engine.CHECKOUT)}

    def _stop(self, signum: int, frame: Any) -> None:
        self._asked = self._asked or time.monotonic()

    def _reached(self) -> DockerClient:
        """A client, as soon as the engine answers. Raises: one of `engine.UNREACHABLE`."""
        deadline = time.monotonic() + ENGINE_S
        while True:
            try:
                return engine.client(self._spec.address)
            except engine.UNREACHABLE:
                if self._asked or time.monotonic() > deadline:
                    raise
                time.sleep(1.0)

    def _started(self, connected: DockerClient) -> str:
        """Create and start the container. Returns: its id. Raises: as `run` takes it.

        A file that lay beside an output may be gone when the engine comes to mount it: then once more.
        """
        print(f"in {self._spec.name} ({self._spec.image})", flush=True)
        for left in reversed(range(TRIES)):
            seen = mounts.mounts(Path(self._spec.root), self._spec.outs, map(Path, self._spec.read))
            container = ""
            try:
                container = connected.api.create_container_from_config(self._config(connected, seen))["Id"]
                connected.api.start(container)
                return container
            except BaseException as error:
                if container:
                    engine.remove(connected, container)
                vanished = isinstance(error, APIError) and not all(path.exists() for path in seen)
                if not vanished or not left:
                    raise
        raise AssertionError

    def _config(self, connected: DockerClient, seen: Mapping[Path, bool]) -> Any:
        spec = self._spec
        scratch = dict.fromkeys(("/tmp", spec.home), "mode=1777")  # noqa: S108 - in the container
        requests = [DeviceRequest(device_ids=list(spec.gpus), capabilities=[["gpu"]])] if spec.gpus else None
        user = dict(spec.user)
        namespace = user.pop("userns_mode", None)
        host = connected.api.create_host_config(
            mounts=[Mount(str(path), str(path), "bind", read_only=not writable) for path, writable in seen.items()],
            tmpfs=scratch,
            read_only=True,
            init=True,
            cap_drop=["ALL"],
            # No label: SELinux would else forbid the caller's own files, or have them relabelled for good.
            security_opt=["no-new-privileges", "label=disable"],
            network_mode=spec.network,
            group_add=user.pop("group_add", None),
            mem_limit=spec.memory or None,
            memswap_limit=spec.memory or None,
            shm_size=spec.memory or psutil.virtual_memory().total // 2,  # as much as there is outside
            nano_cpus=spec.cores * 10**9 or None,
            device_requests=requests,
        )
        if namespace:  # of podman's, which the client's own check does not know
            host["UsernsMode"] = namespace
        return connected.api.create_container_config(
            image=spec.image,
            command=None,
            entrypoint=["/bin/sh", "-c", INSIDE, "sh", spec.log, self._short(), *self._command],
            working_dir=str(Path.cwd()),
            environment={**self._environment(), "HOME": spec.home},
            labels=dict(spec.labels),
            healthcheck={"test": ["NONE"]},  # it would compute beside what is measured
            host_config=host,
            **user,
        )

    def _environment(self) -> dict[str, str]:
        passed = {
            key: value for key, value in os.environ.items() if PASSED.fullmatch(key) or key in self._spec.variables
        }
        if self._spec.gpus:  # which the engine numbers anew
            passed.pop("CUDA_VISIBLE_DEVICES", None)
        return passed

    def _followed(self, connected: DockerClient, container: str) -> int:
        """Until it has ended. Returns: the exit code for DVC. Raises: as `run` takes it."""
        threading.Thread(target=self._watch, args=(container,), daemon=True).start()
        while not self._ended.wait(TICK_S):
            if self._asked is not None:
                self._pass_on(connected, container)
        if isinstance(self._problem, APIError) and engine.gone(self._problem):
            return _say(KILLED, "the container was removed by others")
        if self._problem is not None:
            raise self._problem
        state = connected.api.inspect_container(container)["State"]
        code = int(state["ExitCode"])
        if code == KILLED and state.get("OOMKilled"):
            return _say(MEMORY, self._short())
        if code == KILLED and self._asked is None:
            return _say(KILLED, "killed by others: the container, or what runs in it")
        return code

    def _short(self) -> str:
        limit = self._spec.memory
        of = f"the {limit / 1e9:g} GB of needs.memory are" if limit else "the machine's memory is"
        return f"out of memory in the container: {of} not enough"

    def _watch(self, container: str) -> None:
        """In a thread, with a client of its own: wait for the end of the container, also while the engine restarts."""
        lost: float | None = None
        while True:
            try:
                connected = engine.client(self._spec.address)
                try:
                    connected.api.inspect_container(container)
                    lost = None
                    connected.api.wait(container, timeout=None)
                    break
                finally:
                    connected.close()
            except engine.UNREACHABLE as error:
                lost = lost or time.monotonic()
                if (isinstance(error, APIError) and engine.gone(error)) or time.monotonic() - lost > ENGINE_S:
                    self._problem = error
                    break
                time.sleep(1.0)
        self._ended.set()

    def _pass_on(self, connected: DockerClient, container: str) -> None:
        """SIGTERM to all that runs in the container, as to a stage here; SIGKILL when it has not ended in time."""
        assert self._asked is not None
        with suppress(*engine.UNREACHABLE):
            if time.monotonic() - self._asked > STOP_S:
                connected.api.kill(container)
            elif not self._told:
                self._told = True
                every = connected.api.exec_create(container, ["/bin/sh", "-c", "kill -TERM -1"])
                connected.api.exec_start(every["Id"], detach=True)


def _say(code: int, why: str) -> int:
    print(f"error: {why}", file=sys.stderr, flush=True)
    return code


def main() -> None:
    spec, *command = sys.argv[1:]
    sys.exit(Supervisor(Spec(**json.loads(spec)), command).run())


if __name__ == "__main__":
    main()
