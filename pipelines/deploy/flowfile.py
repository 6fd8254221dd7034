"""What a flow's source file says of it: its name, description and parameters, without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import StillhouseError

PIPELINE = "pipelines/flow/prefect_flow.py:pipeline"
SENSOR = "pipelines/deploy/sensor.py:sensor"
RECOVERY = "pipelines/deploy/recovery.py:recovery"


@dataclass(frozen=True)
class FlowFile:
    entrypoint: str
    name: str
    schema: dict[str, Any]
    """Of the parameters; the server checks with it what a run is given."""

    @property
    def parameters(self) -> list[str]:
        return list(self.schema.get("properties", {}))


def read(entrypoint: str) -> FlowFile:
    """The flow behind `FILE:FUNCTION`, relative to the working directory. Raises: StillhouseError without one."""
    from prefect.flows import load_flow_arguments_from_entrypoint  # noqa: PLC0415 - two seconds, where there is a flow
    from prefect.utilities.callables import parameter_schema_from_entrypoint  # noqa: PLC0415 - likewise

    path, _, function = entrypoint.partition(":")
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StillhouseError(f"{path} does not exist; run from the repository root") from None
    except SyntaxError as error:
        raise StillhouseError(f"{path} line {error.lineno}: {error.msg}") from None
    if function not in [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        raise StillhouseError(f"{path} holds no function {function!r}")
    name = load_flow_arguments_from_entrypoint(entrypoint, {"name"})["name"]
    return FlowFile(entrypoint, name, parameter_schema_from_entrypoint(entrypoint).model_dump())
