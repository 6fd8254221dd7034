"""`docs/gpu.md`: what each card gave that was measured, from `measured/`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.card.subjects import CARD, EPOCHS, SIZES, Subject

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gpu.md"
MEASURED = Path(__file__).parent / "measured"
HEADING = f"""\
# What a graphics card gives

Made by `bash benchmarks/gpu.sh table` from `benchmarks/card/measured/`; do not edit it.

On a machine with a network, which needs no card:

```
bash benchmarks/gpu.sh wheels               # what must be brought: names, versions, bytes; `wheels FOLDER` fetches it
bash benchmarks/gpu.sh prepare FOLDER       # checkouts of this commit with the data (--data bccd=PATH for a local copy)
```

`wheels --have FILE` leaves out what a machine has already: FILE is its `pip list --format=freeze`. Then on the machine
with the card, without a network, in a checkout of the same commit (at most 8 minutes; each step has a limit, and one
that fails costs no other's figures):

```
bash benchmarks/gpu.sh run FOLDER --out card.json
bash benchmarks/gpu.sh table card.json      # into this page
```

1. `doctor`: driver, CUDA, libraries, providers. `strict`: with `STILLHOUSE_REQUIRE_GPU=1` it and training accept the
   card, and refuse the machine when the card is hidden. `limit`: TFLOP/s of square matrix products, fp32 and bf16.
2. `train`: the base of the presets `bccd` and `tanaka` for {EPOCHS} epochs by the stage itself, with `precision: auto`;
   its speed is that between the first and the last step that it tells of. `loop`: forward, backward and AdamW alone, on
   batches that lie in the card's memory. TFLOP/s are six times the multiply-adds of an input. Tokens are subwords of
   the target, its end included.
3. `onnx`: that base in fp32 and fp16 through ONNX Runtime's CUDAExecutionProvider. A session without it is refused, and
   by the runtime's profile no convolution or matrix product may run elsewhere. Against fp32 on the CPU of the same
   machine: the metric on up to 64 validation inputs, the share of values within 1 % of what each graph gives, and
   milliseconds from raw input to result.

`prepare --cpu` and `run --cpu` try all of it without a card, shortened, with the sample; `table` refuses such figures.
"""
NONE = "**No card has been measured yet**: there are no figures.\n"


def keep(found: dict[str, Any]) -> Path:
    """Put what `run` wrote beside the others, by the card's name. Raises: ValueError for figures of no card."""
    if found["cpu"] or not found.get("card"):
        raise ValueError("these figures are of a CPU, or of a card whose name is not known; expected those of a card")
    MEASURED.mkdir(exist_ok=True)
    path = MEASURED / f"{re.sub(r'[^a-z0-9]+', '-', found['card'].lower()).strip('-')}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def page(measured: Path = MEASURED) -> str:
    """The whole document."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(measured.glob("*.json"))]
    return "\n".join([HEADING, *("\n".join(_card(one)) for one in found)] if found else [HEADING, NONE])


def _card(found: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    yield f"## {found['card']}"
    yield ""
    yield (
        f"{found['memory_gib']:g} GiB, driver {found['driver']}; {found['processor']}; {versions}; at commit "
        f"`{(found['commit'] or 'unknown')[:12]}`."
    )
    yield ""
    steps = found["steps"]
    products = steps.get("limit", {}).get("tflops")
    if products:
        yield f"Matrix products: {products['fp32']:.0f} TFLOP/s in fp32, {products['bf16']:.0f} in bf16."
        yield ""
    yield from _training(steps, products)
    yield from _inference(steps)
    for key, done in steps.items():
        if not done["ok"]:
            yield f"- `{key}` failed: {done['error']}"
    yield ""


def _training(steps: dict[str, Any], products: dict[str, float] | None) -> Iterator[str]:
    yield "| training | precision | stage, a second | bare loop, a second | stage / loop | TFLOP/s | of the limit |"
    yield "|---" * 7 + "|"
    for subject in CARD:
        trained, loop = (steps.get(f"{kind} {subject.name}", {}) for kind in ("train", "loop"))
        speed, bare = trained.get(f"{subject.unit}_per_s"), loop.get(f"{subject.unit}_per_s")
        cells = [subject.name, trained.get("precision", "-"), _rate(speed, subject), _rate(bare, subject)]
        cells.append(f"{speed / bare:.2f}" if speed and bare else "-")
        cells.append(f"{trained['tflops']:.1f}" if speed else "-")
        most = products and products["bf16" if trained.get("precision") == "bf16-mixed" else "fp32"]
        cells.append(f"{trained['tflops'] / most:.1%}" if speed and most else "-")
        yield f"| {' | '.join(cells)} |"
    yield ""


def _rate(speed: float | None, subject: Subject) -> str:
    return f"{speed:,.0f} {subject.unit}" if speed else "-"


def _inference(steps: dict[str, Any]) -> Iterator[str]:
    titles = ["ONNX Runtime", "metric", "same predictions", "values within 1 %", *(f"ms at batch {n}" for n in SIZES)]
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for subject in CARD:
        found = steps.get(f"onnx {subject.name}", {})
        for way in found.get("quality", {}):
            quality, values = found["quality"][way], found["values"].get(way)
            near = ", ".join(f"{share:.1%}" for share in values.values()) if values else "-"
            times = [f"{found['ms'][str(size)][way]:.2f}" for size in SIZES]
            same = f"{quality['same']:.0%}"
            named = f"{quality['value']:.4g} {quality['metric']}"
            yield f"| {' | '.join([f'{subject.name} {way}', named, same, near, *times])} |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bash benchmarks/gpu.sh table", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="what `run` wrote")
    for path in parser.parse_args().files:
        try:
            keep(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError) as error:
            sys.exit(f"{path}: {error}")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
