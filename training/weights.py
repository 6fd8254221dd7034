"""Initial weights: what training starts from, read without running code, put where names and shapes fit, and told.

A file is safetensors (https://github.com/huggingface/safetensors#format), or a state dict as `torch.save` writes it,
alone or under one of `KEYS`.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core import paths, stage
from core.errors import SourceError
from core.files import read_json, sha256
from core.visible import visible
from ops.ingest.weights import fetch

KEYS = ("state_dict", "model_state_dict", "model")
"""Under which trainers keep the weights beside other things."""
UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)
"""What torch's reader raises for bytes that are no pickle: it depends on the bytes."""
SHOWN = 3
"""Names that stand for many in a message."""


def start(ctx: stage.Context, role: Any, model: nn.Module) -> dict[str, Any]:
    """Give `model`, as `role.build(arch, initial=True)` made it, the weights that `<task>.model.weights` names.

    Returns: for the passport and the model card `source`, and where there is a file `sha256`, `license` as far as it is
    known, and how many tensors fitted. Raises: SourceError.
    """
    params = ctx.params.model
    if params.weights_kind == "none":
        return {"source": "none"}
    if params.weights_kind == "packaged":
        path, license_ = role.packaged()
        return {"source": "packaged", "sha256": sha256(path), "license": license_}
    path, digest = fetch(params, ctx.task, ctx.params.data.allow_private)
    place = f"{ctx.task}.model.weights {params.weights_address!r}"
    if params.weights_kind == "path":
        _noted(ctx.task, place, digest)
    try:
        counts = load(model, read(path))
    except SourceError as error:
        raise SourceError(f"{place}: {error}") from None
    return {"source": params.weights_address, "sha256": digest, "license": None, **counts}


def _noted(task: str, place: str, digest: str) -> None:
    """DVC looks at a note of the file's digest; trained on another file, it would take the result for that one's."""
    note = paths.noted_weights(task)
    noted = read_json(note).get("sha256") if note.exists() else None
    if "DVC_STAGE" in os.environ and noted != digest:
        raise SourceError(
            f"{place}: sha256 is {digest}, {note} tells DVC of {noted}: run `python -m pipelines.sources`, which notes "
            "it (as `make repro` and `make flow` do by themselves), then the same command again"
        )


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a file by name. Raises: SourceError for a damaged file, and for a pickle that holds more than data."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if _is_safetensors(path):
            return load_file(path)
        found = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise SourceError(
            f"the pickle holds {named[1] if named else 'more than plain tensors'}, which would run code when it is "
            "loaded, and was refused; save the weights alone: `torch.save(model.state_dict(), FILE)`, or safetensors"
        ) from None
    except (SafetensorError, *UNREADABLE) as error:
        raise SourceError(f"neither safetensors nor a state dict of torch, or damaged ({_first(error)})") from None
    top = found if isinstance(found, Mapping) else {}
    inner = next((top[key] for key in KEYS if isinstance(top.get(key), Mapping)), top)
    tensors = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise SourceError(f"the file holds no tensors by name, neither at the top nor under {', '.join(KEYS)}")
    return tensors


def _is_safetensors(path: Path) -> bool:
    """Eight bytes of length, then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def load(model: nn.Module, found: Mapping[str, Tensor]) -> dict[str, int]:
    """Put what fits by name and shape into `model`, and print what did not. Returns: counts.

    Raises: SourceError when nothing fits, a value is not finite, or something that will not be trained is left out.
    """
    own = model.state_dict()
    fits = [name for name, value in own.items() if name in found and found[name].shape == value.shape]
    left = {
        "absent": [name for name in own if name not in found],
        "other_shape": [name for name in own if name in found and found[name].shape != own[name].shape],
        "unused": [name for name in found if name not in own],
    }
    if not fits:
        raise SourceError(
            f"no tensor fits by name and shape; the file holds {_few(list(found))}, the model has {_few(list(own))}"
        )
    if broken := [name for name in fits if not torch.isfinite(found[name]).all()]:
        raise SourceError(f"values are not finite in {_few(broken)}")
    if missing := _fixed(model) - set(fits):
        raise SourceError(
            f"it lacks {_few(sorted(missing))}, which training leaves as it is (`train.freeze_blocks`, statistics of "
            "norms): give weights that hold it, or `weights: none`"
        )
    model.load_state_dict({name: found[name] for name in fits}, strict=False)
    words = {"absent": "not in the file", "other_shape": "of another shape", "unused": "not in the model"}
    rest = "".join(f"; {words[kind]}: {_few(names)}" for kind, names in left.items() if names)
    print(f"initial weights: {len(fits)} of {len(own)} tensors taken{rest}", flush=True)
    return {"loaded": len(fits), **{kind: len(names) for kind, names in left.items()}}


def _fixed(model: nn.Module) -> set[str]:
    """What training does not change: parameters taken out of it, statistics of norms that stay in eval mode."""
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    for name, module in model.train().named_modules():
        if isinstance(module, _BatchNorm) and not module.training:
            fixed |= {f"{name}.running_mean", f"{name}.running_var"}
    return fixed


def _few(names: Collection[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(visible(name)[:100] for name in list(names)[:SHOWN]) + rest
