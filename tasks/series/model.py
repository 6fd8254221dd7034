"""Role `model` of series: networks that read a window and say its next values, or classes of its steps.

An architecture holds: `arch`, `cell`, `peephole`, `width`, `layers`, `kernel`, `patch`, `heads`, `dropout`, `normalise`,
`quantiles`; `layout` of the data and `scale` of its train split; and what the role `graphs` reads: `task`, `graph`,
`about`.

Shapes: B batch, W window, C values, H horizon, V targets, Q quantiles, K classes, S steps that are told (W or 1), D
width, P patches.
"""

from __future__ import annotations

import json
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.networks import distillation, pruning
from modalities.series.data import SCALE
from modalities.series.inputs.windows import FILE, described

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SETTINGS = (
    "arch",
    "cell",
    "peephole",
    "width",
    "layers",
    "kernel",
    "patch",
    "heads",
    "dropout",
    "normalise",
    "quantiles",
)
FLOOR = 0.01
"""Of train's deviation, which is added to a window's: in one that hardly changes noise would be blown up."""


class Recurrent(nn.Module):
    """Layers of one cell (Elman 1990; Hochreiter and Schmidhuber 1997; Cho et al. 2014), in one direction or in both.

    torch's cells add two biases for each gate; one does, as the weight of an input that is always 1.
    """

    def __init__(self, cell: str, inputs: int, width: int, layers: int, both: bool = False, peephole: bool = False):
        super().__init__()
        made: type[nn.Module] | Any = Peephole if peephole else CELLS[cell]
        options = {} if peephole else {"bias": False, "batch_first": True, "bidirectional": both}
        sizes = [inputs, *[width * (2 if both else 1)] * (layers - 1)]
        self.layers = nn.ModuleList(made(size + 1, width, **options) for size in sizes)

    def forward(self, x: Tensor, states: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """x: (B, T, inputs). Returns: (B, T, D or 2 D), and the states of all layers at the end."""
        last = []
        for i, layer in enumerate(self.layers):
            x, state = layer(torch.cat([x, torch.ones_like(x[..., :1])], -1), states[i] if states else None)
            last.append(state)
        return x, last


class Peephole(nn.Module):
    """LSTM whose gates see the memory (Gers and Schmidhuber 2000); its steps are unrolled in the ONNX graph."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.given = nn.Linear(inputs, 4 * width, bias=False)
        self.before = nn.Linear(width, 4 * width, bias=False)
        self.peeps = nn.Parameter(torch.empty(3, width).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        steps = self.given(x)
        hidden, memory = state or 2 * (torch.zeros_like(steps[:, 0, : self.peeps.shape[1]]),)
        found = []
        for t in range(x.shape[1]):
            enter, forget, new, out = (steps[:, t] + self.before(hidden)).chunk(4, -1)
            kept = torch.sigmoid(forget + self.peeps[0] * memory) * memory
            memory = kept + torch.sigmoid(enter + self.peeps[1] * memory) * torch.tanh(new)
            hidden = torch.sigmoid(out + self.peeps[2] * memory) * torch.tanh(memory)
            found.append(hidden)
        return torch.stack(found, 1), (hidden, memory)


class Dilated(nn.Module):
    """Causal convolutions whose reach doubles with each layer, with residuals (van den Oord et al. 2016, section 2.1)."""

    def __init__(self, inputs: int, width: int, layers: int, kernel: int, dropout: float):
        super().__init__()
        self.inner = nn.Conv2d(inputs, width, 1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, (1, kernel), dilation=(1, 2**i)) for i in range(layers))
        self.dropout, self.kernel = nn.Dropout(dropout), kernel

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) -> (B, T, D)"""
        y = self.inner(x.transpose(1, 2)[:, :, None])
        for i, layer in enumerate(self.layers):
            y = y + self.dropout(F.relu(layer(F.pad(y, ((self.kernel - 1) * 2**i, 0)))))
        return y[:, :, 0].transpose(1, 2)


class Patches(nn.Module):
    """A small Transformer over pieces of a window, each value by itself (Nie et al. 2023, arXiv:2211.14730)."""

    def __init__(self, arch: dict[str, Any], window: int):
        super().__init__()
        width, self.size, self.heads = arch["width"], arch["patch"], arch["heads"]
        self.stride = max(1, self.size // 2)
        self.short = -(window - self.size) % self.stride
        count = (window + self.short - self.size) // self.stride + 1
        self.enter, self.place = nn.Linear(self.size, width), nn.Parameter(0.02 * torch.randn(count, width))
        parts = [(3 * width, width), (width, width), (2 * width, width), (width, 2 * width)]
        self.layers = nn.ModuleList(nn.ModuleList(nn.Linear(b, a) for a, b in parts) for _ in range(arch["layers"]))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * arch["layers"]))
        self.dropout, self.count = nn.Dropout(arch["dropout"]), count

    def forward(self, x: Tensor) -> Tensor:
        """(B, W) -> (B, P D)"""
        x = F.pad(x[:, None], (self.short, 0), mode="replicate")[:, 0] if self.short else x
        y = self.enter(torch.stack([x[:, i * self.stride : i * self.stride + self.size] for i in range(self.count)], 1))
        y = y + self.place
        for i, (asked, mixed, wide, narrow) in enumerate(self.layers):
            q, k, v = (
                z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in asked(self.norms[2 * i](y)).chunk(3, -1)
            )
            weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
            y = y + self.dropout(mixed((weights @ v).transpose(1, 2).flatten(2)))
            y = y + self.dropout(narrow(F.gelu(wide(self.norms[2 * i + 1](y)))))
        return y.flatten(1)


