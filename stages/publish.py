"""Give the package the forms in which other servers take models, and register it in MLflow.

reads   packages/<task>/
writes  deploy/<task>/: triton/ (a model repository), mlflow/ (a pyfunc model, which becomes the registered version)
run     python -m stages.publish detection
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import paths, stage, task
from core.errors import ModelError
from core.files import read_json
from evaluation import triton
from ops import passport
from ops.tracking import model

ALIAS = "champion"


def publish(ctx: stage.Context) -> None:
    package = paths.package(ctx.task)
    if problems := passport.verify(package):
        raise ModelError(f"{package} is not as it was packaged: {problems[0]}; run `package@{ctx.task}` again")
    triton.repository(package / "model", ctx.task, ctx.out / "triton")
    batch = task.load(ctx.task, "serve").MAX_BATCH
    model.save(package, ctx.out / "mlflow", ctx.task, example(package), batch)
    ctx.run.tag("passport", passport.read(package)["seal"])
    ctx.run.register(ctx.out / "mlflow", ctx.task, ALIAS)  # a model that fails the gate never gets this far
    print(f"{ctx.name}: {paths.deploy(ctx.task)}/, registered as {ctx.task}@{ALIAS}")


def example(package: Path) -> Any:
    """The first golden sample's input: bytes of a file, or text."""
    first = read_json(package / "golden" / "samples.json")[0]
    return (package / "golden" / first["file"]).read_bytes() if "file" in first else first["input"]


if __name__ == "__main__":
    stage.main("publish", publish, paths.deploy)
