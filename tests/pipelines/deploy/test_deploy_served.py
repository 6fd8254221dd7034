"""Packages put where a server looks: whole or not at all, and only those that hold."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
import toy_package

from core.errors import StillhouseError
from core.files import read_json
from ops import passport
from ops.passport import keys, signature
from pipelines.deploy import served


def made(folder: Path, seed: int) -> Path:
    """A folder of packages, with one in it; returns that folder."""
    params = {"seed": seed, "detection": {"train": {"epochs": 3}}}
    toy_package.make(folder / "detection", {**toy_package.VALUES, "params": params})
    return folder


def version(package: Path) -> str:
    return str(read_json(package / passport.NAME)["seal"])[:12]


def test_a_package_is_there_under_its_name_and_again_is_nothing_new(tmp_path: Path) -> None:
    packages, folder = made(tmp_path / "packages", 1), tmp_path / "served"
    folder.mkdir()
    assert served.put(packages, folder) == [f"detection-{version(packages / 'detection')}"]
    assert passport.verify(folder / "detection") == []
    assert served.put(packages, folder) == []
    assert served.put(tmp_path / "nothing", folder) == []


def test_who_reads_meanwhile_finds_a_whole_package_each_time(tmp_path: Path) -> None:
    versions = [made(tmp_path / str(seed), seed) for seed in range(2)]
    folder, over, faults, seen = tmp_path / "served", threading.Event(), [], set()
    served.put(versions[0], folder)

    def read() -> None:
        while not over.is_set():
            place = (folder / "detection").resolve()  # as a server that has opened it
            faults.extend(passport.verify(place))
            seen.add(place.name)

    reader = threading.Thread(target=read)
    reader.start()
    end = time.monotonic() + 60
    for number in itertools.count(1):
        served.put(versions[number % 2], folder)
        if number >= 30 and (len(seen) == 2 or time.monotonic() > end):
            break
    over.set()
    reader.join()
    assert faults == [] and len(seen) == 2


def test_the_version_before_stays_and_older_ones_go(tmp_path: Path) -> None:
    versions = [made(tmp_path / str(seed), seed) for seed in range(3)]
    for packages in versions:
        served.put(packages, tmp_path / "served")
    kept = {path.name for path in (tmp_path / "served" / served.VERSIONS).iterdir()}
    assert kept == {f"detection-{version(packages / 'detection')}" for packages in versions[1:]}


def test_what_a_killed_run_left_is_no_obstacle(tmp_path: Path) -> None:
    packages, folder = made(tmp_path / "packages", 1), tmp_path / "served"
    half = folder / served.VERSIONS / f"detection-{version(packages / 'detection')}.partial"
    half.mkdir(parents=True)
    (half / "model").write_text("half")
    (folder / ".detection.partial").symlink_to("nowhere")
    served.put(packages, folder)
    assert passport.verify(folder / "detection") == [] and not half.exists()


def test_a_package_that_does_not_hold_stays_away(tmp_path: Path) -> None:
    good, bad, folder = made(tmp_path / "good", 1), made(tmp_path / "bad", 2), tmp_path / "served"
    served.put(good, folder)
    (bad / "detection" / "golden" / "0.png").write_bytes(b"other")
    with pytest.raises(StillhouseError, match="the passport does not hold"):
        served.put(bad, folder)
    assert version(folder / "detection") == version(good / "detection")


def test_a_folder_put_there_by_hand_is_not_overwritten(tmp_path: Path) -> None:
    packages = made(tmp_path / "packages", 1)
    toy_package.make(tmp_path / "served" / "detection")
    with pytest.raises(StillhouseError, match="put there by hand"):
        served.put(packages, tmp_path / "served")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    packages, folder = made(tmp_path / "packages", 1), tmp_path / "served"
    folder.write_text("a file")
    with pytest.raises(StillhouseError, match="cannot be put into"):
        served.put(packages, folder)


def test_a_signature_goes_with_the_package_also_when_it_comes_later(tmp_path: Path) -> None:
    packages, folder = made(tmp_path / "packages", 1), tmp_path / "served"
    served.put(packages, folder)
    for name in ("first", "second"):
        key = keys.generate(tmp_path / name)
        signature.sign(packages / "detection", tmp_path / name)
        assert served.put(packages, folder) == [f"detection-{version(packages / 'detection')}"]
        assert passport.verify(folder / "detection", [key]) == []
        assert served.put(packages, folder) == []


def test_what_is_put_there_is_signed_by_the_key_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, folder = made(tmp_path / "packages", 1), tmp_path / "served"
    for name in ("first", "second"):
        key = keys.generate(tmp_path / name)
        monkeypatch.setenv(served.KEY, str(tmp_path / name))
        assert len(served.put(packages, folder)) == 1
        assert passport.verify(folder / "detection", [key]) == []
        assert served.put(packages, folder) == []
    assert not (packages / "detection" / signature.NAME).exists()  # an output of DVC stays as it was made
    monkeypatch.setenv(served.KEY, str(tmp_path / "none"))
    with pytest.raises(StillhouseError, match="cannot be read"):
        served.put(packages, folder)
