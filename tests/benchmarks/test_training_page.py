"""The engine beside a bare loop: both learn the same to the bit, step for step; the page tells what was measured."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import toy

from benchmarks.training import page
from benchmarks.training.bare import Bare, Beside

ROW: dict[str, Any] = {
    **{"way": "as params", "steps": 160, "equal": True, "step_ms": {"bare": 100.04, "engine": 103.0}},
    "ratio": {"value": 1.0296, "low": 1.021, "high": 1.04},
}
FOUND: dict[str, Any] = {"commit": "0" * 40, "machine": "2 cores of X", "threads": 1, "rows": [ROW]}


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run `python -m benchmarks.training table`"


def test_a_row_tells_times_ratio_and_whether_weights_are_equal(tmp_path: Path) -> None:
    assert "detection: not measured." in page.page(tmp_path)
    (tmp_path / "detection.json").write_text(json.dumps(FOUND), encoding="utf-8")
    text = page.page(tmp_path)
    assert "| detection | as params | 100.0 | 103.0 | 1.030 (1.021 – 1.040) | equal |" in text
    assert "detection: on 2 cores of X, 1 thread, at commit `000000000000`." in text


@pytest.mark.parametrize(
    ("limits", "steps"), [({"clip_norm": 1.0}, 7), ({"clip_norm": None, "clip_value": 0.01}, 8)], ids=str
)
def test_engine_and_bare_loop_learn_the_same(
    limits: dict[str, Any], steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, whose numbers both draw, and whichever of the two comes first."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    model = toy.build()
    bare = Bare(copy.deepcopy(model), toy, toy.loss, toy.train(**limits), steps, "higher")
    made: list[Beside] = []
    loaders = toy.loaders

    def beside(*arguments: Any) -> Any:
        found = loaders(*arguments)
        made.append(Beside(found.train, bare, steps))
        return type(found)(made[0], found.val, found.assets)

    monkeypatch.setattr(toy, "loaders", beside)
    assert toy.fit(model=model, **limits).result["steps"] == 4 * steps
    assert len(made[0].seconds["bare"]) == len(made[0].seconds["engine"]) == 4 * (steps - 2)
    for name, value in bare.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
