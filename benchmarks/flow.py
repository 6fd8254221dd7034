"""The flow against `dvc repro`: `python -m benchmarks.flow parallel|overhead|planning|sample|warm`.

parallel   40 stages in 5 layers of 8 (seeded sleeps and a little work, each stage after two of the layer before), with
           --jobs 8: wall time over the critical path, and `dvc repro` over the flow
overhead   12 stages that do nothing, one after another: seconds a stage more than bare `dvc repro`, and where they go
planning   a DAG of 1,000 stages: seconds to plan, and memory against that of 40 stages
sample     this repository's pipeline in two clones: `make flow` against `dvc repro`, and whether they make the same
warm       the preset tiny in clones, three times in turn: plain `dvc repro` against `make repro`, and the same question
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from benchmarks import same

ROOT = Path(__file__).parents[1]
LAYERS, WIDTH, SEED = 5, 8, 7
SHORTEST_S, LONGEST_S = 2.0, 12.0
WORK = """
import hashlib, json, pathlib, sys, time
began = time.time()
seconds, out, *deps = sys.argv[1:]
content = out + "".join(pathlib.Path(dep).read_text() for dep in deps)
for _ in range(20_000):
    content = hashlib.sha256(content.encode()).hexdigest()
time.sleep(float(seconds))
pathlib.Path(out).write_text(content)
pathlib.Path(out + ".times").write_text(json.dumps([began, time.time()]))
"""


@dataclass(frozen=True)
class Job:
    seconds: float
    parents: tuple[str, ...]


def layered(layers: int, width: int, seconds: tuple[float, float]) -> dict[str, Job]:
    """Stages by name; each layer's stages stand after two of the layer before."""
    draw = random.Random(SEED)  # noqa: S311 - nothing secret
    return {
        f"s{layer}_{row}": Job(
            round(draw.uniform(*seconds), 2),
            tuple(f"s{layer - 1}_{(row + step) % width}" for step in range(min(2, width))) if layer else (),
        )
        for layer in range(layers)
        for row in range(width)
    }


def write(folder: Path, jobs: Mapping[str, Job]) -> Path:
    """A DVC repository without git that has these stages."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n")
    (folder / "work.py").write_text(WORK)
    (folder / ".dvcignore").write_text("*.times\n")
    (folder / "dvc.yaml").write_text(stages(jobs))
    return folder


def stages(jobs: Mapping[str, Job]) -> str:
    """dvc.yaml of stages that run `work.py`."""
    declared = {
        name: {
            "cmd": " ".join([sys.executable, "work.py", str(job.seconds), name, *job.parents]),
            "deps": ["work.py", *job.parents],
            "outs": [name],
        }
        for name, job in jobs.items()
    }
    text: str = yaml.safe_dump({"stages": declared}, sort_keys=False)
    return text


def critical(jobs: Mapping[str, Job], seconds: Mapping[str, float]) -> float:
    """Seconds of the longest path."""
    ends: dict[str, float] = {}
    for name, job in jobs.items():
        ends[name] = seconds[name] + max((ends[parent] for parent in job.parents), default=0.0)
    return max(ends.values())


def run(folder: Path, *arguments: str) -> float:
    """Wall seconds of a Python module's run in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
    environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return seconds


def took(folder: Path, name: str) -> float:
    """Seconds of a stage's own process (from its first line to its last)."""
    began, ended = json.loads((folder / f"{name}.times").read_text())
    return float(ended - began)


def parallel(scratch: Path) -> Iterator[str]:
    jobs = layered(LAYERS, WIDTH, (SHORTEST_S, LONGEST_S))
    by_flow, by_dvc, shown = (write(scratch / kind, jobs) for kind in ("flow", "dvc", "prefect"))
    flow = run(by_flow, "pipelines.flow", "--bare", "--no-prefect", "--jobs", str(WIDTH))
    prefect = run(shown, "pipelines.flow", "--bare", "--jobs", str(WIDTH))
    longest = critical(jobs, {name: took(by_flow, name) for name in jobs})
    serial = run(by_dvc, "dvc", "repro")
    equal = all((by_flow / name).read_text() == (by_dvc / name).read_text() for name in jobs)
    locks = [yaml.safe_load((folder / "dvc.lock").read_text()) for folder in (by_flow, by_dvc)]
    yield f"{len(jobs)} stages, fan-out {WIDTH}, --jobs {WIDTH}"
    yield f"critical path (the stages' own time)   {longest:8.1f} s"
    yield f"flow                                   {flow:8.1f} s   {flow / longest:.3f} of the critical path (<= 1.15)"
    yield f"flow, with a Prefect server of its own {prefect:8.1f} s   {prefect / longest:.3f}"
    yield f"dvc repro                              {serial:8.1f} s   {serial / flow:.2f} times the flow (>= 4)"
    yield f"same outputs: {equal}; same dvc.lock but for its order: {locks[0] == locks[1]}"


