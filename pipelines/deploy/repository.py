"""Where a run gets the code: the pull steps that Prefect takes before it loads the flow."""

from __future__ import annotations

import os
import subprocess
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any

from core.errors import StillhouseError, suggest
from pipelines.deploy.declared import ContainerPool, Deployment, DockerPool, Pool, Repository

MACHINE = ("DVC_SYSTEM_CONFIG_DIR", "DVC_GLOBAL_CONFIG_DIR")
FOLDER = "stillhouse"
"""What the clone is called, in the folder where a worker starts a run."""


def pull_steps(repository: Repository | str, root: Path) -> list[dict[str, Any]]:
    """For a declared repository. Raises: StillhouseError when the checkout cannot tell what it names."""
    if not isinstance(repository, Repository):
        return [{"prefect.deployments.steps.set_working_directory": {"directory": str(root)}}]
    inputs: dict[str, Any] = {"repository": url(repository.url, root), "clone_directory_name": FOLDER}
    if repository.branch:
        inputs["branch"] = repository.branch
    else:
        inputs["commit_sha"] = _head(root) if repository.commit == "head" else repository.commit
    if repository.token:
        inputs["access_token"] = f"{{{{ prefect.blocks.secret.{repository.token} }}}}"
    return [{"prefect.deployments.steps.git_clone": inputs}]


def url(declared: str, root: Path) -> str:
    """A URL as it is; the name of a git remote as that remote's URL; a local path as an absolute one."""
    if "://" in declared or "@" in declared:
        return declared
    remotes = (_git(root, "remote") or "").split()
    found = _git(root, "remote", "get-url", declared) if declared in remotes else declared
    assert found is not None
    if "://" in found or ":" in found.partition("/")[0]:
        if "@" in found.partition("://")[2].partition("/")[0]:
            raise StillhouseError(f"the git remote {declared!r} holds a user or password; declare its URL without them")
        return found
    if not (root / found).exists():
        hint = suggest(declared, remotes) if remotes else "there is none; `git remote add origin URL`, or write the URL"
        raise StillhouseError(f"{declared!r} is neither a URL, a folder, nor a git remote of this checkout; {hint}")
    return str((root / found).resolve())


def warnings(deployment: Deployment, pool: Pool, root: Path) -> list[str]:
    """What may be right, but is more often forgotten: said when deploying, since a run would only find out later."""
    found = []
    repository = deployment.repository
    if isinstance(repository, Repository) and repository.commit == "head":
        if _git(root, "status", "--porcelain", "--untracked-files=no"):
            found.append("this folder has changes that are not committed; the runs will not have them")
        itself = Path(url(repository.url, root).removeprefix("file://")) == root.resolve()
        if not itself and not _git(root, "branch", "--remotes", "--contains", "HEAD"):
            found.append("the commit of this folder is on no remote branch; push it before the first run")
    if isinstance(repository, Repository) and isinstance(pool, ContainerPool):
        place = url(repository.url, root)
        mounted = [volume.split(":")[1] for volume in pool.volumes] if isinstance(pool, DockerPool) else []
        if place.startswith("/") and not any(place.startswith(folder) for folder in mounted):
            found.append(f"a container does not see {place}; name a URL, or mount it with `volumes`")
    if deployment.remote and deployment.remote not in remotes(root):
        found.append(
            f".dvc/config names no remote {deployment.remote!r}; `dvc remote add {deployment.remote} URL` and commit it"
        )
    if isinstance(pool, ContainerPool) and "MLFLOW_TRACKING_URI" not in pool.env:
        found.append("without MLFLOW_TRACKING_URI in the pool's `env`, its MLflow runs go with the container")
    return found


def remotes(root: Path) -> list[str]:
    """DVC remotes that the repository names, or this machine where a variable says so (the stack's does)."""
    config = ConfigParser(interpolation=None)
    folders = [os.environ.get(name) for name in MACHINE]
    try:
        config.read([Path(folder, "config") for folder in (root / ".dvc", *folders) if folder], encoding="utf-8")
    except Error as error:
        raise StillhouseError(f"DVC's config cannot be read: {error}") from None
    return [section.split('"')[1] for section in config.sections() if section.startswith("'remote \"")]


def _head(root: Path) -> str:
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        raise StillhouseError(f"`commit: head`: {root} is no git checkout with a commit")
    return commit


def _git(root: Path, *arguments: str) -> str | None:
    """git's answer, None when it has none. Raises: StillhouseError where it refuses the folder, as another user's."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise StillhouseError("git is not installed") from None
    if "dubious ownership" in done.stderr:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise StillhouseError(f"git refuses {root}: {lines[0].removeprefix('fatal: ')}; {lines[-1]}")
    return None if done.returncode else done.stdout.strip()