class Network(nn.Module):
    """The network of an architecture, see the module."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch, plan, scale = arch, arch["layout"], arch["scale"]
        kind, width, layers, window = arch["arch"], arch["width"], arch["layers"], plan["window"]
        values, targets, quantiles = len(plan["values"]), len(plan["targets"]), len(arch["quantiles"])
        for name, numbers in (("mean", "mean"), ("spread", "std")):
            self.register_buffer(name, torch.tensor(scale["values"][numbers]), persistent=False)
            self.register_buffer(f"target_{name}", torch.tensor(scale["targets"][numbers]), persistent=False)
        self.own = [plan["values"].index(name) for name in plan["targets"] if name in plan["values"]]
        self.each = kind in ("patch", "linear")
        told = [plan["horizon"], *([] if self.each else [targets]), quantiles]
        self.told = told if plan["kind"] == "forecast" else [len(plan["classes"])]
        inner = width
        if kind == "seq2seq":
            self.body = Recurrent(arch["cell"], values, width, layers)
            self.decoder, self.told = Recurrent(arch["cell"], targets, width, layers), [targets, quantiles]
        elif kind == "dilated":
            self.body = Dilated(values, width, layers, arch["kernel"], arch["dropout"])
        elif kind == "patch":
            self.body = Patches(arch, window)
            inner = self.body.count * width
        elif kind == "linear":
            self.body, inner = nn.Identity(), window
        else:
            both = kind == "birnn"
            self.body = Recurrent(arch["cell"] if both else kind, values, width, layers, both, arch["peephole"])
            inner = 2 * width if both else width
        self.head = nn.Linear(inner, math.prod(self.told))

    def forward(self, history: Tensor, future: Tensor | None = None) -> Tensor:
        """history: (B, W, C) in units of the data; future: (B, H, V), which seq2seq learns from (teacher forcing).

        Returns: (B, H, V, Q) in units of the data; of labels logits (B, S, K).
        """
        centre, spread, low, wide = self.mean, self.spread, self.target_mean, self.target_spread
        if self.arch["normalise"] == "window":
            centre = history.mean(1, keepdim=True)
            variance = (history - centre).square().mean(1, keepdim=True)
            spread = (variance + (FLOOR * self.spread).square()).sqrt()
            low, wide = centre[..., self.own], spread[..., self.own]
        elif self.arch["normalise"] == "none":
            centre, spread, low, wide = torch.zeros(()), torch.ones(()), torch.zeros(()), torch.ones(())
        x = (history - centre) / spread
        if self.arch["layout"]["kind"] == "label":
            y = self._features(x)
            return self.head(y if self.arch["layout"]["label_of"] == "step" else self._last(y)[:, None])
        if self.arch["arch"] == "seq2seq":
            y = self._decoded(x, None if future is None else (future - low) / wide)
        elif self.each:
            flat = x[..., self.own].transpose(1, 2).flatten(0, 1)
            y = self.head(self.body(flat)).unflatten(-1, self.told).unflatten(0, (-1, len(self.own))).transpose(1, 2)
        else:
            y = self.head(self._last(self._features(x))).unflatten(-1, self.told)
        return y * wide[..., None] + low[..., None] if wide.ndim < 2 else y * wide[:, :, :, None] + low[:, :, :, None]

    def _features(self, x: Tensor) -> Tensor:
        found = self.body(x)
        return found[0] if isinstance(found, tuple) else found

    def _last(self, y: Tensor) -> Tensor:
        """What is known at the end of a window, read forwards and backwards."""
        if self.arch["arch"] != "birnn":
            return y[:, -1]
        return torch.cat([y[:, -1, : self.arch["width"]], y[:, 0, self.arch["width"] :]], -1)

    def _decoded(self, x: Tensor, future: Tensor | None) -> Tensor:
        """The encoder's state is the context (Sutskever et al. 2014); each step is fed the one before it."""
        _, states = self.body(x)
        targets, middle = len(self.arch["layout"]["targets"]), self.arch["quantiles"].index(0.5)
        one = (
            x[:, -1:, self.own] if len(self.own) == targets else torch.zeros_like(x[:, :1, :1]).expand(-1, -1, targets)
        )
        if future is not None:
            return self.head(self.decoder(torch.cat([one, future[:, :-1]], 1), states)[0]).unflatten(-1, self.told)
        found = []
        for _ in range(self.arch["layout"]["horizon"]):
            y, states = self.decoder(one, states)
            found.append(self.head(y).unflatten(-1, self.told))
            one = found[-1][..., middle]
        return torch.cat(found, 1)


