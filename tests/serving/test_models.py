"""A package proves itself before it answers; what does not is told why, and the others answer (docs/faults.md 97)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import packages_tiny
import pytest
import raw_http
from refusals import refused
from running import Running
from versions import flipped, named, resealed

Serve = Callable[..., Running]
Fresh = Callable[[str], Path]


def listed(server: Running) -> dict[str, dict[str, Any]]:
    """`/v1/models` by name."""
    return {entry["name"]: entry for entry in server.http.get("/v1/models").json()["models"]}


@pytest.fixture(scope="module")
def broken(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages that must not be served, and one that may."""
    folder, good = tmp_path_factory.mktemp("broken"), packages["translation"]
    for name in ("graph", "card", "golden", "none", "foreign", "unread"):
        shutil.copytree(good, folder / name)
    flipped(folder / "graph" / "model" / "step.onnx")
    flipped(folder / "card" / "MODEL_CARD.html")
    packages_tiny.tampered(folder / "golden")
    (folder / "none" / "golden" / "samples.json").write_text("[]")
    packages_tiny.reseal(folder / "none")
    path = folder / "foreign" / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task": "poetry"}))
    packages_tiny.reseal(folder / "foreign")
    (folder / "unread" / "passport.json").write_text("{")
    return {path.name: path for path in sorted(folder.iterdir())} | {"missing": folder / "missing", "good": good}


REASONS = {
    "graph": "the passport does not hold: link 'model' is broken",
    "card": "MODEL_CARD.html was changed: its sha256 is not that of the passport",
    "golden": "golden sample 0 is not predicted as when it was packaged: expected 'まったく違う文です。'",
    "none": "holds no samples, so nothing shows that the model works",
    "foreign": "the task 'poetry', which this server does not know",
    "unread": "passport.json is damaged",
    "missing": "does not exist; expected a folder made by the stage package",
}


@pytest.fixture(scope="module")
def half(broken: dict[str, Path]) -> Any:
    """A server of all of them."""
    with Running(*(f"{name}={path}" for name, path in broken.items()), "--watch-s", "0") as server:
        server.wait_for("model ready", model="good")
        yield server


def test_it_is_live_and_not_ready(half: Running) -> None:
    for path in ("/live", "/v2/health/live"):
        assert half.http.get(path).status_code == 200
    for path in ("/ready", "/v2/health/ready"):
        answer = half.http.get(path)
        assert answer.status_code == 400
        assert answer.json()["ready"] is False
        assert answer.json()["reasons"].keys() == REASONS.keys()


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_is_told_everywhere(half: Running, name: str) -> None:
    told, reason = half.http.get("/ready").json()["reasons"][name], REASONS[name]
    assert reason in told
    entry = listed(half)[name]
    assert (entry["ready"], entry["reason"], entry["version"]) == (False, told, None)
    assert half.wait_for("package refused", model=name)["reason"] == told
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/ready", f"/v1/models/{name}/card"):
        refused(half.http.get(path), 404, "is not ready")
    answer = half.http.post(f"/v1/translate?model={name}", json={"text": "i eat rice ."})
    assert answer.status_code == 404
    assert reason in answer.json()["error"]


def test_what_is_good_answers_beside_them(half: Running, broken: dict[str, Path]) -> None:
    answer = half.http.post("/v1/translate", json={"text": "i eat rice ."})
    assert answer.status_code == 200
    assert (answer.json()["model"], answer.json()["version"]) == ("good", named(broken["good"]))
    assert half.http.get("/v2/models/good/ready").status_code == 200
    refused(half.http.post("/v1/detect", json={"image": "aGVsbG8="}), 404, "Not Found")


@pytest.mark.parametrize(
    "name",
    ["other", "..", "../good", "..%2fgood", "%2e%2e/good", "good%00", "good/", "GOOD", "good%2f..%2fgood", "x" * 3000],
)
def test_a_name_that_no_model_has(half: Running, name: str) -> None:
    """docs/faults.md 87, 88."""
    for method, path in (("GET", ""), ("GET", "/ready"), ("POST", "/infer"), ("GET", "/versions/1")):
        with raw_http.connected(half) as connection:  # httpx would tidy these paths up
            raw_http.send(connection, [raw_http.head(f"/v2/models/{name}{path}", method, Content_Length=0)])
            answer = raw_http.answer(connection)
        assert answer.status == 404, (method, path)
        assert len(answer.error) < 500
    for path in ("card", "passport"):
        with raw_http.connected(half) as connection:
            raw_http.send(connection, [raw_http.head(f"/v1/models/{name}/{path}", "GET")])
            assert raw_http.answer(connection).status == 404
    refused(half.http.post("/v1/translate", params={"model": name}, json={"text": "i eat rice ."}), 404, "no model")


