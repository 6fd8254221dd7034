"""docker/compose.yaml as Docker Compose reads it: valid for each profile, closed, bounded, no default password."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pipeline_copy
import pytest
import stack

ROOT = pipeline_copy.ROOT
SECRETS = ROOT / "docker" / "passwords.py"
PROFILES = ("cpu", "gpu")
PUBLISHED = {"mlflow": 5000, "prefect": 4200, "server": 8080, "server-gpu": 8080}
SERVICES = {
    "cpu": {"postgres", "objects", "volumes", "buckets", "mlflow", "prefect", "worker", "server"},
    "gpu": {"postgres", "objects", "volumes", "buckets", "mlflow", "prefect", "worker-gpu", "server-gpu"},
}

pytestmark = pytest.mark.skipif(stack.binary() is None, reason="no Docker Compose; `make test-containers` installs it")


def write(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SECRETS), str(path)], capture_output=True, text=True, check=False)


@cache
def services(profile: str) -> dict[str, Any]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert write(Path(folder, ".env")).returncode == 0
        found: dict[str, Any] = stack.config(ROOT, Path(folder, ".env"), profile)["services"]
    return found


def every(profile: str) -> list[tuple[str, dict[str, Any]]]:
    return sorted(services(profile).items())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_valid_and_holds_its_services(profile: str) -> None:
    assert set(services(profile)) == SERVICES[profile]


@pytest.mark.parametrize("profile", PROFILES)
def test_only_the_pages_are_published_and_on_loopback(profile: str) -> None:
    for name, service in every(profile):
        ports = [(port["host_ip"], port["target"]) for port in service.get("ports", [])]
        assert ports == ([("127.0.0.1", PUBLISHED[name])] if name in PUBLISHED else []), name
        assert service.get("network_mode") in (None, "none"), f"{name} shares a network with the machine"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_service_is_bounded_and_without_rights(profile: str) -> None:
    for name, service in every(profile):
        limits = service["deploy"]["resources"]["limits"]
        assert float(limits["cpus"]) > 0 and int(limits["memory"]) > 0 and int(limits["pids"]) > 0, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"] and service["read_only"] is True, name
        assert service.get("cap_add", []) == (["CHOWN", "DAC_OVERRIDE"] if name == "volumes" else []), name
        assert not service.get("privileged"), name
        assert service.get("user") != "root" or name == "volumes", name
        assert service["logging"]["options"]["max-size"] == "10m", name


@pytest.mark.parametrize("profile", PROFILES)
def test_what_stays_is_checked_and_restarted(profile: str) -> None:
    for name, service in every(profile):
        if name in stack.ONCE:
            assert service["restart"] in ("no", "on-failure:5") and "healthcheck" not in service, name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD" and service["healthcheck"]["retries"] > 0, name


@pytest.mark.parametrize("profile", PROFILES)
def test_the_order_of_the_start_waits_for_health(profile: str) -> None:
    for name, service in every(profile):
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in stack.ONCE else "service_healthy"
            assert how["condition"] == expected, f"{name} -> {needed}"
    worker = services(profile)["worker" if profile == "cpu" else "worker-gpu"]
    assert {"mlflow", "prefect", "buckets", "volumes"} <= set(worker["depends_on"])


def test_gpus_are_reserved_in_their_profile_alone() -> None:
    for profile, names in {"cpu": set(), "gpu": {"worker-gpu", "server-gpu"}}.items():
        reserved = {
            name
            for name, service in every(profile)
            for device in service["deploy"]["resources"].get("reservations", {}).get("devices", [])
            if device["driver"] == "nvidia" and device["capabilities"] == ["gpu"] and device["count"] == 1
        }
        assert reserved == names
    for name in ("worker-gpu", "server-gpu"):
        assert services("gpu")[name]["environment"]["STILLHOUSE_REQUIRE_GPU"] == "1"


def test_images_are_named_exactly_and_ours_are_never_fetched() -> None:
    for profile in PROFILES:
        for name, service in every(profile):
            if service["image"].startswith("stillhouse-"):
                assert service["pull_policy"] == "never", name
            else:
                exact = re.fullmatch(r"[\w./-]+:\d+\.[\w.-]+@sha256:[0-9a-f]{64}", service["image"])
                assert exact, f"{name}: {service['image']} is no exact version with its digest"


def test_passwords_are_in_no_command_and_no_one_sees_more_than_it_needs(tmp_path: Path) -> None:
    write(tmp_path / ".env")
    values = dict(line.split("=") for line in (tmp_path / ".env").read_text().splitlines()[1:])
    seen = {
        name: {key for key, value in values.items() if value in str(service.get("environment"))}
        for name, service in stack.config(ROOT, tmp_path / ".env", *PROFILES, "submit")["services"].items()
    }
    assert seen["worker"] == seen["worker-gpu"] == {"OBJECTS_DVC_SECRET", "MLFLOW_PASSWORD", "PREFECT_PASSWORD"}
    assert seen["mlflow"] == {"MLFLOW_DB_PASSWORD", "OBJECTS_MLFLOW_SECRET", "MLFLOW_PASSWORD"}
    assert seen["prefect"] == {"PREFECT_DB_PASSWORD", "PREFECT_PASSWORD"}
    assert seen["submit"] == {"PREFECT_PASSWORD"}
    assert seen["server"] == seen["server-gpu"] == seen["volumes"] == set()
    for name, service in stack.config(ROOT, tmp_path / ".env", *PROFILES)["services"].items():
        words = str([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
        assert not [key for key, value in values.items() if value in words], name


def test_without_passwords_it_refuses_and_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    done = stack.call(ROOT, tmp_path / ".env", ["--profile=cpu", "config", "--quiet"])
    assert done.returncode != 0
    for name in (
        "POSTGRES_PASSWORD",
        "MLFLOW_DB_PASSWORD",
        "PREFECT_DB_PASSWORD",
        "OBJECTS_ADMIN_SECRET",
        "PREFECT_PASSWORD",
    ):
        assert name in done.stderr
    assert "python docker/passwords.py" in done.stderr


def test_another_address_and_port_need_one_variable_each(tmp_path: Path) -> None:
    write(tmp_path / ".env")
    with (tmp_path / ".env").open("a") as file:
        file.write("STACK_ADDRESS=10.1.2.3\nMLFLOW_PORT=5001\nWORKER_CPUS=8\n")
    found = stack.config(ROOT, tmp_path / ".env", "cpu")["services"]
    assert found["mlflow"]["ports"][0] | {"host_ip": "10.1.2.3", "published": "5001"} == found["mlflow"]["ports"][0]
    assert found["worker"]["deploy"]["resources"]["limits"]["cpus"] == 8


def test_the_passwords_are_random_private_and_written_once(tmp_path: Path) -> None:
    first, second = tmp_path / "a.env", tmp_path / "b.env"
    assert write(first).returncode == 0 and write(second).returncode == 0
    text = first.read_text()
    values = [line.partition("=")[2] for line in text.splitlines() if "=" in line]
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert len(values) == len(set(values)) == 8 and all(len(value) == 48 for value in values)
    assert not set(values) & {line.partition("=")[2] for line in second.read_text().splitlines() if "=" in line}
    assert write(first).returncode == 0 and first.read_text() == text


def test_the_pages_passwords_are_added_to_a_file_without(tmp_path: Path) -> None:
    """Volumes made before there were any go on opening."""
    path = tmp_path / ".env"
    write(path)
    old = "".join(line for line in path.read_text().splitlines(keepends=True) if "_DB_" in line or "_PASS" not in line)
    old += "POSTGRES_PASSWORD=mine"
    path.write_text(old)
    done = write(path)
    assert done.returncode == 0 and "MLFLOW_PASSWORD, PREFECT_PASSWORD added" in done.stdout
    assert path.read_text().startswith(old + "\nMLFLOW_PASSWORD=")
    after = path.read_text()
    assert write(path).returncode == 0 and path.read_text() == after


def test_what_runs_code_for_others_is_behind_the_gate_and_a_password() -> None:
    """MLflow and Prefect by themselves answer everybody, Prefect also pages of other sites."""
    for name in ("mlflow", "prefect"):
        service = services("cpu")[name]
        assert service["command"][:3] == ["python", "/stack/gate.py", name]
        asked = "GATE_PASSWORD" if name == "mlflow" else "PREFECT_SERVER_API_AUTH_STRING"
        assert service["environment"][asked].startswith("stillhouse:")
        assert "*" not in service["environment"]["GATE_HOSTS"].split(",")
        assert (ROOT / "pipelines" / "gate.py").samefile(
            next(volume["source"] for volume in service["volumes"] if volume["target"] == "/stack/gate.py")
        )


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [("POSTGRES_PASSWORD=x\n", 0o600, "has no MLFLOW_DB_PASSWORD"), (None, 0o644, "can be read by others")],
)
def test_a_file_of_passwords_that_is_unfit_is_told(tmp_path: Path, text: str | None, mode: int, words: str) -> None:
    path = tmp_path / ".env"
    write(path)
    path.write_text(text or path.read_text())
    path.chmod(mode)
    before = path.read_bytes()
    done = write(path)
    assert done.returncode == 1 and words in done.stderr and path.read_bytes() == before


@pytest.mark.skipif(Path("/source").exists(), reason="this machine has a /source")
def test_a_checkout_that_cannot_be_read_is_not_opened_to_everybody() -> None:
    """`chmod -R o+rX` would show docker/.env, which may lie in it, to every user of the machine."""
    script = ROOT / "docker" / "stack" / "worker.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "git clone" in done.stderr and "chmod" not in done.stderr


def test_the_linter_finds_nothing() -> None:
    tools = ROOT / "requirements" / "npm" / "node_modules" / ".bin"
    if (dclint := shutil.which("dclint", path=tools)) is None:
        pytest.skip("no dclint; with npm here, `make test-containers` installs it")
    command = [dclint, "--config", "docker/dclint.yaml", "--max-warnings", "0", "docker/compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
