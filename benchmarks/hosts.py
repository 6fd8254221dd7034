"""The flow over several hosts: `python -m benchmarks.hosts parallel|overhead [--objects URL]`.

parallel   40 stages in 5 layers of 8 (seeded sleeps, each after two stages of the layer before) on 1, 2 and 4 hosts
           that take 8 stages at once together: wall time from the first order to the last entry, over the critical path
           of the stages' own time
overhead   12 stages that do nothing, one after another, on one host: seconds a stage, and where they go

All hosts are processes of this machine with clones, caches and DVC settings of their own, so that their work for 8
stages shares its cores: the stages sleep, and what is measured is the overhead of all that is around them. The server
is Prefect's own with SQLite; the remote is a folder, or the S3 bucket that --objects names (s3://BUCKET/PATH, with
AWS_ENDPOINT_URL and keys in the environment).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.flow import LAYERS, ROOT, SEED, WIDTH, Job, critical, stages
from pipelines.flow.server import QUIET, answers

SHORTEST_S, LONGEST_S = 5.0, 30.0
WORK = """
import hashlib, json, pathlib, sys, time
began = time.time()
seconds, out, *deps = sys.argv[1:]
content = out + "".join(pathlib.Path(dep).read_text() for dep in deps)
time.sleep(float(seconds))
pathlib.Path(out).write_text(hashlib.sha256(content.encode()).hexdigest())
print("TIMES", json.dumps([began, time.time()]), flush=True)
"""


def layered(seconds: tuple[float, float]) -> dict[str, Job]:
    """As `benchmarks.flow.layered`, with sleeps of their own."""
    draw = random.Random(SEED)  # noqa: S311 - nothing secret
    return {
        f"s{layer}_{row}": Job(
            round(draw.uniform(*seconds), 2),
            tuple(f"s{layer - 1}_{(row + step) % WIDTH}" for step in range(2)) if layer else (),
        )
        for layer in range(LAYERS)
        for row in range(WIDTH)
    }


def environment(home: Path, url: str) -> dict[str, str]:
    home.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "STILLHOUSE_"))}
    own = {"PYTHONPATH": str(ROOT), "HOME": str(home), "PREFECT_HOME": str(home / ".prefect"), "PREFECT_API_URL": url}
    own["DVC_SITE_CACHE_DIR"] = str(home / ".site-cache")
    return {**kept, **QUIET, **own, "DVC_NO_ANALYTICS": "1"}


@contextmanager
def process(home: Path, url: str, *words: str) -> Iterator[None]:
    """A Python module that runs within the block."""
    own = environment(home, url)
    with (home / "log").open("a") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=home, env=own, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a Prefect server."""
    port = 4271
    url = f"http://127.0.0.1:{port}/api"
    with process(folder, url, "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(port)):
        deadline = time.monotonic() + 120
        while not answers(url, 1.0):
            if time.monotonic() > deadline:
                sys.exit((folder / "log").read_text()[-2000:])
            time.sleep(0.5)
        yield url


def repository(folder: Path, jobs: Mapping[str, Job], remote: str) -> Path:
    """A git and DVC repository that has these stages and the remote as its default one."""
    (folder / ".dvc").mkdir(parents=True)
    config = f"[core]\nanalytics = false\ncheck_update = false\nremote = store\n['remote \"store\"']\nurl = {remote}\n"
    (folder / ".dvc" / "config").write_text(config)
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / "work.py").write_text(WORK)
    (folder / ".gitignore").write_text("".join(f"/{name}\n" for name in ["dvc.lock", ".stillhouse", *jobs]))
    (folder / "dvc.yaml").write_text(stages(jobs))
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "stages"]):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    return folder


@contextmanager
def hosts(scratch: Path, url: str, pool: str, planner: Path, count: int, slots: int) -> Iterator[None]:
    """Hosts at work within the block, of `slots` stages each."""
    if count == 0:
        yield
        return
    name = f"{pool}-{count}"
    words = ["pipelines.flow.hosts", pool, "--name", name, "--repository", str(planner), "--home", "host"]
    own = process(scratch / name, url, *words, "--slots", str(slots), "--cores", str(slots))
    with own, hosts(scratch, url, pool, planner, count - 1, slots):
        while "stages at once" not in (scratch / name / "log").read_text():
            time.sleep(0.2)
        yield