def test_a_package_that_comes_later_is_served(serve: Serve, packages: dict[str, Path], tmp_path: Path) -> None:
    server = serve(tmp_path / "translation", "--watch-s", "0.1")
    server.wait_for("package refused")
    shutil.copytree(packages["translation"], tmp_path / "aside")
    (tmp_path / "aside").rename(tmp_path / "translation")
    server.wait_until_ready()
    assert server.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200


@pytest.mark.parametrize("late", ["passport.json", "model/step.onnx"])
def test_a_package_that_is_copied_file_by_file_is_served(
    serve: Serve, packages: dict[str, Path], tmp_path: Path, late: str
) -> None:
    """As `cp -r` and `rsync` do, in no order: the server has looked, and refused, before the last file came."""
    folder = tmp_path / "translation"
    shutil.copytree(packages["translation"], folder)
    (folder / late).unlink()
    server = serve(folder, "--watch-s", "0.1")
    server.wait_for("package refused")
    shutil.copy2(packages["translation"] / late, folder / late)
    server.wait_until_ready()


def test_two_versions_of_one_task_side_by_side(serve: Serve, fresh: Fresh, packages: dict[str, Path]) -> None:
    new = fresh("translation")
    resealed(new)
    old = packages["translation"]
    server = serve(f"new={new}", f"old={old}", packages["detection"])
    server.wait_until_ready()
    assert {name: entry["version"] for name, entry in listed(server).items()} == {
        "new": named(new),
        "old": named(old),
        "detection": named(packages["detection"]),
    }
    assert named(new) != named(old)

    def answering(query: str) -> tuple[str, str]:
        answer = server.http.post(f"/v1/translate{query}", json={"text": "i eat rice ."}).json()
        return answer["model"], answer["version"]

    assert answering("?model=old") == ("old", named(old))
    assert answering("?model=new") == ("new", named(new))
    assert answering("") == ("new", named(new))  # the first that was named
    refused(
        server.http.post("/v1/translate?model=detection", json={"text": "i eat rice ."}),
        404,
        "'detection' is for /v1/detect",
    )
    refused(server.http.get(f"/v2/models/new/versions/{named(old)}"), 404, f"served is {named(new)}")
    assert server.http.get(f"/v2/models/old/versions/{named(old)}/ready").status_code == 200


def test_a_worker_holds_no_library_of_the_training(server: Running, packages: dict[str, Path]) -> None:
    picture = (packages["detection"] / "golden" / "0.png").read_bytes()
    assert server.http.post("/v1/detect", files={"image": picture}).status_code == 200
    assert server.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200
    folders = {part for path in (mapped.path for mapped in server.worker.memory_maps()) for part in Path(path).parts}
    assert "onnxruntime" in folders
    assert not folders & {"torch", "torchvision", "pandas", "pyarrow", "sklearn", "scipy"}


def test_what_a_person_may_read_of_a_model(server: Running, packages: dict[str, Path]) -> None:
    for name, package in packages.items():
        card = server.http.get(f"/v1/models/{name}/card")
        assert card.text == (package / "MODEL_CARD.html").read_text()
        assert card.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in card.headers["content-security-policy"]
        passport = server.http.get(f"/v1/models/{name}/passport").json()
        assert passport == json.loads((package / "passport.json").read_text())
        entry = listed(server)[name]
        assert (entry["ready"], entry["reason"], entry["task"]) == (True, None, name)
    assert listed(server)["detection"]["about"]["classes"][0] == {"id": 1, "name": "square"}
    assert (listed(server)["translation"]["about"]["source"], listed(server)["translation"]["verb"]) == (
        "en",
        "translate",
    )


def test_the_golden_samples_are_there_to_be_tried(server: Running, packages: dict[str, Path]) -> None:
    for name, package in packages.items():
        found = server.http.get(f"/v1/models/{name}/samples").json()["samples"]
        golden = json.loads((package / "golden" / "samples.json").read_text())
        assert [sample["output"] for sample in found] == [sample["output"] for sample in golden]
        for sample in found:
            assert (sample["file"] is None) != (sample["input"] is None)
            if sample["file"] is not None:
                answer = server.http.get(f"/v1/models/{name}/samples/{sample['file']}")
                assert answer.content == (package / "golden" / sample["file"]).read_bytes()
                assert answer.headers["content-type"] == "image/png"
    for file in ("samples.json", "..%2fpassport.json", "9.png"):
        refused(server.http.get(f"/v1/models/detection/samples/{file}"), 404, "has no golden sample|Not Found")
