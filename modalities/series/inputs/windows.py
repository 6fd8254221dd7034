"""The canonical dataset of numbers over time, and the windows that are its samples.

    layout.json                                `Layout`
    train.parquet, val.parquet, test.parquet   a row a step: `id`, `file`, `row`, `series_id`, `step` (of one clock for
                                               all), `time` (text), `filled`, `v_<name>` of each value, `label`

A window is `window` steps in a row, seen, and the `horizon` after them, told; of labels nothing comes after them. It
belongs to the split in which all lies that is told; what is seen may reach back into an earlier split, never into a
later one. Where a step is missing there is no window.

Shapes: N windows, W window, H horizon, C values, V targets, Q quantiles, S steps that have labels, K classes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.files import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

FILE = "layout.json"
PREFIX = "v_"
"""Of columns of values, whose names are the user's."""
Floats = NDArray[np.float32]
IN_TIME = ("train", "val", "test")


@dataclass(frozen=True)
class Layout:
    """What a window of a dataset is; sizes in steps."""

    kind: str
    """`forecast` or `label`."""
    values: list[str]
    targets: list[str]
    classes: list[str]
    label_of: str
    window: int
    horizon: int
    stride: int
    """Between two forecasts of a held-out split; in train every step begins one."""
    season: int
    shared: bool
    """Whether all splits have one clock, and not whole series each."""

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, asdict(self))

    @property
    def columns(self) -> list[str]:
        return [PREFIX + name for name in dict.fromkeys([*self.values, *self.targets])]


def layout(dataset: Path) -> Layout:
    return Layout(**read_json(dataset / FILE))


def table(dataset: Path, split: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(dataset / f"{split}.parquet")


class Windows:
    """The windows of a split, by series and then by time."""

    def __init__(self, dataset: Path, split: str):
        import pandas as pd

        self.layout = plan = layout(dataset)
        known = IN_TIME[: IN_TIME.index(split) + 1] if plan.shared else (split,)
        rows = pd.concat([table(dataset, name).assign(split=name) for name in known])
        rows = rows.sort_values(["series_id", "step"], kind="stable", ignore_index=True)
        self.seen, self.targets = (
            rows[[PREFIX + name for name in names]].to_numpy(np.float32) for names in (plan.values, plan.targets)
        )
        self.labels, self.steps = rows["label"].to_numpy(np.int64), rows["step"].to_numpy(np.int64)
        self.names, inside = rows["series_id"].to_numpy(), (rows["split"] == split).to_numpy()
        whole = plan.window + plan.horizon
        first = np.arange(max(len(rows) - whole + 1, 0))
        last, told = first + whole - 1, first + (plan.window if plan.horizon else 0)
        fits = (self.names[first] == self.names[last]) & (self.steps[last] - self.steps[first] == whole - 1)
        first = first[fits & inside[told] & inside[last]]
        every = plan.window if plan.kind == "label" else 1 if split == "train" else plan.stride
        start = self.steps[first].min(initial=2**62)  # of all series, which are forecast at the same steps
        if plan.kind == "label":
            _, at, of = np.unique(self.names[first], return_index=True, return_inverse=True)
            start = self.steps[first][at][of]
        self.first = first[(self.steps[first] - start) % every == 0]

    def __len__(self) -> int:
        return len(self.first)

    def history(self, i: int) -> Floats:
        """(W, C)"""
        return self.seen[self.first[i] :][: self.layout.window]

    def past(self, i: int) -> Floats:
        """Of the targets, (W, V)."""
        return self.targets[self.first[i] :][: self.layout.window]

    def future(self, i: int) -> Floats:
        """(H, V)"""
        return self.targets[self.first[i] + self.layout.window :][: self.layout.horizon]

    def classes(self, i: int) -> NDArray[np.int64]:
        """Of each step (W,), or of the last one alone (1,)."""
        found = self.labels[self.first[i] :][: self.layout.window]
        return found if self.layout.label_of == "step" else found[-1:]

    def origin(self, i: int) -> tuple[str, int]:
        """The series, and the first step that is told."""
        return str(self.names[self.first[i]]), int(self.steps[self.first[i]] + self.layout.window)


def described(told: Floats, kind: str) -> dict[str, Any]:
    """One network output as JSON values: (H, V, Q) is `quantiles`, which rise; (S, K) logits are `probabilities`."""
    if kind == "forecast":
        return {"quantiles": np.sort(told, -1).tolist()}
    raised = np.exp(told - told.max(-1, keepdims=True))
    return {"probabilities": (raised / raised.sum(-1, keepdims=True)).tolist()}
