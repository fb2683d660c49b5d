"""What to ask of a source next: which stations, from when until when, in which order.

Since the newest reading that the log has, less an overlap, because readings come late and are revised; after an outage of ours in
chunks, and no further back than the source says. The newest chunk is asked for first, for a flood does not wait for history; the watermark
moves only when the chunks before it are there too. At the start and once an hour the window begins at the series that is furthest behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from urllib.parse import quote
from zoneinfo import ZoneInfo

from warning.config_sources import Source

LEAST_CHUNK_MS = 10 * 60 * 1000
Marks = Mapping[tuple[str, str], int]  # (our station, parameter) -> time of the newest reading that the log has, ms


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``theirs``: ids in the URL, () where it names none. ``moves``: nothing before it is still to be asked for."""

    theirs: tuple[str, ...]
    since_ms: int | None = None
    until_ms: int | None = None
    moves: bool = True

    def halves(self) -> tuple[Ask, Ask] | None:
        """The same in two requests, the older one first; None where it is too short for that."""
        if self.since_ms is None or self.until_ms is None or self.until_ms - self.since_ms < 2 * LEAST_CHUNK_MS:
            return None
        middle = (self.since_ms + self.until_ms) // 2
        return replace(self, until_ms=middle), replace(self, since_ms=middle)


def asks(source: Source, marks: Marks, now_ms: int, *, catch_up: bool, first: bool = False) -> list[Ask]:
    """All requests of one round: first the newest chunk of each batch of stations, then what lies before them, oldest first.

    ``catch_up``: since the series that is furthest behind; ``first``: as far back as may be for a station that was never heard.
    """
    newest: list[Ask] = []
    then: list[Ask] = []
    for batch in _batches(source):
        if not source.windowed:
            newest.append(Ask(batch))
            continue
        windows = list(_windows(source, _since(source, batch, marks, now_ms, catch_up, first), now_ms))
        last = Ask(batch, *windows[-1], moves=len(windows) == 1)
        newest.append(last)
        then += [Ask(batch, *window) for window in windows[:-1]]
        if not last.moves:
            then.append(replace(last, moves=True))  # again: it is short, and what came late meanwhile is in it
    return newest + then


def url(source: Source, ask: Ask, secrets: Mapping[str, str]) -> str:
    """The URL with its placeholders filled in."""
    values = dict(secrets)
    values["stations"] = ",".join(ask.theirs)
    values["station"] = ask.theirs[0] if ask.theirs else ""
    for name, at_ms in (("since", ask.since_ms), ("until", ask.until_ms)):
        values[name] = "" if at_ms is None else _time(at_ms, source.agency.url_times, source.agency.url_zone)
    found = source.url
    for name, value in values.items():
        found = found.replace(f"{{{name}}}", quote(value, safe=",:"))
    return found


def _batches(source: Source) -> Iterator[tuple[str, ...]]:
    ids = sorted(source.stations)
    if "{station}" in source.url:
        yield from ((one,) for one in ids)
    elif "{stations}" in source.url:
        yield from (tuple(ids[first : first + source.at_once]) for first in range(0, len(ids), source.at_once))
    else:
        yield ()


def _since(source: Source, batch: tuple[str, ...], marks: Marks, now_ms: int, catch_up: bool, first: bool) -> int:
    back_ms = now_ms - int(source.back_s * 1000)
    stations = {source.stations[theirs].station for theirs in batch or source.stations}
    there = {place: at_ms for place, at_ms in marks.items() if place[0] in stations and at_ms >= back_ms}
    if not there:
        return back_ms
    unheard = first and stations - {station for station, _ in there}
    mark = back_ms if unheard else min(there.values()) if catch_up else max(there.values())
    return max(back_ms, min(mark, now_ms) - int(source.overlap_s * 1000))


def _windows(source: Source, since_ms: int, now_ms: int) -> Iterator[tuple[int, int]]:
    chunk_ms = int(source.chunk_s * 1000)
    until_ms = now_ms + 60_000  # a reading of this minute
    if "{until}" not in source.url:
        yield since_ms, until_ms  # it answers all since then, whatever we say
        return
    count = max(1, -(-(now_ms - since_ms) // chunk_ms))
    edges = [since_ms + (until_ms - since_ms) * number // count for number in range(count + 1)]
    yield from pairwise(edges)


def _time(at_ms: int, form: str, zone: str) -> str:
    if form in ("unix", "unix_ms"):
        return str(at_ms if form == "unix_ms" else at_ms // 1000)
    at = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    return at.isoformat().replace("+00:00", "Z") if form == "iso" else at.strftime(form)
