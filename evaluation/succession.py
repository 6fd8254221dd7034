"""Whether a packaged model may take the champion's place: it must not lose more than the margin against it, in pairs.

The candidates of a run have been compared with their reference; this is about the run before. Both models were scored
on the same resamples where they have the same validation data, seed and metric; where they have not, there is nothing
to compare, and what the run itself has chosen is taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.files import read_json
from evaluation import inferiority

NAME = "evaluation.json"
"""Of a package: what it was chosen by."""
SAME = ("metric", "better", "signature", "data", "seed", "inputs")
"""What two models must have in common so that their figures make pairs."""


def figures(package: Path) -> dict[str, Any]:
    """What a package was chosen by. Raises: ModelError when it has nothing of the kind."""
    try:
        found: dict[str, Any] = read_json(package / NAME)
    except FileNotFoundError:
        raise ModelError(f"{package} has no {NAME}: an older version made it; run the stage `package` again") from None
    return found


def verdict(challenger: dict[str, Any], champion: dict[str, Any] | None, margin: float) -> tuple[bool, str]:
    """Whether the challenger becomes champion, and why. Both: `figures`; champion: None where there is none yet."""
    if champion is None:
        return True, "the first"
    other = [key for key in SAME if challenger[key] != champion[key]]
    if any(len(challenger["resamples"][kind]) != len(drawn) for kind, drawn in champion["resamples"].items()):
        other.append("the number of resamples")
    if other:
        return True, f"chosen by its run; it cannot be compared with the champion: {' and '.join(other)} changed"
    found = inferiority.loss(
        challenger["val"], champion["val"], challenger["resamples"], champion["resamples"], challenger["better"]
    )
    told = f"{challenger['title']} {challenger['val']:.4g} on val, the champion's {champion['val']:.4g}"
    if found.bound > margin:
        return False, f"{told}: up to {found.bound:.3g} worse is possible, compare.budget.max_loss is {margin:g}"
    return True, f"{told}: no more than {max(0.0, found.bound):.3g} worse"