def flow(planner: Path, home: Path, url: str, pool: str) -> float:
    """Seconds of `make flow ARGS="--pool ..."`, all of it."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.flow", "--bare", "--no-prefect", "--pool", pool],
        cwd=planner,
        env=environment(home, url),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"the flow failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - began


def attempts(planner: Path) -> dict[str, tuple[float, float]]:
    """When each stage was ordered, and when its entry was recorded."""
    (path,) = planner.glob(".stillhouse/flow/*/attempts.jsonl")
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return {line["stage"]: (line["started"], line["ended"]) for line in lines}


def times(planner: Path, name: str) -> tuple[float, float]:
    """When a stage's own process began and ended, by its log."""
    (path,) = planner.glob(f".stillhouse/flow/*/{name}.log")
    line = next(line for line in path.read_text().splitlines() if line.startswith("TIMES "))
    began, ended = json.loads(line.removeprefix("TIMES "))
    return float(began), float(ended)


def parallel(scratch: Path, objects: str | None) -> Iterator[str]:
    jobs = layered((SHORTEST_S, LONGEST_S))
    yield f"{len(jobs)} stages of {SHORTEST_S:.0f} to {LONGEST_S:.0f} s, fan-out {WIDTH}, {WIDTH} at once"
    outputs = []
    with server(scratch / "server") as url:
        for count in (1, 2, 4):
            pool = f"pool{count}"
            store = f"{objects.rstrip('/')}/{pool}" if objects else str(scratch / f"store{count}")
            planner = repository(scratch / f"planner{count}", jobs, store)
            with hosts(scratch, url, pool, planner, count, WIDTH // count):
                whole = flow(planner, scratch / "home", url, pool)
            spans, own = attempts(planner), {name: times(planner, name) for name in jobs}
            longest = critical(jobs, {name: end - begin for name, (begin, end) in own.items()})
            wall = max(end for _, end in spans.values()) - min(begin for begin, _ in spans.values())
            a_stage = sum(spans[name][1] - spans[name][0] - (own[name][1] - own[name][0]) for name in jobs) / len(jobs)
            settled = (
                "up to date"
                in subprocess.run(
                    [sys.executable, "-m", "dvc", "repro"], cwd=planner, capture_output=True, text=True, check=False
                ).stdout
            )
            outputs.append({name: (planner / name).read_text() for name in jobs})
            yield (
                f"{count} host{'s' * (count > 1)}: {wall:.1f} s over the critical path of {longest:.1f} s: "
                f"{wall / longest:.3f} (<= 1.25); {a_stage:.2f} s a stage (<= 3); {whole - wall:.1f} s around it; "
                f"dvc repro does nothing: {settled}"
            )
    yield f"same outputs on 1, 2 and 4 hosts: {outputs[0] == outputs[1] == outputs[2]}"


def overhead(scratch: Path, objects: str | None) -> Iterator[str]:
    jobs = {f"s{n}": Job(0.0, (f"s{n - 1}",) if n else ()) for n in range(12)}
    with server(scratch / "server") as url:
        planner = repository(scratch / "planner", jobs, objects or str(scratch / "store"))
        with hosts(scratch, url, "pool", planner, 1, 1):
            flow(planner, scratch / "home", url, "pool")
    spans = [attempts(planner)[name] for name in jobs]
    own = [times(planner, name) for name in jobs]
    before = sorted(begin - start for (start, _), (begin, _) in zip(spans, own, strict=True))
    after = sorted(over - end for (_, over), (_, end) in zip(spans, own, strict=True))
    each = sorted(over - start - (end - begin) for (start, over), (begin, end) in zip(spans, own, strict=True))
    middle = len(jobs) // 2
    yield f"{len(jobs)} empty stages in a row on one host: {each[middle]:.2f} s a stage (<= 3), most {each[-1]:.2f} s"
    yield f"of it: {before[middle]:.2f} s until it begins (order, queue, fork, checkout, inputs),"
    yield f"       {after[middle]:.2f} s after it (DVC caches, pushes; handed back, recorded)"


def main() -> None:
    kinds = {"parallel": parallel, "overhead": overhead}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--objects", help="URL of a DVC remote, such as s3://bucket/path; default: a folder")
    chosen = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="stillhouse-benchmark-"))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    remote = "S3" if chosen.objects else "a folder"
    print(f"{platform.machine()}, {cores} cores, load {load:.1f}, remote: {remote}", flush=True)
    try:
        for line in kinds[chosen.kind](scratch, chosen.objects):
            print(line, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
