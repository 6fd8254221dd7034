"""SLURM's commands as far as the flow uses them, on this machine and without a daemon: called sbatch, squeue, scancel,
sinfo or sacct. Jobs are processes that really run, wait for free cores, and are really killed.

FAKE_SLURM names a folder: a file for each job; `cores`, how many there are; `away`, while which every command fails as
it does without a controller; `preempt-ID` takes a job's node away. A minute of `--time` is a second. One process a job
watches over it, as slurmstepd does.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOME = Path(os.environ["FAKE_SLURM"])
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "PREEMPTED")
PAGE = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def locked() -> Iterator[None]:
    with (HOME / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def jobs() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(HOME.glob("*.json"), key=lambda p: int(p.stem))}


def write(job: str, **values: Any) -> None:
    path = HOME / f"{job}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(known | values))
    aside.replace(path)


def sbatch(words: list[str]) -> None:
    words = [*([f"--time={limit}"] if (limit := os.environ.get("SBATCH_TIMELIMIT")) else []), *words]
    count = next(position for position, word in enumerate(words) if not word.startswith("--"))
    options = dict(word.removeprefix("--").partition("=")[::2] for word in words[:count])
    if "gres" in options:
        sys.exit("sbatch: error: Invalid generic resource (gres) specification")
    with locked():
        job = str(len(jobs()) + 1)
        script = HOME / f"{job}.sh"
        script.write_text(Path(words[count]).read_text())  # as SLURM keeps a copy of its own
        write(job, state="PENDING", options=options, words=[str(script), *words[count + 1 :]], submitted=time.time())
    command = [sys.executable, "-S", "-E", str(Path(__file__).resolve()), "run", job]
    subprocess.Popen(command, start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
    if (HOME / "forgetful").exists():  # it has the job, and the answer is lost
        (HOME / "forgetful").unlink()
        sys.exit("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    print(job)


def run(job: str) -> None:
    its = jobs()[job]
    options = its["options"]
    cores, total = int(options.get("cpus-per-task", 1)), int((HOME / "cores").read_text())
    if "exclusive" in options:
        cores = total
    while True:
        with locked():
            every = jobs()
            taken = sum(each["cores"] for each in every.values() if each["state"] == "RUNNING")
            if every[job]["state"] != "PENDING":
                return
            if taken + cores <= total:
                write(job, state="RUNNING", cores=cores, began=time.time())
                break
        time.sleep(0.02)
    environment = {**os.environ, "SLURM_JOB_ID": job, "SLURM_CPUS_ON_NODE": str(cores)}
    with Path(options["output"].replace("%%", "%")).open("wb") as output:
        how = {"cwd": options["chdir"], "env": environment, "stdin": -3, "stdout": output, "stderr": output}
        work = subprocess.Popen(["/bin/sh", *its["words"]], start_new_session=True, **how)
    write(job, group=work.pid)
    state = watched(job, work, options)
    with locked():
        write(job, state=state, ended=time.time())


def watched(job: str, work: subprocess.Popen[bytes], options: dict[str, str]) -> str:
    """Until it has ended, or is ended. Returns: its state."""
    end = time.monotonic() + float(options.get("time", 10**6))
    most = int(options["mem"].removesuffix("M")) * 2**20 if options.get("mem", "0") != "0" else 0
    why = ""
    while (code := work.poll()) is None:
        time.sleep(0.03)
        if jobs()[job]["state"] == "CANCELLED":
            why = "CANCELLED"
        elif (HOME / f"preempt-{job}").exists():
            why = "PREEMPTED"
        elif time.monotonic() > end:
            why = "TIMEOUT"
        elif most and used(work.pid) > most:
            why = "OUT_OF_MEMORY"
        if why:
            os.killpg(work.pid, signal.SIGKILL)
            work.wait()
            return why
    return "COMPLETED" if code == 0 else "FAILED"


def used(group: int) -> int:
    """Bytes of all processes of a group."""
    found = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(path.name)) == group:
                found += int((path / "statm").read_text().split()[1]) * PAGE
        except (OSError, ValueError):
            continue
    return found


def squeue(words: list[str]) -> None:
    options = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    for job, its in jobs().items():
        if options.get("jobs", job) != job or (its["state"] in ENDED and "states" not in options):
            continue
        said = {"%i": job, "%T": its["state"], "%k": its["options"].get("comment", "(null)")}
        said |= {"%N": "here" if its["state"] == "RUNNING" else "", "%r": "Resources"}
        print("|".join(said[word] for word in options["format"].split("|")))


def scancel(words: list[str]) -> None:
    job = words[-1]
    its = jobs()[job]
    if its["state"] in ENDED:
        return
    if "--signal=TERM" in words:
        if "group" in its:
            os.killpg(its["group"], signal.SIGTERM)
        return
    with locked():
        write(job, state="CANCELLED")


def main() -> None:
    name = Path(sys.argv[0]).name
    if name == "fake_slurm.py":
        return run(sys.argv[2])
    with (HOME / "asked").open("a") as file:
        file.write(name + "\n")
    if (HOME / "away").exists():
        sys.exit(f"{name}: error: Unable to contact slurm controller (connect failure)")
    if name == "sinfo":
        return print("fast,large|(null)")
    if name == "sacct":
        sys.exit("Slurm accounting storage is disabled")
    return {"sbatch": sbatch, "squeue": squeue, "scancel": scancel}[name](sys.argv[1:])


if __name__ == "__main__":
    main()
