"""The pipeline in the CPU training image, as a worker runs it: a clone in a volume, a read-only root, no network."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pipeline_copy
import pytest
from built import Built
from engine import Engine

VOLUME = "stillhouse-test-workspace"
READY = "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/v2/health/ready')"
CHAIN = """
set -e
rm -rf /workspace/clone
git clone --quiet /source /workspace/clone
cd /workspace/clone
python -m pipelines.preset tiny
python -m pipelines.repro
dvc repro
"""


def homeless(engine: Engine) -> tuple[str, ...]:
    """As the stack runs it: of all folders only /tmp and the workspace can be written."""
    return (*engine.locked_down, "--env=HOME=/tmp")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The repository as another place offers it: the user in the image owns it, or git would not touch it."""
    folder = pipeline_copy.make(tmp_path / "source", preset=None).folder
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, 10001, 10001)
    for parent in (folder, *tmp_path.parents[:2], tmp_path):
        parent.chmod(parent.stat().st_mode | 0o055)
    return folder


@pytest.fixture
def workspace(engine: Engine) -> Iterator[Path]:
    """A named volume, as the stack has it; on this side of the container."""
    engine.call("volume", "rm", "--force", VOLUME, check=False)
    engine.call("volume", "create", VOLUME)
    yield Path(json.loads(engine.call("volume", "inspect", VOLUME).stdout)[0]["Mountpoint"])
    engine.call("volume", "rm", "--force", VOLUME, check=False)


@pytest.mark.timeout(2400)
def test_the_sample_chain_runs(engine: Engine, image: Callable[[str], Built], source: Path, workspace: Path) -> None:
    """Every stage of both tasks; then DVC finds nothing to do; the packages predict in the server's image."""
    options = [*homeless(engine), f"--volume={VOLUME}:/workspace", f"--volume={source}:/source:ro"]
    printed = engine.once(image("train-cpu").tag, "sh", "-c", CHAIN, options=options, timeout=2000)
    assert "Data and pipelines are up to date." in printed
    made = workspace / "clone" / "packages"
    assert {path.name for path in made.iterdir()} == {"detection", "translation"}
    assert (workspace / "clone" / ".stillhouse").is_dir()  # MLflow's runs, by default in SQLite
    _served(engine, image("serve").tag, made)


def _served(engine: Engine, tag: str, made: Path) -> None:
    code = (
        "import json, sys, urllib.request as r\n"
        "q = r.Request('http://127.0.0.1:8080/v1/translate', json.dumps({'text': sys.argv[1]}).encode(),"
        " {'Content-Type': 'application/json'})\n"
        "print(json.load(r.urlopen(q))['translations'][0]['text'])"
    )
    sample = json.loads((made / "translation" / "golden" / "samples.json").read_text(encoding="utf-8"))[0]
    options = [*engine.locked_down, "--network=none", f"--volume={made}:/packages:ro"]
    with engine.started(tag, "/packages/detection", "/packages/translation", options=options) as name:
        end = time.monotonic() + 60
        while engine.call("exec", name, "python", "-c", READY, check=False).returncode:
            assert time.monotonic() < end, engine.call("logs", name).stderr
            time.sleep(0.2)
        assert engine.call("exec", name, "python", "-c", code, sample["input"]).stdout.strip() == sample["output"]


def test_the_doctor_runs_where_there_is_no_clone(engine: Engine, image: Callable[[str], Built]) -> None:
    """The image's own code is there for an empty workspace; its default command."""
    options = [*homeless(engine), "--network=none"]
    done = engine.call("run", "--rm", *options, image("train-cpu").tag)
    assert "onnxruntime" in done.stdout


def test_a_clone_runs_its_own_code(engine: Engine, image: Callable[[str], Built]) -> None:
    script = "mkdir core && echo 'print(\"of the clone\")' > core/__init__.py && python -c 'import core'"
    assert engine.once(image("train-cpu").tag, "sh", "-c", script) == "of the clone\n"


@pytest.mark.parametrize(
    "command", ["prefect version", "mlflow --version", "dvc --version", "git --version", "tini -h"]
)
def test_the_stacks_tools_start(engine: Engine, image: Callable[[str], Built], command: str) -> None:
    assert engine.once(image("train-cpu").tag, *command.split(), options=homeless(engine)).strip()


def test_the_health_check_fails_on_a_workspace_that_cannot_be_written(
    engine: Engine, image: Callable[[str], Built], tmp_path: Path
) -> None:
    tag = image("train-cpu").tag
    for volume, healthy in ((VOLUME, True), (f"{tmp_path}", False)):
        options = [*engine.locked_down, "--network=none", f"--volume={volume}:/workspace"]
        with engine.started(tag, "sleep", "60", options=options) as name:
            assert engine.healthy(name) is healthy, volume
    engine.call("volume", "rm", "--force", VOLUME, check=False)
