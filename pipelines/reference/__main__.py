"""See the package."""

from __future__ import annotations

import argparse

import pipelines.reference
from core import params
from core.files import write_text
from pipelines.reference import page


def main() -> None:
    argparse.ArgumentParser(
        "python -m pipelines.reference",
        description=pipelines.reference.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    params.load()
    write_text(page.PAGE, page.page(page.PARAMS.read_text(encoding="utf-8")))
    print(page.PAGE)


if __name__ == "__main__":
    main()
