"""What a killed DVC leaves: plain DVC fails at it or forgets; mended, it goes on (faults.md rows 53 to 55)."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_repository import ROOT, Kill, Repository, Server, make, serving

from core import repair
from core.repair import lock_file, places

NOTHING = {"Running", "restored", "is cached"}
"""Words of a `dvc repro` that did something."""
RWLOCK = Path(".dvc/tmp/rwlock")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Repository:
    return make(tmp_path_factory.mktemp("base") / "repository", server)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory, base: Repository) -> Repository:
    """The same after an undisturbed `dvc repro`."""
    repository = base.copy(tmp_path_factory.mktemp("control") / "repository")
    assert repository.dvc("repro").code == 0
    return repository


@pytest.fixture
def repository(base: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The working directory, with dvc.lock kept."""
    copy = base.copy(tmp_path / "repository")
    monkeypatch.chdir(copy.folder)
    repair.keep()
    return copy


def killed(repository: Repository, kill: Kill) -> Repository:
    """Have DVC killed there; a copy of what it left, for plain DVC to try."""
    assert repository.dvc("repro", kill=kill).code == -9
    repository.ran()
    return repository.copy(repository.folder.parent / "plain")


def assert_done(repository: Repository, control: Repository, *words: str, register: bool = False) -> None:
    """The next plain `dvc repro` ends as an undisturbed one, and one more has nothing to do."""
    done = repository.dvc("repro", *words, register=register)
    assert done.code == 0, done.output
    assert repository.outputs() == control.outputs()
    again = repository.dvc("repro", register=register)
    assert again.code == 0 and not any(word in again.output for word in NOTHING), again.output
    assert (repository.folder / "dvc.lock").read_bytes() == (control.folder / "dvc.lock").read_bytes()


# --- dvc.lock


@pytest.mark.parametrize(
    ("until", "wrong"),
    [("", "was empty"), ("\n  b:", "was cut off"), ("ath: b\n", "was cut off"), ("  b:", "had lost its end")],
    ids=["empty", "end of a line", "half a line", "between stages"],
)
def test_a_dvc_lock_that_was_being_written(repository: Repository, control: Repository, until: str, wrong: str) -> None:
    plain = killed(repository, Kill("dvc.lock", until))
    torn = Path("dvc.lock").read_bytes()
    failed = plain.dvc("repro", "--no-run-cache")
    assert failed.code != 0 or "b" in plain.ran(), "plain DVC neither fails nor forgets: nothing to mend"
    (told,) = repair.repair()
    assert wrong in told
    (aside,) = Path(".stillhouse/damaged").iterdir()
    assert aside.read_bytes() == torn and str(aside) in told
    assert_done(repository, control, "--no-run-cache")
    assert repository.ran() == ["c.txt"], "stages that were done before are remembered"


def test_what_can_be_read_of_a_dvc_lock_without_a_copy(repository: Repository, control: Repository) -> None:
    plain = killed(repository, Kill("dvc.lock", "ath: c.txt"))
    assert plain.dvc("repro").code != 0
    places.KEPT.unlink()
    (told,) = repair.repair()
    assert "2 from it and 0 from the kept copy" in told
    assert_done(repository, control)
    assert repository.ran() == [], "the run cache has the third"


def test_a_dvc_lock_of_which_nothing_can_be_read_is_removed(repository: Repository, control: Repository) -> None:
    plain = killed(repository, Kill("dvc.lock", ""))
    assert plain.dvc("repro").code != 0
    places.KEPT.write_text("no: copy\n")
    (told,) = repair.repair()
    assert "removed" in told and not Path("dvc.lock").exists()
    assert_done(repository, control)
    assert repository.ran() == []


NO_LOCK_FILES = [b"\xff\xfe\n", b"stages: [\n", b"schema: '2.0'\nstages:\n", b"schema: '2.0'\n", b"- a\n", b"\0" * 99]


@pytest.mark.parametrize("content", NO_LOCK_FILES)
def test_a_dvc_lock_that_is_none(repository: Repository, content: bytes) -> None:
    before = Path("dvc.lock").read_bytes()
    Path("dvc.lock").write_bytes(content)
    (told,) = repair.repair()
    assert told.startswith("dvc.lock")
    assert Path("dvc.lock").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "schema: '2.0'\n",
        "schema: '2.0'\nstages: {}\n",
        "schema: '2.0'\nstages:\n  on:\n    cmd: x\n",
        "schema: '2.0'\nstages:\n  'a b':\n    cmd:\n    - x\n    - y\n",
        "schema: '2.0'\nstages:\n  ? a\n  : cmd: x\n",
        "schema: '2.0'\ndatasets:\n- name: d\n  type: url\nstages:\n  a:\n    cmd: |\n      x\n\n      y\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: x\ndatasets:\n- name: d\n",
    ],
)
def test_a_dvc_lock_of_another_spelling_is_left_alone(repository: Repository, text: str) -> None:
    places.KEPT.unlink()
    Path("dvc.lock").write_text(text)
    assert repair.repair() == []
    repair.keep()
    assert places.KEPT.read_text() == text


