"""Every task goes through every stage with a tiny model, by the very commands of dvc.yaml."""

from __future__ import annotations

import itertools
import json
import math
import runpy
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pipeline_copy
import pytest
import triton_config
from pipeline_copy import TOY
from reached import watch
from warm import MLFLOW, Warm

from core import matrix, paths, task
from core.params import load
from evaluation import memory
from ops import tracking
from ops.tracking import courier

pytestmark = [pytest.mark.models, pytest.mark.timeout(1200)]  # the fixture runs a whole pipeline
SMALL = {"distill": {}, "precisions": ["fp32", "int8"]}
"""Of a task's params: `base` and one variant more. Every variant in every precision is for the tier `slow`, and for
`make repro` of the preset `tiny`, which `.ci/run` runs."""
DEAR: dict[str, dict[str, Any]] = {
    "detection": {"prune": {}, "model.backbone": "cnn", "model.weights": "none", "train.freeze_blocks": 0},
    "translation": {"prune": {}},
    "speech": {"prune": {}},
    "series": {
        "prune": {},
        "data.sample.steps": 300,
        "model.width": 16,
        "train.epochs": 2,
        "timing.rounds": 20,
        "timing.patience_s": 0,
        "evaluate.bootstrap": 40,
        "evaluate.samples": 2,
        "compare.budget.worst_quality": 50.0,
    },
}
"""Likewise, of tasks whose graphs take seconds to export: `base` alone, on few layers."""


def cases() -> Iterator[Any]:
    for name in task.names():
        yield pytest.param((name, True), id=name)
        yield pytest.param((name, False), id=f"{name}-full", marks=pytest.mark.slow)
    yield pytest.param((TOY, False), id=TOY)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(*MLFLOW) as running:
        yield running


@pytest.fixture(scope="module")
def predicting() -> Iterator[Warm]:
    """Has imported what processes that only predict do, one of which is started for every model."""
    with Warm("onnxruntime", "PIL.Image", "pydantic", "yaml") as running:
        yield running


@pytest.fixture(scope="module", params=cases())
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, warm: Warm, predicting: Warm
) -> Iterator[str]:
    """Run all stages of one task in this process, in DVC's order; yields the task, in the copy's folder."""
    name, small = request.param
    reached()
    copy = pipeline_copy.make(tmp_path_factory.mktemp(name), warm=predicting)
    if name == TOY:
        copy.add_toy(only=True)
    else:
        changes = SMALL | DEAR.get(name, {}) if small else {}
        copy.params({"tasks": [name]} | {f"{name}.{key}": value for key, value in changes.items()})
        copy.plan()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy.folder)
        patch.setattr(sys, "argv", [])
        warm.starts(courier, patch)
        patch.setattr(memory, "subprocess", SimpleNamespace(run=lambda command, **how: predicting.run(command)))
        if name == TOY:
            found_in(copy, patch)
        with tracking.sending():
            for stage, keys in matrix.read().items():
                for item in keys.values():
                    sys.argv = [f"stages.{stage}", name, *(item[axis] for axis in matrix.AXES if axis in item)]
                    runpy.run_module(f"stages.{stage}", run_name="__main__")
        yield name
    task._place.cache_clear()


@cache
def reached() -> list[str]:
    """Attempts of this process to reach another machine, since the first call."""
    told: list[str] = []
    watch(told.append)
    return told


def found_in(copy: pipeline_copy.Copy, patch: pytest.MonkeyPatch) -> None:
    """Have this process look for tasks in the copy, too, as one that is started there does."""
    import tasks
    from ops.tracking import model

    patch.setattr(task, "ROOT", copy.folder)
    patch.setattr(model, "ROOT", copy.folder)
    patch.setattr(tasks, "__path__", [*tasks.__path__, str(copy.folder / "tasks")])
    task._place.cache_clear()


