"""What Prefect's UI shows of a flow besides its task runs: the plan, the DAG as a picture, the results."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

from core import paths
from core.files import read_json
from pipelines.flow.plan import Plan

ROW_PX, GAP_PX, BOX_PX, LETTER_PX = 44, 36, 34, 6.6
CHANGED, UNCHANGED = "#dbeafe", "#f3f4f6"


def plan_rows(plan: Plan, seconds: Mapping[str, float]) -> list[dict[str, str]]:
    """One row a step: what would run and why. seconds: of the last run, where known."""
    reasons = plan.reasons()
    return [
        {
            "stage": name,
            "runs": "yes" if step.why else "if a parent changes it" if name in reasons else "no",
            "why": "; ".join(reasons.get(name, ())),
            "after": ", ".join(step.parents),
            "last took": f"{seconds[name]:.0f} s" if name in seconds else "",
        }
        for name, step in plan.steps.items()
    ]


def layers(plan: Plan) -> list[list[str]]:
    """Steps by the length of the longest path that leads to them."""
    depth: dict[str, int] = {}
    for name, step in plan.steps.items():
        depth[name] = max((depth[parent] + 1 for parent in step.parents), default=0)
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, number in depth.items():
        found[number].append(name)
    # Near its parents: each layer in the order of where those stand.
    position: dict[str, float] = {}
    for layer in found:
        layer.sort(key=lambda name: _mean([position[parent] for parent in plan.steps[name].parents]))
        position |= {name: float(row) for row, name in enumerate(layer)}
    return found


def picture(plan: Plan) -> str:
    """The DAG as SVG, left to right; blue is what will run. A label stands on two lines, parted at `@`."""
    reasons = plan.reasons()
    columns = layers(plan)
    tallest = max((len(column) for column in columns), default=1)
    place: dict[str, tuple[float, float, float]] = {}  # left, top, width
    left = 10.0
    for column in columns:
        gap = (tallest - len(column)) / 2
        width = max(max(map(len, _label(name))) for name in column) * LETTER_PX + 14
        place |= {name: (left, 10 + (row + gap) * ROW_PX, width) for row, name in enumerate(column)}
        left += width + GAP_PX
    lines, boxes = [], []
    for name, step in plan.steps.items():
        x, y, width = place[name]
        for parent in step.parents:
            from_x, from_y, from_width = place[parent]
            start, middle = from_x + from_width, (from_x + from_width + x) / 2
            ends = f"{middle:.0f},{from_y + BOX_PX / 2:.0f} {middle:.0f},{y + BOX_PX / 2:.0f}"
            lines.append(f'<path d="M{start:.0f},{from_y + BOX_PX / 2:.0f} C{ends} {x:.0f},{y + BOX_PX / 2:.0f}"/>')
        fill = CHANGED if name in reasons else UNCHANGED
        label = _label(name)
        rows = "".join(
            f'<tspan x="{x + 7:.0f}" y="{y + (14 if len(label) > 1 else 21) + 14 * number:.0f}">{escape(row)}</tspan>'
            for number, row in enumerate(label)
        )
        boxes.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX_PX}" rx="4" fill="{fill}" '
            f'stroke="#94a3b8"/><text>{rows}</text>'
        )
    size = f'width="{left:.0f}" height="{20 + tallest * ROW_PX}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="#0f172a">'
        f'<rect width="100%" height="100%" fill="white"/><g fill="none" stroke="#94a3b8">{"".join(lines)}</g>'
        f"{''.join(boxes)}</svg>"
    )


def _label(name: str) -> list[str]:
    """`train@detection` -> `train`, `detection`."""
    return [part for part in name.split("@", 1) if part]


def data_url(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def comparison(tasks: Iterable[str]) -> str:
    """The results of all tasks as Markdown tables; empty without reports."""
    parts = []
    for task in tasks:
        path = paths.report(task) / "comparison.json"
        if not path.exists():
            continue
        found = read_json(path)
        parts.append(f"## {task}\n\n| model | {found['title']} on test | ms | MB | |\n|---|---:|---:|---:|---|")
        for row in found["rows"]:
            chosen = "chosen" if [row["variant"], row["precision"]] == found["chosen"] else ""
            parts[-1] += (
                f"\n| {row['variant']} {row['precision']} | {row['test']:.3f} | {row['latency_ms']:.1f} "
                f"| {row['size_mb']:.2f} | {chosen} |"
            )
    return "\n\n".join(parts)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