def overhead(scratch: Path) -> Iterator[str]:
    jobs = {f"s{n}": Job(0.0, (f"s{n - 1}",) if n else ()) for n in range(12)}
    rounds = []
    for number in range(3):
        by_flow, by_dvc = (write(scratch / f"{kind}{number}", jobs) for kind in ("flow", "dvc"))
        flow = run(by_flow, "pipelines.flow", "--bare", "--no-prefect", "--jobs", "1")
        rounds.append((flow, run(by_dvc, "dvc", "repro")))
    flow, serial = (sorted(values)[1] for values in zip(*rounds, strict=True))
    yield f"{len(jobs)} empty stages in a row, median of {len(rounds)} interleaved rounds"
    yield f"flow {flow:.2f} s, dvc repro {serial:.2f} s: {(flow - serial) / len(jobs):.2f} s more a stage (<= 1.5)"
    last = scratch / "flow2"
    spans = [(event["started"], event["ended"]) for event in _attempts(last)]
    begins = [json.loads((last / f"{name}.times").read_text()) for name in jobs]
    before = sum(begin - start for (start, _), (begin, _) in zip(spans, begins, strict=True)) / len(jobs)
    inside = sum(end - begin for begin, end in begins) / len(jobs)
    after = sum(over - end for (_, over), (_, end) in zip(spans, begins, strict=True)) / len(jobs)
    between = sum(later[0] - earlier[1] for earlier, later in pairwise(spans)) / (len(jobs) - 1)
    yield f"of a stage: {before:.2f} s until it begins (fork, DVC reads and hashes, the shell and Python start),"
    yield f"            {inside:.2f} s its own, {after:.2f} s after it (DVC hashes, caches, writes dvc.lock),"
    yield f"            {between:.2f} s to the next"


def _attempts(folder: Path) -> list[dict[str, float]]:
    newest = max((folder / ".stillhouse" / "flow").glob("*/attempts.jsonl"))
    return [json.loads(line) for line in newest.read_text().splitlines()]


def planning(scratch: Path) -> Iterator[str]:
    found = {}
    for layers in (5, 125):
        folder = write(scratch / f"plan{layers}", layered(layers, WIDTH, (0.0, 0.0)))
        code = (
            "import time, resource; from pipelines.flow import plan; start = time.perf_counter(); made = plan.make();"
            "print(len(made.steps), time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        count, seconds, peak = done.stdout.split()
        found[int(count)] = float(seconds), int(peak) / 1024
    (few, small), (many, large) = sorted(found.items())
    yield f"{few} stages: planned in {small[0]:.2f} s, {small[1]:.0f} MB at most"
    ratio = large[1] / small[1]
    yield f"{many} stages: planned in {large[0]:.2f} s (< 5), {large[1]:.0f} MB at most, {ratio:.2f} of {few} stages'"


def sample(scratch: Path) -> Iterator[str]:
    """Threads are set to 1 in both, so that stages that learn run side by side on two cores, too."""
    seconds = {}
    for kind in ("flow", "dvc"):
        folder = scratch / kind
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        params = folder / "params.yaml"
        text = params.read_text().replace("threads: 0 ", "threads: 1 ", 1)
        params.write_text(text.replace("learning_threads: 2 ", "learning_threads: 1 ", 1))
        run(folder, "pipelines.sources")
        module = ["pipelines.flow", "--jobs", "2"] if kind == "flow" else ["dvc", "repro"]
        seconds[kind] = run(folder, *module)
    ratio = seconds["dvc"] / seconds["flow"]
    yield f"flow {seconds['flow']:.0f} s, dvc repro {seconds['dvc']:.0f} s: {ratio:.2f} times the flow"
    other = same.different(scratch / "flow", scratch / "dvc")
    count = sum(name.partition("@")[0] not in same.CHOSEN_BY_TIME for name in same.outputs(scratch / "dvc"))
    yield f"{count - len(other)} of {count} stages made the same, times apart; others: {other or 'none'}"


def warm(scratch: Path) -> Iterator[str]:
    ratios = []
    for number in range(3):
        seconds = {}
        for kind in ("dvc", "make") if number % 2 else ("make", "dvc"):
            folder = scratch / f"{kind}{number}"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
            run(folder, "pipelines.preset", "tiny")
            run(folder, "pipelines.sources")
            seconds[kind] = run(folder, "dvc", "repro") if kind == "dvc" else run(folder, "pipelines.repro")
        ratios.append(seconds["dvc"] / seconds["make"])
        yield f"dvc repro {seconds['dvc']:.0f} s, make repro {seconds['make']:.0f} s: {ratios[-1]:.2f}"
    yield f"median: plain dvc repro takes {sorted(ratios)[1]:.2f} times as long"
    other = same.different(scratch / "make0", scratch / "dvc0")
    yield f"stages that made something else, times apart: {other or 'none'}"


def main() -> None:
    kinds = {"parallel": parallel, "overhead": overhead, "planning": planning, "sample": sample, "warm": warm}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=kinds)
    chosen = parser.parse_args().kind
    scratch = Path(tempfile.mkdtemp(prefix="stillhouse-benchmark-"))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {load:.1f}", flush=True)
    try:
        for line in kinds[chosen](scratch):
            print(line, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
