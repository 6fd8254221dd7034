"""Speech over HTTP in each of its forms, and on the page: the words are what the API answers, under the spectrum."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import packages_tiny
import pytest
from browsing import Page
from running import Running

from modalities.audio.inputs.decode import decode

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = packages_tiny.kept(packages_tiny.speech)
    return Path(shutil.copytree(kept, tmp_path_factory.mktemp("served") / "speech"))


@pytest.fixture(scope="module")
def server(package: Path) -> Iterator[Running]:
    with Running(str(package), "--max-seconds", "5") as running:
        running.wait_until_ready()
        yield running


def test_each_form_of_a_request_has_the_same_answer(server: Running, package: Path) -> None:
    (sample, *_) = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))
    file = (package / "golden" / sample["file"]).read_bytes()
    answers = [
        server.http.post("/v1/transcribe", files={"audio": file}),
        server.http.post("/v1/transcribe", content=file, headers={"Content-Type": "audio/wav"}),
        server.http.post("/v1/transcribe", json={"audio": base64.b64encode(file).decode()}),
    ]
    assert [answer.json()["text"] for answer in answers] == 3 * [sample["output"]["text"]]
    samples = decode(file, 8000, 60.0).samples
    tensor = {"name": "samples", "datatype": "FP32", "shape": [1, len(samples)], "data": samples.tolist()}
    outputs = server.http.post("/v2/models/speech/infer", json={"inputs": [tensor]}).json()["outputs"]
    assert outputs[0]["name"] == "text" and outputs[0]["data"] == [sample["output"]["text"]]


@pytest.mark.parametrize(("file", "told"), [(b"RIFF no sound", "no sound file"), (b"", "audio")])
def test_what_is_no_recording_is_refused(server: Running, file: bytes, told: str) -> None:
    answer = server.http.post("/v1/transcribe", content=file, headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 400 and told in answer.json()["error"]


def test_more_seconds_than_allowed_are_refused(server: Running) -> None:
    tensor = {"name": "samples", "datatype": "FP32", "shape": [1, 41_000], "data": np.zeros(41_000).tolist()}
    answer = server.http.post("/v2/models/speech/infer", json={"inputs": [tensor]})
    assert answer.status_code == 400 and "40000 samples" in answer.json()["error"]


def test_an_example_shows_its_words_under_the_spectrum(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/speech")
    page.wait(".samples button:nth-of-type(3)")
    page.all(".samples button")[0].click()
    page.wait(".heard .said")
    samples = server.http.get("/v1/models/speech/samples").json()["samples"]
    wanted = samples[0]["output"]
    assert page.text(".said") == (wanted["text"] or "(nothing was understood)")
    assert page.texts(".words span") == [one["symbol"] for one in wanted["symbols"]]
    drawn = (
        "const c = document.querySelector('figure canvas');"
        "return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    )
    assert page.run(drawn) > 20  # colours: something is drawn


def test_the_microphone_is_asked_for_and_may_be_refused(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/speech")
    page.wait("label[for=sound]")
    page.run(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no device', 'NotFoundError'))"
    )
    page.run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Record').click()")
    page.wait("[role=alert]", "The microphone cannot be used")
