"""What is right for an input: the answer of the Predictor itself, or of a text's sentences one by one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from modalities.images.predict.pictures import pixels
from tasks.detection.predict import Predictor as Detector
from tasks.translation import serve
from tasks.translation.predict import Predictor as Translator


def boxes(detector: Detector, image: bytes, min_score: float = 0.0) -> dict[str, Any]:
    """What `/v1/detect` must say of an image, without model and version."""
    (found,) = detector([image])
    height, width = pixels(image, "image").shape[:2]
    return {"width": width, "height": height, "boxes": [box for box in found if box["score"] >= min_score]}


def arrays(detector: Detector, images: list[Any], min_score: float = 0.0) -> dict[str, np.ndarray]:
    """Outputs of protocol v2 for images (bytes or arrays)."""
    found = [detector.detect([detector.picture(pixels(image, "image"))])[0] for image in images]
    kept = [one.scores >= min_score for one in found]
    labels = np.concatenate([one.labels[keep] for one, keep in zip(found, kept, strict=True)])
    return {
        "boxes": np.concatenate([one.boxes[keep] for one, keep in zip(found, kept, strict=True)]).astype(np.float32),
        "scores": np.concatenate([one.scores[keep] for one, keep in zip(found, kept, strict=True)]),
        "labels": np.array([detector.classes[label]["name"].encode() for label in labels], object),
        "category_ids": np.array([detector.classes[label]["id"] for label in labels], np.int64),
        "owners": np.repeat(np.arange(len(found)), [keep.sum() for keep in kept]),
    }


def translation(translator: Translator, text: str, beam: int | None = None) -> str:
    """Of a whole text, by the role `serve` in this process; see `translated`."""
    request = serve.Request(text=text, beam=beam, check_language=False)
    job = serve.plain(request, translator, {"items": 1, "pixels": 1, "characters": 20_000})
    (answer,) = serve.answer(job, serve.run(translator, job.items, job.options))["translations"]
    translated(translator, text, answer, beam)
    return str(answer["text"])


def translated(translator: Translator, text: str, answer: dict[str, Any], beam: int | None = None) -> None:
    """Fails unless `answer` holds all of `text` in its sentences, and each of them as the Predictor translates it."""
    sentences, longest = answer["sentences"], translator.info["limits"]["max_tokens"]
    assert "".join("".join(one["source"] for one in sentences).split()) == "".join(text.split()), answer
    assert "".join("".join(one["text"] for one in sentences).split()) == "".join(answer["text"].split()), answer
    for one in sentences:
        if not any(map(str.isalnum, one["source"])):
            assert one["text"] == one["source"], one
            continue
        source = one["source"].replace("\t", " ")
        assert len(translator.tokenizer.encode([source])[0]) < longest, f"the end of it is not read: {one}"
        assert one["text"] == _sentence(translator, source, beam), one


@cache
def _sentence(translator: Translator, text: str, beam: int | None) -> str:
    _, (hypothesis,) = translator.search([text], beam)
    (found,) = translator.tokenizer.decode([hypothesis.ids])
    return found
