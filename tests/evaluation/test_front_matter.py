"""What the Hugging Face Hub reads of a model card: its own library reads the same out of it, or refuses it."""

from __future__ import annotations

from typing import Any

import formats_valid
import pytest
import yaml
from test_card import COMPARISON, PICTURE, facts

from evaluation import card, front_matter

VALUES: dict[str, Any] = {
    "comparison": COMPARISON | {"metric": "map"},
    "use": card.Use(PICTURE.verb, PICTURE.field, PICTURE.binary, PICTURE.example, "object-detection"),
}


def written(**changes: Any) -> str:
    told = facts(**VALUES | changes)
    return front_matter.render(told) + card.render(told)


def content(**changes: Any) -> dict[str, Any]:
    return dict(yaml.safe_load(written(**changes).split("---\n")[1]))


def test_huggingface_hub_reads_the_figures() -> None:
    found = formats_valid.card(written())
    assert found.pipeline_tag == "object-detection" and found.metrics == ["map"]
    assert found.model_name == "toy-base-int8"
    results = {result.metric_type: result for result in found.eval_results}
    assert {name: result.metric_value for name, result in results.items()} == {"map": 0.5, "ar": 0.75}
    main = results["map"]
    assert (main.task_type, main.metric_name, main.dataset_split) == ("object-detection", "mAP@[.5:.95]", "test")
    assert main.dataset_revision == facts().links["data"]["prepared"]


def test_a_local_source_and_a_task_without_a_tag() -> None:
    found = content(use=PICTURE)
    (result,) = found["model-index"][0]["results"]
    assert "pipeline_tag" not in found and result["task"]["type"] == "toy"
    assert result["dataset"]["name"] == "toy"  # not the path where the data lay
    links = {**facts().links, "data": {"prepared": "d" * 32, "source": "https://example.org/a.zip", "pin": "e" * 64}}
    (result,) = content(links=links)["model-index"][0]["results"]
    assert result["dataset"]["name"] == "toy (https://example.org/a.zip)"


@pytest.mark.parametrize(
    ("data", "weights", "licence"),
    [
        ("MIT", {"source": "none"}, "mit"),
        ("MIT", {"source": "packaged", "sha256": "f" * 64, "license": "MIT"}, "mit"),
        ("MIT", {"source": "packaged", "sha256": "f" * 64, "license": "Apache-2.0"}, "other"),
        ("CC BY 4.0", {"source": "none"}, "other"),
        ("MIT", {"source": "x.pt", "sha256": "f" * 64, "license": None}, "unknown"),
        (None, {"source": "none"}, "unknown"),
        (" ", {"source": "none"}, "unknown"),
    ],
)
def test_one_licence_only_where_all_have_it(data: str | None, weights: dict[str, Any], licence: str) -> None:
    assert content(data_license=data, links={**facts().links, "weights": weights})["license"] == licence


@pytest.mark.parametrize("key", ["task", "dataset", "metrics"])
def test_huggingface_hub_refuses_a_result_that_lacks_something(key: str) -> None:
    found = content()
    del found["model-index"][0]["results"][0][key]
    with pytest.raises(ValueError, match="model_index"):
        formats_valid.card(f"---\n{yaml.safe_dump(found)}---\n")


def test_words_of_the_data_stay_words() -> None:
    """A name with YAML's own signs in it ends no front matter and adds no key."""
    source = "https://example.org/a\n---\nlicense: mit: [x"
    links = {**facts().links, "data": {"prepared": "d" * 32, "source": source, "pin": None}}
    found = formats_valid.card(written(links=links))
    assert found.license == "other" and "license: mit" in found.eval_results[0].dataset_name
