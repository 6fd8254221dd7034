"""A host's clones of the repository: one for each of its slots, so that no stage sees the files of another.

HOME/mirror.git      what git has, fetched from the host's own source when a commit is not there yet
HOME/cache           DVC's cache, of all slots: what is in it is not fetched again
HOME/slots/N         a clone; one stage at a time. `.stillhouse/` of it outlives a stage: a training goes on there
"""

from __future__ import annotations

import subprocess
from configparser import ConfigParser
from pathlib import Path

from filelock import FileLock

from pipelines.deploy import remote

FETCH_S = 600.0


class UnavailableError(Exception):
    """A commit is not to be had here."""


class Clones:
    """Clones in `home` of the repository at `source`, a URL or folder that git can fetch from."""

    def __init__(self, home: Path, source: str):
        self.home, self.source = home.resolve(), source
        self._mirror = self.home / "mirror.git"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def folder(self, slot: int) -> Path:
        """The clone of a slot; made where it is missing."""
        path = self.home / "slots" / str(slot)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def check_out(self, slot: int, commit: str) -> None:
        """Bring the clone of a slot to a commit: every file of it as git has it, what git ignores as it was.

        Raises: UnavailableError.
        """
        with FileLock(self.home / "mirror.lock"):
            self._fetch(commit)
        folder = self.folder(slot)
        if not (folder / ".git").exists():
            _git(folder, "init", "--quiet")
        alternates = folder / ".git" / "objects" / "info" / "alternates"
        alternates.write_text(f"{self._mirror / 'objects'}\n", encoding="utf-8")
        (folder / ".git" / "index.lock").unlink(missing_ok=True)  # of a git that was killed: nobody else works here
        _git(folder, "checkout", "--quiet", "--force", "--detach", commit)
        _git(folder, "clean", "-ffdq", "--exclude=.dvc", "--exclude=.stillhouse")
        self._settings(folder)

    def _fetch(self, commit: str) -> None:
        if not self._mirror.exists():
            _git(self.home, "init", "--quiet", "--bare", str(self._mirror))
        if self._has(commit):
            return
        told = _git(self._mirror, "fetch", "--quiet", "--force", self.source, "+refs/*:refs/*", check=False)
        if not self._has(commit):
            why = f" ({told.splitlines()[-1]})" if told.strip() else ""
            raise UnavailableError(f"git has no commit {commit} at {self.source}{why}; push it there")

    def _has(self, commit: str) -> bool:
        command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
        return subprocess.run(command, cwd=self._mirror, capture_output=True, check=False).returncode == 0

    def _settings(self, folder: Path) -> None:
        """DVC's cache is that of the host, its remote the one that the host names, if it does."""
        path = folder / ".dvc" / "config.local"
        config = ConfigParser(interpolation=None)
        config.read(path, encoding="utf-8")
        wanted = {"cache": {"dir": str(self.cache)}}
        if name := remote.named():
            wanted["core"] = {"remote": name}
        if any(
            config.get(section, key, fallback="") != v for section, pair in wanted.items() for key, v in pair.items()
        ):
            config.read_dict(wanted)
            with path.open("w", encoding="utf-8") as file:
                config.write(file)


def _git(where: Path, *arguments: str, check: bool = True) -> str:
    """What git says. Raises: UnavailableError with its last words."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=FETCH_S,
        check=False,
    )
    if done.returncode and check:
        raise UnavailableError(f"git {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout + done.stderr
