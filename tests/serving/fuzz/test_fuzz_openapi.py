"""Requests made up from `/openapi.json`: every answer is one that it declares, what it declares valid is accepted."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from hypothesis import strategies as st
from pictures import saved
from PIL import Image
from running import Running
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection
from schemathesis.transport.serialization import Binary

from core import task
from serving.app import Application
from serving.settings import Settings

PICTURES = st.sampled_from([saved(Image.new("RGB", (9, 7), "red"), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")])
schemathesis.openapi.format("byte", PICTURES.map(lambda file: base64.b64encode(file).decode()))
schemathesis.openapi.format("binary", PICTURES.map(Binary))
schemathesis.openapi.media_type("image/*", PICTURES)
schemathesis.openapi.media_type("text/plain", st.from_regex(r"[A-Za-z ,.]*[a-z]\.", fullmatch=True).map(str.encode))
# What tensors a model takes, and how many values a shape needs, is more than OpenAPI can say.
CONFIG = {
    "operations": [
        {
            "include-path-regex": "infer$",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "429"]}},
        }
    ],
}
NEGATIVE = GenerationMode.NEGATIVE

ANSWERS: Counter[tuple[str, int]] = Counter()
"""By operation and status."""


def declared() -> dict[str, Any]:
    """By a server of both tasks."""
    app = Application(Settings({}))
    for name in ("detection", "translation"):
        app.mount(name, task.load(name, "serve"))
    return app.routes.openapi()


DECLARED = declared()
SCHEMA = schemathesis.openapi.from_dict(DECLARED, config=SchemathesisConfig.from_dict(CONFIG))


@pytest.fixture(scope="session")
def versions(server: Running) -> dict[str, str]:
    """Of the models, by name."""
    return {model["name"]: model["version"] for model in server.http.get("/v1/models").json()["models"]}


def real(case: schemathesis.Case, versions: dict[str, str]) -> None:
    """Most requests are for a model that there is, unless its name is what is wrong with them; and in its language."""
    modes = {place: part.mode for place, part in case.meta.components.items()}
    often = len(repr((case.path_parameters, case.query, case.headers, case.body))) % 8
    if often and modes.get(ParameterLocation.PATH, NEGATIVE) != NEGATIVE:
        name = "translation" if "'text'" in repr(case.body) else "detection"
        there = {"name": name, "version": versions[name], "file": "0.png"}
        case.path_parameters |= {key: there[key] for key in case.path_parameters}
    if often and modes.get(ParameterLocation.QUERY, NEGATIVE) != NEGATIVE:
        case.query.pop("model", None)
    if case.path == "/v1/translate" and isinstance(case.body, dict) and case.meta.generation.mode != NEGATIVE:
        case.body["check_language"] = False
        # That alternatives are no more than the beam, and what a vocabulary holds, no schema can say.
        case.body.pop("prefix", None)
        case.body["alternatives"] = min(case.body.get("alternatives") or 1, case.body.get("beam") or 1)


def check(case: schemathesis.Case, server: Running, versions: dict[str, str]) -> None:
    real(case, versions)
    form = case.media_type == "multipart/form-data"  # in which everything is text, and an empty list is nothing at all
    answer = case.call_and_validate(base_url=server.url, excluded_checks=[negative_data_rejection] if form else [])
    ANSWERS[case.operation.label, answer.status_code] += 1


def test_what_is_served_is_what_is_tried(server: Running) -> None:
    assert server.http.get("/openapi.json").json() == DECLARED


@SCHEMA.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True)
def test_every_answer_is_declared(case: schemathesis.Case, server: Running, versions: dict[str, str]) -> None:
    check(case, server, versions)


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(max_examples=500, deadline=None)
def test_every_answer_to_many_requests_is_declared(
    case: schemathesis.Case, server: Running, versions: dict[str, str]
) -> None:
    check(case, server, versions)


def test_of_every_operation_some_requests_were_accepted() -> None:
    tried = {operation for operation, _ in ANSWERS}
    if len(tried) < sum(map(len, DECLARED["paths"].values())):
        pytest.skip("not all of the tests above were run in this process")
    assert [operation for operation in tried if not ANSWERS[operation, 200]] == []
