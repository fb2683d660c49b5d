"""Least rights at the brokers: what each process does, as a table, and as commands of Kafka for whoever may give rights."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from warning.deployment import Deployment


class Operation(enum.IntEnum):
    """As Kafka numbers them."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8

    @property
    def word(self) -> str:
        return self.name.capitalize()


READ, WRITE, CREATE, DESCRIBE = Operation.READ, Operation.WRITE, Operation.CREATE, Operation.DESCRIBE
IMPLIED = {READ: {DESCRIBE}, WRITE: {DESCRIBE}}  # who may read or write may describe


@dataclass(frozen=True, slots=True)
class Right:
    """Operations on one topic or group; ``prefixed``: on all whose names begin so."""

    kind: str  # topic | group
    name: str
    operations: tuple[Operation, ...]
    why: str
    prefixed: bool = False


PROCESSES = ("worker", "ingest", "grids", "pull", "rejected", "dispatch", "api", "export", "replay")


def rights(deployment: Deployment, process: str) -> tuple[Right, ...]:
    """What a process needs, and nothing else. Nobody may delete or alter. ``export`` also stands for benchmarks and evidence: it only
    reads. ``replay`` feeds a log of its own, under prefixes that begin with ``replay-``. Raises KeyError for an unknown process."""
    return (_of_ways_in(deployment) | _of_what_decides_and_sends(deployment) | _of_readers(deployment))[process]


def _topic(name: str, why: str, *operations: Operation) -> Right:
    return Right("topic", name, operations, why)


def _of_ways_in(to: Deployment) -> dict[str, tuple[Right, ...]]:
    return {
        "ingest": (
            _topic(to.readings, "readings in", WRITE),
            _topic(to.rejected, "what it cannot take", WRITE),
            _topic(to.inbox, "readings of those who have Kafka", READ),
            Right("group", f"{to.prefix}inbox", (READ,), "how far the inbox is read"),
        ),
        "grids": (_topic(to.readings, "readings of catchments in", WRITE), _topic(to.rejected, "what it cannot take", WRITE)),
        "pull": (_topic(to.readings, "readings of agencies in", WRITE), _topic(to.rejected, "what it cannot take", WRITE)),
        "rejected": (_topic(to.rejected, "what was not taken", READ), _topic(to.readings, "what was mended in", WRITE)),
    }


def _of_what_decides_and_sends(to: Deployment) -> dict[str, tuple[Right, ...]]:
    return {
        "worker": (
            _topic(to.readings, "the log; its ticks", READ, WRITE),
            _topic(to.checkpoints, "its state", READ, WRITE),
            _topic(to.alerts, "what it decides; after a crash what was published", READ, WRITE),
            _topic(to.hazards, "what it decides", WRITE),
            _topic(to.rejected, "what it cannot read", WRITE),
            Right("group", to.group, (READ,), "shares the partitions out"),
            Right("topic", to.prefix, (CREATE,), "makes the topics at its first start", prefixed=True),
        ),
        "dispatch": (
            _topic(to.alerts, "warnings to send; what people raise by hand", READ, WRITE),
            _topic(to.hazards, "silent gauges, for the operators", READ),
            _topic(to.receipts, "what became of each message", WRITE),
        ),
    }


def _of_readers(to: Deployment) -> dict[str, tuple[Right, ...]]:
    return {
        "api": tuple(_topic(name, "to be shown", READ) for name in (to.readings, to.hazards, to.alerts, to.receipts, to.rejected)),
        "export": (
            *(_topic(each.name, "evidence", READ) for each in to.topics if each.name != to.inbox),
            Right("group", to.group, (DESCRIBE,), "how far the worker is"),
        ),
        "replay": (
            Right("topic", "replay-", (READ, WRITE, CREATE), "a log of its own", prefixed=True),
            Right("group", "replay-", (READ,), "its workers", prefixed=True),
        ),
    }


def commands(deployment: Deployment, process: str, principal: str, bootstrap: str) -> Iterator[str]:
    """Lines for a shell, one a right: ``kafka-acls.sh --add ...``. ``principal``: such as User:indus-worker."""
    for right in rights(deployment, process):
        words = ["kafka-acls.sh", "--bootstrap-server", bootstrap, "--command-config", "admin.properties", "--add"]
        words += ["--allow-principal", principal]
        for operation in right.operations:
            words += ["--operation", operation.word]
        words += [f"--{right.kind}", right.name, "--resource-pattern-type", "prefixed" if right.prefixed else "literal"]
        yield shlex.join(words)


def missing(right: Right, granted: int) -> tuple[Operation, ...]:
    """Of the operations those that a broker's bit field of allowed operations does not hold."""
    return tuple(operation for operation in right.operations if not granted >> operation & 1)
