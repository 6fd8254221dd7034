"""The model card of a package (Mitchell et al. 2019, https://arxiv.org/abs/1810.03993), as Markdown."""

from __future__ import annotations

from typing import Any

USE = """```python
from pathlib import Path
from tasks.{task}.predict import Predictor

predictor = Predictor(Path("model"))
print(predictor([{example!r}]))
```"""


def render(
    comparison: dict[str, Any], row: dict[str, Any], validation: dict[str, Any], links: dict[str, Any], example: str
) -> str:
    """comparison: of `stages.compare`; row: the chosen candidate; links: the passport's, by name; example: an input."""
    task = comparison["task"]
    metrics = "\n".join(f"| {name} | {value:.4g} |" for name, value in sorted(row["metrics"].items()))
    low, high = row["test_interval"]
    return f"""# {task}: {row["variant"]} {row["precision"]}

- **Quality**: {comparison["title"]} {row["test"]:.4g}, 95 % interval {low:.4g} to {high:.4g}
- **Speed**: {row["latency_ms"]:.1f} ms at batch 1 (median; 99 % below {row["p99_ms"]:.1f} ms) and
  {row["per_second"]:.1f}/s at batch 8, on the CPU that ran the evaluation
- **Size**: {row["size_mb"]:.2f} MB on disk, {row["memory_mb"]:.0f} MB of memory at peak

The quality was measured through ONNX Runtime on {comparison["test_inputs"]} test inputs that had no part in training,
calibration or any choice. The model was chosen among {len(comparison["rows"])} candidates on
{comparison["val_inputs"]} validation inputs, where it reaches {row["quality"]:.4g}.
`{comparison["signature"]}`.

## Use

{USE.format(task=task, example=example)}

## Data

{validation["rows"]} rows, of which {validation["bad"]} were left out as bad. DVC md5 of the raw data:
`{links["data"]["prepared"]}`.
The licence of the data is that of its source: `{links["data"]["source"]}`.

## Limits

The figures hold for data like the test split. Other cameras, scales, domains or styles need an evaluation of their own;
do not use the model where a wrong answer can hurt somebody without such an evaluation.

## All metrics

| metric | value |
|---|---|
{metrics}

Code: commit `{links["code"]}`. Check this package with `python -m core.passport verify FOLDER`.
"""
