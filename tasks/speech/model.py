"""Role `model` of speech: a front end, a body, and a layer that gives classes of a recording, or symbols by frames.

`target: class`: cross-entropy; `target: transcript`: connectionist temporal classification (Graves et al. 2006,
https://www.cs.toronto.edu/~graves/icml_2006.pdf), the blank is symbol 0.

An architecture holds `target`, `units`, `symbols` (without the blank), `features` (with `rate`), `body` (see
`backbones.bodies`), `pool`, `dropout`, and what the role `graphs` reads, see `_placed`.

B batch, T samples, F frames, K classes, or symbols with the blank.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.networks import distillation
from core.errors import ParamsError
from modalities.audio.backbones import bodies, units
from modalities.audio.backbones.frontend import FrontEnd, mask
from modalities.audio.inputs import ctc, symbols
from modalities.audio.inputs.said import of_class, of_transcript


class Given(NamedTuple):
    logits: Tensor
    """(B, K), or log-probabilities (B, F, K)"""
    frames: Tensor
    """(B,) of each recording."""


class Network(nn.Module):
    """The network of an architecture, see the module."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch = arch
        self.front = FrontEnd(arch["features"])
        self.body = bodies.build(arch["body"])
        self.dropout = nn.Dropout(arch["dropout"])
        self.head = nn.Linear(self.body.width, len(arch["symbols"]) + (arch["target"] == "transcript"))

    def forward(self, samples: Tensor, lengths: Tensor, masks: Any = None) -> Given:
        """samples: (B, T), -1 to 1, zeros behind the end of each; lengths: (B,) int64. masks: `params.train`, of
        SpecAugment."""
        x, frames = self.front(samples, lengths)
        if masks is not None and self.training:
            x = _masked(x, masks)
        x, frames = self.body(x, frames)
        if self.arch["target"] == "transcript":
            return Given(self.head(self.dropout(x)).log_softmax(-1), frames)
        if self.arch["pool"] == "last":
            return Given(self.head(self.dropout(self.body.last(x, frames))), frames)
        mean = (x * mask(x, frames)).sum(1) / frames[:, None].to(x.dtype)
        return Given(self.head(self.dropout(mean)), frames)


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """The network that `params.model` asks for, with the symbols of `assets`."""
    settings = params.model
    features = settings.features.model_dump() | {"rate": params.data.rate}
    if features["kind"] == "raw" and settings.body.arch == "crnn":
        raise ParamsError(["speech.model: a crnn needs bands, features.kind is raw; take lstm, gru or dilated"])
    return _placed(
        {
            "task": "speech",
            "graph": "speech",
            "target": params.data.target,
            "units": params.data.units,
            "symbols": symbols.read(assets),
            "features": features,
            "body": settings.body.model_dump() | {"inputs": FrontEnd(features).width},
            "pool": settings.pool,
            "dropout": settings.dropout,
        }
    )


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Another body behind the teacher's front end."""
    return _placed(teacher | {"body": settings.body.model_dump() | {"inputs": teacher["body"]["inputs"]}})


def build(arch: dict[str, Any], initial: bool = False) -> Network:
    return Network(arch).train()


def parameter_groups(model: nn.Module, train: Any) -> list[dict[str, Any]]:
    """No decay of biases and norms."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "lr": train.lr, "weight_decay": train.weight_decay},
        {"params": others, "lr": train.lr, "weight_decay": 0.0},
    ]


def loss(model: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
    """Cross-entropy, or the negative log-probability of the transcript over its length."""
    return {"loss": _hard(model(batch["samples"], batch["lengths"], params.train), batch, params)}


def soft_targets(student: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
    """(1 - soft_weight) * hard + soft_weight * soft targets, of transcripts frame by frame.

    Raises: TrainingError when the two do not fit each other.
    """
    distillation.check(_facts(student), _facts(teacher))
    with torch.no_grad():
        wanted = teacher(batch["samples"], batch["lengths"])
    given = student(batch["samples"], batch["lengths"])
    mine, other = given.logits, wanted.logits
    if mine.ndim == 3:
        real = mask(mine, given.frames)[..., 0] > 0
        mine, other = mine[real], other[real]
    parts = {
        "hard": _hard(given, batch, params),
        "soft": distillation.soft_targets(mine, other, settings.temperature),
    }
    total = (1 - settings.soft_weight) * parts["hard"] + settings.soft_weight * parts["soft"]
    return {"loss": total} | {name: part.detach() for name, part in parts.items()}


@torch.no_grad()
def predictions(model: nn.Module, batch: Any, assets: dict[str, bytes]) -> list[dict[str, Any]]:
    """Of a validation batch, in eval mode: what `Predictor` would say, of transcripts the likeliest path's."""
    arch, given = model.arch, model(batch["samples"], batch["lengths"])
    rows = given.logits.float().cpu().numpy()
    if arch["target"] == "class":
        return [of_class(row, arch["symbols"]) for row in rows]
    found = [ctc.greedy(row[:count]) for row, count in zip(rows, given.frames.tolist(), strict=True)]
    return [of_transcript(each, arch["symbols"], arch["units"], 0.0) for each in found]


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of each layer of the body, in place; see `backbones.units`."""
    model.arch = arch | {"body": arch["body"] | units.prune(model.body, [model.head], settings.ratio)}
    return dict(model.arch)


def _placed(arch: dict[str, Any]) -> dict[str, Any]:
    """With `least`, samples of a transform, and `step`, seconds from one frame that the network gives to the next."""
    front, halved = FrontEnd(arch["features"]), 2 if arch["body"]["arch"] == "crnn" else 1
    return arch | {"least": front.length, "step": front.hop * halved / arch["features"]["rate"]}


def _hard(given: Given, batch: Any, params: Any) -> Tensor:
    if given.logits.ndim == 2:
        return F.cross_entropy(given.logits, batch["targets"], label_smoothing=params.model.label_smoothing)
    return F.ctc_loss(
        given.logits.transpose(0, 1),
        batch["targets"],
        given.frames,
        batch["target_lengths"],
        ctc.BLANK,
        zero_infinity=True,
    )


def _masked(x: Tensor, masks: Any) -> Tensor:
    """SpecAugment: stretches of frames and of bands become the mean, which is 0."""
    x = x.clone()
    for axis, count, widest in ((1, masks.time_masks, masks.time_frames), (2, masks.band_masks, masks.bands)):
        for row in range(len(x)):
            for _ in range(count):
                width = int(torch.randint(0, min(widest, x.shape[axis]) + 1, ()))
                start = int(torch.randint(0, x.shape[axis] - width + 1, ()))
                x[row].narrow(axis - 1, start, width).zero_()
    return x


def _facts(network: nn.Module) -> dict[str, Any]:
    """What teacher and student must share."""
    arch = network.arch
    return {key: arch[key] for key in ("symbols", "target", "features", "step")}