def test_every_variant_and_precision_is_scored(finished: str) -> None:
    params = load()[1][finished]
    for variant, precision in itertools.product(matrix.variants(params), params.precisions):
        folder = paths.evaluation(finished, variant, precision)
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["metrics"], folder
        assert all(math.isfinite(value) for value in metrics["metrics"].values())
        timed = json.loads((paths.timing(finished) / "timing.json").read_text())["candidates"][f"{variant}-{precision}"]
        assert (
            timed["batch_1"]["speed"]["low"] <= timed["batch_1"]["speed"]["value"] <= timed["batch_1"]["speed"]["high"]
        )
        assert timed["memory_mb"] > 0
    if "int8" in params.precisions:
        whole, of_bytes = (weights_kb(paths.model(finished, "base", precision)) for precision in ("fp32", "int8"))
        assert of_bytes < whole  # of its weights: a tiny model is mostly graph


def weights_kb(folder: Path) -> float:
    """Of the tensors that the graphs of a model folder store."""
    import onnx

    stored = (tensor for path in folder.glob("*.onnx") for tensor in onnx.load(str(path)).graph.initializer)
    return sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in stored) / 1000


def test_no_stage_tries_to_reach_another_machine(finished: str) -> None:
    assert not reached()


def test_the_report_names_every_candidate(finished: str) -> None:
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    params = load()[1][finished]
    assert len(comparison["rows"]) == len(matrix.variants(params)) * len(params.precisions)
    html = (paths.report(finished) / "report.html").read_text(encoding="utf-8")
    assert all(row["variant"] in html for row in comparison["rows"])
    plain = html.replace("http://www.w3.org", "")
    assert "http://" not in plain and "https://" not in plain


def test_the_package_predicts_what_it_promised(finished: str) -> None:
    from ops import passport

    package = paths.package(finished)
    assert passport.verify(package) == []
    samples = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))
    inputs = [package / "golden" / s["file"] if "file" in s else s["input"] for s in samples]
    predictor = task.load(finished, "predict").Predictor(package / "model")
    assert json.loads(json.dumps(predictor(inputs))) == [sample["output"] for sample in samples]


def test_the_statistics_are_those_of_training_inputs(finished: str) -> None:
    serve, predict = task.load(finished, "serve"), task.load(finished, "predict")
    inputs = predict.inputs(paths.clean(finished), "train")
    found = json.loads((paths.package(finished) / "statistics.json").read_text())
    assert found["count"] == len(inputs) <= 1000
    rows = [serve.features(serve.item(value)) for value in inputs]
    assert set(found["features"]) == set(rows[0])
    for name, bins in found["features"].items():
        assert sum(bins["shares"]) == pytest.approx(1, abs=1e-4)
        below = sum(row[name] < bins["edges"][0] for row in rows) / len(rows)
        assert bins["shares"][0] == pytest.approx(below, abs=1e-6), name


def test_model_json_describes_the_graphs(finished: str) -> None:
    import onnxruntime

    folder = paths.package(finished) / "model"
    info = json.loads((folder / "model.json").read_text())
    assert info["limits"]
    for limit in info["limits"].values():
        assert all(isinstance(value, int) for value in (limit if isinstance(limit, list) else [limit]))
    graphs = sorted(folder.glob("*.onnx"))
    for path in graphs:
        opened = onnxruntime.InferenceSession(str(path))
        for key, nodes in (("inputs", opened.get_inputs()), ("outputs", opened.get_outputs())):
            described = info[key] if len(graphs) == 1 else info[key][path.stem]
            assert set(described) == {node.name for node in nodes}
            for node in nodes:
                kind = node.type.removeprefix("tensor(").removesuffix(")").replace("float", "float32")
                assert described[node.name]["dtype"] == kind
                shape = [size if isinstance(size, int) else None for size in node.shape]
                assert [size if isinstance(size, int) else None for size in described[node.name]["shape"]] == shape


