"""A checkpoint: an architecture description, weights as safetensors, and the assets that make it usable.

Pruned models have other shapes than their class defaults, so the description travels with the weights. Nothing is
pickled; loading runs no code from the file.

    architecture.json    what `tasks/<task>/model`.build makes the module from
    weights.safetensors  the module's state dict
    assets/              tokenizer, class names, ...
    curves.json          metrics a step or epoch, for the report
    initial.json         of the base: what training started from
    result.json          what training found: best metric, epoch, format where it was measured
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelError
from core.files import read_json, write_json

if TYPE_CHECKING:
    import torch


INITIAL = "initial.json"


@dataclass(frozen=True)
class Checkpoint:
    arch: dict[str, Any]
    weights: dict[str, torch.Tensor]
    assets: dict[str, bytes]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into an existing folder. Tied weights are stored once for each name."""
    from safetensors.torch import save_file

    write_json(folder / "architecture.json", checkpoint.arch)
    save_file(
        {k: v.detach().cpu().clone().contiguous() for k, v in checkpoint.weights.items()},
        folder / "weights.safetensors",
    )
    (folder / "assets").mkdir(exist_ok=True)
    for name, content in checkpoint.assets.items():
        (folder / "assets" / name).write_bytes(content)


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint. Raises: ModelError naming the file that is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        arch = read_json(folder / "architecture.json")
        weights = load_file(folder / "weights.safetensors")
        assets = {path.name: path.read_bytes() for path in sorted((folder / "assets").iterdir())}
        if not isinstance(arch, dict):
            raise ValueError("architecture.json holds no mapping")
    except FileNotFoundError as error:
        missing = error.filename or folder / "weights.safetensors"  # safetensors names no file
        raise ModelError(f"{missing} is missing; run the stage that makes {folder} again") from None
    except (ValueError, SafetensorError) as error:
        raise ModelError(
            f"{folder} is damaged ({error}); run the stage that makes it again with `dvc repro -f`"
        ) from None
    return Checkpoint(arch, weights, assets)
