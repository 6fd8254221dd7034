"""`python -m ops.passport` in the process of a test."""

from __future__ import annotations

import sys

import pytest

from ops.passport import __main__ as command


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `python -m ops.passport ARGUMENTS`, in this process."""
    monkeypatch.setattr(sys, "argv", ["ops.passport", *map(str, arguments)])
    try:
        command.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