def test_a_dvc_lock_that_git_has_so_is_left_alone(repository: Repository) -> None:
    """The copy knows more stages: the user has checked out an older dvc.lock."""
    text = Path("dvc.lock").read_text()
    short = text[: text.index("  b:")]
    Path("dvc.lock").write_text(short)
    for words in (
        ["init", "-q"],
        ["add", "dvc.lock"],
        ["-c", "user.name=t", "-c", "user.email=t", "commit", "-qm", "t"],
    ):
        subprocess.run(["git", *words], check=True)
    assert repair.repair() == []
    repair.keep()
    assert places.KEPT.read_text() == short


def test_a_merge_and_other_ends_of_lines_are_left_to_the_user(repository: Repository) -> None:
    text = Path("dvc.lock").read_text()
    for conflict in (text.replace("  b:", "<<<<<<< ours\n  b:"), text.replace("\n", "\r\n")):
        Path("dvc.lock").write_bytes(conflict.encode())
        assert repair.repair() == []
        assert Path("dvc.lock").read_bytes() == conflict.encode()


def test_a_stage_that_was_removed_is_not_brought_back(repository: Repository) -> None:
    assert repository.dvc("remove", "c").code == 0
    assert repair.repair() == []
    assert "  c:" not in Path("dvc.lock").read_text()


def test_a_dvc_lock_that_was_deleted_is_not_brought_back(repository: Repository) -> None:
    """Who deletes it wants to run anew."""
    Path("dvc.lock").unlink()
    assert repair.repair() == []
    repair.keep()
    assert not Path("dvc.lock").exists() and not places.KEPT.exists()


def test_a_damaged_dvc_lock_is_not_kept(repository: Repository) -> None:
    kept = places.KEPT.read_bytes()
    for length in (0, 100, kept.index(b"  b:"), len(kept) - 1):
        Path("dvc.lock").write_bytes(kept[:length])
        repair.keep()
        assert places.KEPT.read_bytes() == kept


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_a_dvc_lock_that_is_cut_anywhere(repository: Repository, control: Repository, kept: bool) -> None:
    """Also where plain DVC would notice nothing: what comes out is the same."""
    assert repository.dvc("repro").code == 0
    whole = Path("dvc.lock").read_text()
    for length in range(0, len(whole), 37):
        if not kept:
            places.KEPT.unlink(missing_ok=True)
        Path("dvc.lock").write_text(whole[:length])
        repair.repair()
        assert_done(repository, control)
        assert kept or not places.KEPT.exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_before_any_change_of_a_file(repository: Repository, control: Repository, tmp_path: Path) -> None:
    """All stages run; every eleventh change is tried."""
    number, ended = 1, False
    while not ended:
        trial = repository.copy(tmp_path / str(number))
        os.chdir(trial.folder)
        Path("source.txt").write_text("two\n")
        ended = trial.dvc("repro", kill=Kill("change", str(number))).code == 0
        repair.repair()
        assert trial.dvc("repro").code == 0
        Path("source.txt").write_text("one\n")
        assert_done(trial, control)
        assert not any(Path(".dvc/cache/runs").rglob("*.tmp"))
        number += 11
    assert number > 100, "a run changes more files than that"


# --- the run cache


@pytest.mark.parametrize(
    ("kill", "symptom"),
    [(Kill("/runs/", "outs:"), "'outs'"), (Kill("folder", None), "NoneType")],
    ids=["entry without outputs", "folder without entry"],
)
def test_a_run_cache_that_was_being_written(
    repository: Repository, control: Repository, kill: Kill, symptom: str
) -> None:
    plain = killed(repository, kill)
    failed = plain.dvc("repro")
    assert failed.code != 0 and symptom in failed.output
    told = repair.repair()
    assert any("the run cache held 1 entries" in sentence for sentence in told)
    assert_done(repository, control)


@pytest.mark.slow
@pytest.mark.parametrize("until", ["", "ath:", None], ids=["empty", "half a line", "not renamed"])
def test_leftovers_of_the_run_cache_that_plain_dvc_bears(
    repository: Repository, control: Repository, until: str | None
) -> None:
    assert killed(repository, Kill("/runs/", until)).dvc("repro").code == 0
    assert list(Path(".dvc/cache/runs").rglob("*.tmp"))
    assert any("the run cache held 1 entries" in sentence for sentence in repair.repair())
    assert not list(Path(".dvc/cache/runs").rglob("*.tmp"))
    assert_done(repository, control)


