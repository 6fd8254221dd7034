"""Role `serve` on an exported model: what requests become, what is answered, what is refused, golden samples."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError

from core.errors import DataError
from tasks.detection import serve
from tasks.detection.predict import Predictor, inputs

pytestmark = pytest.mark.models

LIMITS = {"items": 4, "pixels": 20_000, "characters": 100}


@pytest.fixture(scope="module")
def predictor(tiny: Any) -> Predictor:
    return Predictor(tiny[1], threads=1)


@pytest.fixture(scope="module")
def files(squares: Path) -> list[bytes]:
    return [path.read_bytes() for path in inputs(squares, "train")[:3]]


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def request(image: bytes, **options: Any) -> serve.Request:
    return serve.Request.model_validate({"image": base64.b64encode(image).decode(), **options})


def bomb(width: int, height: int) -> bytes:
    """The header of a PNG of that size, and nothing of its pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_the_answer_is_what_the_predictor_says(predictor: Predictor, files: list[bytes]) -> None:
    for image in files:
        job = serve.plain(request(image), predictor, LIMITS)
        answer = serve.answer(job, serve.run(predictor, job.items, job.options))
        assert answer["boxes"] == predictor([image])[0] and len(answer["boxes"]) > 3
        assert (answer["width"], answer["height"]) == Image.open(io.BytesIO(image)).size
        assert serve.Response.model_validate(json.loads(json.dumps(answer)))


def test_min_score_leaves_boxes_out_and_shares_the_batch(predictor: Predictor, files: list[bytes]) -> None:
    everything = predictor(files[:1])[0]
    limit = everything[2]["score"]
    job = serve.plain(request(files[0], min_score=limit), predictor, LIMITS)
    assert serve.answer(job, serve.run(predictor, job.items, job.options))["boxes"] == everything[:3]
    assert job.options == serve.plain(request(files[0]), predictor, LIMITS).options


def test_protocol_v2_gives_the_same_boxes_for_files_and_for_pixels(predictor: Predictor, files: list[bytes]) -> None:
    expected = predictor(files[1:])
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) for image in files[1:]])
    for given_inputs in (
        {"image": np.array(files[1:], dtype=object)},
        {"pixels": pixels},
        {"pixels": pixels.astype(np.float32) + 0.3},
    ):
        job = serve.tensors(given_inputs, {"min_score": 0.2, "else": 1}, predictor, LIMITS)
        found = serve.outputs(job, serve.run(predictor, job.items, job.options))
        assert list(found) == [tensor.name for tensor in serve.OUTPUTS]
        assert [found[name].dtype for name in found] == [np.float32, np.float32, object, np.int64, np.int64]
        for i, boxes in enumerate(expected):
            kept = [box for box in boxes if box["score"] >= 0.2]
            own = found["owners"] == i
            np.testing.assert_allclose(found["boxes"][own], [box["box"] for box in kept], atol=1e-2)
            np.testing.assert_allclose(found["scores"][own], [box["score"] for box in kept], atol=1e-5)
            assert found["labels"][own].tolist() == [box["label"].encode() for box in kept]
            assert found["category_ids"][own].tolist() == [box["category_id"] for box in kept]


def test_no_boxes_have_shapes_too(predictor: Predictor, files: list[bytes]) -> None:
    job = serve.tensors({"image": np.array(files[:2], dtype=object)}, {"min_score": 1}, predictor, LIMITS)
    found = serve.outputs(job, serve.run(predictor, job.items, job.options))
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (0, 4), "scores": (0,), "labels": (0,), "category_ids": (0,), "owners": (0,),
    }  # fmt: skip


def test_json_is_base64_and_forms_are_bytes() -> None:
    assert serve.Request.model_validate({"image": b"abc", "min_score": "0.3"}).min_score == 0.3
    assert request(b"abc").image == serve.Request.model_validate({"image": b"abc"}).image == b"abc"
    assert serve.Request.model_json_schema()["properties"]["image"]["format"] == "byte"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image": "a b="}, "not valid base64"),
        ({"image": "YWJj\n"}, "not valid base64"),
        ({"image": "YWJ"}, "not valid base64"),
        ({"image": "写真"}, "not valid base64"),
        ({"image": "\ud800"}, "not valid base64"),
        ({"image": 7}, "expected a base64 string, found int"),
        ({}, "Field required"),
        ({"image": "YWJj", "min_score": "0.3"}, "valid number"),
        ({"image": "YWJj", "min_score": True}, "valid number"),
        ({"image": "YWJj", "min_score": None}, "valid number"),
        ({"image": "YWJj", "min_score": 1.1}, "less than or equal to 1"),
        ({"image": "YWJj", "min_score": -1}, "greater than or equal to 0"),
        ({"image": "YWJj", "min_score": float("nan")}, "finite number"),
        ({"image": b"abc", "min_score": "much"}, "min_score: expected a number, found 'much'"),
        ({"image": b"abc", "min_score": "nan"}, "finite number"),
        ({"image": "YWJj", "threshold": 1}, "Extra inputs"),
    ],
)
def test_what_is_no_request_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        serve.Request.model_validate(values)


