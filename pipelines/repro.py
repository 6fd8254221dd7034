"""`dvc repro` with what a user expects around it: `python -m pipelines.repro [TARGET ...]`, or `make repro`.

Before: what a killed DVC left is mended, all of params.yaml is checked, local sources are looked at for changes.
Beside: one process sends to MLflow what the stages log and what earlier runs left. After: stages that DVC restored from
its cache are linked to their runs, and the results are shown as a table. Order and cache are DVC's alone. Where it has
found nothing to do, `make repro` says so at once the next time (`pipelines.unchanged`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from core import params
from core.errors import StillhouseError
from core.family import ends_with
from ops import repair, tracking
from pipelines import matrix, sources, summary, unchanged

QUIET = {
    "DVC_NO_ANALYTICS": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
}


def main() -> None:
    try:
        ready()
        head, tasks = params.load()
        matrix.refresh(tasks)
        for told in sources.refresh(tasks):
            print(told)
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    look, key = unchanged.Look(sources.local(tasks)), uuid.uuid4().hex
    with tracking.sending():
        code = repro(sys.argv[1:], key)
        repaired()  # DVC alone may have been killed
        restored = tracking.link_restored(key)
    if restored:
        print(f"restored from DVC's cache: {', '.join(sorted(restored))}")
    if code:
        print(
            "error: the pipeline stopped at the stage above; mend the cause and run the same command", file=sys.stderr
        )
        sys.exit(code)
    if not sys.argv[1:]:
        look.remember(head.tasks)
    summary.show(head.tasks)


def ready() -> None:
    """Before any work: mend what a killed DVC left, and see that its cache can take what will be made.

    Raises: StillhouseError for a cache that cannot be written: DVC would find out after hours of training.
    """
    repaired()
    cache = repair.cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise StillhouseError(
            f"DVC's cache {cache} cannot be written ({error.strerror}): give this user the right to, or choose another "
            "with `dvc config --local cache.dir FOLDER`"
        ) from None


def repaired() -> None:
    """Mend what a killed DVC left here, and say so; keep a copy of what is whole."""
    for sentence in repair.repair():
        print(f"mended: {sentence}")
    repair.keep()


def repro(targets: list[str], key: str) -> int:
    """Run `dvc repro` with this interpreter's environment as pipeline execution `key`; returns its exit code."""
    here = str(Path(sys.executable).parent)
    environment = {**QUIET, **os.environ, "STILLHOUSE_PIPELINE_RUN": key}
    environment["PATH"] = here + os.pathsep + os.environ.get("PATH", "")
    command = [sys.executable, "-m", "pipelines.dvc", "repro", *targets]
    return subprocess.run(command, env=environment, check=False, preexec_fn=ends_with(os.getpid())).returncode


if __name__ == "__main__":
    main()
