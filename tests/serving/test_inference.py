"""Open Inference Protocol v2, asked as its users ask: by `tritonclient`, with binary and with JSON tensors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from PIL import Image
from running import Running
from tritonclient.utils import InferenceServerException

from core import task
from tasks.detection.predict import Predictor as Detector
from tasks.translation.predict import Predictor as Translator

TEXTS = ["i eat rice .", "he see fish . you buy bread ."]
PICTURES = ("0.png", "1.png", "2.png")


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", connection_timeout=60, network_timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def files(packages: dict[str, Path]) -> list[bytes]:
    return [(packages["detection"] / "golden" / name).read_bytes() for name in PICTURES]


@pytest.fixture(scope="module")
def pixels(packages: dict[str, Path]) -> NDArray[np.uint8]:
    """(3, height, width, 3), RGB."""
    golden = packages["detection"] / "golden"
    return np.stack([np.asarray(Image.open(golden / name).convert("RGB")) for name in PICTURES])


@pytest.fixture(scope="module")
def boxes(packages: dict[str, Path], files: list[bytes]) -> list[list[dict[str, Any]]]:
    """What the package's own Predictor finds in each picture."""
    detector = Detector(packages["detection"] / "model", threads=1)
    found = [detector([content])[0] for content in files]
    assert all(found)
    return found


def tensor(name: str, values: Any, binary: bool = True) -> triton.InferInput:
    """values: an array, or a list of bytes or strings."""
    array = values if isinstance(values, np.ndarray) else np.array(values, np.object_)
    made = triton.InferInput(name, array.shape, triton.np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array, binary_data=binary)


def images_of(result: triton.InferResult) -> list[list[dict[str, Any]]]:
    """Outputs of detection in the form of the Predictor's answer."""
    names = ("boxes", "scores", "labels", "category_ids", "owners")
    found: list[list[dict[str, Any]]] = [[] for _ in PICTURES]
    for box, score, label, category, owner in zip(*(result.as_numpy(name) for name in names), strict=True):
        text = label.decode() if isinstance(label, bytes) else label
        found[owner].append({"box": box, "score": score, "label": text, "category_id": category})
    return found


def same(found: list[list[dict[str, Any]]], expected: list[list[dict[str, Any]]]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert [(box["label"], box["category_id"]) for box in ours] == [
            (box["label"], box["category_id"]) for box in theirs
        ]
        np.testing.assert_allclose([box["score"] for box in ours], [box["score"] for box in theirs], atol=1e-4)
        np.testing.assert_allclose([box["box"] for box in ours], [box["box"] for box in theirs], atol=0.01)


def test_the_server_tells_what_it_is(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    metadata = client.get_server_metadata()
    assert metadata["name"] == "stillhouse"
    assert "binary_tensor_data" in metadata["extensions"]


@pytest.mark.parametrize("name", ["detection", "translation"])
def test_a_model_tells_what_it_takes(client: triton.InferenceServerClient, name: str) -> None:
    role, metadata = task.load(name, "serve"), client.get_model_metadata(name)
    for kind, known in (("inputs", role.INPUTS), ("outputs", role.OUTPUTS)):
        told = [(entry["name"], entry["datatype"], tuple(entry["shape"])) for entry in metadata[kind]]
        assert told == [(entry.name, entry.datatype, entry.shape) for entry in known]
    (version,) = metadata["versions"]
    assert client.is_model_ready(name)
    assert client.is_model_ready(name, version)
    assert not client.is_model_ready(name, "0" * 12)
    assert not client.is_model_ready("other")
    assert client.get_model_metadata(name, version) == metadata


def test_files_as_binary_data(
    client: triton.InferenceServerClient, files: list[bytes], boxes: list[list[dict[str, Any]]]
) -> None:
    same(images_of(client.infer("detection", [tensor("image", files)])), boxes)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("binary", [True, False])
def test_pixels(
    client: triton.InferenceServerClient,
    pixels: NDArray[np.uint8],
    boxes: list[list[dict[str, Any]]],
    dtype: type,
    binary: bool,
) -> None:
    given = tensor("pixels", pixels.astype(dtype), binary)
    names = ("boxes", "scores", "labels", "category_ids", "owners")
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    same(images_of(client.infer("detection", [given], outputs=wanted)), boxes)


@pytest.mark.parametrize("binary", [True, False])
def test_texts(client: triton.InferenceServerClient, packages: dict[str, Path], binary: bool) -> None:
    translator = Translator(packages["translation"] / "model", threads=1)
    first, second, third = translator(["i eat rice .", "he see fish .", "you buy bread ."])
    wanted = [triton.InferRequestedOutput("translation", binary_data=binary)]
    result = client.infer("translation", [tensor("text", TEXTS, binary)], outputs=wanted)
    found = [text.decode() if isinstance(text, bytes) else text for text in result.as_numpy("translation")]
    assert found == [first, second + third]


def test_only_the_outputs_that_are_asked_for(client: triton.InferenceServerClient, files: list[bytes]) -> None:
    wanted = [triton.InferRequestedOutput("labels", binary_data=False), triton.InferRequestedOutput("scores")]
    result = client.infer("detection", [tensor("image", files[:1])], outputs=wanted)
    told = {entry["name"]: entry for entry in result.get_response()["outputs"]}
    assert list(told) == ["labels", "scores"]
    assert "data" in told["labels"]
    assert told["scores"]["parameters"]["binary_data_size"] == 4 * len(result.as_numpy("scores"))
    assert result.as_numpy("labels").tolist()


def test_the_answer_names_request_model_and_version(client: triton.InferenceServerClient) -> None:
    (version,) = client.get_model_metadata("translation")["versions"]
    asked = [tensor("text", TEXTS)]
    response = client.infer("translation", asked, version, request_id="question 7").get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("question 7", "translation", version)
    with pytest.raises(InferenceServerException, match=f"no version '{'0' * 12}'; served is {version}"):
        client.infer("translation", asked, "0" * 12)


def test_options_are_parameters(client: triton.InferenceServerClient, files: list[bytes]) -> None:
    asked = [tensor("image", files)]
    scores = client.infer("detection", asked).as_numpy("scores")
    least = float(np.median(scores))
    kept = client.infer("detection", asked, parameters={"min_score": least}).as_numpy("scores")
    assert 0 < len(kept) < len(scores)
    assert kept.min() >= least
    with pytest.raises(InferenceServerException, match="min_score is 2, expected a number from 0 to 1"):
        client.infer("detection", asked, parameters={"min_score": 2})
    with pytest.raises(InferenceServerException, match=r"parameters \['beam'\] are not known; known: min_score"):
        client.infer("detection", asked, parameters={"beam": 2})


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_a_compressed_request(
    client: triton.InferenceServerClient, files: list[bytes], boxes: list[list[dict[str, Any]]], algorithm: str
) -> None:
    result = client.infer("detection", [tensor("image", files)], request_compression_algorithm=algorithm)
    same(images_of(result), boxes)
