"""An MLflow model of a package: raw images or texts in, predictions out, as the task's `Predictor` makes them.

MLflow copies this file into the model and runs it when the model is loaded, so nothing is pickled. Beside it lie
`code/` (the modules that it imports) and the package, whose passport is verified first. Options (`model_config`):

    task       whose predictor it is
    binary     whether an input is a file (bytes, or text in base64) and not text
    batch      inputs computed together at most
    threads    of ONNX Runtime; 0: all cores
"""

from __future__ import annotations

import base64
import binascii
import importlib
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

CODE = Path(__file__).with_name("code")
if CODE.is_dir():
    # A second model in the same process finds these packages imported from the first one's code.
    for start in CODE.glob("*/__init__.py"):
        importlib.import_module(start.parent.name).__path__.append(str(start.parent))

from core.errors import DataError, ModelError  # noqa: E402
from ops import passport  # noqa: E402 - found only now


class Packaged(mlflow.pyfunc.PythonModel):
    """What `mlflow.pyfunc.load_model` gives."""

    def load_context(self, context: Any) -> None:
        """Raises: ModelError when the package is not as it was sealed."""
        folder, options = Path(context.artifacts["package"]), context.model_config
        if problems := passport.verify(folder):
            raise ModelError(f"{folder}: {problems[0]}; get this version of the model anew")
        predict = importlib.import_module(f"tasks.{options['task']}.predict")
        self.predictor = predict.Predictor(folder / "model", threads=options["threads"])
        self.binary, self.batch = options["binary"], options["batch"]

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[Any]:
        """model_input: the inputs in its first column; MLflow makes such a table of whatever it is given."""
        values = model_input.iloc[:, 0].tolist()
        inputs = [_content(value, i) if self.binary else value for i, value in enumerate(values)]
        starts = range(0, len(inputs), self.batch)
        return [result for start in starts for result in self.predictor(inputs[start : start + self.batch])]


def _content(value: Any, position: int) -> bytes:
    """Bytes of a file. Text, which a predictor would take for a path, is base64; so are bytes that can be: MLflow's
    server hands base64 on as bytes when inputs come as a plain list, and no image file has letters and digits alone."""
    text = isinstance(value, str)
    if not text and not isinstance(value, bytes):
        raise DataError(f"input {position}: expected bytes or base64 text of a file, found {type(value).__name__}")
    try:
        plain = value.encode() if text else value
        return base64.b64decode(plain.replace(b"\n", b""), validate=True)
    except binascii.Error as error:
        if text:
            raise DataError(f"input {position}: expected bytes or base64 text of a file: {error}") from None
        return value


mlflow.models.set_model(Packaged())
