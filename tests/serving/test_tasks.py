"""A server knows the tasks of its packages and no other: their code, endpoints, panels and limits."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from refusals import refused
from running import ROOT, Running

from serving import limits
from serving.settings import parse

Serve = Callable[..., Running]


def endpoints(server: Running) -> set[str]:
    """Of tasks, as they are documented."""
    documented = server.http.get("/openapi.json").json()["paths"]
    return {path for path, operations in documented.items() if "Tasks" in operations.get("post", {}).get("tags", [])}


def examples(server: Running) -> set[str]:
    route = server.http.get("/openapi.json").json()["paths"]["/v2/models/{name}/infer"]["post"]
    return set(route["requestBody"]["content"]["application/json"].get("examples", {}))


def loaded(server: Running) -> set[str]:
    """Tasks whose page the server has."""
    found = {name: server.http.get(f"/page/tasks/{name}/panel.js") for name in ("detection", "translation")}
    return {name for name, answer in found.items() if answer.status_code == 200}


def test_a_task_without_a_package_is_not_there(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"])
    server.wait_until_ready()
    assert (endpoints(server), examples(server), loaded(server)) == ({"/v1/translate"}, {"text"}, {"translation"})
    refused(server.http.post("/v1/detect", content=b"x", headers={"Content-Type": "image/png"}), 404, "Not Found")


def test_its_code_is_not_imported(packages: dict[str, Path]) -> None:
    code = (
        "import sys, asyncio; from pathlib import Path\n"
        "from serving.app import Application; from serving.settings import Settings\n"
        f"app = Application(Settings({{'m': Path({str(packages['translation'])!r})}}))\n"
        "asyncio.run(app.models.refresh())\n"
        "assert app.models.get('m')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert {"tasks.translation.serve", "modalities.text.serve.requests"} <= modules
    assert not [
        name for name in modules if name.startswith(("tasks.detection", "modalities.images.serve.requests", "PIL"))
    ]


def test_a_folder_of_packages_and_those_that_come_later(
    serve: Serve, packages: dict[str, Path], tmp_path: Path
) -> None:
    """Also of a task that was not served before."""
    folder = tmp_path / "all"
    folder.mkdir()
    server = serve(folder, "--watch-s", "0.1")
    server.wait_for("package refused", model="all")
    assert endpoints(server) == examples(server) == loaded(server) == set()
    for count, (name, package) in enumerate(packages.items(), 1):
        shutil.copytree(package, tmp_path / "aside")
        (tmp_path / "aside").rename(folder / name)
        server.wait_for("model ready", model=name)
        assert [entry["name"] for entry in server.http.get("/v1/models").json()["models"]] == list(packages)[:count]
        assert loaded(server) == set(list(packages)[:count])
    assert endpoints(server) == {"/v1/detect", "/v1/translate"}
    assert examples(server) == {"pixels", "text"}
    assert server.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200
    assert server.http.get("/ready").status_code == 200


def test_examples_are_valid(server: Running) -> None:
    route = server.http.get("/openapi.json").json()["paths"]["/v2/models/{name}/infer"]["post"]
    found = route["requestBody"]["content"]["application/json"]["examples"]
    for name, model in (("pixels", "detection"), ("text", "translation")):
        answer = server.http.post(f"/v2/models/{model}/infer", json=found[name]["value"])
        assert answer.status_code == 200, answer.text


def test_limits_are_those_of_the_modalities() -> None:
    names = [limit.name for limit in limits.known()]
    assert names[0] == "items"
    assert len(set(names)) == len(names)
    assert {f"--max-{name}" for name in names} <= set(_help().split())


def _help() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_limit_that_no_modality_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["p", "--max-smells", "3"])
    assert "unrecognized arguments: --max-smells" in capsys.readouterr().err


def tensor(name: str, data: list[Any], datatype: str = "UINT8") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [1, 1, len(data) // 3, 3], "data": data}


def test_several_inputs_reach_the_task(server: Running) -> None:
    """Which go together is the task's to say."""
    files = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["aGVsbG8="]}
    body = {"inputs": [files, tensor("pixels", [0] * 6)]}
    answer = server.http.post("/v2/models/detection/infer", json=body)
    refused(answer, 400, r"expected either 'image' or 'pixels', found \['image', 'pixels'\]")


def test_binary_data_of_several_inputs_stands_in_their_order() -> None:
    from core.task import Tensor
    from serving.inference import parse

    inputs = (Tensor("a", "UINT8", (-1,)), Tensor("b", "INT64", (-1,)), Tensor("c", "BYTES", (-1,)))
    role = SimpleNamespace(INPUTS=inputs, OUTPUTS=(), OPTIONS={})

    def entry(name: str, datatype: str, size: int) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": [2], "parameters": {"binary_data_size": size}}

    head = json.dumps({"inputs": [entry("b", "INT64", 16), entry("a", "UINT8", 2)]}).encode()
    asked = parse(head + bytes([7, *[0] * 7, 9, *[0] * 7, 1, 2]), str(len(head)), role)
    assert {name: array.tolist() for name, array in asked.inputs.items()} == {"b": [7, 9], "a": [1, 2]}
