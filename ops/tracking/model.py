"""A package as an MLflow model (`pyfunc`): a folder that `mlflow models serve` and `mlflow.pyfunc.load_model` take."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ops.passport import signature
from ops.tracking import carried
from ops.tracking.sender import keep_private

ROOT = Path(__file__).resolve().parents[2]
CODE = Path(__file__).with_name("model_code.py")


def save(package: Path, folder: Path, task: str, example: Any, batch: int) -> None:
    """Write the model of `package` into `folder`, with the code and the libraries' versions that it needs.

    example: an input, bytes of a file or text; batch: inputs computed together at most.
    """
    keep_private()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it tells of every step
    binary = isinstance(example, bytes)
    files = carried.code(["ops.passport", f"tasks.{task}.predict"], ROOT)
    model = mlflow.models.Model()
    with tempfile.TemporaryDirectory() as scratch:
        for path in files:
            (Path(scratch) / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, Path(scratch) / path)
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(CODE),
            artifacts={"package": str(package)},
            code_paths=[str(ROOT / "LICENSE"), *(str(path) for path in sorted(Path(scratch).iterdir()))],
            signature=ModelSignature(Schema([ColSpec(DataType.binary if binary else DataType.string)])),
            input_example=[example],
            pip_requirements=carried.requirements(files, ROOT),
            model_config={"task": task, "binary": binary, "batch": batch, "threads": 0},
            mlflow_model=model,
        )
    for signed in (folder / "artifacts").glob(f"*/{signature.NAME}"):
        signed.unlink()  # another one each time, while this folder is an output of DVC
    model.flavors["python_function"]["model_code_path"] = CODE.name  # not where this repository lies
    model.save(str(folder / "MLmodel"))
