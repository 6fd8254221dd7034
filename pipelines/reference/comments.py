"""What `params.yaml` says of each of its knobs: the comment beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

import yaml

Path = tuple[str, ...]
MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Said:
    """A knob of the file, as it is written there."""

    path: Path
    line: int
    """Counted from 1."""
    comment: str
    """What stands behind it and goes on in lines of comments alone, or else right above it. Of several knobs in a line
    the part of this one, where it begins with its name and a colon. Empty: there is none."""


def said(text: str) -> list[Said]:
    """All knobs of a YAML file, in order. Sections that have knobs of their own are none; what stands beside a `<<` is
    told where that takes the others from."""
    root, lines = yaml.compose(text, Loader=yaml.SafeLoader), text.splitlines()
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("expected a mapping")
    return [
        Said(path, key.start_mark.line + 1, _comment(lines, path[-1], key, row))
        for path, key, row in _knobs(root, (), root)
    ]


def _knobs(node: yaml.MappingNode, above: Path, row: yaml.Node) -> Iterator[tuple[Path, yaml.Node, yaml.Node]]:
    """Path, node of the key, and the node at whose end the comment of its line begins."""
    if any(key.tag == MERGE for key, _ in node.value):
        return
    for key, value in node.value:
        path, end = (*above, str(key.value)), row if node.flow_style else value
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _knobs(value, path, end)
        else:
            yield path, key, end


def _comment(lines: list[str], name: str, key: yaml.Node, row: yaml.Node) -> str:
    line, column = row.end_mark.line, row.end_mark.column
    rest = lines[line][column:]
    if "#" in rest:
        indent = column + rest.index("#")
        more = takewhile(lambda after: _alone(after, indent), lines[line + 1 :])
        words = [rest.split("#", 1)[1], *(after.lstrip()[1:] for after in more)]
    else:
        above = takewhile(lambda each: _alone(each, key.start_mark.column), reversed(lines[: key.start_mark.line]))
        words = [each.lstrip()[1:] for each in above][::-1]
    whole = " ".join(" ".join(words).split())
    own = re.search(rf"(?:^|; ){re.escape(name)}: (.*?)(?=; [a-z_]+: |$)", whole)
    return own[1] if own else whole


def _alone(line: str, indent: int) -> bool:
    """Whether a line is a comment that begins at this column."""
    return line.lstrip().startswith("#") and len(line) - len(line.lstrip()) == indent
