"""Clusters for the tests of SLURM: the stand-in of `fake_slurm.py`, and a real one of a single node."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

FAKE = Path(__file__).with_name("fake_slurm.py")
DAEMONS = ("munged", "slurmctld", "slurmd")
CORES = 8
"""That the real node says it has: stages of the tests sleep."""
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthInfo=socket={home}/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/{tracked}
TaskPlugin=task/{task}
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams={memory}
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
ReturnToService=2
MailProg=/bin/true
KillWait=5
DefMemPerCPU=200
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 Boards=1 SocketsPerBoard={cores} CoresPerSocket=1 RealMemory=8000 Feature=fast
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=9
"""
GROUPS = """
CgroupPlugin=cgroup/v1
CgroupAutomount=yes
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
"""


@dataclass(frozen=True)
class Cluster:
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Of whoever uses it."""

    def call(self, *command: str) -> str:
        environment = {**os.environ, **self.variables}
        done = subprocess.run(command, env=environment, cwd=self.home, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def jobs(self) -> dict[str, str]:
        """Comments of those that have not ended, by their ids."""
        said = self.call("squeue", "--noheader", "--format=%i|%k")
        return dict(line.split("|", 1) for line in said.splitlines() if "stillhouse:" in line)


def fake(home: Path, cores: int = CORES) -> Cluster:
    """Its commands stand before all others in PATH."""
    programs = home / "bin"
    programs.mkdir(parents=True)
    for name in ("sbatch", "squeue", "scancel", "sinfo", "sacct"):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {home}/links/{name} "$@"\n')
        (programs / name).chmod(0o755)
        (home / "links").mkdir(exist_ok=True)
        (home / "links" / name).symlink_to(FAKE)
    (home / "cores").write_text(str(cores))
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return Cluster(home, {"FAKE_SLURM": str(home), "PATH": path})


def missing() -> str | None:
    """Why there can be no real one."""
    lacking = [name for name in DAEMONS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if lacking:
        return f"{', '.join(lacking)}: not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)"
    return None if os.geteuid() == 0 else "SLURM's daemons start jobs as their users, for which they are root"


@contextmanager
def real(home: Path) -> Iterator[Cluster]:
    """munged, slurmctld and slurmd on this machine, with ports and a key of their own."""
    for name in ("state", "spool"):
        (home / name).mkdir()
    (home / "munge.key").write_bytes(os.urandom(256))
    (home / "munge.key").chmod(0o400)
    for folder in (home, *home.parents[:-1]):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)  # munged refuses a socket that nobody can reach
    grouped = Path("/sys/fs/cgroup/memory/cgroup.procs").exists()
    host = socket.gethostname().split(".")[0]
    settings = SETTINGS.format(
        host=host,
        home=home,
        cores=CORES,
        controller=_port(),
        daemon=_port(),
        tracked="cgroup" if grouped else "linuxproc",
        task="cgroup" if grouped else "none",
        memory="NoShared" if grouped else "OverMemoryKill",
    )
    (home / "slurm.conf").write_text(settings)
    (home / "cgroup.conf").write_text(GROUPS if grouped else "")
    cluster = Cluster(home, {"SLURM_CONF": str(home / "slurm.conf")})
    environment = {**os.environ, **cluster.variables, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munge = ["--key-file", f"{home}/munge.key", "--socket", f"{home}/munge.sock", "--pid-file", f"{home}/munge.pid"]
    munge += ["--log-file", f"{home}/munge.log", "--seed-file", f"{home}/munge.seed", "--num-threads", "1"]
    commands = (["munged", "--foreground", "--force", *munge], ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", host])
    started = []
    try:
        with (home / "daemons.log").open("w") as log:
            for command in commands:
                started.append(
                    subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True)
                )
                time.sleep(1.0)
        deadline = time.monotonic() + 120
        while "idle" not in cluster.call("sinfo", "--noheader", "--format=%T"):
            assert time.monotonic() < deadline, (home / "slurmctld.log").read_text()[-3000:]
            time.sleep(0.5)
        yield cluster
    finally:
        cluster.call("scancel", "--user=root")
        deadline = time.monotonic() + 30
        while cluster.call("squeue", "--noheader").strip() and time.monotonic() < deadline:
            time.sleep(0.5)
        for process in reversed(started):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
