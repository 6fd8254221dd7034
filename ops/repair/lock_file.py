"""dvc.lock: DVC writes it in place, so a kill leaves no YAML, or YAML that has lost stages. A copy of it is kept."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from core.files import write_text
from ops.repair.entries import is_entry, parsed
from ops.repair.locks import held
from ops.repair.places import DAMAGED, KEPT, LOCK, TEMPORARY

HEAD = "schema: '2.0'\nstages:\n"


def keep() -> None:
    """Copy a whole dvc.lock to `.stillhouse/dvc.lock`; a damaged one, or one that DVC is writing, is left alone."""
    if not TEMPORARY.is_dir() or _unchanged():
        return
    with held("lock", wait=0) as mine:
        if not mine:
            return
        if not LOCK.exists():  # the user wants to run anew
            KEPT.unlink(missing_ok=True)
            return
        stat, content = LOCK.stat(), LOCK.read_bytes()
        if not _damage(content, _kept()):
            write_text(KEPT, content.decode())
            os.utime(KEPT, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def mend() -> list[str]:
    if not LOCK.exists() or _unchanged() or not _damage(LOCK.read_bytes(), _kept()):
        return []
    with held("lock") as mine:
        if not mine:
            return []
        content, kept = LOCK.read_bytes(), _kept()
        damage = _damage(content, kept)  # DVC may have been writing it at the first look
        if not damage or b"\n<<<<<<< " in content:
            return []  # a merge is the user's to resolve
        aside = DAMAGED / f"dvc.lock.{time.strftime('%Y%m%d-%H%M%S')}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        ours, theirs = _whole_entries(content, kept), _entries(kept)
        text = _joined(ours, theirs, kept)
        if not text:
            LOCK.unlink()
            how = "no stage could be read, it was removed, and DVC's run cache restores the results"
        else:
            write_text(LOCK, text)
            how = f"stages were restored, {len(ours)} from it and {len(theirs.keys() - ours)} from the kept copy"
    return [f"dvc.lock {damage}: {how} (the damaged one is {aside})"]


def _unchanged() -> bool:
    """Whether dvc.lock is what was kept: the copy has its time and size."""
    try:
        mine, kept = LOCK.stat(), KEPT.stat()
    except FileNotFoundError:
        return False
    return (mine.st_mtime_ns, mine.st_size) == (kept.st_mtime_ns, kept.st_size)


def _kept() -> str:
    """The kept copy; empty when there is none, or none that can be read."""
    try:
        return KEPT.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _damage(content: bytes, kept: str) -> str:
    """What is wrong with the content of a dvc.lock; empty when it is whole."""
    if not content.endswith(b"\n"):
        return "was cut off" if content else "was empty"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "was no UTF-8"
    blocks = _blocks(text)
    usual = text.startswith(HEAD)
    if not (usual and _entries(text, set(_blocks(kept).values())).keys() == blocks.keys()):
        whole = parsed(text)
        if not _is_lock_file(whole):
            return "was no YAML" if whole is None else "had not DVC's shape"
    if (usual or HEAD.startswith(text)) and _is_cut(blocks, _blocks(kept)) and content != _committed():
        return "had lost its end"
    return ""


def _is_cut(blocks: dict[str, str], kept: dict[str, str]) -> bool:
    """Whether a dvc.lock that reads well is the beginning of the one that was kept: DVC itself drops no stage."""
    names, known = list(blocks), list(kept)
    if names != known[: len(names)]:
        return False
    missing = known[len(names) :]
    if missing:
        return bool({_definition(name) for name in missing} & _definitions())
    return bool(names) and kept[names[-1]] != blocks[names[-1]] and kept[names[-1]].startswith(blocks[names[-1]])


def _definition(name: str) -> str:
    """`train` of `train@detection`."""
    return name.strip("'\"").partition("@")[0]


def _definitions() -> set[str]:
    """Names of the stages in dvc.yaml."""
    try:
        value = parsed(Path("dvc.yaml").read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError):
        return set()
    return set(value["stages"]) if isinstance(value, dict) and isinstance(value.get("stages"), dict) else set()


def _committed() -> bytes | None:
    """dvc.lock as git has it: one that was checked out is as short as it was meant to be."""
    try:
        done = subprocess.run(["git", "show", "HEAD:./dvc.lock"], capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _blocks(text: str) -> dict[str, str]:
    """Stage -> its lines, by indentation alone: DVC always writes `stages:` and two blanks before a stage."""
    body = re.split(r"^stages:\n", text, maxsplit=1, flags=re.MULTILINE)[1:]
    blocks = re.split(r"^(?=  [^\s-])", body[0], flags=re.MULTILINE)[1:] if body else []
    return {block.split(":\n", 1)[0].strip(): block for block in blocks}


def _entries(text: str, known: Collection[str] = ()) -> dict[str, str]:
    """Those of the `_blocks` that hold a stage's entry. `known` ones need not be read again."""
    return {name: block for name, block in _blocks(text).items() if block in known or _is_block(block)}


def _whole_entries(content: bytes, kept: str) -> dict[str, str]:
    """The entries of a damaged dvc.lock but for the last, of which nobody knows where it would have ended."""
    text = content.decode(errors="replace")
    last = list(_blocks(text))[-1:]
    return {name: block for name, block in _entries(text, set(_blocks(kept).values())).items() if name not in last}


def _joined(ours: dict[str, str], theirs: dict[str, str], kept: str) -> str:
    """A dvc.lock of both, empty if there is nothing.

    Old entries do no harm: they say what a stage once made of what, and DVC compares that with the files as they are.
    """
    if not ours and not theirs:
        return ""
    text = HEAD + "".join({**theirs, **ours}.values())
    if _is_lock_file(parsed(text)):
        return text
    return kept if _is_lock_file(parsed(kept)) else ""


def _is_block(text: str) -> bool:
    value = parsed(text)
    return isinstance(value, dict) and len(value) == 1 and all(map(is_entry, value.values()))


def _is_lock_file(value: Any) -> bool:
    """The shape that DVC asks for: https://github.com/treeverse/dvc/blob/3.67.1/dvc/schema.py#L43-L58"""
    if not isinstance(value, dict) or value.get("schema") != "2.0" or value.keys() - {"schema", "stages", "datasets"}:
        return False
    stages = value.get("stages", {})
    return isinstance(stages, dict) and all(map(is_entry, stages.values()))