def test_what_is_no_image_is_refused(predictor: Predictor, files: list[bytes]) -> None:
    for image, words in (
        (b"", "image: .*neither of JPEG, PNG"),
        (b"not an image", "image: .*neither of JPEG, PNG"),
        (files[0][:200], "cannot be read as an image"),
        (encoded(Image.new("RGB", (201, 100))), "201 x 100 = 20100 pixels, expected at most 20000"),
        (bomb(60_000, 60_000), "3600000000 pixels.*; expected at most 20000"),
        (encoded(Image.new("L", (4, 4)), "PDF"), "neither of"),
    ):
        with pytest.raises(DataError, match=words):
            serve.plain(request(image), predictor, LIMITS)
    with pytest.raises(DataError, match=r"image\[1\]: .*neither of"):
        serve.tensors({"image": np.array([files[0], b"x"], dtype=object)}, {}, predictor, LIMITS)


def test_a_bomb_is_refused_by_its_header_whatever_is_done_with_warnings(predictor: Predictor) -> None:
    """Pillow itself would only warn of 100 million pixels."""
    for action in ("ignore", "error"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)  # type: ignore[arg-type]
            with pytest.raises(DataError, match="100000000 pixels"):
                serve.plain(request(bomb(10_000, 10_000)), predictor, LIMITS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": {}}, "expected either 'image' or 'pixels'"),
        ({"inputs": {"pixels": np.zeros((1, 8, 8, 3), np.uint8), "image": np.array([b""], object)}}, "expected either"),
        ({"inputs": {"pixels": np.zeros((0, 8, 8, 3), np.uint8)}}, "has 0 images, expected 1 to 4"),
        ({"inputs": {"pixels": np.zeros((5, 8, 8, 3), np.uint8)}}, "has 5 images, expected 1 to 4"),
        ({"inputs": {"pixels": np.zeros((1, 8, 0, 3), np.uint8)}}, r"shape \[1, 8, 0, 3\]"),
        ({"inputs": {"pixels": np.zeros((1, 3, 8, 8), np.uint8)}}, r"expected \[images, height, width, 3\]"),
        ({"inputs": {"pixels": np.zeros((1, 101, 200, 3), np.uint8)}}, "200 x 101 = 20200 pixels"),
        ({"inputs": {"pixels": np.full((1, 8, 8, 3), 256, np.float32)}}, "lie from 256 to 256, expected 0 to 255"),
        ({"inputs": {"pixels": np.full((1, 8, 8, 3), -1, np.float32)}}, "lie from -1 to -1"),
        ({"inputs": {"pixels": np.full((1, 8, 8, 3), np.nan, np.float32)}}, "expected 0 to 255"),
        ({"parameters": {"min_score": "0.3"}}, "min_score is '0.3', expected a number from 0 to 1"),
        ({"parameters": {"min_score": True}}, "min_score is True"),
        ({"parameters": {"min_score": float("nan")}}, "min_score is nan"),
    ],
)
def test_wrong_tensors_are_refused(predictor: Predictor, arguments: dict[str, Any], words: str) -> None:
    values = {"inputs": {"pixels": np.zeros((1, 8, 8, 3), np.uint8)}, "parameters": {}, **arguments}
    with pytest.raises(DataError, match=words):
        serve.tensors(values["inputs"], values["parameters"], predictor, LIMITS)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=4, max_dims=4, min_side=0, max_side=5)))
def test_any_tensor_is_answered_or_refused(predictor: Predictor, array: Any) -> None:
    try:
        job = serve.tensors({"pixels": array}, {}, predictor, LIMITS)
    except DataError:
        return
    assert len(serve.run(predictor, job.items, job.options)) == len(array)


def seeds() -> list[bytes]:
    """Small files of every format, with what hides in files beside pixels."""
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8))
    text = PngInfo()
    text.add_text("Comment", "a" * 300, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [image.convert("P"), image.rotate(180).convert("P")]
    return [
        encoded(image, "JPEG", exif=exif.tobytes(), icc_profile=b"profile" * 30),
        encoded(image, "JPEG", progressive=True),
        encoded(image, "PNG", pnginfo=text, exif=exif, icc_profile=b"profile" * 30),
        encoded(image.convert("P"), "PNG", transparency=3),
        encoded(image, "WEBP", exif=exif, icc_profile=b"profile" * 30),
        encoded(image, "BMP"),
        encoded(image, "TIFF", compression="tiff_lzw", exif=exif),
        encoded(image, "TIFF", save_all=True, append_images=[image, image]),
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=2),
        encoded(image, "PPM"),
    ]


