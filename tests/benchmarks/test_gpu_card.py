"""`benchmarks/gpu.sh`: what it brings, how it goes on after a failure, and that no CPU's figures are told as a card's.

The slow case runs all of it on the CPU, with the network cut.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pipeline_copy import make
from test_offline import without_network

from benchmarks.card import run, table, wheels
from benchmarks.card.subjects import CARD, CPU, SIZES

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"


def script(*words: str, root: Path = ROOT, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, "bash", str(root / "benchmarks" / "gpu.sh"), *words],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def figures() -> dict[str, Any]:
    """As `run` leaves them on a card, where one step has failed."""
    times = {str(size): {"fp32 CPU": 20.0 * size, "fp32": 3.25 * size, "fp16": 2.5 * size} for size in SIZES}
    ways = ("fp32 CPU", "fp32", "fp16")
    onnx = {
        "quality": {way: {"metric": "mAP", "value": 0.1234, "same": 0.5} for way in ways},
        "values": {way: {"model.onnx": 0.998} for way in ways[1:]},
        "ms": times,
        "ok": True,
    }
    trained = {"ok": True, "precision": "bf16-mixed", "images_per_s": 1200.0, "tflops": 40.0}
    return {
        **{
            "cpu": False,
            "card": "NVIDIA Card 9000",
            "memory_gib": 80.0,
            "driver": "600.1",
            "processor": "16 cores of X",
        },
        **{"versions": {"torch": "2.13.0", "onnxruntime": "1.31.1"}, "commit": "0" * 40},
        "steps": {
            "limit": {"ok": True, "tflops": {"fp32": 50.0, "bf16": 800.0}},
            "train bccd": trained,
            "loop bccd": {"ok": True, "images_per_s": 2400.0},
            "onnx bccd": onnx,
            "train tanaka": {"ok": False, "error": "ended with 1; last it said: out of memory"},
        },
    }


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run `bash benchmarks/gpu.sh table`"


def test_without_a_card_the_page_has_no_figures_and_says_how_to_make_them(tmp_path: Path) -> None:
    text = table.page(tmp_path)
    assert text.endswith(table.NONE)
    assert "bash benchmarks/gpu.sh run FOLDER --out card.json" in text


def test_a_cards_figures_bear_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MEASURED", tmp_path)
    assert table.keep(figures()).name == "nvidia-card-9000.json"
    text = table.page(tmp_path)
    assert table.NONE not in text
    for told in (
        "## NVIDIA Card 9000",
        "80 GiB, driver 600.1; 16 cores of X; torch 2.13.0, onnxruntime 1.31.1; at commit `000000000000`.",
        "| bccd | bf16-mixed | 1,200 images | 2,400 images | 0.50 | 40.0 | 5.0% |",
        "| tanaka | - | - | - | - | - | - |",
        "| bccd fp16 | 0.1234 mAP | 50% | 99.8% | 2.50 | 80.00 |",
        "- `train tanaka` failed: ended with 1; last it said: out of memory",
    ):
        assert told in text


@pytest.mark.parametrize("changed", [{"cpu": True}, {"card": None}])
def test_figures_of_a_cpu_are_told_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    monkeypatch.setattr(table, "MEASURED", tmp_path)
    with pytest.raises(ValueError, match="of a CPU"):
        table.keep(figures() | changed)
    assert not list(tmp_path.iterdir())


def test_what_must_be_brought_is_listed_with_its_bytes() -> None:
    """By a Python that has nothing installed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['wheels']; ",
    ]
    words[-1] += "import runpy; runpy.run_module('benchmarks.card.wheels', run_name='__main__')"
    lines = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    listed = {line.split()[1]: line.split()[0] for line in lines if "==" in line and "  (" not in line}
    pins = wheels.pins(wheels.LOCK.read_text(encoding="utf-8"))
    assert {f"{name}=={version}" for name, version in pins.items()} <= listed.keys() | {"--find-links"}
    for name in ("torch", "onnxruntime-gpu", "nvidia-cudnn-cu13", "nvidia-cublas"):
        assert int(listed[f"{name}=={pins[name]}"].replace(",", "")) > 10**8
    sizes = [int(size.replace(",", "")) for size in listed.values() if size[0].isdigit()]
    assert f"{sum(sizes):,}  bytes in {len(pins)} wheels" in "\n".join(lines)


