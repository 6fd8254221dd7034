"""Pages that people open from a disk or a mail: one file, all text escaped, no script, nothing from elsewhere.

A page states so itself, in a Content-Security-Policy (https://www.w3.org/TR/CSP3/): should markup of data get in after
all, it runs nothing and asks nobody.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from core.visible import visible

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def render(template: Path, **values: Any) -> str:
    """The page of a jinja template, which has `policy` as its Content-Security-Policy in a `meta` of its head.

    Values are escaped, and control characters spelt; only `markupsafe.Markup` is markup. Raises:
    jinja2.UndefinedError when the template names what is not there.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined, finalize=_shown
    )
    return environment.get_template(template.name).render(policy=policy(template.read_text("utf-8")), **values)


def policy(page: str) -> str:
    """What a page may load: its own styles, known by their digests, and pictures that stand in it."""
    digests = [base64.b64encode(hashlib.sha256(css.encode()).digest()).decode() for css in STYLE.findall(page)]
    styles = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return f"default-src 'none'; img-src data:; style-src {styles}; base-uri 'none'; form-action 'none'"


def _shown(value: Any) -> Any:
    return visible(value) if type(value) is str else value