def mutated(image: bytes, rng: random.Random) -> bytes:
    """A file cut, or with bytes changed, left out, doubled or blown up."""
    content = bytearray(image)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(content)) if content else 0
        match rng.randrange(6):
            case 0:
                content[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                content[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
            case 2:
                del content[at : at + rng.randrange(1, 30)]
            case 3:
                content[at:at] = content[max(0, at - 40) : at]
            case 4:
                content[at : at + 1] = bytes([(content[at] ^ (1 << rng.randrange(8))) if content else 0])
            case 5 if rng.random() < 0.3:
                del content[at:]
    return bytes(content)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mutated_files_are_answered_or_refused(predictor: Predictor) -> None:
    rng = random.Random(3)
    files, refused = seeds(), 0
    for file in files:
        assert serve.plain(serve.Request(image=file), predictor, LIMITS).items
    for _ in range(1000):
        try:
            job = serve.plain(serve.Request(image=mutated(rng.choice(files), rng)), predictor, LIMITS)
        except DataError as error:
            refused += 1
            assert "0x" not in str(error) and "\n" not in str(error)
            continue
        assert job.items[0].picture.pixels.shape == (3, *predictor.size)
    assert 100 < refused < 900


def test_the_first_frame_counts_and_pictures_stand_upright(predictor: Predictor) -> None:
    first, second = Image.new("RGB", (30, 20), "red"), Image.new("RGB", (30, 20), "blue")
    for kind in ("GIF", "TIFF", "WEBP"):
        moving = serve.plain(
            request(encoded(first, kind, save_all=True, append_images=[second])), predictor, LIMITS
        ).items[0]
        assert moving.picture.pixels[0, 2, 2] > 200 and moving.picture.pixels[2, 2, 2] < 50
    exif = Image.Exif()
    exif[0x0112] = 6
    job = serve.plain(request(encoded(first, "JPEG", exif=exif)), predictor, LIMITS)
    answer = serve.answer(job, serve.run(predictor, job.items, job.options))
    assert (answer["width"], answer["height"]) == (20, 30)


def test_golden_samples_pass_small_noise_and_not_a_damaged_model(
    tiny: Any, squares: Path, predictor: Predictor, tmp_path: Path
) -> None:
    paths = inputs(squares, "val")
    golden = predictor(paths)
    assert all(serve.differs(boxes, boxes) is None for boxes in golden)

    def damaged(share: float) -> list[str | None]:
        """Weights with noise of a share of their own spread."""
        graph = onnx.load(tiny[1] / "detector.onnx")
        rng = np.random.default_rng(0)
        for weight in graph.graph.initializer:
            values = onnx.numpy_helper.to_array(weight)
            if values.dtype == np.float32 and values.size > 100:
                noisy = values + rng.normal(0, share * values.std(), values.shape).astype(np.float32)
                weight.CopyFrom(onnx.numpy_helper.from_array(noisy, weight.name))
        onnx.save(graph, tmp_path / "detector.onnx")
        (tmp_path / "model.json").write_bytes((tiny[1] / "model.json").read_bytes())
        return [serve.differs(old, new) for old, new in zip(golden, Predictor(tmp_path, threads=1)(paths), strict=True)]

    assert not any(damaged(1e-4))
    assert all(damaged(0.5))


def box(score: float, corners: tuple[float, ...] = (10, 10, 50, 50), label: str = "a") -> dict[str, Any]:
    return {"box": list(corners), "score": score, "label": label, "category_id": 1}


MANY = [box(0.9 - i / 40, (i * 50, 0, i * 50 + 40, 40)) for i in range(30)]


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ([], [], True),
        ([box(0.9)], [], False),
        ([], [box(0.9)], False),
        ([box(0.9)], [box(0.86)], True),
        ([box(0.9)], [box(0.75)], False),
        ([box(0.9)], [box(0.9, label="b")], False),
        ([box(0.9)], [box(0.9, (11, 10, 51, 50))], True),
        ([box(0.9)], [box(0.9, (16, 10, 56, 50))], False),
        ([box(0.9)], [box(0.9), box(0.9)], False),
        (MANY, MANY[:-1], True),  # the weakest comes and goes
        (MANY, MANY[::-1], True),
        (MANY, MANY[1:], True),  # one of thirty, as another choice among neighbours would be
        (MANY, MANY[12:], False),
        (MANY, [{**one, "score": one["score"] - 0.12} for one in MANY], False),
    ],
)
def test_same_boxes(expected: list[Any], found: list[Any], same: bool) -> None:
    assert (serve.differs(expected, found) is None) == same


def test_features_are_those_of_the_image(predictor: Predictor, files: list[bytes]) -> None:
    red = encoded(Image.new("RGB", (90, 60), (200, 50, 50)))
    (item,) = serve.plain(request(red), predictor, LIMITS).items
    assert serve.features(item) == pytest.approx(
        {"width": 90, "height": 60, "brightness": 100, "contrast": 0, "saturation": 150}
    )
    noisy = serve.features(serve.item(files[0]))
    assert noisy == serve.features(serve.plain(request(files[0]), predictor, LIMITS).items[0])
    assert noisy["contrast"] > 5


def test_about(predictor: Predictor) -> None:
    about = serve.about(predictor)
    assert about["classes"] == [{"id": 1, "name": "square"}, {"id": 4, "name": "dark"}]
    assert about["image_size"] == {"width": 96, "height": 64} and about["score_threshold"] == 0.05
