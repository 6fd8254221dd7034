from __future__ import annotations

import pytest

from core.errors import StillhouseError
from pipelines.flow import needs


def test_meta_is_read_with_its_units() -> None:
    meta = {
        "needs": {"cores": 2, "gpus": 1, "memory": "1.5GB"},
        "retry": {"times": 3, "wait": "2m", "smaller_batch": True},
        "timeout": "6h",
        "image": "registry.example.org:5000/team/trainer:2.1",
        "owner": "somebody else's",
    }
    found = needs.read({"train@detection": meta, "compare": None})
    train = found["train@detection"]
    assert (train.needs.cores, train.needs.gpus, train.needs.memory) == (2, 1, 1_500_000_000)
    assert (train.retry.times, train.retry.wait, train.retry.smaller_batch) == (3, 120.0, True)
    assert train.timeout == 6 * 3600
    assert train.image == "registry.example.org:5000/team/trainer:2.1"
    assert found["compare"] == needs.Needs()


def test_all_errors_of_all_stages_at_once() -> None:
    with pytest.raises(StillhouseError) as caught:
        needs.read(
            {
                "a": {"needs": {"core": 2}, "timeout": "long"},
                "b": {"retry": {"times": -1}},
                "c": {"needs": {"memory": 4}, "retry": {"wait": 5}, "image": "Not an image"},
            }
        )
    text = str(caught.value)
    assert "a: meta.needs.core is unknown; did you mean 'cores'?" in text
    assert "a: meta.timeout: expected a number with a unit" in text
    assert "b: meta.retry.times" in text
    assert "c: meta.needs.memory: expected a size with a unit" in text
    assert "c: meta.retry.wait" in text
    assert "c: meta.image: expected an image's name" in text
