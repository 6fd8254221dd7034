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
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):  # hundreds of processes would each compile what they import
    sys.dont_write_bytecode = False
gc.disable()  # until all is imported and collected, nothing of which is garbage: a quarter of that time
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path[1:1] = [str(ROOT / "tests"), str(ROOT / "tests" / "structure")]
pytest_plugins = ["budget", "faults", "left_out"]

os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

LONGEST = (
    "tests/test_contract.py",
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
FROZEN = {"modules": 0}
"""How many there were when all objects were last taken for lasting ones."""
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else a thread that waits for another spins, beside other tests


class Groups(LoadScopeScheduling):
    """For `make test`, which runs in several processes: what shares a costly fixture stays in one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(f"{SERVER}/"):
            return SERVER
        return str(Path(file).parent) if file.startswith(TOGETHER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no process is left with them at the end."""
    items.sort(key=lambda item: [not item.nodeid.startswith(start) for start in LONGEST])


def pytest_collection_finish() -> None:
    """From here on there is garbage; what is there now is not looked through for it again and again."""
    gc.freeze()
    gc.set_threshold(10 * gc.get_threshold()[0])  # tests import, too, and what they leave is soon gone
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Nor what a test has imported. Torch's threads are as they were, which stages that learn choose anew."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    if (torch := sys.modules.get("torch")) is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if len(sys.modules) > FROZEN["modules"] + 100:
        gc.collect()
        gc.freeze()
        FROZEN["modules"] = len(sys.modules)
