"""The front matter of the model card: what the Hugging Face Hub reads of it, as YAML.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md says what it may hold, `model-index` the figures.
"""

from __future__ import annotations

from typing import Any

import yaml

from evaluation.card import Facts
from ops.passport.formats.package import LOCAL, hidden

LICENCES = (
    "mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "odc-by", "odbl",
)  # fmt: skip
"""Names of https://huggingface.co/docs/hub/repositories-licenses, of those that data and weights often have."""


def render(facts: Facts) -> str:
    """What stands before the card. Local paths are not told, since a card is read elsewhere."""
    comparison, row = facts.comparison, facts.row
    values = {
        **_licence(facts),
        "library_name": "onnx",
        **({"pipeline_tag": facts.use.tag} if facts.use.tag else {}),
        "tags": ["onnx", "onnxruntime", "stillhouse", str(row["precision"])],
        "metrics": [comparison["metric"]],
        "model-index": [
            {"name": f"{comparison['task']}-{row['variant']}-{row['precision']}", "results": [_result(facts)]}
        ],
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)}---\n\n"


def _result(facts: Facts) -> dict[str, Any]:
    """All metrics on the test split; the data set's revision is the passport's digest."""
    task, main, data = facts.comparison["task"], facts.comparison["metric"], facts.links["data"]
    source = hidden(data["source"])
    return {
        "task": {"type": facts.use.tag or task, "name": task},
        "dataset": {
            "type": task,
            "name": task if source == LOCAL else f"{task} ({source})",
            "split": "test",
            "revision": data["prepared"],
        },
        "metrics": [
            {"type": name, "value": float(value), "name": facts.comparison["title"] if name == main else name}
            for name, value in sorted(facts.scores["metrics"].items())
        ],
    }


def _licence(facts: Facts) -> dict[str, str]:
    """The one licence of all that the model was made of, `unknown` when one is not stated, else `other`."""
    weights = facts.links["weights"]
    stated = [facts.code_license, facts.data_license, *([weights["license"]] if "sha256" in weights else [])]
    if not all((words or "").strip() for words in stated):
        return {"license": "unknown"}
    names = {words.lower().removesuffix(" license").replace(" ", "-") for words in stated if words}
    if len(names) == 1 and (name := names.pop()) in LICENCES:
        return {"license": name}
    return {"license": "other", "license_name": "see-model-card"}
