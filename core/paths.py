"""Where each artifact lies. `dvc.yaml` names the same folders; `tests/test_dvc_yaml.py` holds the two together."""

from __future__ import annotations

from pathlib import Path

STATE = Path(".stillhouse")
"""What must outlive a stage but is no output: resume checkpoints, the tracking spool, locks, the download cache."""


def resume(name: str) -> Path:
    """Checkpoints from which a killed execution of a stage instance goes on; gone when the stage has finished."""
    return STATE / "resume" / name


def noted(task: str) -> Path:
    """Fingerprint of local raw data, in git: what DVC looks at in place of files that lie anywhere."""
    return Path("data", "sources", f"{task}.json")


def noted_weights(task: str) -> Path:
    """Likewise of a local file of initial weights."""
    return noted(task).with_suffix(".weights.json")


def prepared(task: str) -> Path:
    """Canonical dataset, as read from the source."""
    return Path("data", task, "prepared")


def validated(task: str) -> Path:
    """`dataset/` (clean rows), `quarantine.jsonl`, `validation.json`, `data_docs/`."""
    return Path("data", task, "validated")


def clean(task: str) -> Path:
    """The clean dataset, which every later stage reads."""
    return validated(task) / "dataset"


def augmented(task: str) -> Path:
    """`dataset/` (the augmented train split) and `contact_sheet.png`."""
    return Path("data", task, "augmented")


def trained_on(task: str, copies: bool) -> Path:
    """The dataset whose train split is learnt: the augmented one where the task makes copies, else the clean one."""
    return augmented(task) / "dataset" if copies else clean(task)


def checkpoint(task: str, variant: str) -> Path:
    """Architecture and weights of one variant, with its training curves."""
    return Path("models", task, variant, "checkpoint")


def model(task: str, variant: str, precision: str) -> Path:
    """A self-contained model folder: ONNX graphs and everything needed to predict."""
    return Path("models", task, variant, precision)


def evaluation(task: str, variant: str, precision: str) -> Path:
    """`metrics.json`, `resamples.json`, `predictions.jsonl`, `plots/`, `samples/` of one model folder."""
    return Path("evaluations", task, f"{variant}-{precision}")


def timing(task: str) -> Path:
    """`timing.json` and `calls.json`: what all model folders of a task take, measured against each other."""
    return Path("timings", task)


def explanation(task: str, variant: str, precision: str) -> Path:
    """What led a model folder to its predictions, on a few examples: PNG pictures or HTML fragments."""
    return Path("explanations", task, f"{variant}-{precision}")


def report(task: str) -> Path:
    """`report.html`, `comparison.json`, `pareto.png` over all variants and precisions of a task."""
    return Path("reports", task)


def package(task: str) -> Path:
    """The chosen model, ready to deploy."""
    return Path("packages", task)


def deploy(task: str) -> Path:
    """The package in the form of other servers: `triton/` (a model repository), `mlflow/` (a pyfunc model)."""
    return Path("deploy", task)
