"""`.dvc/tmp/rwlock`: DVC writes it in place, and believes any process that has the number of one that died."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.files import write_text
from ops.repair.locks import held
from ops.repair.places import TEMPORARY
from ops.repair.processes import is_alive


def mend() -> list[str]:
    path = TEMPORARY / "rwlock"
    if not _stale(path)[1]:
        return []
    with held("rwlock.lock") as mine:
        entries, sentences = _stale(path) if mine else ({}, [])
        if not sentences:
            return []
        if entries is None:
            path.unlink()
        else:
            write_text(path, json.dumps(entries))
    return sentences


def _stale(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """What is to stay of a rwlock (None: nothing can be read) and sentences on what is not."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}, []
    if text.strip() == b"{}":
        return {}, []
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not _is_rwlock(value):
        return None, [f"{path} was {'damaged' if text else 'empty'}: removed"]
    written, read = value.get("write", {}), value.get("read", {})
    owners = {_owner(info) for info in (*written.values(), *(info for each in read.values() for info in each))}
    gone = {owner for owner in owners if not is_alive(*owner)}
    if not gone:
        return value, []
    written = {at: info for at, info in written.items() if _owner(info) not in gone}
    read = {at: [info for info in each if _owner(info) not in gone] for at, each in read.items()}
    stays = {"write": written, "read": {at: each for at, each in read.items() if each}}
    sentences = [
        f"{path} was held by process {pid} ({cmd}), which is no live DVC: released" for pid, cmd in sorted(gone)
    ]
    return {key: part for key, part in stays.items() if part}, sentences


def _is_rwlock(value: Any) -> bool:
    """The shape that DVC asks for: https://github.com/treeverse/dvc/blob/3.67.1/dvc/rwlock.py#L17-L24"""
    if not isinstance(value, dict) or value.keys() - {"write", "read"}:
        return False
    written, read = value.get("write", {}), value.get("read", {})
    if not isinstance(written, dict) or not isinstance(read, dict):
        return False
    if not all(isinstance(each, list) for each in read.values()):
        return False
    infos = [*written.values(), *(info for each in read.values() for info in each)]
    return all(
        isinstance(info, dict)
        and info.keys() == {"pid", "cmd"}
        and isinstance(info["pid"], int)
        and isinstance(info["cmd"], str)
        for info in infos
    )


def _owner(info: dict[str, Any]) -> tuple[int, str]:
    return info["pid"], info["cmd"]
