"""What is published is the package as it was sealed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_package
import triton_config

from core import paths
from core.errors import ModelError
from ops import passport, tracking
from ops.passport import keys, signature
from ops.tracking.spool import Spool
from stages import publish


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What a stage gets; `events` tells what it has logged."""
    monkeypatch.chdir(tmp_path)
    toy_package.make(paths.package("detection"))
    out = tmp_path / "out"
    out.mkdir()
    with Spool.create("publish@detection", None, 0) as file:

        def events(kind: str) -> list[dict[str, Any]]:
            return [event for event, _ in file.read(0) if event["kind"] == kind]

        run = tracking.Run(file)
        yield SimpleNamespace(task="detection", name="publish@detection", out=out, run=run, events=events)


def test_both_forms_hold_the_graph_of_the_package(context: Any) -> None:
    publish.publish(context)
    triton_config.check(context.out / "triton" / "detection")
    carried = context.out / "mlflow" / "artifacts" / "detection"
    graphs = [context.out / "triton" / "detection" / "1" / "model.onnx", carried / "model" / "detector.onnx"]
    assert [passport.verify(path) for path in (*graphs, carried)] == [[], [], []]
    (tags,) = context.events("tags")
    assert tags["values"] == {"passport": passport.read(paths.package("detection"))["seal"]}


def test_the_model_waits_on_disk_until_mlflow_has_it(context: Any) -> None:
    publish.publish(context)
    (kept,), (register,) = context.events("artifacts"), context.events("register")
    assert (Path(kept["path"]) / "MLmodel").read_bytes() == (context.out / "mlflow" / "MLmodel").read_bytes()
    assert (register["name"], register["alias"]) == ("detection", "champion")


def test_what_is_published_is_the_same_with_a_signature_and_without(context: Any, tmp_path: Path) -> None:
    """It is an output of DVC, and a signature is another one each time."""
    keys.generate(tmp_path / "key")
    signature.sign(paths.package("detection"), tmp_path / "key")
    publish.publish(context)
    assert (
        not list(context.out.rglob(signature.NAME))
        and passport.verify(context.out / "mlflow/artifacts/detection") == []
    )
    assert (paths.package("detection") / signature.NAME).is_file()


def test_a_package_that_was_changed_is_not_published(context: Any) -> None:
    (paths.package("detection") / "MODEL_CARD.md").write_text("better than it was")
    with pytest.raises(ModelError, match=r"MODEL_CARD\.md was changed.*run `package@detection` again"):
        publish.publish(context)
    assert not list(context.out.iterdir()) and not context.events("register")
