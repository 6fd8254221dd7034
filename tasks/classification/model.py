"""Role `model` of classification: any backbone, a 1x1 convolution, and the mean over space.

Since the mean comes last, the convolution's output is a class activation map, what each place says for each class, and
needs no second pass (CAM: Zhou et al. 2016, https://arxiv.org/abs/1512.04150, section 2; the mean and a linear layer
commute). Channels that dropout takes away are gone at all places, as of a pooled vector.

An architecture holds: `classes` ({"id", "name"} in output order), `image_size` [height, width], `backbone` (see
`backbones.describe`) and its `levels` that are seen, `dropout`, `pretrained`, `freeze` and `frozen_norm` (how to train
it), `hint` (of a student), and what the role `graphs` reads: `task`, `graph`, `outputs`, `told`.

Shapes: B batch, C colours, H and W height and width, K classes, h and w of the last map.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.networks import distillation, pruning
from core.errors import ParamsError
from modalities.images import backbones
from modalities.images.backbones import levels, packaged, tuning
from modalities.images.backbones.tuning import parameter_groups
from modalities.images.inputs.classes import classes
from modalities.images.inputs.labels import described, probabilities
from modalities.images.params.backbones import Levels

__all__ = ["packaged", "parameter_groups"]  # of the role


class Given(NamedTuple):
    logits: Tensor
    """(B, K)"""
    cam: Tensor
    """(B, K, h, w); its mean is the logits."""
    maps: list[Tensor]
    """Of the backbone, finest first."""


class Classifier(nn.Module):
    """The network of an architecture, see the module."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch = arch
        self.backbone = backbones.build(arch["backbone"])
        self.dropout = nn.Dropout2d(arch["dropout"])
        self.seen = levels.Seen(self.backbone.channels, arch["levels"])
        self.head = nn.Conv2d(self.seen.width, len(arch["classes"]), 1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        if arch["freeze"] == "all":
            self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> Classifier:
        """A pretrained backbone keeps its BatchNorm statistics."""
        super().train(mode)
        if mode and self.arch["frozen_norm"]:
            tuning.keep_statistics(self.backbone)
        return self

    def forward(self, images: Tensor) -> Given:
        """images: (B, C, H, W) float, raw 0-255."""
        maps = self.backbone(images)
        cam = self.head(self.dropout(self.seen(maps)))
        return Given(cam.mean((2, 3)), cam, maps)


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """The classifier that `params.model` asks for, with the classes of `assets`.

    Raises: ParamsError when the images are too small for the backbone.
    """
    settings = params.model
    arch = {
        "task": "classification",
        "graph": "classifier",
        "outputs": ["logits", "cam"],
        "told": {"multilabel": params.data.multilabel, "temperature": 1.0},
        "classes": classes(assets),
        "image_size": list(settings.image_size),
        "backbone": _backbone(
            settings.backbone, 1 if settings.colour == "grey" else 3, settings.image_size, settings.levels
        ),
        "levels": settings.levels,
        "dropout": settings.dropout,
        "pretrained": settings.weights == "packaged",
        "frozen_norm": settings.weights != "none",
        "freeze": "none" if settings.weights == "none" else params.train.freeze,
        "hint": "none",
    }
    try:
        build(arch).eval()(_example(arch))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ParamsError(
            [f"model: backbone {settings.backbone['name']} cannot take images of {arch['image_size']} ({reason}); take "
             "larger ones, or fewer stages"]
        ) from None  # fmt: skip
    return arch


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """The teacher's task on another backbone; no weight is frozen, norms where it begins as its teacher."""
    inputs = _example(teacher).shape[1]
    return teacher | {
        "backbone": _backbone(settings.backbone, inputs, teacher["image_size"], teacher["levels"]),
        "pretrained": teacher["pretrained"] and settings.backbone["name"] in backbones.PACKAGED,
        "frozen_norm": teacher["frozen_norm"] and settings.initial == "teacher",
        "freeze": "none",
        "hint": settings.hint,
    }


def build(arch: dict[str, Any], initial: bool = False) -> Classifier:
    """The network in train mode; `initial` loads the packaged ImageNet weights where `arch` says `pretrained`."""
    network = Classifier(arch)
    if initial and arch["pretrained"]:
        backbones.load_packaged(network.backbone)
    return network.to(memory_format=torch.channels_last).train()


def loss(model: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
    """Cross-entropy with the batch's targets, smoothed; with several labels, that of each class by itself, summed."""
    return {"loss": _hard(model(batch["images"]).logits, batch["targets"], params)}


def soft_targets(student: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
    """(1 - soft_weight) * hard + soft_weight * soft targets + hint_weight * hint.

    settings: `params.distill.<name>`. The teacher must be in eval mode; it gets no gradient.
    Returns: scalars `loss` and its parts. Raises: TrainingError when the two do not fit each other.
    """
    distillation.check(_facts(student), _facts(teacher))
    with torch.no_grad():
        wanted = teacher(batch["images"])
    given = student(batch["images"])
    soft = distillation.soft_sigmoids if params.data.multilabel else distillation.soft_targets
    parts = {
        "hard": _hard(given.logits, batch["targets"], params),
        "soft": soft(given.logits, wanted.logits, settings.temperature),
    }
    total = (1 - settings.soft_weight) * parts["hard"] + settings.soft_weight * parts["soft"]
    if settings.hint != "none":
        mine_at, other_at = tuning.paired(student.backbone, teacher.backbone)
        mine, other = [given.maps[i] for i in mine_at], [wanted.maps[i] for i in other_at]
        parts["hint"] = distillation.hint(settings.hint, student, mine, other)
        total = total + settings.hint_weight * parts["hint"]
    return {"loss": total} | {name: part.detach() for name, part in parts.items()}


def regress(student: nn.Module, teacher: nn.Module) -> None:
    """Give the student what `fitnets` needs while it is trained."""
    if student.arch["hint"] == "fitnets":
        mine, other = tuning.paired(student.backbone, teacher.backbone)
        channels = [student.backbone.channels[i] for i in mine], [teacher.backbone.channels[i] for i in other]
        distillation.attach(student, *channels)


@torch.no_grad()
def predictions(model: nn.Module, batch: Any, assets: dict[str, bytes]) -> list[dict[str, Any]]:
    """Of a validation batch: what the exported model would say, uncalibrated. The model must be in eval mode."""
    several = model.arch["told"]["multilabel"]
    found = probabilities(model(batch["images"]).logits.float().cpu().numpy(), several)
    return [described(row, model.arch["classes"], several) for row in found]


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of the channels of every layer but the predicting one, in place; see `pruning.prune`.

    Returns: the architecture of what is left; no weight is frozen, since every layer must recover. Norms that the base
    keeps are kept here, too, with the statistics that stage `prune` finds anew.
    """
    tensors, by = (lambda given: list(given[:2])), settings.importance
    pruning.prune(model, _example(arch), settings.ratio, (model.head,), output_transform=tensors, importance=by)
    model.arch = arch | {"backbone": backbones.widths(model.backbone), "freeze": "none"}
    return model.arch


def _backbone(settings: Any, inputs: int, size: list[int], levels: Levels) -> dict[str, Any]:
    return backbones.describe(settings["name"], settings, inputs, size, levels)


def _example(arch: dict[str, Any]) -> Tensor:
    return torch.zeros(1, arch["backbone"].get("inputs", 3), *arch["image_size"])


def _hard(logits: Tensor, targets: Tensor, params: Any) -> Tensor:
    smoothing = params.model.label_smoothing
    if not params.data.multilabel:
        return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
    smoothed = targets * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits.float(), smoothed, reduction="none").sum(1).mean()


def _facts(network: nn.Module) -> dict[str, Any]:
    """What teacher and student must share."""
    names = [entry["name"] for entry in network.arch["classes"]]
    return {"classes": names, "image_size": network.arch["image_size"], "told": network.arch["told"]}
