"""dvc.lock as `pipelines.dvc.lockfile` writes it, held against DVC's own writer."""

from __future__ import annotations

from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dvc import lockfile

NAMES = st.from_regex(r"[a-z]{1,4}(@[a-z0-9_-]{1,8})?", fullmatch=True) | st.sampled_from(["1", "no", "1e3", "a" * 140])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=100) | st.sampled_from(
    ["python -m stages.train detection", "two\nlines\n", "  ", "0o17", "a: b", "- x", "#", "yes", "~", "a #b", "1_000"]
)
FILES = st.fixed_dictionaries(
    {"path": WORDS, "hash": st.just("md5"), "md5": st.from_regex(r"[0-9]e?[0-9a-f]{6}(\.dir)?", fullmatch=True)},
    optional={"size": st.integers(0, 2**40), "nfiles": st.integers(0, 9)},
)
FLOATS = st.integers(-(10**6), 10**6).map(lambda number: number / 1000) | st.sampled_from([1e-8, 1e20, 0.1 + 0.2])
"""Of 17 digits DVC's round trip may change the last: what is kept is rather left as it is."""
VALUES = st.none() | st.booleans() | st.integers() | FLOATS | WORDS
PARAMS = st.dictionaries(WORDS, VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(WORDS, VALUES, max_size=3))
ENTRIES = st.fixed_dictionaries(
    {"cmd": WORDS},
    optional={"deps": st.lists(FILES, max_size=3), "params": st.dictionaries(WORDS, PARAMS, max_size=2)},
)


def theirs(text: str, entry: dict[str, Any]) -> str:
    """As `dvc.dvcfile.Lockfile.dump_stages` does."""
    data = parse_yaml_for_update(text, "dvc.lock")
    data["stages"].update(entry)
    return dumps_yaml(data)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=5), NAMES, ENTRIES)
def test_the_same_text_as_dvc_writes(stages: dict[str, Any], name: str, entry: Any) -> None:
    text = dumps_yaml({"schema": "2.0", "stages": stages})
    for changed in {name, *stages}:
        found = lockfile.replaced(text, {changed: entry})
        assert found is None or found == theirs(text, {changed: entry})


STAGES = {
    f"{stage}@detection": {
        "cmd": f"python -m stages.{stage} detection",
        "deps": [{"path": "core", "hash": "md5", "md5": "3e5.dir", "size": 3, "nfiles": 1}],
        "params": {"params.yaml": {"detection.train": {"lr": 1.0e-8, "betas": [0.9, 0.999], "name": None}}},
    }
    for stage in ("prepare", "train", "export")
}


def test_what_two_places_share_is_left_to_dvc() -> None:
    """Its anchors are counted through the whole file: a second `&id001` would be no YAML."""
    text = dumps_yaml({"schema": "2.0", "stages": STAGES})
    shared = {"name": "cnn"}
    assert lockfile.replaced(text, {"train@detection": {"params": {"model": shared, "student": shared}}}) is None


@pytest.mark.parametrize("changed", [*STAGES, "evaluate@detection-base-int8"])
def test_a_lock_of_this_pipeline_is_no_exception(changed: str) -> None:
    """What DVC writes of stages as ours are is never left to DVC."""
    text = dumps_yaml({"schema": "2.0", "stages": STAGES})
    entry = {changed: {"cmd": "python -m stages.train detection", "outs": [{"path": "models", "md5": "0"}]}}
    found = lockfile.replaced(text, entry)
    assert found == theirs(text, entry) and found != text
    assert lockfile.replaced(text, {"train@detection": STAGES["train@detection"]}) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "schema: '2.0'\n",
        "stages: {}\n",
        "schema: '2.0'\nstages: {}\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b\ndatasets:\n- name: c\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b  # why\n",
        "schema: '2.0'\nstages:\n  # why\n  a:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b",
        "schema: '2.0'\nstages:\n  a: {cmd: b}\n",
        "schema: '2.0'\nstages:\n  'a':\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: |\n      b\n\n      c\n",
        "schema: '2.0'\nstages:\n  a:\n    params:\n      x: &id001\n        y: 1\n      z: *id001\n",
        "schema: '2.0'\nstages:\n<<<<<<< HEAD\n  a:\n    cmd: b\n=======\n",
    ],
)
def test_what_dvc_did_not_write_is_left_to_dvc(text: str) -> None:
    assert lockfile.replaced(text, {"a": {"cmd": "c"}}) is None
