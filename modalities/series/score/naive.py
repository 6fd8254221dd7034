"""What errors are measured in: those of the seasonal naive forecast in train, and how far values there are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalities.series.inputs.windows import PREFIX, layout, table

Array = NDArray[np.float64]


def units(dataset: Path) -> tuple[dict[str, Array], Array]:
    """Mean error (V,) of the seasonal naive forecast in train, of each series and of all (""); train's deviation."""
    plan, train = layout(dataset), table(dataset, "train")
    columns = [PREFIX + name for name in plan.targets]
    apart = train.groupby("series_id")[["step", *columns]].diff(plan.season).abs()
    each = apart[apart["step"] == plan.season][columns].groupby(train["series_id"]).mean()
    spread = train[columns].std(ddof=0).to_numpy(np.float64)
    spread = np.where(spread > 0, spread, 1.0)
    every = each.to_numpy(np.float64).mean(0) if len(each) else spread
    every = np.where(every > 0, every, spread)
    units = {str(name): np.where(row > 0, row, every) for name, row in zip(each.index, each.to_numpy(), strict=True)}
    return units | {"": every}, spread
