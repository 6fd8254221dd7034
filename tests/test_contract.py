"""Every task goes through every stage with a tiny model, by the very commands of dvc.yaml."""

from __future__ import annotations

import itertools
import json
import math
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pipeline_copy
import pytest
import yaml

from core import params, paths, tracking

pytestmark = pytest.mark.timeout(1200)  # the fixture runs a whole pipeline
TASKS = ["detection", "translation"]


@pytest.fixture(scope="module", params=TASKS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run all stages of one task in this process, in DVC's order; yields the task, in the copy's folder."""
    task = request.param
    copy = pipeline_copy.make(tmp_path_factory.mktemp(task))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy.folder)
        patch.setattr(sys, "argv", [])
        head = params.read(Path("params.yaml"))
        stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
        with tracking.sending():
            for name, stage in stages.items():
                axes = [head[value[2:-1]] for key, value in stage["matrix"].items() if key != "task"]
                for item in itertools.product(*axes):
                    sys.argv = [f"stages.{name}", task, *item]
                    runpy.run_module(f"stages.{name}", run_name="__main__")
        yield task


def test_every_variant_and_precision_is_scored(finished: str) -> None:
    head, _ = params.load()
    for variant, precision in itertools.product(head.variants, head.precisions):
        folder = paths.evaluation(finished, variant, precision)
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["metrics"], folder
        assert all(math.isfinite(value) for value in metrics["metrics"].values())
        latency = json.loads((folder / "latency.json").read_text())
        assert latency["batch_1"]["median_ms"] > 0
    int8 = sum(p.stat().st_size for p in paths.model(finished, "base", "int8").glob("*.onnx"))
    fp32 = sum(p.stat().st_size for p in paths.model(finished, "base", "fp32").glob("*.onnx"))
    assert int8 < fp32  # a tiny model is mostly graph, little weight


def test_the_report_names_every_candidate(finished: str) -> None:
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    head, _ = params.load()
    assert len(comparison["rows"]) == len(head.variants) * len(head.precisions)
    html = (paths.report(finished) / "report.html").read_text(encoding="utf-8")
    assert all(row["variant"] in html for row in comparison["rows"])
    plain = html.replace("http://www.w3.org", "")
    assert "http://" not in plain and "https://" not in plain


def test_the_package_predicts_what_it_promised(finished: str) -> None:
    from core import passport, task

    package = paths.package(finished)
    assert passport.verify(package) == []
    samples = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))
    inputs = [package / "golden" / s["file"] if "file" in s else s["input"] for s in samples]
    predictor = task.load(finished, "predict").Predictor(package / "model")
    assert json.loads(json.dumps(predictor(inputs))) == [sample["output"] for sample in samples]


def test_the_passport_names_every_run_that_made_the_model(finished: str) -> None:
    links = json.loads((paths.package(finished) / "passport.json").read_text(encoding="utf-8"))["links"]
    (runs,) = (link["value"] for link in links if link["name"] == "runs")
    assert {name.split("@")[0] for name in runs} >= {"train", "export", "evaluate", "package"}
    assert all(runs.values()), runs


def test_the_choice_was_made_on_validation_figures(finished: str) -> None:
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    for row in comparison["rows"]:
        folder = paths.evaluation(finished, row["variant"], row["precision"])
        metrics = json.loads((folder / "metrics.json").read_text())
        assert row["quality"] == metrics["val"]["metrics"][comparison["metric"]]
        assert row["test"] == metrics["metrics"][comparison["metric"]]
    assert comparison["verdict"]["passed"] == (comparison["chosen"] is not None)


def test_each_stage_has_one_run(finished: str) -> None:
    from mlflow import MlflowClient

    from core import tracking

    client = MlflowClient(tracking.uri())
    (experiment,) = client.search_experiments(filter_string="name = 'stillhouse'")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = [run.info.run_name for run in runs]
    stages = [name for name in names if "@" in name]
    assert len(stages) == len(set(stages))
    assert {f"train@{finished}", f"package@{finished}"} <= set(names)
    assert all(run.info.status == "FINISHED" for run in runs if "@" in run.info.run_name)