def test_entries_of_the_run_cache_that_are_no_entries(repository: Repository) -> None:
    folder = Path(".dvc/cache/runs/ab/abcd")
    folder.mkdir(parents=True)
    for name, content in {"a": b"", "b": b"cmd: x\n", "c": b"\0" * 100, "d": b"cmd: x\nouts: 3\n"}.items():
        (folder / name).write_bytes(content)
    (folder / "e").write_text("{cmd: x, outs: [{path: y}]}\n")
    (told,) = repair.repair()
    assert "held 4 entries" in told
    assert [path.name for path in folder.iterdir()] == ["e"]


def test_a_cache_elsewhere_may_be_used_by_others(repository: Repository, tmp_path: Path) -> None:
    with Path(".dvc/config").open("a") as config:
        config.write(f"[cache]\n    dir = {os.path.relpath(tmp_path / 'cache', '.dvc')}\n")
    folder = tmp_path / "cache" / "runs" / "ab" / "abcd"
    folder.mkdir(parents=True)
    (folder / ".x.tmp").touch()
    assert repair.repair() == []
    os.utime(folder / ".x.tmp", (0, 0))
    assert len(repair.repair()) == 1
    assert not folder.exists()


# --- the rwlock


@pytest.mark.parametrize("until", ["", '"cmd"'], ids=["empty", "half"])
def test_a_rwlock_that_was_being_written(repository: Repository, control: Repository, until: str) -> None:
    plain = killed(repository, Kill("rwlock", until))
    failed = plain.dvc("repro")
    assert failed.code != 0 and "corrupted" in failed.output
    (told,) = repair.repair()
    assert ("empty" if not until else "damaged") in told
    assert_done(repository, control)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def hold(pid: int, command: str = "dvc repro") -> str:
    info = {"pid": pid, "cmd": command}
    text = json.dumps({"write": {f"{Path.cwd()}/c.txt": info}, "read": {f"{Path.cwd()}/b": [info]}})
    RWLOCK.write_text(text)
    return text


@pytest.mark.parametrize("ended", [False, True], ids=["another program", "one that nobody collects"])
def test_a_rwlock_that_names_no_dvc(
    repository: Repository, control: Repository, sleeper: subprocess.Popen[bytes], ended: bool
) -> None:
    """Process ids repeat, above all in containers, where nobody may collect ended processes either."""
    if ended:
        sleeper.kill()
        time.sleep(0.1)
    hold(sleeper.pid)
    busy = repository.copy(repository.folder.parent / "plain")
    (busy.folder / RWLOCK).write_text(RWLOCK.read_text().replace(str(repository.folder), str(busy.folder)))
    failed = busy.dvc("repro")
    assert failed.code != 0 and "busy" in failed.output
    (told,) = repair.repair()
    assert f"process {sleeper.pid} (dvc repro), which is no live DVC" in told
    assert json.loads(RWLOCK.read_text()) == {}
    assert_done(repository, control)


def test_of_a_rwlock_only_what_is_stale_goes(repository: Repository, tmp_path: Path) -> None:
    living = dvc_script(tmp_path, "repro")
    try:
        text = hold(living.pid)
        value = json.loads(text)
        stale = {"pid": 2**22 + 1, "cmd": "dvc repro"}
        value["read"]["/elsewhere"] = [stale]
        value["read"][f"{Path.cwd()}/b"].append(stale)
        value["write"]["/x"] = stale
        RWLOCK.write_text(json.dumps(value))
        (told,) = repair.repair()
        assert str(stale["pid"]) in told
        assert json.loads(RWLOCK.read_text()) == json.loads(text)
    finally:
        end(living)


SLEEP = "import sys, time; print('ready', flush=True); time.sleep(60)\n"


def dvc_script(folder: Path, *words: str, name: str = "dvc") -> subprocess.Popen[str]:
    """A process that looks like a console script."""
    (folder / name).write_text(SLEEP)
    return start([sys.executable, str(folder / name), *words])


