"""Trials at once: who is timed is alone, what does not go together costs nothing, what was killed goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from core import params as params_module
from core.errors import StillhouseError
from core.knobs import Knob
from pipelines.flow.slots import Share
from pipelines.search import studies, trials, view
from pipelines.search.__main__ import search
from pipelines.search.room import Room
from pipelines.search.running import Running
from pipelines.search.workspace import FOLDER, StoppedError, Workspace

ROOT = Path(__file__).resolve().parents[3]
SOON_S = 10.0
LATER_S = 0.2


class Guest:
    """A thread that comes into the room, says so, and stays until it may go."""

    def __init__(self, place: Any) -> None:
        self.here, self.go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(place,), daemon=True)
        self._thread.start()

    def _run(self, place: Any) -> None:
        with place:
            self.here.set()
            self.go.wait(SOON_S)

    def leaves(self) -> None:
        self.go.set()
        self._thread.join(SOON_S)


def test_who_waits_to_be_alone_keeps_others_out_and_is_alone(tmp_path: Path) -> None:
    one, two = (Guest(Room(tmp_path).shared()) for _ in range(2))
    assert one.here.wait(SOON_S) and two.here.wait(SOON_S), "together"
    writer = Guest(Room(tmp_path).alone())
    time.sleep(LATER_S)
    late = Guest(Room(tmp_path).shared())
    one.leaves()
    assert not writer.here.wait(LATER_S) and not late.here.is_set(), "one is there still, and nobody passes the writer"
    two.leaves()
    assert writer.here.wait(SOON_S) and not late.here.wait(LATER_S)
    writer.leaves()
    assert late.here.wait(SOON_S)
    late.leaves()


@pytest.mark.parametrize("how", ["alone", "shared"])
def test_who_is_killed_has_left(tmp_path: Path, how: str) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pipelines.search.room import Room\n"
        f"with Room(Path(sys.argv[1])).{how}(): print('here', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"here\n"
        writer = Guest(Room(tmp_path).alone())
        assert not writer.here.wait(LATER_S)
        process.kill()
        assert writer.here.wait(SOON_S)
        writer.leaves()


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return params_module.read(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies") / "trials.db"


@pytest.fixture
def places(values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Workspace]:
    """Two for trials of the shipped detection, of which one value of a knob does not go with the other settings."""
    monkeypatch.chdir(tmp_path)
    settings = params_module.check(values)[1]["detection"]
    search = {"pruned": {"ratio": Knob(low=0.1, high=0.5), "of": Knob(choices=["base", "distilled", "pruned"])}}
    settings = settings.model_copy(update={"search": search})
    made = [Workspace("detection", settings, 1, number, Share(1, (), 0, False, True)) for number in range(2)]
    for place in made:
        place.folder.mkdir(parents=True)
    return made


@pytest.fixture
def study(database: Path, request: pytest.FixtureRequest) -> optuna.Study:
    return studies.opened(database, request.node.name)


def rows(speed: float) -> tuple[dict[str, Any], dict[str, Any]]:
    row = {"loss": {"value": 0.0, "bound": 0.01}, "speed": {"value": speed}, "size_mb": 1.0, "misses": []}
    figures = {"latency_ms": 1.0, "quality": 0.5, "better": "higher", "variant": "pruned", "precision": "int8"}
    return row | figures, row | figures


def test_two_trials_run_and_the_study_knows_of_both(
    places: list[Workspace],
    study: optuna.Study,
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = threading.Barrier(2, timeout=SOON_S)  # neither ends before the other has begun
    used = []

    def run(place: Workspace, params: Any, variant: str, number: str, log: Path) -> Any:
        used.append(place.number)
        both.wait()
        assert params.prune["pruned"].of in ("base", "distilled")
        return rows(2.0)

    monkeypatch.setattr(trials, "run", run)
    running = Running(places, values, study, tmp_path)
    for of in ("base", "distilled"):
        study.enqueue_trial({"variant": "pruned", "pruned.ratio": 0.3, "pruned.of": f'"{of}"'})
        assert running.begin() is None
    assert not running.free and len(running.doing()) == 2
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 2
    while running.busy:
        assert all(why == "" for _, why in running.ended())
    running.stop()
    assert sorted(used) == [0, 1] and [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert all((place.folder / "params.yaml").is_file() for place in places)


def test_settings_that_do_not_go_together_are_told_and_cost_nothing(
    places: list[Workspace], study: optuna.Study, values: dict[str, Any], tmp_path: Path
) -> None:
    running = Running(places, values, study, tmp_path)
    study.enqueue_trial({"variant": "pruned", "pruned.ratio": 0.3, "pruned.of": '"pruned"'})
    ended = running.begin()
    assert (
        ended is not None
        and ended[0] == 0
        and ended[1].startswith("detection: variants are made of each other: pruned")
    )
    (trial,) = study.trials
    assert trial.state is TrialState.PRUNED and not running.busy and running.free
    assert view.line(trial, ended[1]).endswith(f"(ratio 0.3, of pruned): not tried: {ended[1]}")
    assert view.front(study.trials) == [] and not (places[0].folder / "params.yaml").exists()
    running.stop()


def test_a_trial_that_was_killed_goes_on_in_its_checkout(
    places: list[Workspace],
    study: optuna.Study,
    database: Path,
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = study.ask()
    killed.suggest_categorical("variant", ["pruned"])
    killed.set_user_attr(studies.PLACE, 1)
    again = studies.opened(database, study.study_name)
    used = []
    monkeypatch.setattr(trials, "run", lambda place, *others: used.append(place.number) or rows(1.0))
    running = Running(places, values, again, tmp_path)
    while running.begin():  # the rest of its settings is drawn, and may not go together
        again.enqueue_trial({"variant": "pruned"}, user_attrs={studies.PLACE: 1})
    list(running.ended())
    running.stop()
    assert used == [1] and again.trials[0].state is TrialState.FAIL


def test_a_search_that_is_stopped_ends_what_runs_and_begins_nothing(places: list[Workspace], tmp_path: Path) -> None:
    place, log = places[0], tmp_path / "log"
    (place.folder / "pipelines" / "repro").mkdir(parents=True)
    (place.folder / "pipelines" / "repro" / "__main__.py").write_text("import time; time.sleep(60)")
    for name in ("search/__init__.py", "search/child.py"):
        (place.folder / "pipelines" / name).parent.mkdir(exist_ok=True)
        (place.folder / "pipelines" / name).write_text((ROOT / "pipelines" / name).read_text())
    (place.folder / "core").symlink_to(ROOT / "core")
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(place.repro(["x"], "one", log)))
    thread.start()
    while place._process is None:
        time.sleep(0.01)
    place.stop()
    thread.join(SOON_S)
    assert found == [False] and log.read_text() == ""
    with pytest.raises(StoppedError):
        place.repro(["x"], "one", log)


@pytest.mark.parametrize("alone", [False, True])
def test_a_search_that_waits_for_its_turn_can_be_stopped(places: list[Workspace], tmp_path: Path, alone: bool) -> None:
    timed = Guest(Room(FOLDER).alone())
    assert timed.here.wait(SOON_S)
    found: list[BaseException] = []

    def waits() -> None:
        try:
            places[0].repro(["x"], "one", tmp_path / "log", alone=alone)
        except StoppedError as stopped:
            found.append(stopped)

    thread = threading.Thread(target=waits, daemon=True)
    thread.start()
    thread.join(LATER_S)
    assert thread.is_alive(), "another search is timed"
    places[0].stop()
    thread.join(SOON_S / 2)
    assert len(found) == 1 and timed.here.is_set() and not timed.go.is_set()
    timed.leaves()


def test_of_two_trials_of_one_checkout_one_has_another_and_the_study_knows(
    places: list[Workspace],
    study: optuna.Study,
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trials, "run", lambda *given: rows(1.0))
    running = Running(places, values, study, tmp_path)
    for _ in range(2):
        fixed = {"variant": "pruned", "pruned.ratio": 0.3, "pruned.of": '"base"'}
        study.enqueue_trial(fixed, user_attrs={studies.PLACE: 0})
        assert running.begin() is None
    while running.busy:
        list(running.ended())
    running.stop()
    assert [trial.user_attrs[studies.PLACE] for trial in study.trials] == [0, 1]


def test_stages_of_one_trial_or_trials_are_side_by_side() -> None:
    for jobs, parallel in ((2, 2), (0, 1), (1, -1)):
        with pytest.raises(StillhouseError, match=rf"found --jobs {jobs} --parallel {parallel}, expected numbers"):
            search("detection", 1, 1, jobs, parallel)
