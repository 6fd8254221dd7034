"""What Prefect's UI shows besides task runs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipelines.flow import artifacts
from pipelines.flow.plan import Plan, Step

PLAN = Plan(
    {
        "a": Step("a", (), ("param lr modified",)),
        "b<&>": Step("b<&>", ("a",)),
        "c": Step("c", ()),
        "d": Step("d", ("b<&>", "c")),
    }
)


def test_the_plan_says_what_runs_and_why() -> None:
    rows = {row["stage"]: row for row in artifacts.plan_rows(PLAN, {"a": 61.2})}
    assert rows["a"] == {"stage": "a", "runs": "yes", "why": "param lr modified", "after": "", "last took": "61 s"}
    assert (rows["b<&>"]["runs"], rows["b<&>"]["why"]) == ("if a parent changes it", "after a")
    assert rows["c"]["runs"] == "no"
    assert rows["d"]["after"] == "b<&>, c"


def test_layers_follow_the_longest_path() -> None:
    assert artifacts.layers(PLAN) == [["a", "c"], ["b<&>"], ["d"]]
    assert artifacts.layers(Plan({})) == []


def test_the_picture_is_svg_with_a_box_per_stage_and_a_line_per_edge() -> None:
    svg = artifacts.picture(PLAN)
    names = {"svg": "http://www.w3.org/2000/svg"}
    root = ElementTree.fromstring(svg)
    labels = [[row.text for row in text.findall("svg:tspan", names)] for text in root.findall("svg:text", names)]
    assert labels == [["a"], ["b<&>"], ["c"], ["d"]]
    assert len(root.findall(".//svg:path", names)) == 3
    fills = [box.get("fill") for box in root.findall("svg:rect", names)[1:]]
    assert fills == [artifacts.CHANGED, artifacts.CHANGED, artifacts.UNCHANGED, artifacts.CHANGED]
    assert artifacts.data_url(svg).startswith("data:image/svg+xml;base64,")


def test_the_results_are_a_table_per_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifacts.comparison(["detection"]) == ""
    row = {"variant": "base", "precision": "int8", "test": 0.5961, "latency_ms": 18.71, "size_mb": 3.371}
    Path("reports/detection").mkdir(parents=True)
    Path("reports/detection/comparison.json").write_text(
        json.dumps({"title": "mAP@[.5:.95]", "rows": [row], "chosen": ["base", "int8"]}), encoding="utf-8"
    )
    text = artifacts.comparison(["detection", "translation"])
    assert "| base int8 | 0.596 | 18.7 | 3.37 | chosen |" in text
    assert "mAP@[.5:.95] on test" in text


def test_a_label_stands_on_two_lines() -> None:
    svg = artifacts.picture(Plan({"train@detection": Step("train@detection", ())}))
    assert ">train</tspan>" in svg and ">detection</tspan>" in svg
