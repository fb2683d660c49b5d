"""What goes into a beat and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.model import AlertEvent, Hazard, Rejected


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings between two ticks, as columns of equal length n, in the order of the log.

    ``row``: int32, the series' row in the plan (``Plan.row``); ``time_ms``: int64; ``value``: float64, SI, NaN where the
    sender said "missing"; ``received_ms``: int64, the gateway's clock; ``sentinel``: bool, the sender sent a sentinel.
    """

    row: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    received_ms: NDArray[np.int64]
    sentinel: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, part: slice) -> Readings:
        """A part of them; its columns are views."""
        return Readings(self.row[part], self.time_ms[part], self.value[part], self.received_ms[part], self.sentinel[part])

    @staticmethod
    def none() -> Readings:
        """Always the same: most beats of a quiet night have no others."""
        return _NONE

    @staticmethod
    def of(row: Sequence[int], time_ms: Sequence[int], value: Sequence[float], received_ms: Sequence[int]) -> Readings:
        """From plain numbers; none of them is a sentinel."""
        return Readings(
            np.array(row, np.int32),
            np.array(time_ms, np.int64),
            np.array(value, np.float64),
            np.array(received_ms, np.int64),
            np.zeros(len(row), np.bool_),
        )

    @staticmethod
    def concatenate(parts: list[Readings]) -> Readings:
        """The parts one after the other; ``none()`` if there are none."""
        if not parts:
            return Readings.none()
        if len(parts) == 1:
            return parts[0]
        return Readings(*(np.concatenate([getattr(part, name) for part in parts]) for name in Readings.__slots__))


_NONE = Readings(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64), np.zeros(0, np.int64), np.zeros(0, np.bool_))


# A hazard as a row of plain values: the fields of the noun in their order. What they hold is not checked and goes to JSON as it is, NaN
# as null.
Row: Any = msgspec.defstruct("Row", [(name, Any) for name in Hazard.__struct_fields__], gc=False)
_encode = msgspec.json.Encoder().encode
_row, _noun = msgspec.json.Decoder(Row).decode, msgspec.json.Decoder(Hazard).decode


class Hazards(Sequence[Hazard]):
    """Hazards in the order in which they were decided; ``n``: the offset of the tick that closed their beat.

    Held as rows (``Row``) and written to JSON from them; a noun is made for whoever asks for one.
    """

    __slots__ = ("_n", "_rows")

    def __init__(self, rows: Sequence[Any] = (), n: int = -1) -> None:
        self._rows, self._n = rows, n

    @staticmethod
    def of(nouns: Iterable[Hazard]) -> Hazards:
        return Hazards([_row(_encode(noun)) for noun in nouns])

    def numbered(self, n: int) -> Hazards:
        return Hazards(self._rows, n)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Hazard: ...
    @overload
    def __getitem__(self, place: slice) -> Hazards: ...
    def __getitem__(self, place: int | slice) -> Hazard | Hazards:
        if isinstance(place, slice):
            return Hazards(self._rows[place], self._n)
        return _noun(self._json(self._rows[place]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(row.zone for row in self._rows))

    def rows(self) -> Sequence[Any]:
        """As they are: plain values under the names of ``Hazard``'s fields, classes by name (a hindcast reads them)."""
        return self._rows

    def records(self) -> list[tuple[bytes, bytes]]:
        """(zone, the hazard as JSON) of each, as they go to the topic."""
        for row in self._rows:
            row.n = self._n
        return [(row.zone.encode(), _encode(row)) for row in self._rows]

    def other_than(self, told: Mapping[str, str]) -> list[tuple[str, str, int | None]]:
        """(zone, name of its level, since when its gauge is silent) of those whose level is not the one that was ``told`` of them."""
        newest = {row.zone: row for row in self._rows}
        return [(zone, row.level, row.silent_since_ms) for zone, row in newest.items() if told.get(zone) != row.level]

    def _json(self, row: Any) -> bytes:
        row.n = self._n
        return _encode(row)


def noun(row: Any) -> Hazard:
    """The hazard that a row says."""
    return _noun(_encode(row))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a beat decided; the caller adds the offset of the tick (``Hazard.n``) when it writes ``hazards``."""

    now_ms: int
    applied: int = 0
    hazards: Hazards = field(default_factory=Hazards)
    alerts: tuple[AlertEvent, ...] = ()
    rejected: tuple[Rejected, ...] = ()  # readings that quality control failed
    flags: dict[tuple[str, str], int] = field(default_factory=dict)  # (Flag value, Cause value) -> readings of this beat
    out_of_service: dict[tuple[str, str], str] = field(default_factory=dict)  # (station, parameter) -> error, new in this beat
