"""What is published is the package as it was sealed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_package
import triton_config

from core import params, paths
from core.errors import ModelError
from ops import passport, promotions, tracking
from ops.passport import keys, signature
from ops.tracking.spool import Spool
from stages import publish


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What a stage gets; `events` tells what it has logged."""
    own = params.load()[1]["detection"]
    monkeypatch.chdir(tmp_path)
    toy_package.make(paths.package("detection"))
    out = tmp_path / "out"
    out.mkdir()
    with Spool.create("publish@detection", None, 0) as file:

        def events(kind: str) -> list[dict[str, Any]]:
            return [event for event, _ in file.read(0) if event["kind"] == kind]

        run = tracking.Run(file)
        yield SimpleNamespace(task="detection", name="publish@detection", out=out, run=run, events=events, params=own)


def test_both_forms_hold_the_graph_of_the_package(context: Any) -> None:
    publish.publish(context)
    triton_config.check(context.out / "triton" / "detection")
    carried = context.out / "mlflow" / "artifacts" / "detection"
    graphs = [context.out / "triton" / "detection" / "1" / "model.onnx", carried / "model" / "detector.onnx"]
    assert [passport.verify(path) for path in (*graphs, carried)] == [[], [], []]
    tags = {key: value for event in context.events("tags") for key, value in event["values"].items()}
    (record,) = promotions.read("detection")
    assert tags == {"passport": passport.read(paths.package("detection"))["seal"], "promotion": record["seal"]}
    assert record["package"] == tags["passport"] and record["why"] == "the first"


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


def test_what_may_be_worse_than_the_champion_is_registered_and_no_champion(context: Any, capsys: Any) -> None:
    better = toy_package.FIGURES | {"val": 0.9}
    promotions.append("detection", True, "the first", "a" * 64, better)
    publish.publish(context)
    (register,) = context.events("register")
    assert (register["name"], register["alias"]) == ("detection", None)
    last = promotions.read("detection")[-1]
    assert not last["promoted"] and "worse is possible" in last["why"]
    assert "note: it is not champion: mAP" in capsys.readouterr().out
    assert promotions.champion(promotions.read("detection"))["package"] == "a" * 64  # type: ignore[index]


def test_the_same_package_again_is_judged_once(context: Any, tmp_path: Path) -> None:
    publish.publish(context)
    context.out = tmp_path / "again"
    context.out.mkdir()
    publish.publish(context)
    assert len(promotions.read("detection")) == 1
    assert [event["alias"] for event in context.events("register")] == ["champion", "champion"]


def test_a_package_that_was_changed_is_not_published(context: Any) -> None:
    (paths.package("detection") / "MODEL_CARD.md").write_text("better than it was")
    with pytest.raises(ModelError, match=r"MODEL_CARD\.md was changed.*run `package@detection` again"):
        publish.publish(context)
    assert not list(context.out.iterdir()) and not context.events("register")
