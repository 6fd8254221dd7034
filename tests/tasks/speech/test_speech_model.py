"""Networks of both targets: their sizes, what they learn from, and what is served of them."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import speech_tiny as tiny
import torch
from pydantic import ValidationError

from core.errors import DataError, ParamsError
from modalities.audio.inputs import symbols
from tasks.speech import model, serve
from training import results

pytestmark = pytest.mark.models

LIMITS = {"items": 4, "seconds": 2}
PREDICTOR: Any = SimpleNamespace(rate=tiny.RATE)


def made(target: str, **changes: Any) -> Any:
    settings = tiny.settings(data={"target": target}, model=changes or {"dropout": 0.0})
    assets = symbols.write(["yes", "no", "no yes"], target, settings.data.units)
    return settings, model.build(model.architecture(settings, assets))


def batch(target: str) -> dict[str, Any]:
    targets = torch.tensor([0, 2]) if target == "class" else torch.tensor([[1, 2], [2, 0]])
    lengths = torch.tensor([4000, 2500])
    low, high = (torch.from_numpy(tiny.tone(0.25, hertz)) for hertz in (400, 1500))
    samples = torch.stack([torch.cat([low, high]), torch.cat([high, high])]) + 0.01 * torch.randn(2, 4000)
    samples = samples * (torch.arange(4000) < lengths[:, None])
    return {
        "samples": samples,
        "lengths": lengths,
        "targets": targets,
        "target_lengths": torch.tensor([2, 1]),
        "positions": [1, 0],
    }


def test_the_lecture_notes_network_has_its_number_of_parameters() -> None:
    body = {"arch": "lstm", "convolutions": [], "units": [64], "width": 1, "bidirectional": True}
    settings = tiny.settings(
        data={"target": "class"},
        model={"body": body, "pool": "last", "features": {"kind": "raw", "samples": 1000} | FEATURES},
    )
    network = model.build(model.architecture(settings, symbols.write(map(str, range(10)), "class", "words")))
    assert results.parameters(network) == 35_082
    assert network(torch.randn(1, 1200), torch.tensor([1200])).logits.shape == (1, 10)


FEATURES = {"window_ms": 25.0, "hop_ms": 10.0, "mels": 20, "coefficients": 13}


@pytest.mark.parametrize("target", ["class", "transcript"])
def test_a_network_learns_what_it_is_given(target: str) -> None:
    torch.manual_seed(2)
    settings, network = made(target)
    optimizer, given = torch.optim.AdamW(network.parameters(), 0.03), batch(target)
    first = model.loss(network, given, settings)["loss"].item()
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(network, given, settings)["loss"].backward()
        optimizer.step()
    assert model.loss(network, given, settings)["loss"].item() < first / 4
    student = model.build(model.student(network.arch, SimpleNamespace(body=settings.model.body)))
    taught = model.soft_targets(
        student, network.eval(), given, SimpleNamespace(soft_weight=0.5, temperature=2.0), settings
    )
    assert taught["loss"].item() == pytest.approx(0.5 * (taught["hard"] + taught["soft"]).item(), rel=1e-5)
    texts = [one["text"] for one in model.predictions(network, given, {})]
    assert target == "transcript" or texts == ["no", "yes"]  # of a few steps, transcripts are blanks still


def test_masks_hide_stretches_in_training_only() -> None:
    settings, network = made("class")
    masks = settings.train.model_copy(update={"time_masks": 2, "band_masks": 2})
    x = torch.ones(3, 40, 20)
    hidden = model._masked(x, masks)
    assert (hidden == 0).any() and x.all()
    given = batch("class")
    network.eval()
    plain, masked = (network(given["samples"], given["lengths"], each).logits for each in (None, masks))
    assert torch.equal(plain, masked)


def test_a_crnn_of_raw_samples_is_refused() -> None:
    with pytest.raises(ParamsError, match="needs bands"):
        made("class", features={"kind": "raw", "samples": 1000} | FEATURES)


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tiny.tone(seconds, rate=16_000), 16_000, format="WAV")
    return file.getvalue()


def test_a_request_holds_a_file_in_base64_or_as_it_is() -> None:
    for value in (wav(0.5), base64.b64encode(wav(0.5)).decode()):
        (item,) = serve.plain(serve.Request(audio=value), PREDICTOR, LIMITS).items
        assert (len(item.samples), item.rate) == (4000, tiny.RATE)
    result = {"text": "no", "score": -0.1, "symbols": [{"symbol": "no", "start": 0.1}]}
    answer = serve.answer(SimpleNamespace(items=[item]), [result])  # type: ignore[arg-type]
    assert serve.Response(**answer).seconds == 0.5
    with pytest.raises(ValidationError, match="base64"):
        serve.Request(audio="%%%")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"audio": [wav(1.5), wav(1.0)]}, r"audio\[1\]: is longer than 0\.5 s"),
        ({"audio": [b"no sound"]}, r"audio\[0\]: is no sound file"),
        ({"samples": np.zeros((1, 20_000), np.float32)}, r"samples\[0\]: has the shape"),
        ({"samples": np.zeros((1, 0), np.float32)}, "expected 1 to 16000 samples"),
        ({"samples": np.zeros((5, 10), np.float32)}, "5 recordings, expected 1 to 4"),
        ({}, "expected either"),
    ],
)
def test_requests_beyond_the_limits_are_told(inputs: Any, told: str) -> None:
    arrays = {name: np.array(value, object) if name == "audio" else value for name, value in inputs.items()}
    with pytest.raises(DataError, match=told):
        serve.tensors(arrays, {}, PREDICTOR, LIMITS)


def test_a_golden_sample_may_differ_by_rounding_only() -> None:
    one = {"text": "no", "score": -0.1}
    assert serve.differs(one, one | {"score": -0.12}) is None
    assert "log-probability" in str(serve.differs(one, one | {"score": -3.0}))
