"""Our Transformer's checkpoint as a model of CTranslate2 (`pip install ctranslate2==4.8.5`; it is in no lock)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from core import checkpoint
from modalities.text.inputs import tokenizer
from modalities.text.inputs.tokenizer import Tokenizer

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
"""As SentencePiece names the subwords PAD, UNK, BOS and EOS."""


def convert(source: Path, folder: Path) -> None:
    """Write the checkpoint at `source`, of a Transformer, as a model of CTranslate2 in fp32; it is quantized as it is
    loaded.

    Raises: ValueError when CTranslate2 has no such network: a GRU, or layers with unlike numbers of heads.
    """
    import ctranslate2  # noqa: PLC0415 - perhaps it is not installed
    from ctranslate2.specs import TransformerSpec  # noqa: PLC0415

    saved = checkpoint.load(source)
    arch, weights = saved.arch, {name: tensor.float().numpy() for name, tensor in saved.weights.items()}
    if arch["arch"] != "transformer":
        raise ValueError(f"{source}: the network is {arch['arch']!r}, expected 'transformer'")
    heads = {layer[key] for side in ("encoder", "decoder") for layer in arch[side] for key in layer if "heads" in key}
    if len(heads) != 1:
        raise ValueError(f"{source}: layers have {sorted(heads)} heads, expected one number in all of them")
    spec = TransformerSpec.from_config((len(arch["encoder"]), len(arch["decoder"])), heads.pop(), pre_norm=True)
    _side(spec.encoder, "encoder", weights, arch)
    _side(spec.decoder, "decoder", weights, arch)
    spec.decoder.projection.weight = _table("target", weights)
    coder = Tokenizer(saved.assets[tokenizer.ASSET])
    pieces = [coder.pieces([number])[0] for number in range(coder.size())]
    pieces[: len(SPECIAL)] = SPECIAL
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = SPECIAL[2], SPECIAL[3], SPECIAL[1]
    spec.config.decoder_start_token = SPECIAL[2]
    spec.config.add_source_bos = spec.config.add_source_eos = False  # the sources have EOS already
    spec.validate()
    spec.optimize()
    folder.mkdir()
    spec.save(str(folder))
    assert ctranslate2.contains_model(str(folder))


def _side(spec: Any, side: str, weights: dict[str, np.ndarray], arch: dict[str, Any]) -> None:
    embeddings = spec.embeddings[0] if side == "encoder" else spec.embeddings
    embeddings.weight = _table("source" if side == "encoder" else "target", weights)
    spec.scale_embeddings = True
    spec.position_encodings.encodings = _positions(arch["max_tokens"] + 2, arch["width"])
    _norm(spec.layer_norm, f"{side}_norm", weights)
    for i, layer in enumerate(spec.layer):
        name = f"{side}.{i}"
        _norm(layer.self_attention.layer_norm, f"{name}.norms.0", weights)
        _linear(layer.self_attention.linear[0], f"{name}.attention.projection", weights)
        _linear(layer.self_attention.linear[1], f"{name}.attention.output", weights)
        if side == "decoder":
            _norm(layer.attention.layer_norm, f"{name}.norms.1", weights)
            for j, part in enumerate(("query", "key_value", "output")):
                _linear(layer.attention.linear[j], f"{name}.cross.{part}", weights)
        _norm(layer.ffn.layer_norm, f"{name}.norms.{2 if side == 'decoder' else 1}", weights)
        _linear(layer.ffn.linear_0, f"{name}.feed_forward.expand", weights)
        _linear(layer.ffn.linear_1, f"{name}.feed_forward.contract", weights)


def _table(side: str, weights: dict[str, np.ndarray]) -> np.ndarray:
    """[V, D], also of a factorised table."""
    table, expand = weights[f"{side}_embedding.weight"], weights.get(f"{side}_embedding.expand.weight")
    return table if expand is None else np.ascontiguousarray(table @ expand.T)


def _norm(spec: Any, name: str, weights: dict[str, np.ndarray]) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _linear(spec: Any, name: str, weights: dict[str, np.ndarray]) -> None:
    spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _positions(length: int, width: int) -> np.ndarray:
    """As `modalities.text.backbones.transformer.sinusoids`, which a checkpoint leaves out."""
    angle = np.arange(length)[:, None] * np.exp(np.arange(0, width, 2) * (-math.log(10000.0) / width))[None]
    table = np.zeros((length, width), np.float32)
    table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)[:, : width // 2]
    return table
