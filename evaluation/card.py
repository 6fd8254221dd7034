"""The model card of a package (Mitchell et al. 2019, https://arxiv.org/abs/1810.03993), as Markdown and as HTML."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from core.better import words
from core.visible import visible
from evaluation import gate
from evaluation.report import splits
from ops import pages

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Use:
    """How a model is called."""

    verb: str
    """`detect`: the server's endpoint is `/v1/detect`."""
    field: str | None
    """Of a request: `image`, `text`; None: a request has several inputs, or none that is a file or a text by itself."""
    binary: bool
    """Whether the field is a file, not text."""
    example: Any
    """An input: a file's name, or a text; without a field, the whole request as JSON values."""
    tag: str | None = None
    """What the Hugging Face Hub calls the kind of task, `object-detection`; None: it has no word for it."""


@dataclass(frozen=True)
class Facts:
    """What a card tells."""

    comparison: Mapping[str, Any]
    """Of `stages.compare`."""
    row: Mapping[str, Any]
    """The candidate that was chosen."""
    scores: Mapping[str, Any]
    """Its `metrics.json`."""
    validation: Mapping[str, Any]
    """`validation.json`."""
    links: Mapping[str, Any]
    """The passport's, by name."""
    model: Mapping[str, Any]
    """`model.json`."""
    use: Use
    data_license: str | None
    code_license: str


def render(facts: Facts) -> str:
    """The card as Markdown."""
    comparison, row = facts.comparison, facts.row
    low, high = row["test_interval"]
    licences = _licences(facts)
    return f"""# {comparison["task"]}: {row["variant"]} {row["precision"]}

- **Task**: {comparison["task"]}{f"; takes one {facts.use.field} or several" if facts.use.field else ""}
- **Quality**: {comparison["title"]} {row["test"]:.4g}{_direction(comparison)}, 95 % interval {low:.4g} to {high:.4g}
- **Speed**: {row["latency_ms"]:.1f} ms at batch 1 (median; 99 % below {row["p99_ms"]:.1f} ms) and
  {row["per_second"]:.1f}/s at batch 8, on one thread of the machine that made it{_speed(facts)}{_device(facts.row)}
- **Size**: {row["size_mb"]:.2f} MB on disk, {row["memory_mb"]:.0f} MB of memory at peak
- **Licence**: {"; ".join(f"{of.lower()} {words}" for of, words in licences.items())}

The quality was measured through ONNX Runtime on {comparison["test_inputs"]} test inputs that had no part in training,
calibration or any choice. The model was chosen among {len(comparison["rows"])} candidates on
{comparison["val_inputs"]} validation inputs, where it reaches {row["quality"]:.4g}.

## Use

{_usage(comparison["task"], facts.use)}

## Data

{_data(facts)}

## Initial weights

{_initial(facts.links["weights"])}

## Limits of use

The figures hold for data like the test split. Other cameras, scales, domains or styles need an evaluation of their own;
do not use the model where a wrong answer can hurt somebody without such an evaluation.

{_limits(facts.model)}

## All metrics

On the test split, with 95 % bootstrap intervals over its inputs where they were computed.

{_metrics(facts.scores)}

Signature: `{comparison["signature"]}`

## Licence

{chr(10).join(f"- **{of}**: {words}" for of, words in licences.items())}

## Origin

Code: commit `{facts.links["code"]}`. `passport.json` has the whole chain from the raw data to these files, and every
ONNX file carries it: `python -m ops.passport trace FILE.onnx` prints the way back.
"""


def html(markdown: str, title: str) -> str:
    """The page of a card: one file, no script, nothing from elsewhere; markup in the text stays text.

    A card has no links or pictures of its own: those of its data's names and sources stay text, too.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    body = reader.render(visible(markdown)).replace("<th>", '<th scope="col">')
    return pages.render(TEMPLATES / "card.html", title=title, body=Markup(body))  # noqa: S704 - html is off


def _speed(facts: Facts) -> str:
    """Against the reference, where it is another model."""
    reference = gate.name(facts.comparison["rows"][0])
    if gate.name(facts.row) == reference:
        return ""
    value, low, high = (facts.row["speed"][key] for key in ("value", "low", "high"))
    return f";\n  {value:.2f} times as fast as {reference} (95 % interval {low:.2f} to {high:.2f})"


def _device(row: Mapping[str, Any]) -> str:
    """On the device that the budget names."""
    found = row.get("device")
    if not found:
        return ""
    low, high = found["low"], found["high"]
    return f";\n  {found['how']} on {found['name']}: {found['ms']:.3g} ms at batch 1 ({low:.3g} to {high:.3g})"


def _direction(comparison: Mapping[str, Any]) -> str:
    told = words(comparison["better"])
    return f" ({told})" if told else ""


def _usage(task: str, use: Use) -> str:
    body = use.example if use.field is None else {use.field: use.example}
    sent = (
        f"-F {shlex.quote(f'{use.field}=@{use.example}')}"
        if use.binary
        else f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )
    return f"""Check that every byte is as it was packaged, then serve it:

```sh
python -m ops.passport verify FOLDER
python -m serving FOLDER
curl {sent} http://127.0.0.1:8080/v1/{use.verb}
```

Or from Python, with the repository on its path:

```python
from pathlib import Path
from tasks.{task}.predict import Predictor

predictor = Predictor(Path("FOLDER/model"))
print(predictor([{use.example!r}]))
```"""


def _data(facts: Facts) -> str:
    counts = "; ".join(f"{name} {words}" for name, words in splits(facts.validation["clean"]))
    data = facts.links["data"]
    return f"""{facts.validation["rows"]} rows, of which {facts.validation["bad"]} were left out as bad. Used: {counts}.

- **Source**: `{data["source"]}`{f", pinned at `{data['pin']}`" if data["pin"] else ""}
- **DVC md5** of the dataset as it was read: `{data["prepared"]}`"""


def _initial(weights: Mapping[str, Any]) -> str:
    if "sha256" not in weights:
        return "Training started from random weights."
    counts = f"\n- **Tensors**: {weights['loaded']} were taken from it" if "loaded" in weights else ""
    return f"""- **Source**: `{weights["source"]}`
- **sha256**: `{weights["sha256"]}`{counts}"""


def _licences(facts: Facts) -> dict[str, str]:
    """Of what the model was made of."""
    found = {"Code": facts.code_license, "Data": _license(facts.data_license, "license")}
    weights = facts.links["weights"]
    if "sha256" in weights:
        found["Initial weights"] = _license(weights["license"], "weights_license")
    return found


def _license(stated: str | None, key: str) -> str:
    words = " ".join((stated or "").split())
    return words or f"not stated: ask its owner before you ship (`data.{key}` in params.yaml states it here)"


def _limits(model: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in model["limits"].items())


def _metrics(scores: Mapping[str, Any]) -> str:
    rows = ["| metric | value | 95 % interval |", "|---|---|---|"]
    for name, value in sorted(scores["metrics"].items()):
        bounds = scores["intervals"].get(name)
        rows.append(f"| {name} | {value:.4g} | {f'{bounds[0]:.4g} to {bounds[1]:.4g}' if bounds else ''} |")
    return "\n".join(rows)