def test_the_card_states_the_licences_and_has_a_page(finished: str) -> None:
    folder = paths.package(finished)
    text, page = ((folder / f"MODEL_CARD.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    assert "MIT License" in text and "not stated" not in text  # the sample's licence is known
    assert page.startswith("<!doctype html>") and "<table>" in page
    assert not any(word in page for word in ("<script", " style=", " src=", " href="))


def test_a_graph_found_alone_leads_home(finished: str, tmp_path: Path) -> None:
    from core import lineage
    from ops import passport
    from ops.passport import trace

    for path in (paths.package(finished) / "model").glob("*.onnx"):
        alone = Path(shutil.copy(path, tmp_path))
        assert passport.verify(alone) == []
        text = trace.text(alone)
        assert lineage.digest(paths.prepared(finished)) in text
        assert f"git checkout {str(lineage.git_commit()).removesuffix('-dirty')}" in text
        assert f"train@{finished}" in text and "weights.safetensors" in text and "requirements/train-cpu.lock" in text


def test_the_passport_is_valid_in_the_formats_of_others(finished: str, tmp_path: Path) -> None:
    """Each by its own tool, with the passport's digests; the records of the data set come out of its description."""
    import formats_valid

    package, data = paths.package(finished), shutil.copytree(paths.prepared(finished), tmp_path / "data")
    bill, _, statement = formats_valid.package(package, tmp_path / "made", data)
    described = Path(shutil.copy(tmp_path / "made" / "croissant.json", data))  # its addresses are relative to the data
    formats_valid.digests(package, bill, json.loads(described.read_text(encoding="utf-8")), statement)
    records = formats_valid.croissant(described)
    splits = {record.uuid.partition("/")[0] for record in records.metadata.record_sets}
    assert splits >= {"train", "val", "test"}
    assert all(list(itertools.islice(records.records(r.uuid), 1)) for r in records.metadata.record_sets)
    card = formats_valid.card((package / "MODEL_CARD.md").read_text(encoding="utf-8"))
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    figures = {result.metric_type: result.metric_value for result in card.eval_results}
    row = next(row for row in comparison["rows"] if [row["variant"], row["precision"]] == comparison["chosen"])
    assert figures == row["metrics"]
    links = {link["name"]: link["value"] for link in json.loads((package / "passport.json").read_text())["links"]}
    assert {result.dataset_revision for result in card.eval_results} == {links["data"]["prepared"]}
    assert card.pipeline_tag == getattr(task.load(finished, "serve"), "PIPELINE_TAG", None)


def test_triton_gets_what_the_graphs_are(finished: str) -> None:
    models = sorted((paths.deploy(finished) / "triton").iterdir())
    graphs = sorted((paths.package(finished) / "model").glob("*.onnx"))
    assert len(models) == len(graphs)
    for folder, graph in zip(models, graphs, strict=True):
        triton_config.check(folder)
        assert (folder / "1" / "model.onnx").read_bytes() == graph.read_bytes()


def test_the_mlflow_model_predicts_the_same_without_torch(finished: str, tmp_path: Path, warm: Warm) -> None:
    folder = shutil.copytree(paths.deploy(finished) / "mlflow", tmp_path / "model")
    golden = paths.package(finished).resolve() / "golden"
    program = (
        "import json, sys, mlflow; from pathlib import Path; golden = Path(sys.argv[1])\n"
        "samples = json.loads((golden / 'samples.json').read_text(encoding='utf-8'))\n"
        "inputs = [(golden / s['file']).read_bytes() if 'file' in s else s['input'] for s in samples]\n"
        "assert mlflow.pyfunc.load_model('model').predict(inputs) == [s['output'] for s in samples]\n"
        "assert 'torch' not in sys.modules"
    )
    done = warm.run([sys.executable, "-c", program, str(golden)], cwd=folder.parent)
    assert done.returncode == 0, done.stderr


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

    from ops import tracking

    client = MlflowClient(tracking.uri())
    (experiment,) = client.search_experiments(filter_string="name = 'stillhouse'")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = [run.info.run_name for run in runs]
    stages = [name for name in names if "@" in name]
    assert len(stages) == len(set(stages))
    assert {f"train@{finished}", f"package@{finished}", f"publish@{finished}"} <= set(names)
    version = client.get_model_version_by_alias(finished, "champion")
    assert client.get_run(version.run_id).info.run_name == f"publish@{finished}"
    (package,) = (run.info.run_id for run in runs if run.info.run_name == f"package@{finished}")
    assert "package/passport.json" in [file.path for file in client.list_artifacts(package, "package")]
    assert all(run.info.status == "FINISHED" for run in runs if "@" in run.info.run_name)


toy = pytest.mark.parametrize("finished", [pytest.param((TOY, False), id=TOY)], indirect=True)


@toy
def test_what_a_task_lacks_is_nowhere(finished: str) -> None:
    """Neither stages, nor rows, nor sections of the report; DVC is asked in `test_planning.py`."""
    stages = matrix.read()
    assert not any(stages[name] for name in ("augment", "prune", "distill", "quantize"))
    assert not paths.augmented(finished).exists()
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    assert [(row["variant"], row["precision"]) for row in comparison["rows"]] == [("base", "fp32")]
    html = (paths.report(finished) / "report.html").read_text(encoding="utf-8")
    for word in ("contact", "augmented", "pruned", "distilled", "int8", "Examples"):
        assert word not in html, word
    evaluation = paths.evaluation(finished, "base", "fp32")
    assert sorted(path.name for path in evaluation.iterdir()) == [
        "each.json",
        "metrics.json",
        "predictions.jsonl",
        "resamples.json",
    ]


@toy
def test_of_an_error_the_lowest_wins_and_everybody_is_told(finished: str) -> None:
    from mlflow import MlflowClient
    from rich.console import Console

    from pipelines import summary

    checkpoint = paths.checkpoint(finished, "base")
    seen = [value for _, value in json.loads((checkpoint / "curves.json").read_text())["val/rmse"]]
    result = json.loads((checkpoint / "result.json").read_text())
    assert result["best"] == min(seen) == seen[result["epoch"]] < seen[0]
    assert result["epochs"] == 6  # a metric that falls is one that gets better: nothing was stopped early
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    (row,) = comparison["rows"]
    assert comparison["chosen"] == ["base", "fp32"]
    assert row["quality"] < comparison["budget"]["worst_quality"]  # no accuracy of that size would pass
    with (paths.STATE / "table.txt").open("w+", encoding="utf-8") as file:
        summary.show([finished], Console(file=file, width=80))
        file.seek(0)
        table = file.read()
    html = (paths.report(finished) / "report.html").read_text(encoding="utf-8")
    card = (paths.package(finished) / "MODEL_CARD.md").read_text(encoding="utf-8")
    for told in (table, html, card):
        assert "lower is better" in told
    assert "at most 5, on the validation split" in html
    (run,) = MlflowClient(tracking.uri()).search_runs(
        [experiment.experiment_id for experiment in MlflowClient(tracking.uri()).search_experiments()],
        filter_string=f"run_name = 'compare@{finished}'",
    )
    assert run.data.tags["better"] == "lower"


@toy
def test_an_error_above_the_worst_is_not_packaged(finished: str) -> None:
    """The figures of the run, and a budget that they just keep, or just miss."""
    from stages.compare import gate, speeds

    faster = speeds(json.loads((paths.timing(finished) / "calls.json").read_text())["batch_1"])
    comparison = json.loads((paths.report(finished) / "comparison.json").read_text())
    budget = load()[1][finished].compare.budget
    (row,) = comparison["rows"]
    for limit, chosen in ((row["quality"] * 1.01, row), (row["quality"] * 0.99, None)):
        stricter = budget.model_copy(update={"worst_quality": limit})
        assert gate.choose([row], stricter, comparison["better"], faster) == chosen
    assert row["misses"] and "worst_quality" in row["misses"][0]
