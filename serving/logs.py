"""Structured logs: one JSON object a line on standard error, with the id of the request that it is about."""

from __future__ import annotations

import json
import logging
import re
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
LOGGER = logging.getLogger("serving")


def request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """The client's `X-Request-Id` when it is harmless, else a new one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if ID.fullmatch(given) else uuid.uuid4().hex


def event(text: str, level: int = logging.INFO, **fields: Any) -> None:
    """text: what happened, always the same words; fields: to whom and how much."""
    LOGGER.log(level, text, extra={"fields": fields})


def failure(text: str, **fields: Any) -> None:
    """With the traceback of the exception that is handled: for the log only, no client sees it."""
    LOGGER.error(text, exc_info=True, extra={"fields": fields})


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_values(self, record), default=str)  # ASCII: U+2028 in a path ends a line for some readers


class Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values = _values(self, record)
        head = f"{values.pop('time')[11:19]} {values.pop('level'):<7} {values.pop('event')}"
        trace = values.pop("traceback", None)
        return " ".join([head, *(f"{k}={_printable(v)}" for k, v in values.items())]) + (f"\n{trace}" if trace else "")


def _printable(value: Any) -> str:
    """Without the line ends and terminal controls that a client may put into a path."""
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _values(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    values: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
    if request := REQUEST.get():
        values["request_id"] = request
    values |= getattr(record, "fields", {})
    if record.exc_info:
        values["traceback"] = formatter.formatException(record.exc_info)
    return values


def configure(text: bool) -> None:
    # what no line tells need not be found out: https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Text() if text else Json())
    logging.getLogger().handlers = [handler]  # of every library: a line that is no JSON is lost to who reads them
    logging.captureWarnings(True)
    LOGGER.setLevel(logging.INFO)
