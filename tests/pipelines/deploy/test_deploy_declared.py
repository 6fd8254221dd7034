"""The file of deployments: what is wrong is told all at once, and what is right is understood."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in import ROOT, commit, git

from core import params
from core.errors import StillhouseError
from pipelines.deploy import declared, flowfile, repository
from pipelines.deploy.declared import Change, Cron, DeclaredError, DockerPool, Repository

PARAMETERS = ["targets", "jobs", "gpus", "force", "downstream"]
GOOD = """
pools:
  local: {type: process}
  gpu: {type: docker, image: "i:1", gpus: 2, env: {AWS_SECRET_ACCESS_KEY: "{{ prefect.blocks.secret.aws }}"}}
deployments:
  nightly: {pool: local, trigger: {cron: "0 2 * * *"}, parameters: {jobs: 2}}
  data: {pool: gpu, trigger: {source: detection, every: 15m, pool: local}, remote: store,
         repository: {url: "https://example.org/x.git", branch: main}}
"""


def load(tmp_path: Path, text: str) -> declared.Declared:
    path = tmp_path / "deployments.yaml"
    path.write_text(text)
    return declared.load(path, PARAMETERS)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(DeclaredError) as caught:
        load(tmp_path, text)
    return caught.value.problems


def test_each_source_has_a_deployment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    each = "  data: {pool: local, trigger: {source: each, every: 15m, pool: local}}\n"
    found = load(tmp_path, "pools:\n  local: {type: process}\ndeployments:\n" + each).deployments
    sources = {name: one.trigger.source for name, one in found.items() if isinstance(one.trigger, Change)}
    assert sources == {f"data-{name.replace('_', '-')}": name for name in params.load()[0].tasks}
    (tmp_path / "params.yaml").unlink()
    (problem,) = problems(tmp_path, "pools:\n  local: {type: process}\ndeployments:\n" + each)
    assert problem.startswith("deployments.data.trigger.source: params.yaml does not exist")


def test_the_shipped_file_is_valid() -> None:
    found = declared.load(ROOT / declared.FILE, PARAMETERS)
    assert {pool.type for pool in found.pools.values()} == {"process", "docker", "kubernetes"}
    triggers = [type(deployment.trigger) for deployment in found.deployments.values()]
    assert {Cron, Change, type(None)} == set(triggers)


def test_a_good_file_is_understood(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert isinstance(gpu := found.pools["gpu"], DockerPool)
    assert gpu.gpus == 2
    nightly, data = found.deployments["nightly"], found.deployments["data"]
    assert nightly.trigger == Cron(cron="0 2 * * *", timezone="UTC")
    assert (nightly.repository, nightly.parameters, nightly.concurrency.limit) == ("here", {"jobs": 2}, 1)
    assert isinstance(data.trigger, Change)
    assert isinstance(data.repository, Repository)


def test_every_problem_of_a_bad_file_is_told_at_once(tmp_path: Path) -> None:
    """docs/faults.md 46 to 48."""
    text = """
pool: {}
pools:
  local: {type: proces}
  Gpu: {type: docker, gpu: all, memory: 32}
  k: {type: kubernetes, image: x, gpus: all}
  ok: {type: process}
  secret: {type: process, env: {AWS_SECRET_ACCESS_KEY: abc, NUMBER: "4"}}
deployments:
  a: {pool: locl, trigger: {cron: "61 2 * * *"}, parameters: {job: 2}}
  b: {pool: ok, trigger: {source: detektion, every: 5s, pool: k}}
  c: {pool: ok, trigger: {source: detection, every: 5m, pool: secre}}
  d: {pool: ok, repository: {url: "https://u:p@h/x.git", branch: main}, concurency: 1}
  e: {pool: ok, repository: {url: "https://h/x.git", branch: main, commit: head}}
  f: {pool: ok, trigger: {cron: "0 2 * * *", timezone: Mars}, repository: there}
