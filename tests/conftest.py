"""Puts the repository root on the path, keeps every library quiet and offline."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it runs in the background, and all
    signal.signal(signal.SIGINT, signal.default_int_handler)  # processes that are sent Ctrl-C here would inherit it
gc.disable()  # until all is imported and collected, nothing of which is garbage: a quarter of that time
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path[1:1] = [str(ROOT / "tests"), str(ROOT / "tests" / "structure")]
pytest_plugins = ["budget", "faults"]

os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

CONTRACT = "tests/test_contract.py"
LONGEST = (
    CONTRACT,
    "tests/pipelines/flow/",
    "tests/pipelines/deploy/",
    "tests/serving/",
    "tests/training/",
    "tests/tasks/",
    "tests/ops/test_tracking",
    "tests/test_",
)
"""First to last: minutes to seconds."""
SERVER = "tests/pipelines/flow"
"""Its folders share a Prefect server, too."""
TOGETHER = ("tests/tasks/", "tests/pipelines/", "tests/ops/repair/", "tests/serving/")
"""Folders whose tests share what their conftest makes for a whole session."""
SERVERS = "servers and not slow"
"""As `make test-servers` chooses its cases."""
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))


class Groups(LoadScopeScheduling):
    """For `make test`, which runs in several processes: what shares a costly fixture stays in one."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if file == CONTRACT:
            return file + test.partition("[")[2]  # a pipeline for each task
        if file.startswith(f"{SERVER}/"):
            return SERVER
        return str(Path(file).parent) if file.startswith(TOGETHER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tier `servers` imports the files that name its marker: to import all takes ten seconds in each process."""
    if config.getoption("markexpr") != SERVERS or collection_path.suffix != ".py":
        return None  # as ever
    return None if "mark.servers" in collection_path.read_text(encoding="utf-8") else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no process is left with them at the end."""
    items.sort(key=lambda item: [not item.nodeid.startswith(start) for start in LONGEST])


def pytest_collection_finish() -> None:
    """From here on there is garbage; what is there now is not looked through for it again and again."""
    gc.freeze()
    gc.enable()
