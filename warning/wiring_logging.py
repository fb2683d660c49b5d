"""Logging of a process: one line per event on standard error, plain or JSON, with the process's name."""

from __future__ import annotations

import json
import logging
import os
import sys
import time

# Thousands of lines a minute while a broker is away: one such line a second is enough to know.
_CHATTY = ("aiokafka", "faust", "mode")
_QUIET = ("aiosmpplib", "httpx", "httpcore", "uvicorn.access", "sqlalchemy")


class _Plain(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime


class _Json(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _RateLimit(logging.Filter):
    """Lets one line a second through per logger and place in the code, and says how many it kept back."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_CHATTY):
            return True
        last, kept = self._last.get((record.pathname, record.lineno), (-1.0, 0))
        if record.created - last < 1.0:
            self._last[record.pathname, record.lineno] = (last, kept + 1)
            return False
        self._last[record.pathname, record.lineno] = (record.created, 0)
        if kept:
            record.msg, record.args = f"{record.getMessage()} (and {kept} more like it)", ()
        return True


def configure(process: str, level: str = "") -> None:
    """``level``: else WARNING_LOG_LEVEL, else INFO. WARNING_LOG_FORMAT=json writes JSON lines. Replaces what was configured before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if os.environ.get("WARNING_LOG_FORMAT") == "json" else _Plain(process))
    handler.addFilter(_RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel((level or os.environ.get("WARNING_LOG_LEVEL") or "INFO").upper())
    for name in (*_CHATTY, *_QUIET):
        logging.getLogger(name).setLevel(logging.WARNING)
