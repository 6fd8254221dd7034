"""What tests cost is measured with their processes, kept from run to run, and fails when it is too much."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import budget
import pytest

CASES = """
import subprocess, sys, time
BUSY = "import time\\nwhile time.process_time() < 0.5: pass"
def test_by_itself():
    while time.process_time() < 0.3: pass
def test_by_a_process_that_ended(): subprocess.run([sys.executable, "-c", BUSY], check=True)
def test_by_a_process_of_a_process_that_is_there():
    again = "import subprocess, sys, time; "
    again += f"subprocess.run([sys.executable, '-c', {BUSY!r}]); print(flush=True); time.sleep(30)"
    global left
    left = subprocess.Popen([sys.executable, "-c", again], stdout=subprocess.PIPE)
    left.stdout.readline()
def test_that_waits():
    left.kill()
    left.wait()
    time.sleep(0.5)
"""


def run(folder: Path, cases: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """pytest in a process of its own, with the plugin alone; what it kept of the run."""
    (folder / "test_it.py").write_text(cases)
    command = [sys.executable, "-m", "pytest", "-p", "budget", "--budget", "quick", "-c", "/dev/null", *arguments]
    if "-n" in arguments:
        command += ["-p", "xdist.plugin"]
    environment = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # others take a second to import
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(budget.__file__).parent),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
    }
    done = subprocess.run(
        [*command, "test_it.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done, budget.read(folder / "cache" / "stillhouse" / "tests" / "quick.json")[-1]


@pytest.mark.parametrize(
    "arguments",
    [pytest.param((), id="here", marks=pytest.mark.slow), pytest.param(("-n", "1"), id="through xdist")],
)
def test_a_case_costs_what_its_processes_do(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done, kept = run(tmp_path, CASES, *arguments)
    assert done.returncode == 0, done.stdout
    spent = {name.rpartition("::")[2]: sum(parts.values()) for name, parts in kept["slowest"].items()}
    assert kept["cases"] == 4 and kept["cpu_s"] == pytest.approx(sum(spent.values()), abs=0.1)
    for name in ("test_by_a_process_that_ended", "test_by_a_process_of_a_process_that_is_there"):
        assert spent[name] >= 0.4  # of 0.5; the kernel counts in ticks of 0.01
    assert spent["test_that_waits"] < 0.3


def test_a_run_over_budget_ends_with_one(tmp_path: Path) -> None:
    """The second time; a tier that is dear once had a bad day."""
    cheap = "def test_it(): pass\n"
    kept = tmp_path / "cache" / "stillhouse" / "tests" / "quick.json"
    program = "import budget\nbudget.BUDGETS_S['quick'] = 0.0\n"
    (tmp_path / "conftest.py").write_text(program)
    busy = (
        "import time\ndef test_it():\n    end = time.process_time() + 0.2\n    while time.process_time() < end: pass\n"
    )
    first, second = (run(tmp_path, busy)[0] for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 1)
    assert "over budget: the tier took" in second.stdout and "over budget" not in first.stdout
    (tmp_path / "conftest.py").write_text("")
    assert run(tmp_path, cheap)[0].returncode == 0
    assert len(json.loads(kept.read_text())) == 3


def test_a_case_alone_may_be_too_dear() -> None:
    cases = {"a": {"setup": 500.0, "call": 1.0}, "b": {"setup": 0.0, "call": budget.CASE_S + 1}}
    (fault,) = budget.faults("quick", budget.summary(cases, 1.0), None)
    assert fault.startswith("b took 21.0 CPU s")


def test_a_damaged_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "quick.json").write_text("[{")
    assert budget.read(tmp_path / "quick.json") == budget.read(tmp_path / "none.json") == []


def test_a_tier_is_found_by_its_marker_alone() -> None:
    """`tests/left_out.py` imports the files for it that name the marker: a case marked elsewhere would not be run."""
    root = Path(budget.__file__).parent
    for tier, least in (("servers", 15), ("models", 15)):
        paths = [path for path in root.rglob("*.py") if f"mark.{tier}" in path.read_text(encoding="utf-8")]
        named = {path.relative_to(root).as_posix() for path in paths} - {"conftest.py", "test_costs.py"}
        assert all(Path(name).name.startswith("test_") for name in named) and len(named) > least
        assert f'pytest -m "{tier} and not slow"' in (root.parent / "Makefile").read_text(encoding="utf-8")
