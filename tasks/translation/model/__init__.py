"""Architecture of translators and what they learn from: see `core.task.Model`.

Two architectures, one interface: `encode(source)` gives what every step sees (memory) and the cache before the first
step, `decode(target, memory, cache)` hidden states, attention and the next cache, `project(hidden)` logits.
Shapes: `B` sentences, `S` source subwords, `T` target subwords, `V` vocabulary.
"""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor, nn

from core.errors import ModelError
from modalities.text.backbones.greedy import greedy
from modalities.text.backbones.recurrent import Recurrent
from modalities.text.backbones.transformer import Transformer
from modalities.text.inputs import coders, tokenizer
from tasks.translation.model.distillation import soft_targets
from tasks.translation.model.losses import consistent, hard_targets, teacher_forced
from tasks.translation.model.pruning import prune

NETWORKS: dict[str, type[Transformer] | type[Recurrent]] = {"transformer": Transformer, "recurrent": Recurrent}
CELLS = ("cell", "bidirectional", "attention")
"""What a student of a recurrent network has as its teacher has it."""

__all__ = ["architecture", "build", "loss", "parameter_groups", "predictions", "prune", "soft_targets", "student"]


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """Sizes layer by layer, so that a pruned model has the same form."""
    model, coder = params.model, coders.load(assets[tokenizer.ASSET])
    arch = {
        "arch": model.arch,
        "vocabulary": coder.size("target"),
        "tokenizer": hashlib.sha256(assets[tokenizer.ASSET]).hexdigest(),
        "dropout": model.dropout,
        "max_tokens": model.max_tokens,
    }
    if model.words:
        arch["source_vocabulary"] = coder.size("source")
    if model.arch == "transformer":
        return {**arch, **_transformer(model, model.decoder == "ssru"), **_tables(model)}
    return {**arch, **{name: getattr(model, name) for name in CELLS}, **_recurrent(model), **_tables(model)}


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """The teacher's kind of network and vocabulary with the sizes of `settings`."""
    shared = {name: value for name, value in teacher.items() if name != "embedding"}
    shared |= {} if settings.dropout is None else {"dropout": settings.dropout}
    if teacher["arch"] == "transformer":
        return {**shared, **_transformer(settings, "heads" not in teacher["decoder"][0]), **_tables(settings)}
    return {**shared, **_recurrent(settings), **_tables(settings)}


def build(arch: dict[str, Any], initial: bool = False) -> nn.Module:
    """There are no packaged weights: `initial` changes nothing. Raises: ModelError for what an earlier version made."""
    if (kind := arch.get("arch")) not in NETWORKS:
        raise ModelError(
            f"the checkpoint's architecture.json has arch {kind!r}, expected one of {', '.join(NETWORKS)}: an earlier "
            "version made it; train it again (`make repro`), a `gru` as `arch: recurrent`"
        )
    return NETWORKS[kind](arch)


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
    logits, gold = teacher_forced(model, batch, params.model.teacher_forcing)
    return hard_targets(logits, gold, params.model.label_smoothing)


def predictions(model: nn.Module, batch: Any, assets: dict[str, bytes]) -> list[str]:
    """Greedy translations of a validation batch."""
    arch: dict[str, Any] = model.arch
    limit = min(arch["max_tokens"], 2 * batch["source"].shape[1] + 20)
    return coders.load(assets[tokenizer.ASSET]).decode(greedy(model, batch["source"], limit))


def _tables(sizes: Any) -> dict[str, Any]:
    return {} if sizes.embedding is None else {"embedding": sizes.embedding}


def _transformer(sizes: Any, ssru: bool) -> dict[str, Any]:
    heads, hidden = {"heads": sizes.heads}, {"feed_forward": sizes.feed_forward}
    decoder = {**({} if ssru else heads), "cross_heads": sizes.heads, **hidden}
    return {
        "width": sizes.width,
        "head_width": sizes.head_width or sizes.width // sizes.heads,
        "encoder": [heads | hidden for _ in range(sizes.layers)],
        "decoder": [dict(decoder) for _ in range(sizes.decoder_layers or sizes.layers)],
    }


def _recurrent(sizes: Any) -> dict[str, Any]:
    return {"width": sizes.width, "readout": sizes.feed_forward, "layers": sizes.layers}
