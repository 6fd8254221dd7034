"""Architecture of translators and what they learn from: see `core.task.Model`.

Two architectures, one interface: `encode(source)` gives what every step sees (memory) and the cache before the first
step, `decode(target, memory, cache)` hidden states, attention and the next cache, `project(hidden)` logits.
Shapes: `B` sentences, `S` source subwords, `T` target subwords, `V` vocabulary.
"""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor, nn

from modalities.text.backbones.gru import GRU
from modalities.text.backbones.transformer import Transformer
from modalities.text.inputs import tokenizer
from modalities.text.inputs.tokenizer import Tokenizer
from tasks.translation.model.decode import greedy
from tasks.translation.model.distillation import soft_targets
from tasks.translation.model.losses import consistent, hard_targets, teacher_forced
from tasks.translation.model.pruning import prune

__all__ = ["architecture", "build", "loss", "parameter_groups", "predictions", "prune", "soft_targets", "student"]


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """Sizes layer by layer, so that a pruned model has the same form."""
    model = params.model
    sizes = {"width": model.width, "feed_forward": model.feed_forward, "heads": model.heads, "layers": model.layers}
    arch = {
        "arch": model.arch,
        "vocabulary": len(Tokenizer(assets[tokenizer.ASSET])),
        "tokenizer": hashlib.sha256(assets[tokenizer.ASSET]).hexdigest(),
        "dropout": model.dropout,
        "max_tokens": model.max_tokens,
    }
    kind = _transformer(**sizes) if model.arch == "transformer" else _gru(model.attention, **sizes)
    return {**arch, **kind, **_tables(model)}


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """The teacher's kind of network and vocabulary with the sizes of `settings`."""
    sizes = {name: getattr(settings, name) for name in ("width", "feed_forward", "heads", "layers")}
    shared = {name: value for name, value in teacher.items() if name != "embedding"}
    shared |= {} if settings.dropout is None else {"dropout": settings.dropout}
    if teacher["arch"] == "transformer":
        return {**shared, **_transformer(**sizes, decoder_layers=settings.decoder_layers), **_tables(settings)}
    return {**shared, **_gru(teacher["attention"], **sizes), **_tables(settings)}


def build(arch: dict[str, Any], initial: bool = False) -> nn.Module:
    """There are no packaged weights: `initial` changes nothing."""
    return Transformer(arch) if arch["arch"] == "transformer" else GRU(arch)


def parameter_groups(model: nn.Module, train: Any) -> list[dict[str, Any]]:
    """Matrices decay, biases and normalisation do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "lr": train.lr, "weight_decay": train.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "lr": train.lr, "weight_decay": 0.0},
    ]


def loss(model: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
    """Cross-entropy with label smoothing (Szegedy et al. 2016), and without: `nll`, nats a subword."""
    if params.model.r_drop and model.training:
        return consistent(model, batch, params.model.label_smoothing, params.model.r_drop)
    logits, gold = teacher_forced(model, batch)
    return hard_targets(logits, gold, params.model.label_smoothing)


def predictions(model: nn.Module, batch: Any, assets: dict[str, bytes]) -> list[str]:
    """Greedy translations of a validation batch."""
    arch: dict[str, Any] = model.arch
    limit = min(arch["max_tokens"], 2 * batch["source"].shape[1] + 20)
    return Tokenizer(assets[tokenizer.ASSET]).decode(greedy(model, batch["source"], limit))


def _tables(sizes: Any) -> dict[str, Any]:
    return {} if sizes.embedding is None else {"embedding": sizes.embedding}


def _transformer(
    width: int, feed_forward: int, heads: int, layers: int, decoder_layers: int | None = None
) -> dict[str, Any]:
    encoder = {"heads": heads, "feed_forward": feed_forward}
    decoder = {"heads": heads, "cross_heads": heads, "feed_forward": feed_forward}
    return {
        "width": width,
        "head_width": width // heads,
        "encoder": [dict(encoder) for _ in range(layers)],
        "decoder": [dict(decoder) for _ in range(decoder_layers or layers)],
    }


def _gru(attention: bool, width: int, feed_forward: int, heads: int, layers: int) -> dict[str, Any]:
    return {"attention": attention, "width": width, "readout": feed_forward, "layers": layers}
