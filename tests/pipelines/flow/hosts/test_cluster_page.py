"""The commands of docs/cluster.md, run: a copy of this repository, a host in a clone of it, a stage made there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pipeline_copy
import pytest
from prefect_server import PrefectServer
from repository import ROOT, wait_for
from site_of_hosts import IDENTITY
from warm import Warm

PAGE = ROOT / "docs" / "cluster.md"
STAGE = "prepare@classification"


def commands() -> list[str]:
    """Of the page, in order."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(("dvc ", "git ", "make "))]


def test_the_page_names_options_that_there_are() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", PAGE.read_text(encoding="utf-8")))
    sources = ("pipelines/flow/__main__.py", "pipelines/flow/hosts/__main__.py", "benchmarks/hosts.py")
    sources += ("pipelines/flow/slurm/place.py", "pipelines/flow/slurm/supervisor.py")
    known = set(re.findall(r'"(--[a-z-]+)["=]', "".join((ROOT / name).read_text(encoding="utf-8") for name in sources)))
    assert named <= known, named - known


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.timeout(1200)
def test_its_commands_do_what_it_says(tmp_path: Path, prefect: PrefectServer, warm: Warm) -> None:
    laptop, host, store = tmp_path / "laptop", tmp_path / "host", tmp_path / "store"
    made = pipeline_copy.make(laptop, warm=warm)
    environment = made.environment | IDENTITY | {"PREFECT_API_URL": prefect.url, "PREFECT_HOME": str(tmp_path / "home")}
    environment |= {"STILLHOUSE_WARM": "0"}
    made.run("git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    made.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    (laptop / ".venv").symlink_to(ROOT / ".venv")
    made.environment.update(environment)
    made.run("git", "config", "push.autoSetupRemote", "true")
    made.run("python", "-m", "pipelines.sources")
    made.run("git", "add", "--all", ":!.venv")
    made.run("git", "commit", "--quiet", "-m", "the preset")
    *once, start, flow, _ = [line.replace("s3://bucket/pipeline", str(store)) for line in commands()]
    assert start == "make host POOL=cluster" and flow == 'make flow ARGS="--pool cluster"'
    start, flow = (line.replace("make", "make -o .venv/.installed") for line in (start, flow))  # the packages are there
    for line in once:
        made.run("sh", "-c", line)
    made.run("git", "clone", "--quiet", str(tmp_path / "origin.git"), str(host))
    (host / ".venv").symlink_to(ROOT / ".venv")
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(
            ["sh", "-c", f"exec {start}"], cwd=host, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: "stages at once" in (tmp_path / "log").read_text())
        done = made.run("sh", "-c", flow.replace("cluster", f"cluster {STAGE}"))
        assert f"{STAGE}: ran" in done.stdout, done.stdout
        assert "Data and pipelines are up to date" in made.dvc("repro", STAGE).stdout
        assert not (laptop / "data" / "classification" / "prepared").is_symlink()
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait(60)
