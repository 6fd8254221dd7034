"""`params.yaml`, the models that check it and docs/params.md say the same of every knob."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.reference import comments, page, words

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / page.PARAMS).read_text(encoding="utf-8")
UP_TO_DATE = (ROOT / page.PAGE).read_text(encoding="utf-8")


def test_the_page_is_what_the_generator_makes() -> None:
    assert page.page(TEXT) == UP_TO_DATE, "run `python -m pipelines.reference`"


def test_every_knob_has_its_comment() -> None:
    """Below `search` stand names of knobs that have theirs where they are set."""
    found = [each for each in comments.said(TEXT) if "search" not in each.path]
    without = [f"params.yaml:{each.line}: {'.'.join(each.path)} has no comment" for each in found if not each.comment]
    lines = TEXT.splitlines()
    for before, each in pairwise(found):
        behind = lines[each.line - 1].partition("#")[2]
        for knob in (before, each) if before.line == each.line else ():
            if not re.search(rf"\b{re.escape(knob.path[-1])}\b", behind):
                without.append(f"params.yaml:{knob.line}: the comment does not name {'.'.join(knob.path)}")
    assert len(found) > 200
    assert not without, "\n".join(dict.fromkeys(without))


def test_every_knob_has_a_meaning() -> None:
    assert not re.findall(r"^\| `.*\|  \|$", UP_TO_DATE, re.MULTILINE)


def test_the_comment_of_a_knob_is_the_one_beside_it() -> None:
    text = """\
a: "# no comment"  # of a
b:                 # of the section
  c: [1,
      2]           # goes
                   # on below
  # of nobody

  d: 1             # of d
  e: 2
# right
# above
f: 3
g: {h: 1, i: 2}    # h: of h; i: of i
j: {<<: {l: 1}, k: 1}
"""
    found = {".".join(each.path): each.comment for each in comments.said(text)}
    assert found == {
        "a": "of a",
        "b.c": "goes on below",
        "b.d": "of d",
        "b.e": "",
        "f": "right above",
        "g.h": "of h",
        "g.i": "of i",
    }


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "integer", "minimum": 1}, "whole number at least 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number above 0, below 1"),
        (
            {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]},
            "number from 0 to 1, or `null`",
        ),
        ({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "integer"}}, "list of 2: whole number"),
        ({"type": "array", "minItems": 1, "items": {"enum": ["a", "b"]}}, "list, not empty: `a`, `b`"),
        ({"const": "fcos"}, "`fcos`"),
        ({"type": "string", "pattern": "^a$"}, "text like `^a$`"),
        ({"$ref": "#/$defs/Words"}, "mapping"),
    ],
)
def test_types_are_told_in_words(schema: dict[str, object], told: str) -> None:
    assert words.kind(schema) == told
