"""Every problem of params.yaml is found at once, with its place and the valid choices (docs/faults.md 46-50, 73)."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from core import chains, matrix, params, task
from core.errors import ParamsError

FILE = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def values() -> dict[str, Any]:
    return copy.deepcopy(params.read(FILE))


def problems(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ParamsError) as caught:
        params.check(values)
    return caught.value.problems


def test_the_shipped_file_is_valid() -> None:
    head, tasks = params.load(FILE)
    assert head.tasks == list(tasks)


def test_all_problems_are_reported_together(values: dict[str, Any]) -> None:
    values["detection"]["train"]["lr"] = "fast"
    values["translation"]["model"]["arch"] = "lstm"
    values["translation"]["modle"] = {}
    values["treads"] = 2
    assert problems(values) == [
        "treads: unknown key; did you mean 'threads'?",
        "detection.train.lr: found 'fast', should be a valid number",
        "translation.model.arch: found 'lstm', expected 'transformer' or 'recurrent'",
        "translation.modle: unknown key; did you mean 'model'?",
    ]


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("seed", None, "seed: found None, should be a valid integer"),
        ("seed", True, "seed: found True"),
        ("learning_threads", 0, "learning_threads: found 0, should be greater than or equal to 1"),
        ("detection.train.epochs", "10", "detection.train.epochs: found '10', should be a valid integer"),
        ("detection.train.epochs", 0, "detection.train.epochs: found 0, should be greater than or equal to 1"),
        ("detection.export.opset", 11, "detection.export.opset: found 11, should be greater than or equal to 18"),
        ("detection.validate.max_bad", 1.5, "detection.validate.max_bad: found 1.5, should be less than or equal to 1"),
        ("translation.data.format", "csv", "found 'csv', expected 'auto', 'text', 'tsv', 'jsonl' or 'tmx'"),
        ("tasks", ["detection; rm -rf /"], "tasks.0: found 'detection; rm -rf /', String should match pattern"),
        ("detection.prune", {"$(id)": {}}, "String should match pattern"),
        ("detection.precisions", ["fp32", "int4"], "expected 'fp32', 'int8' or 'fp16'"),
        ("detection.precisions", ["int8", "int8"], "detection.precisions: an entry stands twice"),
        ("variants", ["base"], "variants: unknown key"),
        ("tasks", ["nosuch"], "tasks: unknown task 'nosuch'; valid: " + ", ".join(task.names())),
        ("detection.data.source", "https://example.org/x.zip", "needs `sha256`"),
        ("detection.data.source", "https://me:secret@example.org/x.zip", "put them into ~/.netrc"),
        ("detection.data.source", "git+https://token@example.org/x", "put them into ~/.netrc"),
        ("detection.data.source", "https://example.org/x.git", "needs `commit`"),
        ("detection.data.files", ["a"], "`files` is for git sources"),
        ("detection.data.files", [], "the list is empty; null fetches all"),
        ("detection.data.files", ["../a"], "found '../a', expected a path from the root of the repository"),
        ("detection.data.files", ["/a"], "found '/a', expected a path from the root of the repository"),
        ("detection.data.files", ["a//b"], "found 'a//b', expected a path from the root of the repository"),
        ("detection.data.files", ["a\nb"], "expected a path from the root of the repository"),
        ("detection.data.files", ["a", "a/"], "detection.data.files: an entry stands twice"),
        ("detection.train.optimizer.name", "sdg", "found 'sdg', expected 'sgd', 'adagrad', 'adam' or 'adamw'"),
        ("detection.train.optimizer.betas", [0.9], "train.optimizer.betas: found [0.9], List should have at least 2"),
        ("detection.train.optimizer.beta", 1, "train.optimizer.beta: unknown key; did you mean 'betas'?"),
        ("detection.train.schedule.name", "linear", "expected 'cosine', 'step', 'constant' or 'plateau'"),
        ("detection.train.clip_value", 1.0, "detection.train: `clip_norm` and `clip_value` are both set"),
        ("detection.train.strategy", "fsdp", "detection.train: `strategy: fsdp` cannot clip by norm"),
        ("detection.model.weights", "https://example.org/a.pt", "a URL in `weights` needs `weights_sha256`"),
        ("detection.model.weights", "https://me:secret@example.org/a.pt", "put them into ~/.netrc"),
        ("detection.model.weights", True, "detection.model.weights: found True, should be a valid string"),
        ("detection.model.weights_sha256", "0" * 64, "set it to null with `weights: packaged`"),
        ("detection.model.pretrained", True, "detection.model.pretrained: unknown key"),
        ("detection.model.weights", "HTTPS://example.org/a.pt", "a URL in `weights` needs `weights_sha256`"),
        (
            "detection.model.backbone",
            "resnet18",
            "`weights: packaged`, but no weights are packaged for backbone resnet18",
        ),
        ("translation.model.weights", "packaged", "found 'packaged', but no package carries weights of a translator"),
        ("translation.model.heads", 6, "translation.model: heads: 6 do not divide a width of 128; set"),
        (
            "translation.distill.distilled.heads",
            3,
            "translation: distill.distilled.heads: 3 do not divide a width of 128",
        ),
        ("translation.model.teacher_forcing", 0.2, "teacher_forcing: found 0.2 with arch: transformer, which takes"),
        ("translation.model.cell", "rnn", "translation.model.cell: found 'rnn', expected 'gru' or 'lstm'"),
        (
            "translation.model.words",
            {"min_counts": 2},
            "model.words.min_counts: unknown key; did you mean 'min_count'?",
        ),
        ("detection.train.lr", float("inf"), "detection.train.lr: found inf, should be a finite number"),
        ("translation.prune.pruned.train.epoch", 3, "pruned.train.epoch: unknown key; did you mean 'epochs'?"),
        ("detection.prune.pruned.train.jitter.scale", [2, 1], "train.jitter.scale: found [2.0, 1.0], expected 0 <"),
    ],
)
def test_a_bad_value_is_named(values: dict[str, Any], place: str, value: Any, says: str) -> None:
    *parents, last = place.split(".")
    section = values
    for parent in parents:
        section = section[parent]
    section[last] = value
    assert any(says in problem for problem in problems(values)), problems(values)


def test_a_momentum_is_needed_to_look_ahead(values: dict[str, Any]) -> None:
    values["detection"]["train"]["optimizer"] |= {"name": "sgd", "momentum": 0.0, "nesterov": True}
    assert problems(values)[0].startswith("detection.train.optimizer: nesterov: found true with `momentum: 0`")


def test_a_rate_that_is_never_lowered_before_the_end_is_refused(values: dict[str, Any]) -> None:
    values["detection"]["train"]["schedule"] |= {"name": "plateau", "patience": 3}
    assert problems(values)[0] == (
        "detection.train: schedule.patience: found 3, expected less than `patience` (3), after which training stops"
    )
    values["detection"]["train"]["patience"] = None
    params.typed(type(params.check(params.read(FILE))[1]["detection"]), values["detection"], "", found := [])
    assert not [problem for problem in found if problem.startswith("train:")]


def test_a_network_without_blocks_freezes_none(values: dict[str, Any]) -> None:
    values["detection"]["model"] |= {"backbone": "cnn", "weights": "a.pt"}
    assert problems(values) == ["detection: train.freeze_blocks: found 3, expected 0: a cnn has no blocks"]


def test_several_faults_of_one_training_are_told_together(values: dict[str, Any]) -> None:
    values["detection"]["train"] |= {"clip_value": 1.0, "strategy": "fsdp"}
    (told,) = problems(values)
    assert "are both set" in told and "cannot clip by norm" in told


def test_words_must_be_there_and_have_no_subwords(values: dict[str, Any]) -> None:
    translation = values["translation"]
    translation["model"]["words"] = {"min_count": 2, "source": None, "target": None}
    (told,) = problems(values)
    assert told == "translation: augment.subword_dropout: found 0.05 with model.words, which have none; expected 0.0"
    translation["augment"]["subword_dropout"] = 0.0
    (told,) = problems(values)
    assert told.startswith(
        "translation: model.words: nothing says where words of 'ja' end; expected data.tokenized: true"
    )
    translation["data"]["tokenized"] = True
    params.check(values)


@pytest.mark.parametrize("name", ["base", "pruned"])
def test_a_variant_is_named_once(values: dict[str, Any], name: str) -> None:
    values["detection"]["distill"] = {name: values["detection"]["distill"]["distilled"]}
    assert problems(values) == ["detection: a variant is named once only, in `prune` or in `distill`, and not `base`"]


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ({"pruned": "slim"}, "detection: variant pruned is made `of: slim`; valid: base, distilled, pruned"),
        ({"pruned": "pruned"}, "variants are made of each other: pruned of pruned; one of them must be of `base`"),
        (
            {"pruned": "distilled", "distilled": "pruned"},
            "variants are made of each other: pruned of distilled of pruned; one of them must be of `base`",
        ),
    ],
)
def test_a_chain_of_variants_ends_in_the_base(values: dict[str, Any], of: dict[str, str], says: str) -> None:
    for name, parent in of.items():
        values["detection"]["prune" if name == "pruned" else "distill"][name]["of"] = parent
    (told,) = problems(values)
    assert says in told


def test_a_pruned_variant_of_a_distilled_one(values: dict[str, Any]) -> None:
    values["detection"]["prune"]["pruned"]["of"] = "distilled"
    made = params.check(values)[1]["detection"]
    assert chains.ancestry(made, "pruned") == ["base", "distilled", "pruned"]
    items = matrix.instances({"detection": made})
    assert items["prune"]["detection-pruned"]["of"] == "distilled"
    assert items["distill"]["detection-distilled"]["of"] == "base"


def test_a_teacher_may_be_any_of_those_that_a_variant_is_made_of(values: dict[str, Any]) -> None:
    """Two rounds of pruning, both with the whole model as teacher."""
    prune = values["detection"]["prune"]
    prune["again"] = {**prune["pruned"], "of": "pruned", "teacher": "base"}
    made = params.check(values)[1]["detection"]
    assert chains.taught_by(made) == {"pruned": "base", "again": "base", "distilled": "base"}
    item = matrix.instances({"detection": made})["prune"]["detection-again"]
    assert (item["of"], item["teacher"]) == ("pruned", "base")
    prune["again"]["teacher"] = "distilled"
    (told,) = problems(values)
    assert "again.teacher: found distilled, expected what it is made of: base or pruned" in told


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pattern": "weights", "importance": "bn_scale"}, "bn_scale tells channels apart, not single weights"),
        ({"pattern": "weights", "allocation": "measured"}, "allocation: `measured` is for `pattern: channels`"),
        ({"pattern": "2:4", "ratio": 0.3}, "pattern: found 2:4 with ratio 0.3, expected ratio 0.5"),
        ({"pattern": "4:2", "ratio": 0.5}, "pattern: found 4:2 with ratio 0.5, expected N smaller than M"),
        ({"pattern": "2:4", "ratio": 0.5, "scaling": "none"}, "scaling: `none` is for `pattern: weights`"),
        ({"pattern": "rows"}, "pattern"),
    ],
)
def test_a_pattern_fits_what_it_is_given(values: dict[str, Any], settings: dict[str, Any], says: str) -> None:
    values["classification"]["prune"]["pruned"] |= settings
    (told,) = problems(values)
    assert says in told


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (True, "found true, expected greedy, as it was until now, beam or interpolated"),
        (False, "found false, expected null"),
        ("best", "found 'best', expected 'greedy', 'beam' or 'interpolated'"),
    ],
)
@pytest.mark.parametrize("section", ["distill", "prune"])
def test_what_a_translator_learns_is_no_switch(values: dict[str, Any], section: str, value: Any, says: str) -> None:
    (settings,) = values["translation"][section].values()
    for how in (None, "greedy", "beam", "interpolated"):
        settings["sequences"] = how
        params.check(values)
    settings["sequences"] = value
    (told,) = problems(values)
    assert f"sequences: {says}" in told


def test_zeros_are_not_trained_away(values: dict[str, Any]) -> None:
    prune = values["detection"]["prune"]
    prune["pruned"] |= {"pattern": "weights"}
    prune["again"] = {**prune["pruned"], "of": "pruned", "pattern": "channels"}
    (told,) = problems(values)
    assert "again.of: pruned has weights that are zero, which again would train away" in told


def test_what_learns_rounded_to_8_bits_is_not_quantized_to_7(values: dict[str, Any]) -> None:
    values["detection"]["prune"]["pruned"]["quantization_aware"] = True
    params.check(values)
    values["detection"]["quantize"]["weight_bits"] = 7
    (told,) = problems(values)
    assert "pruned.quantization_aware learns to be rounded to 8 bits, and quantize.weight_bits is 7" in told


def test_passes_that_must_agree_need_dropout(values: dict[str, Any]) -> None:
    values["translation"]["model"] |= {"r_drop": 5.0, "dropout": 0.0}
    assert "r_drop: found 5.0 with dropout 0" in problems(values)[0]


def test_what_is_pruned_learns_by_passes_that_differ(values: dict[str, Any]) -> None:
    """Also where it has its dropout from what it is made of; with a teacher there is one pass."""
    translation = values["translation"]
    translation["model"]["r_drop"] = 5.0
    pruned, distilled = translation["prune"]["pruned"], translation["distill"]["distilled"]
    pruned |= {"soft_weight": 0.0, "dropout": 0.0}
    assert "prune.pruned.dropout: found 0.0 (expected some: with model.r_drop 5.0" in problems(values)[0]
    params.check(values | {"translation": translation | {"prune": {"pruned": pruned | {"soft_weight": 0.5}}}})
    params.check(values | {"translation": translation | {"prune": {"pruned": pruned | {"dropout": None}}}})
    pruned |= {"dropout": None, "of": "distilled"}
    distilled["dropout"] = 0.0
    assert "prune.pruned.dropout: found 0.0" in problems(values)[0]


def test_a_missing_seed_is_refused(values: dict[str, Any]) -> None:
    """docs/faults.md 73."""
    del values["seed"]
    assert problems(values) == ["seed: missing"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: !!python/object/apply:os.system ['id']", "could not determine a constructor"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
        ("a: [1", "line 1"),
        ("? [a, b]\n: 1", "a key must be a word, found ['a', 'b']"),
        ("- a", "must hold a mapping"),
        ("", "must hold a mapping"),
    ],
)
def test_yaml_that_is_no_plain_mapping_is_refused(text: str, says: str, tmp_path: Path) -> None:
    """docs/faults.md 50."""
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=re.escape(says)):
        params.read(path)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="run from the repository root"):
        params.read(tmp_path / "params.yaml")


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: 1e-3\nb: 2.5E4\n")
    assert params.read(tmp_path / "p.yaml") == {"a": 0.001, "b": 25000.0}


@pytest.mark.parametrize(
    ("place", "commit", "kind"),
    [
        ("sample", None, "sample"),
        ("/data/x", None, "path"),
        ("x", None, "path"),
        ("https://example.org/x.zip", None, "archive"),
        ("https://example.org/you/corpus", "a" * 40, "git"),
        ("git@example.org:you/corpus.git", "a" * 40, "git"),
        ("file:///srv/corpus", "a" * 40, "git"),
    ],
)
def test_the_kind_of_a_source(place: str, commit: str | None, kind: str) -> None:
    sha256 = "0" * 64 if kind == "archive" else None
    found = params.SourceParams(source=place, sha256=sha256, commit=commit, files=None, allow_private=False)
    assert found.kind == kind
