"""``warning hindcast``: a history through the real pipeline in the order of its events, and what it said judged by what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from warning import config, config_limits
from warning.config_limits import Heard, Made
from warning.errors import ConfigError, InputError, Problem
from warning.ingest import rows
from warning.model import Parameter, Reading
from warning.region import Region
from warning.stream.replay import log_with_ticks, replay_file
from warning.verification.said import Listener

Progress = Callable[[str, int, int], None]
TICK_S = 600
LONG_S = 100 * 86_400  # of a longer history the ticks between readings are an hour apart
FIRST = 10  # readings of a station by which its usual step is known; of its beginning only: the future must not matter
SHOWN = 5  # of the rows that were refused


@dataclass(frozen=True, slots=True)
class History:
    """A region and its readings by time; ``notes``: what to know about them; ``equal``: see ``config_limits.Limited``."""

    made: Made
    readings: tuple[Reading, ...]
    notes: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)  # reason -> rows

    @property
    def region(self) -> Region:
        return self.made.region


def history(name: str, file: Path, limits: Path | None = None) -> History:
    """The region of that name or folder, or made of a folder's tables of limits, with the readings of the file.

    ``limits``: a table of limits in place of the region's own. Raises ConfigError and InputError.
    """
    folder = Path(name)
    if limits is None and not (folder / "limits.csv").is_file():
        made = Made(config.load(name))
    elif limits is None and (folder / "region.yaml").is_file():
        made = Made(config.load(folder))
    else:
        made = _made(name, folder, limits, heard(file))
    ids = {config_limits.word(station.id): station.id for station in made.region.stations}
    read = rows.read(file, made.region, lambda station: ids.get(config_limits.word(station), station))
    refused = Counter(row.error.reason for row in read.refused)
    notes = [f"{file.name} line {row.line}: {row.error} ({row.error.fix})" for row in read.refused[:SHOWN]]
    if sum(refused.values()) > SHOWN:
        notes.append(f"{file.name}: {sum(refused.values())} rows refused: {', '.join(f'{n} {why}' for why, n in refused.most_common())}")
    if not read.readings:
        what = f"{file.name} has no reading of a gauge of {made.region.id}"
        fix = notes[0] if notes else "a CSV file with the columns station, parameter, time, value, unit"
        raise InputError(what, reason="empty", field="--readings", fix=fix)
    return History(made, read.readings, (*made.notes, *notes), dict(refused))


def _made(name: str, folder: Path, limits: Path | None, of: Heard) -> Made:
    if limits is not None:
        try:
            whole = config.load(name)
        except ConfigError:
            if (folder / "region.yaml").is_file():
                raise
            whole = None
        if whole is not None:
            return config_limits.with_limits(whole, limits)
    if limits is None and not folder.is_dir():
        raise ConfigError([Problem(name, "no region and no folder of that name", "a region, or a folder with limits.csv")])
    return config_limits.region_of(folder, limits or folder / "limits.csv", of)


def heard(file: Path) -> Heard:
    """Which parameters each station of a file reports, and how often at its beginning."""
    found, times = Heard(), dict[str, list[int]]()
    for station, parameter, time_ms in rows.outline(file):
        name = config_limits.word(station)
        known = {each.value: each for each in Parameter}.get(parameter)
        if known is not None:
            found.parameters.setdefault(name, set()).add(known)
        own = times.setdefault(name, [])
        if len(own) < FIRST and (not own or time_ms > own[-1]):
            own.append(time_ms)
    for name, own in times.items():
        steps = sorted(after - before for before, after in pairwise(own))
        if steps:
            found.step_h[name] = steps[len(steps) // 2] / 3_600_000
    return found


def listen(region: Region, readings: Iterable[Reading], progress: Progress, total: int, tick_s: int = TICK_S) -> Listener:
    """What the pipeline says of every zone while the readings come in their order, each decided upon when it came."""
    listener, done = Listener(zone.id for zone in region.zones), 0
    for closed in replay_file(region, log_with_ticks(region, readings, tick_s, at_readings=True)):
        listener.take(closed.hazards.rows())
        done += closed.readings
        progress("readings decided upon", done, total)
    return listener


def tick_of(readings: tuple[Reading, ...]) -> int:
    """Seconds between ticks where no readings are: ten minutes as in a replay, an hour in a history of many months."""
    return TICK_S if readings[-1].time_ms - readings[0].time_ms <= LONG_S * 1000 else 3600


def parts_of(region: Region, by: str) -> dict[str, set[str]]:
    """``by`` river or basin: its name -> the zones on it."""
    found: dict[str, set[str]] = {}
    for zone in region.zones:
        found.setdefault(zone.river if by == "river" else zone.basin, set()).add(zone.id)
    return found


def of_basins(region: Region, readings: tuple[Reading, ...], zones: set[str]) -> tuple[Reading, ...]:
    """The readings that can matter to these zones: those of their basins, in their order."""
    basins = {region.zone_by_id[zone].basin for zone in zones}
    return tuple(reading for reading in readings if region.station_by_id[reading.station].basin in basins)


def with_parts(region: Region, said: Listener, part: Listener, zones: set[str]) -> None:
    """Takes what another run said of ``zones`` in place of what ``said`` holds."""
    said.zones.update({zone: part.zones[zone] for zone in zones})


def exercise(region: Region) -> Region:
    """Nothing here can reach anybody, and nothing looks as if it could."""
    return replace(region, contacts=())