def test_what_a_machine_has_is_not_brought() -> None:
    pins = wheels.pins(wheels.LOCK.read_text(encoding="utf-8"))
    have = f"Torch=={pins['torch']}\nnumpy==1.0\n"
    missing = wheels.missing(have)
    assert "torch" not in missing
    assert missing["numpy"] == pins["numpy"]
    (line,) = [line for line in wheels.listing(have) if f"numpy=={pins['numpy']}" in line]
    assert line.endswith("(there is 1.0)")


def test_all_limits_together_are_the_minutes_that_it_may_take() -> None:
    for cpu, subjects in ((False, CARD), (True, CPU)):
        steps = run.steps(cpu)
        assert sum(step.seconds for step in steps) <= 60 * run.MINUTES == 480
        assert {step.subject for step in steps} == {None, *(subject.name for subject in subjects)}


def test_a_step_that_fails_or_takes_too_long_is_told_and_the_next_one_begins(tmp_path: Path) -> None:
    done = run._one(run.Step("nothing", "nothing", None, 20.0), tmp_path, True, 20.0)
    assert not done["ok"]
    assert done["error"].endswith("No module named benchmarks.card.nothing")
    started = time.monotonic()
    late = run._one(run.Step("training", "limit", None, 0.2), tmp_path, True, 0.2)
    assert time.monotonic() - started < 5
    assert late["error"].startswith("not done within 0 s")
    assert "prepare" in run._one(run.Step("training", "train", "bccd", 9.0), tmp_path, True, 9.0)["error"]
    out = tmp_path / "out.json"
    assert run.run(tmp_path, out, cpu=True, minutes=0) == [step.key for step in run.steps(True)]
    assert "minutes were over" in json.loads(out.read_text())["steps"]["doctor"]["error"]


def test_the_script_says_what_it_is_for() -> None:
    done = script()
    assert done.returncode == 2
    for word in ("wheels", "prepare", "run", "table"):
        assert f"bash benchmarks/gpu.sh {word}" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_step_runs_on_the_cpu_without_a_network(tmp_path: Path) -> None:
    """In a checkout beside the prepared ones, which were moved as one would bring them."""
    here = make(tmp_path / "checkout", preset=None).folder
    made = script("prepare", str(tmp_path / "made"), "--cpu", root=here)
    assert made.returncode == 0, made.stderr[-3000:]
    brought = (tmp_path / "made").rename(tmp_path / "brought")
    out = tmp_path / "figures" / "card.json"
    done = script(
        "run", str(brought), "--cpu", "--minutes", "30", "--out", str(out), root=here, before=without_network()
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    found = json.loads(out.read_text(encoding="utf-8"))
    steps = found["steps"]
    assert list(steps) == [step.key for step in run.steps(True)]
    for subject in CPU:
        trained, loop = steps[f"train {subject.name}"], steps[f"loop {subject.name}"]
        assert trained["epochs"] == 2
        for speed in (trained, loop):
            assert speed[f"{subject.unit}_per_s"] > 0
            assert 0 < speed["tflops"] < 10
        onnx = steps[f"onnx {subject.name}"]
        assert onnx["provider"] == "CPUExecutionProvider"
        for way in ("fp32", "fp16"):
            assert onnx["kernels"][way]["CPUExecutionProvider"]["heavy"]
            assert min(onnx["values"][way].values()) > 0.5
        assert set(onnx["values"]["fp32"].values()) == {1.0}
    assert steps["strict"]["doctor"] == steps["strict"]["training, card hidden"] == "refused"
    refused = script("table", str(out), root=here)
    assert refused.returncode == 1
    assert "of a CPU" in refused.stderr
    assert not list((here / "benchmarks" / "card" / "measured").glob("*"))