"""
    assert problems(tmp_path, text) == [
        "pool: unknown key; did you mean 'pools'?",
        "pools.Gpu: a name is lower-case letters, digits and dashes, and begins with a letter",
        "pools.local.type: found 'proces'; did you mean 'process'?",
        "pools.Gpu.image: missing",
        "pools.Gpu.memory: found 32, should be a valid string",
        "pools.Gpu.gpu: unknown key; did you mean 'gpus'?",
        "pools.k.gpus: found 'all', should be a valid integer",
        "pools.secret.env: AWS_SECRET_ACCESS_KEY: a secret does not belong into this file; put it into a Prefect "
        'Secret block and write "{{ prefect.blocks.secret.NAME }}"',
        'deployments.a.trigger: Invalid cron string: "61 2 * * *"',
        "deployments.b.trigger.source: unknown task 'detektion'; did you mean 'detection'?",
        "deployments.b.trigger.every: found '5s', expected 10s or more",
        "deployments.d.repository: the URL holds a user or password; put a token into a Prefect Secret block, see "
        "`token`",
        "deployments.d.concurency: unknown key; did you mean 'concurrency'?",
        "deployments.e.repository: give either `branch` or `commit`",
        'deployments.f.trigger: Invalid timezone: "Mars" (specify in IANA tzdata format, for example, '
        "America/New_York)",
        "deployments.f.repository: found 'there', expected here, or a mapping with `url`",
        "deployments.a.pool: 'locl' is not declared under `pools`; did you mean 'local'?",
        "deployments.a.parameters.job: the flow takes no such parameter; did you mean 'jobs'?",
        "deployments.c.trigger.pool: 'secre' is no process pool; did you mean 'secret'?",
    ]


def test_a_container_needs_a_repository_and_a_remote(tmp_path: Path) -> None:
    text = "pools: {gpu: {type: docker, image: x}}\ndeployments: {a: {pool: gpu}}"
    first, second = problems(tmp_path, text)
    assert first.startswith("deployments.a.repository: a container does not see this folder")
    assert second.startswith("deployments.a.remote: missing")


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    text = GOOD.replace("https://example.org", "https://me:hunter2@example.org")
    assert "hunter2" not in str(problems(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pools: [", "line"),
        ("pools: {a: {type: process}, a: {type: process}}", "stands twice"),
        ("pools: !!python/object:os.system {}", "constructor"),
        ("pools: {}\ndeployments: 3", "deployments: expected a mapping with at least one name, found 3"),
        ("- 1", "must hold a mapping"),
    ],
)
def test_broken_yaml_is_told_by_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in "\n".join(problems(tmp_path, text))


def test_a_flow_is_read_without_being_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.py").write_text(
        "from __future__ import annotations\nfrom prefect import flow\n\n"
        "@flow(name='other')\ndef pipeline(targets: list[str] | None = None, jobs: int = 0) -> None:\n    ...\n"
    )
    found = flowfile.read("f.py:pipeline")
    assert (found.name, found.parameters) == ("other", ["targets", "jobs"])
    assert found.schema["properties"]["jobs"]["type"] == "integer"
    with pytest.raises(declared.StillhouseError, match="holds no function 'absent'"):
        flowfile.read("f.py:absent")
    with pytest.raises(declared.StillhouseError, match="run from the repository root"):
        flowfile.read("g.py:pipeline")


def test_the_flows_that_are_deployed_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert set(PARAMETERS) <= set(flowfile.read(flowfile.PIPELINE).parameters)
    assert flowfile.read(flowfile.SENSOR).name == "sensor"


def test_a_folder_that_git_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of another user: the commit is there, and `no git checkout` would send its reader astray."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its tests
    with pytest.raises(StillhouseError, match=r"git refuses .*dubious ownership.*; git config --global --add safe"):
        repository.pull_steps(Repository(url=str(tmp_path), commit="head"), tmp_path)


def test_only_a_process_pool_starts_crashed_runs_again(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, GOOD.replace("parameters: {jobs: 2}", "crashed: {pool: gpu}"))
    assert problem.startswith("deployments.nightly.crashed.pool: 'gpu' is no process pool")
    found = load(tmp_path, GOOD.replace("parameters: {jobs: 2}", "crashed: {pool: local, wait: 5m}"))
    assert found.deployments["nightly"].crashed == declared.Crash(pool="local", times=2, wait="5m")