def start(command: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize("kind", ["console script", "module", "its own program", "registered"])
def test_a_live_dvc_keeps_its_locks(repository: Repository, tmp_path: Path, kind: str) -> None:
    command = "/bin/dvc repro c"
    if kind == "console script":
        process = dvc_script(tmp_path, "repro", "c")
    elif kind == "module":
        (tmp_path / "dvc").mkdir()
        (tmp_path / "dvc" / "__init__.py").touch()  # without it the real DVC would come first
        (tmp_path / "dvc" / "__main__.py").write_text(SLEEP)
        process = start(["env", f"PYTHONPATH={tmp_path}", sys.executable, "-m", "dvc", "repro", "c"])
    elif kind == "its own program":
        process, command = dvc_script(tmp_path, "all", name="mine.py"), "mine.py all"
    else:
        process = start([sys.executable, "-c", f"from core.repair import register_dvc; register_dvc(); {SLEEP}"])
    try:
        text = hold(process.pid, command)
        assert repair.repair() == []
        assert RWLOCK.read_text() == text
    finally:
        end(process)
    assert len(repair.repair()) == 1
    assert not list(places.PROCESSES.glob("*"))


def test_a_registered_process_id_that_came_again(repository: Repository, sleeper: subprocess.Popen[bytes]) -> None:
    places.PROCESSES.mkdir()
    (places.PROCESSES / f"{sleeper.pid}-1.dvc").touch()
    hold(sleeper.pid)
    assert len(repair.repair()) == 1


@pytest.mark.parametrize(
    "text", ["[]", '{"write": []}', '{"read": {"a": {"pid": 1}}}', '{"write": {"a": {"pid": "1"}}}']
)
def test_a_rwlock_of_another_shape(repository: Repository, text: str) -> None:
    RWLOCK.write_text(text)
    assert len(repair.repair()) == 1
    assert not RWLOCK.exists()


# --- beside a live DVC, and where all is well


@pytest.mark.parametrize("name", ["lock", "rwlock.lock"])
def test_what_a_live_process_holds_is_left_alone(repository: Repository, name: str) -> None:
    Path("dvc.lock").write_text("")
    RWLOCK.write_text("")
    runs = Path(".dvc/cache/runs/ab/abcd")
    runs.mkdir(parents=True)
    with Path(".dvc/tmp", name).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        repair.repair()
        repair.keep()
        mine = {"lock": Path("dvc.lock").stat().st_size == 0 and runs.exists(), "rwlock.lock": RWLOCK.exists()}
        assert [key for key, left in mine.items() if left] == [name]
    repair.repair()
    assert Path("dvc.lock").stat().st_size and not RWLOCK.exists() and not runs.exists()


def test_repair_does_not_disturb_a_live_dvc(repository: Repository, control: Repository) -> None:
    program = (
        "import sys, time; from core import repair\n"
        "print('ready', flush=True)\n"
        "while True:\n    found = repair.repair(); repair.keep()\n"
        "    if found: print(*found, flush=True)\n    time.sleep(0.005)\n"
    )
    beside = start([sys.executable, "-c", program])
    try:
        Path("source.txt").write_text("two\n")
        assert repository.dvc("repro", register=True).code == 0
        Path("source.txt").write_text("one\n")
        assert_done(repository, control, register=True)
    finally:
        beside.kill()
        found = beside.communicate()[0]
    assert found == ""


def test_a_healthy_repository_stays_as_it_is(control: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(control.folder)
    repair.keep()
    before = control.state()
    assert repair.repair() == []
    repair.keep()
    assert control.state() == before


def test_where_dvc_never_ran_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert repair.repair() == []
    repair.keep()
    assert not list(tmp_path.iterdir())


def forty_stages() -> str:
    """A dvc.lock and a run cache of forty stages with ten dependencies each."""
    artifact = (
        "    - path: data/detection/validated/dataset/{0}\n      hash: md5\n      md5: {0:032x}\n      size: {0}\n"
    )
    deps = "".join(map(artifact.format, range(10)))
    entry = (
        "    cmd: python -m stages.x {0}\n    deps:\n{1}    params:\n      params.yaml:\n        lr: 1\n    outs:\n{2}"
    )
    entries = [entry.format(number, deps, artifact.format(number)) for number in range(40)]
    for number, text in enumerate(entries):
        path = Path(f".dvc/cache/runs/{number:02x}/{number:064x}/{number:064x}")
        path.parent.mkdir(parents=True)
        path.write_text("".join(line[4:] + "\n" for line in text.splitlines()))
    return lock_file.HEAD + "".join(f"  s{number}:\n{entry}" for number, entry in enumerate(entries))


def test_forty_healthy_stages_cost_next_to_nothing(repository: Repository) -> None:
    Path("dvc.lock").write_text(forty_stages())
    repair.keep()
    seconds = []
    for _ in range(5):
        began = time.process_time()
        assert repair.repair() == []
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.05


def test_the_program_tells_what_it_mended(repository: Repository) -> None:
    RWLOCK.write_text("")
    command = [sys.executable, "-m", "core.repair"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for expected in ("rwlock was empty", "nothing to mend"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert expected in done.stdout and not done.stderr
    assert "rwlock was empty" in places.LOG.read_text()
