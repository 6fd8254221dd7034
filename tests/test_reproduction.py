"""What `dvc repro` promises, with real DVC on a small sample: only what changed runs; the same seed, the same bytes.

Slow: each test repeats parts of the pipeline.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from pathlib import Path

import pipeline_copy
import pytest
from pipeline_copy import TOY, Copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def ran(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the stages that DVC ran."""
    return set(re.findall(r"Running stage '([^']+)'", done.stdout))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The tiny preset with the default's stages, run once from end to end."""
    copy = pipeline_copy.make(tmp_path_factory.mktemp("repro"))
    for task in ("detection", "translation"):
        copy.params({f"{task}.precisions": ["fp32", "int8"]})
    copy.run("python", "-m", "pipelines.matrix")
    copy.dvc("repro")
    return copy


def outputs(copy: Copy, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(copy.folder)): path.read_bytes() for path in sorted(copy.folder.glob(pattern))}


def test_a_second_run_does_nothing_in_under_two_seconds(copy: Copy) -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = copy.dvc("repro")
        times.append(time.perf_counter() - start)
        assert not ran(done)
        assert "Data and pipelines are up to date." in done.stdout
    assert min(times) < 2.0


def test_a_training_parameter_of_one_task_reruns_only_what_depends_on_it(copy: Copy) -> None:
    copy.params({"detection.train.weight_decay": 0.013})
    done = ran(copy.dvc("repro"))
    assert "train@detection" in done
    assert not {name for name in done if "translation" in name}
    assert not done & {"prepare@detection", "validate@detection", "augment@detection"}


def test_the_same_seed_gives_the_same_metrics_twice(copy: Copy) -> None:
    before = outputs(copy, "evaluations/*/*/metrics.json") | outputs(copy, "models/*/*/checkpoint/weights.safetensors")
    assert before
    copy.dvc("repro", "--force", "--single-item", "train@translation", "train@detection")
    copy.dvc("repro", "--force", "--single-item", "evaluate@detection-base-fp32", "evaluate@translation-base-fp32")
    after = outputs(copy, "evaluations/*/*/metrics.json") | outputs(copy, "models/*/*/checkpoint/weights.safetensors")
    assert after == before


def test_a_local_source_is_followed(copy: Copy, tmp_path: Path) -> None:
    """Changed files at a local path make prepare run again, through the wrapper that fingerprints them."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for split, count in (("train", 60), ("dev", 12), ("test", 12)):
        rows = [f"the {split} number {n} is here" for n in range(count)]
        (raw / f"{split}.en").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (raw / f"{split}.ja").write_text("\n".join(f"{split}の番号{n}はここです" for n in range(count)) + "\n", "utf-8")
    copy.params({"translation.data.source": str(raw)})
    target = ("python", "-m", "pipelines.repro", "prepare@translation")
    assert "prepare@translation" in ran(copy.run(*target))
    assert not ran(copy.run(*target))
    (raw / "test.en").write_text((raw / "test.en").read_text().replace("number", "figure"), encoding="utf-8")
    assert "prepare@translation" in ran(copy.run(*target))
    assert json.loads((copy.folder / "data/sources/translation.json").read_text())["count"] == 6


def test_initial_weights_are_followed(copy: Copy, tmp_path: Path) -> None:
    """A plain `dvc repro` trains on nothing that was not noted; what was noted and changes trains again, alone."""
    made = copy.folder / "models" / "translation" / "base" / "checkpoint"
    file = tmp_path / "start.safetensors"
    file.write_bytes((made / "weights.safetensors").read_bytes())
    copy.params({"translation.model.weights": str(file)})
    plain = copy.dvc("repro", "train@translation", check=False)
    assert plain.returncode and "run `python -m pipelines.sources`" in plain.stdout + plain.stderr
    copy.run("python", "-m", "pipelines.sources")
    assert ran(copy.dvc("repro", "train@translation")) == {"train@translation"}
    noted = json.loads((made / "initial.json").read_text())
    assert noted["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest() and not noted["absent"]
    wrapped = ("python", "-m", "pipelines.repro", "train@translation")
    assert not ran(copy.run(*wrapped))
    content = bytearray(file.read_bytes())
    content[-4:] = bytes(4)  # one number is 0 now
    file.write_bytes(content)
    assert ran(copy.run(*wrapped)) == {"train@translation"}


def test_a_task_of_the_least_goes_through(tmp_path: Path) -> None:
    """By plain `dvc repro`, its only task; then nothing is left to do, and an error above the budget ships nothing."""
    copy = pipeline_copy.make(tmp_path / "copy", preset=None)
    copy.add_toy(only=True)
    done = ran(copy.dvc("repro"))
    stages = {name.split("@")[0] for name in done} - {"plan"}
    assert stages == {"prepare", "validate", "train", "export", "evaluate", "compare", "package", "publish"}
    assert not ran(copy.dvc("repro"))
    assert json.loads((copy.folder / "reports" / TOY / "comparison.json").read_text())["chosen"] == ["base", "fp32"]
    budget = {"max_mb": 1.0, "max_ms": 1000.0, "max_loss": 0.5, "worst_quality": 0.0001}
    copy.params({f"{TOY}.compare.budget": budget})
    refused = copy.dvc("repro", check=False)
    assert refused.returncode and "worst_quality 0.0001: has" in refused.stderr
    assert {name.split("@")[0] for name in ran(refused)} == {"plan", "compare", "package"}
