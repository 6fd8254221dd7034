"""The site of docs/, strictly: a link or an anchor that leads nowhere, or anything of another host, stops it.

    python docs/build.py            # into .stillhouse/docs/site; make docs installs what it needs before
    python docs/build.py --serve    # the same, at http://127.0.0.1:8000

Pages stay readable as they lie in the repository; the site has them under one folder, so links between files of the
repository are made anew. Standard library, and Zensical as a program.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/LOG.md": "log.md",
    "devices/README.md": "devices.md",
}
"""What is a page of the site and lies elsewhere in the repository -> its name there."""
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
IN_STYLES = re.compile(r"""@import\b[^;]*//[^;]*|url\(["']?(?:https?:)?//[^)]*""")
SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"[^>]*></script>')
"""By which Zensical's pages search when they are opened as files in browsers that allow them no worker."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the site of docs/ into .stillhouse/docs/site.")
    parser.add_argument("--serve", action="store_true", help="and serve it on 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="%(default)s")
    given = parser.parse_args()
    site, problems = build(ROOT / ".stillhouse" / "docs")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(site / "index.html")
    if given.serve:
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
        print(f"http://127.0.0.1:{given.port}")
        http.server.ThreadingHTTPServer(("127.0.0.1", given.port), handler).serve_forever()
    return 0


def build(folder: Path) -> tuple[Path, list[str]]:
    """The site below `folder`, and what is wrong with it: all broken links that were found, one a line."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    pages.mkdir(parents=True)
    problems = []
    for source, name in sources().items():
        text, broken = linked(ROOT / source, pages)
        problems += broken
        (pages / name).write_text(text, encoding="utf-8")
    shutil.copy(DOCS / "zensical.toml", folder)
    shutil.copytree(DOCS / "theme", folder / "theme")
    shutil.copy(DOCS / "theme" / "site.css", pages)
    if problems:
        return folder / "site", problems
    beside = Path(sys.executable).parent / "zensical"
    program = str(beside) if beside.exists() else "zensical"
    done = subprocess.run(
        [program, "build", "--clean", "--strict"], cwd=folder, env=os.environ | {"NO_COLOR": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        return folder / "site", [re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).partition("Traceback")[0].strip()]
    return folder / "site", finish(folder / "site")


def sources() -> dict[str, str]:
    """Every page: where it lies in the repository -> its name in the site."""
    return {f"docs/{path.name}": path.name for path in sorted(DOCS.glob("*.md"))} | PAGES


def linked(page: Path, pages: Path) -> tuple[str, list[str]]:
    """The text of a page with its links as they are in the site, and the links that lead to no file. What is no page is
    copied beside the pages: a picture under its name, any other file as text."""
    names, broken = sources(), []

    def moved(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, mark, anchor = target.partition("#")
        found = Path(os.path.normpath(page.parent / path))
        inside = found.relative_to(ROOT).as_posix() if found.is_relative_to(ROOT) else path
        if inside in names:
            return f"{before}{names[inside]}{mark}{anchor}{after}"
        if not found.is_file():
            broken.append(f"{page.relative_to(ROOT)}: {target} leads to no file")
            return match[0]
        copy = found.name if found.suffix in (".png", ".svg") else f"files/{inside}.txt"
        (pages / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(found, pages / copy)
        return f"{before}{copy}{after}"

    fences = re.split(r"(^```.*?^```$)", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = "".join(part if part.startswith("```") else LINK.sub(moved, part) for part in fences)
    return text, broken


class Loaded(HTMLParser):
    """Addresses of other hosts that a browser asks as it opens a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        own = dict(attributes)
        if tag == "a" or (tag == "link" and own.get("rel") in ("canonical", "prev", "next")):
            return
        for name in ("src", "srcset", "href", "data", "poster"):
            if re.match(r"(https?:)?//", own.get(name) or ""):
                self.found.append(f"{tag} {name}={own[name]}")


def finish(site: Path) -> list[str]:
    """Take out what Zensical loads of another host, and look whether anything is left."""
    problems = []
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        text = SHIM.sub("", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        found = Loaded(text).found if path.suffix == ".html" else []
        problems += [f"{path.relative_to(site)} loads {each}" for each in [*found, *IN_STYLES.findall(text)]]
    return problems


if __name__ == "__main__":
    sys.exit(main())
