"""The log lines of Kafka's clients, one of a kind in ten seconds: in an outage each worker would write thousands a minute."""

from __future__ import annotations

import logging
import time

from aiokafka.errors import KafkaError

EVERY_S = 10.0
# Faust names the logger of a subclass after the module that has it.
LOUD = ("aiokafka", "faust", "mode", "warning.stream.engine", "warning.stream.transport")


class Seldom(logging.Handler):
    """Passes on the first of each kind (logger, level, template), then says how many it held back."""

    def __init__(self, to: logging.Logger, every_s: float = EVERY_S) -> None:
        super().__init__()
        self._to, self._every_s = to, every_s
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}  # when last passed on, how many since

    def emit(self, record: logging.LogRecord) -> None:
        kind = (record.name, record.levelno, str(record.msg)[:100])
        at, held = self._seen.get(kind, (-self._every_s, 0))
        now = time.monotonic()
        if now - at < self._every_s:
            self._seen[kind] = (at, held + 1)
            return
        self._seen[kind] = (now, 0)
        if record.exc_info and isinstance(record.exc_info[1], KafkaError):  # where in the client it arose helps nobody
            record.exc_info = record.exc_text = None
        if held:
            record.msg, record.args = f"{record.getMessage()} (and {held} more like it)", ()
        if self._to.isEnabledFor(record.levelno):
            self._to.handle(record)


class Unheard(logging.Filter):
    """What a client's task raised when nobody waited for it any more (a commit that a stop cuts off) is the client's line."""

    def __init__(self, seldom: Seldom) -> None:
        super().__init__()
        self._seldom = seldom

    def filter(self, record: logging.LogRecord) -> bool:
        if not (record.exc_info and isinstance(record.exc_info[1], KafkaError)):
            return True
        self._seldom.emit(record)
        return False


def hush() -> None:
    """Warnings and above of the clients go to the logger ``warning.kafka``, seldom."""
    tasks = logging.getLogger("asyncio")
    if not any(isinstance(each, Unheard) for each in tasks.filters):
        tasks.addFilter(Unheard(Seldom(logging.getLogger("warning.kafka"))))
    logging.getLogger("warning.kafka").disabled = False
    for name in LOUD:
        logger = logging.getLogger(name)
        if not any(isinstance(handler, Seldom) for handler in logger.handlers):
            logger.addHandler(Seldom(logging.getLogger("warning.kafka")))
        logger.propagate = False
        logger.setLevel(logging.WARNING)


def mute() -> None:
    """Nothing of the clients any more, until ``hush``: this process ends, and has said why."""
    logging.getLogger("warning.kafka").disabled = True