def architecture(params: Any, assets: dict[str, bytes]) -> dict[str, Any]:
    """The network that `params.model` asks for, of the data of `assets`."""
    plan, settings = json.loads(assets[FILE]), params.model.model_dump()
    known = {name: settings[name] for name in SETTINGS} | {"layout": plan, "scale": json.loads(assets[SCALE])}
    return known | {"task": "series", "graph": "network", "about": {"quantiles": settings["quantiles"]}}


def student(teacher: dict[str, Any], settings: Any) -> dict[str, Any]:
    """The teacher's network, narrower or with fewer layers."""
    return teacher | {"width": settings.width, "layers": settings.layers}


def build(arch: dict[str, Any], initial: bool = False) -> Network:
    """The network in train mode."""
    return Network(arch).train()


def parameter_groups(model: nn.Module, train: Any) -> list[dict[str, Any]]:
    return [{"params": list(model.parameters()), "lr": train.lr, "weight_decay": train.weight_decay}]


def loss(model: nn.Module, batch: Any, params: Any) -> dict[str, Tensor]:
    """Of quantiles the pinball loss (Koenker and Bassett 1978), or a mean error, in deviations of train; of labels the
    cross-entropy."""
    if model.arch["layout"]["kind"] == "label":
        return {
            "loss": F.cross_entropy(
                model(batch["history"]).float().flatten(0, 1), batch["labels"].flatten(), ignore_index=-1
            )
        }
    given = model(batch["history"], batch["future"] if model.training and model.arch["arch"] == "seq2seq" else None)
    error = (batch["future"][..., None] - given.float()) / model.target_spread[:, None]
    if params.model.loss == "mse":
        return {"loss": error.square().mean()}
    levels = torch.tensor(model.arch["quantiles"], device=error.device)
    return {"loss": 2 * torch.maximum(levels * error, (levels - 1) * error).mean()}  # of the median the mean error


def soft_targets(student: nn.Module, teacher: nn.Module, batch: Any, settings: Any, params: Any) -> dict[str, Tensor]:
    """(1 - soft_weight) * hard + soft_weight * soft: what the teacher forecasts, as a target; of labels its classes.

    The teacher must be in eval mode; it gets no gradient. Raises: TrainingError when the two do not fit each other.
    """
    distillation.check({"layout": student.arch["layout"]}, {"layout": teacher.arch["layout"]})
    with torch.no_grad():
        wanted = teacher(batch["history"]).float()
    given = student(batch["history"]).float()
    if student.arch["layout"]["kind"] == "label":
        soft = distillation.soft_targets(given.flatten(0, 1), wanted.flatten(0, 1), settings.temperature)
    else:
        soft = ((given - wanted) / student.target_spread[:, None]).abs().mean()
    hard = loss(student, batch, params)["loss"]
    total = (1 - settings.soft_weight) * hard + settings.soft_weight * soft
    return {"loss": total, "hard": hard.detach(), "soft": soft.detach()}


@torch.no_grad()
def predictions(model: nn.Module, batch: Any, assets: dict[str, bytes]) -> list[dict[str, Any]]:
    """Of a validation batch: what the exported model would say. The model must be in eval mode."""
    found = model(batch["history"]).float().cpu().numpy()
    return [described(told, model.arch["layout"]["kind"]) for told in found]


def prune(model: nn.Module, arch: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Remove `settings.ratio` of the channels of a dilated network, in place; see `pruning.prune`.

    Returns: the architecture of what is left.
    """
    example = torch.zeros(1, arch["layout"]["window"], len(arch["layout"]["values"]))
    pruning.prune(model, example, settings.ratio, (model.head,), importance=settings.importance)
    model.arch = arch | {"width": model.body.inner.out_channels}
    return model.arch
