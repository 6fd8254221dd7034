"""What DVC says after an edit, with real DVC and stages that are taken for done: nothing is trained again for a comment
where no result comes from, and an edit of params.yaml that asks for other stages is never called up to date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pipeline_copy
import pytest
import yaml
from pipeline_copy import TOY, Copy
from warm import DVC, Warm

TRAINED = ("train@", "prune@", "distill@")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(*DVC, "pydantic", "yaml") as running:
        yield running


@pytest.fixture(scope="module")
def done(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Two tasks and the toy, finished."""
    copy = pipeline_copy.make(tmp_path_factory.mktemp("done"), preset=None, warm=warm)
    copy.only("detection", "translation")
    copy.params({f"{name}.precisions": ["fp32", "int8"] for name in ("detection", "translation")})
    copy.add_toy()
    copy.pretend()
    copy.run("git", "add", "--all")
    copy.run("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "done")
    return copy


@pytest.fixture
def copy(done: Copy) -> Iterator[Copy]:
    yield done
    done.run("git", "checkout", "--quiet", ".")


def status(copy: Copy) -> set[str]:
    return set(json.loads(copy.dvc("status", "--json").stdout))


def test_a_comment_where_no_result_comes_from_trains_nothing_again(copy: Copy) -> None:
    """A comment in the engine does, or the test would see nothing."""
    for name in ("tracking/ledger.py", "doctor/table.py", "repair/guard.py", "passport/trace.py", "ingest/git.py"):
        edited = copy.folder / "ops" / name
        edited.write_text(edited.read_text(encoding="utf-8") + "\n# a comment\n", encoding="utf-8")
    changed = status(copy)
    assert not [name for name in changed if name.startswith(TRAINED)]
    assert {"prepare@detection", "package@detection", "publish@detection"} <= changed  # they fetch, seal and register
    engine = copy.folder / "training" / "fit.py"
    engine.write_text(engine.read_text(encoding="utf-8") + "\n# a comment\n", encoding="utf-8")
    again = status(copy) - changed
    assert {"train@detection", "train@translation", f"train@{TOY}", "prune@detection-pruned"} <= again
    assert all(name.startswith(TRAINED) for name in again)


def test_how_results_are_shown_trains_nothing_again(copy: Copy) -> None:
    shown = copy.folder / "tasks" / "translation" / "show.py"
    shown.write_text(shown.read_text(encoding="utf-8") + "\n# a comment\n", encoding="utf-8")
    changed = status(copy)
    assert {name.split("@")[0] for name in changed} == {"evaluate", "compare"}  # which shows what it sees otherwise
    assert all("@translation" in name for name in changed)


def test_what_a_task_lacks_is_no_stage(copy: Copy) -> None:
    listed = re.findall(rf"^(\w+)@{TOY}(\S*)", copy.dvc("stage", "list", "--all").stdout, re.MULTILINE)
    assert sorted(stage for stage, _ in listed) == sorted(
        ["prepare", "validate", "train", "export", "evaluate", "latency", "compare", "package", "publish"]
    )
    assert {rest for _, rest in listed} == {"", "-base", "-base-fp32"}


def edit(copy: Copy, change: str) -> None:
    """`change` works on `values`, what params.yaml holds."""
    path = copy.folder / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    exec(change, {"values": values})
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def test_other_stages_are_told_before_any_other_work(copy: Copy) -> None:
    """A new variant, one that is gone, a task that is gone. DVC has read the old matrix.yaml: a target would be up to
    date without the new variant, and a stage whose params are gone would fail."""
    edit(
        copy,
        "values['detection']['prune'] = {'small': values['detection']['prune']['pruned']}\n"
        "values['tasks'].remove('translation'); del values['translation']",
    )
    assert "plan" in status(copy)
    for target in ((), ("package@detection",)):
        copy.run("git", "checkout", "--quiet", "matrix.yaml")
        failed = copy.dvc("repro", *target, check=False)
        assert failed.returncode
        told = re.search(
            r"params\.yaml asks for other stages than matrix\.yaml listed \((new: .*?); (gone: .*?)\)", failed.stderr
        )
        assert told and "@detection-small" in told[1] and re.search(r"@.*and \d+ more", told[2]), failed.stderr
        assert "run the same command again" in failed.stderr and "up to date." not in failed.stdout
        assert re.findall(r"Running stage '([^']+)'", failed.stdout) == ["plan"]
    again = copy.dvc("repro", "--dry", "plan").stdout + copy.dvc("status").stdout
    assert "missing" not in again
    listed = copy.dvc("stage", "list", "--all", "--name-only").stdout.split()
    assert "prune@detection-small" in listed and "prune@detection-pruned" not in listed
    assert "train@translation" not in listed and "train@detection" in listed


def test_a_chain_is_one_for_dvc_too(copy: Copy) -> None:
    """A pruned variant of the distilled one: a stage that DVC runs behind that one, and the passport names both."""
    edit(copy, "values['detection']['prune']['pruned']['of'] = 'distilled'")
    told = copy.dvc("repro", "package@detection", check=False).stderr
    assert "made of others" in told and "run the same command again" in told
    graph = copy.dvc("dag", "--dot", "prune@detection-pruned").stdout
    assert '"distill@detection-distilled" -> "prune@detection-pruned"' in graph
    assert '"train@detection" -> "prune@detection-pruned"' not in graph
    changed = status(copy)
    assert {"prune@detection-pruned", "export@detection-pruned"} & changed == {"prune@detection-pruned"}
    assert not {"train@detection", "distill@detection-distilled"} & changed


def test_a_changed_value_asks_for_no_other_stages(copy: Copy) -> None:
    """`plan` runs, and nothing else does for its sake."""
    copy.params({"translation.compare.budget.max_mb": 19.0})
    assert status(copy) == {"plan", "compare@translation", "package@translation", "publish@translation"}
    copy.dvc("repro", "plan")
    assert status(copy) == {"compare@translation", "package@translation", "publish@translation"}


def test_other_threads_of_what_learns_train_again_and_take_as_many_cores(copy: Copy) -> None:
    copy.params({"learning_threads": 3})
    changed = status(copy)
    assert {"train@detection", f"train@{TOY}", "prune@detection-pruned", "distill@translation-distilled"} <= changed
    assert all(name.startswith(TRAINED) for name in changed - {"plan"})
    program = (
        "from pipelines.flow import plan\n"
        "for name, step in plan.make().steps.items(): print(name, step.needs.needs.cores)"
    )
    cores = dict(line.split() for line in copy.run("python", "-c", program).stdout.splitlines())
    assert {name for name, count in cores.items() if count == "3"} == changed - {"plan"}
    assert {count for name, count in cores.items() if name not in changed} == {"all", "None"}


def test_a_new_task_has_what_plain_dvc_needs(copy: Copy) -> None:
    """Its noted source, of which `prepare` depends, comes with matrix.yaml."""
    for name in (f"{TOY}.json", f"{TOY}.weights.json"):
        (copy.folder / "data" / "sources" / name).unlink()
    copy.plan()
    assert status(copy) == set()


def test_a_plan_of_bad_params_is_refused_and_leaves_the_matrix(copy: Copy) -> None:
    before = Path(copy.folder, "matrix.yaml").read_bytes()
    edit(copy, "values['detection']['prun'] = {}")
    failed = copy.stage("plan", check=False)
    assert failed.returncode == 2 and "did you mean 'prune'" in failed.stderr
    assert Path(copy.folder, "matrix.yaml").read_bytes() == before
