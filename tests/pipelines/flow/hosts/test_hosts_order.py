"""What a host takes for an order: a stage, a commit, what dvc.lock says; nothing that could be run."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.flow.hosts import order as orders
from pipelines.flow.hosts.order import Order
from pipelines.flow.needs import Room

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENTRY = (
    "cmd: python work.py b\ndeps:\n- path: a\n  hash: md5\n  md5: d41d8cd98f00b204e9800998ecf8427e\nouts:\n- path: b\n"
)
GOOD: dict[str, Any] = {"stage": "train@detection-base", "commit": COMMIT, "entries": {"a": ENTRY}}


def test_an_order_comes_over_as_it_was() -> None:
    made = Order(**GOOD, space=orders.Space(cores="all", memory=10**9), rivals=3, batch_parts=2, pipeline="a" * 32)
    read = Order.model_validate(made.model_dump(mode="json", exclude_defaults=True))
    assert read == made
    assert read.space.room == Room.model_construct(cores="all", gpus=0, share_gpu=False, memory=10**9)
    assert read.environment() == {
        "STILLHOUSE_PIPELINE_NAME": "flow",
        "STILLHOUSE_PIPELINE_RUN": "a" * 32,
        "STILLHOUSE_BATCH_PARTS": "2",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"stage": "--force"},
        {"stage": "../other/dvc.yaml:train"},
        {"stage": "train; touch /tmp/x"},
        {"stage": "train\n"},
        {"commit": "main"},
        {"commit": "--upload-pack=touch /tmp/x"},
        {"commit": COMMIT.upper()},
        {"command": "touch /tmp/x"},
        {"environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"pipeline": "a" * 31 + ";"},
        {"pipeline_name": "flow\nX=1"},
        {"batch_parts": "$(touch /tmp/x)"},
        {"rivals": 0},
        {"protocol": 2},
        {"space": {"cores": "some"}},
        {"entries": {"../a": ENTRY}},
        {"entries": {"a": "cmd: x\ndeps: 1\n"}},
        {"entries": {"a": ENTRY.replace("d41d8cd98f00b204e9800998ecf8427e", "../../../../etc/passwd")}},
        {"entries": {"a": ENTRY + "  files:\n  - relpath: ../x\n"}},
        {"entries": {"a": "a" * (orders.TEXT_BYTES + 1)}},
        {"runs": {"a": "not a key"}},
    ],
    ids=lambda wrong: str(wrong)[:50],
)
def test_what_is_no_order_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate(GOOD | wrong)
