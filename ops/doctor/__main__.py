"""`python -m ops.doctor [--json]`: versions of driver, CUDA, cuDNN, providers, opsets; exit code 1 if they do not fit.

With `STILLHOUSE_REQUIRE_GPU=1` it also fails when torch or ONNX Runtime, as far as installed, cannot use a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from core import gpu
from core.errors import StillhouseError
from ops.doctor import facts, table, verdict


def main() -> int:
    parser = argparse.ArgumentParser("python -m ops.doctor", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="%(default)s, if it is there")
    given = parser.parse_args()
    try:
        strict = gpu.required()
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    found = facts.gather(given.params)
    problems = verdict.problems(found, strict)
    if given.json:
        report = {**found, "cuda_agrees": verdict.agree(found), "strict": strict}
        print(json.dumps(report | {"problems": [problem._asdict() for problem in problems]}, indent=2))
    else:
        print(table.text(found, verdict.agree(found), strict))
        for problem in problems:
            print(f"problem: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
