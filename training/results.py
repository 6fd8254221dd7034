"""What train, prune and distill leave: the checkpoint, its curves as numbers and as a picture, what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import checkpoint, stage
from core.brief import brief
from core.files import write_json
from training import randomness
from training.fit import Fitted

if TYPE_CHECKING:
    from torch import nn


def write(ctx: stage.Context, saved: checkpoint.Checkpoint, fitted: Fitted, counts: dict[str, int]) -> None:
    """Write everything into the stage's folder. counts: of `counts`.

    The folder holds nothing that another run with the same seed would write differently, no times and no dates; but
    `precision: auto` was chosen by times, and they stand in `result.json`.
    """
    checkpoint.save(ctx.out, saved)
    result = fitted.result | counts
    write_json(ctx.out / "result.json", result)
    write_json(ctx.out / "curves.json", fitted.curves)
    picture(fitted.curves, ctx.out / "curves.png")
    ctx.run.artifact(ctx.out / "curves.png")
    ctx.run.metrics({f"result/{k}": v for k, v in result.items() if isinstance(v, int | float)})
    print(f"{ctx.name}: {brief(result)}; {fitted.seconds:.0f} s")


def counts(model: nn.Module, loader: Any, forward: Callable[[nn.Module, Any], Any]) -> dict[str, int]:
    """What a model costs on any machine: its `parameters`, and `macs`, the multiply-adds of one input, the mean
    over the first batch of `loader`, padded as it is. No random number is drawn.
    """
    state = randomness.state()
    batch = next(iter(loader))
    randomness.restore(state)
    return {"parameters": parameters(model), "macs": macs(model, batch, forward) // len(batch["positions"])}


def parameters(model: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, batch: Any, forward: Callable[[nn.Module, Any], Any]) -> int:
    """Multiply-adds of convolutions, matrix products and attention when `forward` runs the model on a batch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    mode = model.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward(model.eval(), batch)
    model.train(mode)
    return int(counter.get_total_flops()) // 2


def picture(curves: dict[str, list[list[float]]], path: Path) -> None:
    """Loss above, the task's metrics below, over optimiser steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True)
    for axis, prefix, marker in ((axes[0], "train/", ""), (axes[1], "val/", "o")):
        for name, points in sorted(curves.items()):
            if name.startswith(prefix):
                axis.plot(*zip(*points, strict=True), label=name.removeprefix(prefix), marker=marker, markersize=4)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False)
    axes[0].set_ylabel("training loss")
    axes[1].set_ylabel("validation")
    axes[1].set_xlabel("step")
    figure.savefig(path, dpi=110, metadata={"Software": None})
