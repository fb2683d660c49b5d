"""What the stream needs of the outside: a log, a consumer group, the decisions. Tests put others in their place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from warning.model import AlertEvent, Parameter
from warning.pipeline.adopt import published_after
from warning.pipeline.beat import Outputs
from warning.pipeline.held import Held
from warning.region import Region


class Sent(NamedTuple):
    """A record that the brokers have. ``broker_ms``: their clock when they took it; None where they do not say."""

    offset: int
    broker_ms: int | None


Fatal = Callable[[BaseException], None]  # something broke that ends the process
Each = Callable[[int, bytes | None, bytes | None], None]  # offset, key, value
Stamped = Callable[[int, bytes | None, bytes | None, int], None]  # and the brokers' timestamp, ms


class Log(Protocol):
    """Topics and partitions. Whatever cannot be done raises ``Unavailable``."""

    async def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> asyncio.Future[Sent]:
        """Hands a record over, in order per partition; the future is done when all in-sync replicas have it."""
        ...

    async def send_all(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> list[asyncio.Future[Sent]]:
        """Many (key, value) at once, in order, as few batches: a fraction of the cost of ``send``. All are handed over, or it raises."""
        ...

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset that is kept, offset of the next record)"""
        ...

    async def read(self, topic: str, partition: int, each: Each, first: int | None = None, until: int | None = None) -> None:
        """Calls ``each`` for the records from ``first`` (None: the beginning) up to before ``until`` (None: where it ends now)."""
        ...


class StampedLog(Log, Protocol):
    """A log that tells the brokers' timestamps too."""

    async def read_stamped(self, topic: str, partition: int, each: Stamped, first: int | None = None, until: int | None = None) -> None:
        """``Log.read``; ``each`` gets the timestamp, in ms, as well. What ``each`` raises ends the reading and is raised."""
        ...


class Group(Protocol):
    """The consumer group's offsets of ``readings``."""

    async def committed(self, partition: int) -> tuple[int | None, str]:
        """(offset, metadata), or (None, "")"""
        ...

    async def commit(self, partition: int, offset: int, metadata: str) -> str:
        """ "" if taken, else why the group refused: we are not its member any more."""
        ...


class Plan(Protocol):
    """``pipeline.plan.Plan`` as far as the stream knows it."""

    @property
    def row(self) -> Mapping[tuple[str, Parameter], int]: ...

    @property
    def code(self) -> str: ...


class State(Protocol):
    """``pipeline.state.State`` as far as the stream knows it."""

    now_ms: int

    def freeze(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]: ...

    def hold(self, more: dict[str, Any]) -> tuple[Iterator[bytes], Held]: ...

    def release(self, held: Held) -> None: ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The decisions, handed in. ``stream.decisions.PIPELINE`` are the real ones."""

    plan: Callable[[Region, int], Any]
    empty: Callable[[Any], Any]
    thaw: Callable[[Any, dict[str, Any], dict[str, NDArray[Any]]], Any]
    step: Callable[..., Outputs]  # plan, state, readings, now_ms and, where operators said something, what they said
    published_after: Callable[[Any, Any, Iterable[AlertEvent]], list[AlertEvent]] = published_after
    code: Callable[[], str] | None = None  # of every plan

    def code_of(self, region: Region) -> str:
        """What ``plan`` writes into its plans."""
        return self.code() if self.code is not None else str(self.plan(region, 0).code)
