"""Secrets of an address are written nowhere (docs/faults.md 115)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import params
from core.address import has_user, public
from core.errors import ParamsError, SourceError

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2"
SIGNED = f"http://data.invalid/wheat.zip?X-Amz-Signature={SECRET}#{SECRET}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/x.zip", "https://h/x.zip"),
        ("https://u:p@h:8/x", "https://h:8/x"),
        ("HTTPS://token@h/x", "HTTPS://h/x"),
        ("git+https://u:p@q@h/x.git", "git+https://h/x.git"),
        ("https://h/x?a=p#p", "https://h/x"),
        ("https://h?a=p", "https://h"),
        ("https://h/x#p?a", "https://h/x"),
        ("https://u:p/q@h/x", "https://h/x"),
        ("https://h/@scope/x@v1.zip", "https://h/@scope/x@v1.zip"),
        ("https://[::1]:8/@x", "https://[::1]:8/@x"),
        ("ssh://git@h/x", "ssh://h/x"),
        ("git@h:x", "git@h:x"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("postgresql://mlflow:p@h/db", "postgresql://h/db"),
        ("/data/what?/a@b", "/data/what?/a@b"),
        ("fatal: 'https://u:p@h/x?p' and https://h/y?p, ended", "fatal: 'https://h/x' and https://h/y ended"),
        ("Max retries exceeded with url: /x?sig=p (Caused by E)", "Max retries exceeded with url: /x (Caused by E)"),
    ],
)
def test_an_address_without_what_opens_it(text: str, expected: str) -> None:
    assert public(text) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@h/x", True),
        ("HTTPS://token@h/x", True),
        ("git+HTTPS://token@h/x", True),
        ("ssh://git@h/x", False),
        ("ssh://git:p@h/x", True),
        ("git@h:x", False),
        ("https://h/x?mail=a@b", False),
        ("https://h/a@b", False),
    ],
)
def test_a_user_part_is_found(url: str, expected: bool) -> None:
    assert has_user(url) is expected


def source(address: str) -> params.SourceParams:
    return params.SourceParams(source=address, sha256="0" * 64, commit=None, files=None, allow_private=False)


def test_params_know_the_whole_address_and_dump_the_public_one() -> None:
    found = source(SIGNED)
    assert found.source == SIGNED and found.kind == "archive" and found.address == "http://data.invalid/wheat.zip"
    for dumped in (found.model_dump(), found.model_dump(mode="json", by_alias=True), found.model_dump_json()):
        assert SECRET not in str(dumped) and "wheat.zip" in str(dumped)


def test_the_kind_does_not_depend_on_the_case() -> None:
    assert source("HTTPS://h/x.zip").kind == "archive"
    commit = "a" * 40
    for address in ("HTTPS://h/x.git", "GIT+ssh://h/x", "https://h/x.git?token=y"):
        assert (
            params.SourceParams(source=address, sha256=None, commit=commit, files=None, allow_private=False).kind
            == "git"
        )


@pytest.mark.parametrize("address", [f"HTTPS://me:{SECRET}@h/x.zip", f"git+HTTPS://{SECRET}@h/x", f"{SIGNED}"])
def test_no_complaint_about_params_repeats_a_secret(address: str) -> None:
    values = params.read(ROOT / "params.yaml")
    values["detection"]["data"]["source"] = address
    with pytest.raises(ParamsError) as caught:
        params.check(values)
    assert SECRET not in str(caught.value) + str(caught.value.problems)


def test_errors_hold_no_secret() -> None:
    assert SECRET not in str(SourceError(f"{SIGNED!r} is no URL")) + repr(SourceError(f"see {SIGNED}"))


def test_a_stage_that_cannot_fetch_tells_and_tracks_no_secret(tmp_path: Path) -> None:
    """In its output, in MLflow's params and error, in all that it leaves on the disk."""
    for name in ("dvc.yaml", "matrix.yaml", "core", "ops", "modalities", "tasks", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    text = (ROOT / "params.yaml").read_text().replace("source: sample  ", f'source: "{SIGNED}"  ', 1)
    (tmp_path / "params.yaml").write_text(text.replace("sha256: null", f"sha256: '{'0' * 64}'", 1))
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment |= {
        "STILLHOUSE_TRACKING_WAIT": "0",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", "stages.prepare", "detection"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (2, 75) and "data.invalid" in done.stderr, done.stderr
    assert SECRET not in done.stdout + done.stderr
    (tmp_path / "params.yaml").unlink()
    (spool,) = (tmp_path / ".stillhouse" / "spool").glob("*.jsonl")
    events = [json.loads(line) for line in spool.read_text().splitlines()]
    logged = {key: value for event in events if event["kind"] == "params" for key, value in event["values"].items()}
    assert logged["data.source"] == "http://data.invalid/wheat.zip"
    assert any("error" in event.get("values", {}) for event in events)
    shutil.rmtree(tmp_path / ".stillhouse" / "locks", ignore_errors=True)
    for path in (tmp_path / ".stillhouse").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
