"""``warning hindcast``: a history through the real pipeline in the order of its events, and what it said judged by what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from warning import config, config_limits
from warning.config_digest import digest
from warning.config_limits import Heard, Made
from warning.errors import ConfigError, InputError, Problem
from warning.ingest import rows
from warning.model import Level, Parameter, Reading
from warning.region import Region
from warning.rehearsal import summary
from warning.stream.replay import log_with_ticks, replay_file
from warning.verification import official, pooling
from warning.verification.assessment import Assessment, assess
from warning.verification.observed import tracks
from warning.verification.said import Listener
from warning.verification.tables import document as document_of
from warning.verification.tables import tables

Progress = Callable[[str, int, int], None]
TICK_S = 600
LONG_S = 100 * 86_400  # of a longer history the ticks between readings are an hour apart
FIRST = 10  # readings of a station by which its usual step is known; of its beginning only: the future must not matter
FOLDS = 5  # of --leave-one-out: models that are trained
SHOWN = 5  # of the rows that were refused, of the gauges that are named
SELDOM = 0.25  # of a gauge's readings that come after it was taken for silent: its region does not know how often it is read


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
            found.step_h[name] = max(1, round(steps[len(steps) // 2] / 900_000)) / 4
    return found


def listen(region: Region, readings: Iterable[Reading], progress: Progress, total: int, tick_s: int = TICK_S) -> Listener:
    """What the pipeline says of every zone while the readings come in their order, each decided upon when it came."""
    listener, done = Listener(zone.id for zone in region.zones), 0
    for closed in replay_file(region, log_with_ticks(region, readings, tick_s, at_readings=True)):
        listener.take(closed.hazards.rows())
        listener.raised.update(closed.outputs.out_of_service)
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


def beside(region: Region, readings: tuple[Reading, ...], zones: set[str]) -> tuple[Reading, ...]:
    """The readings that can matter to these zones: those of their partitions, in their order. A forecast looks at the gauges around."""
    partitions = {region.basins[region.zone_by_id[zone].basin] for zone in zones}
    return tuple(reading for reading in readings if region.basins[region.station_by_id[reading.station].basin] in partitions)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a hindcast is asked for. ``within_s``: so long before an event an alert counts for it. ``silent``: stations whose readings
    nobody hears; what was said of them, from what was read around them alone, is judged by these readings all the same."""

    region: str
    readings: Path
    limits: Path | None = None
    model: Path | None = None
    leave_one_out: str | None = None  # river | basin
    official: Path | None = None
    within_s: int = 24 * 3600
    pool: tuple[Path, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A hindcast that ran."""

    assessment: Assessment
    warnings: tuple[official.Official, ...]
    compared: dict[Level, official.Comparison]
    tables: list[summary.Table]
    document: dict[str, Any]
    notes: tuple[str, ...]
    sound: bool  # False: a computation of ours raised on the way


def hindcast(asked: Asked, progress: Progress) -> Done:
    """Reads, runs the pipeline, judges. Raises ConfigError and InputError for what is wrong with the files."""
    found = _modelled(asked, history(asked.region, asked.readings, asked.limits))
    region = found.region
    warnings = official.read(asked.official, region) if asked.official else ()
    pooled = [pooling.read(path) for path in asked.pool]
    listener = _said(asked, replace(found, readings=_heard_by_us(asked, found)), progress)
    judged = assess(region, tracks(region, found.readings), listener.zones, found.made.equal, asked.within_s)
    compared = {each.level: official.compare(each, warnings, asked.within_s) for each in judged.classes} if warnings else {}
    about = {"readings": len(found.readings), "refused": found.refused, "files": asked.readings.name}
    about |= {"from_ms": found.readings[0].time_ms, "to_ms": found.readings[-1].time_ms, "leave_one_out": asked.leave_one_out}
    about |= {"silent": list(asked.silent)}
    shown, document = tables(judged, compared), document_of(judged, compared, about)
    if pooled:
        together = pooling.together(judged, pooled)
        shown.append(pooling.table(together))
        document["figures"] |= pooling.figures(together)
    drawn = [summary.Table(each.title, each.columns, each.rows) for each in shown]
    document["raised"] = len(listener.raised)
    notes = (*found.notes, *_seldom(found), *_seen(asked, region), *_raised(listener))
    return Done(judged, warnings, compared, drawn, document, notes, not listener.raised)


def _heard_by_us(asked: Asked, found: History) -> tuple[Reading, ...]:
    """The readings that the pipeline gets: all but those of silent stations."""
    ids = {config_limits.word(station.id): station.id for station in found.region.stations}
    silent = {ids.get(config_limits.word(name), "") for name in asked.silent}
    if "" in silent:
        unknown = next(name for name in asked.silent if config_limits.word(name) not in ids)
        fix = f"a station's id, as {', '.join(sorted(ids.values())[:SHOWN])}"
        raise ConfigError([Problem(f"--silent {unknown}", f"no station of {found.region.id}", fix)])
    left = tuple(reading for reading in found.readings if reading.station not in silent)
    if not left:
        raise ConfigError([Problem("--silent", "with these silent nothing is left to decide upon", "leave a station that speaks")])
    return left


def _seldom(found: History) -> tuple[str, ...]:
    """Gauges that are read more seldom than their region takes for silence: no reading of theirs confirms the one before."""
    stations, newest = {zone.station for zone in found.region.zones}, dict[tuple[str, str], int]()
    steps, late = Counter[str](), Counter[str]()
    for reading in found.readings:
        if reading.station in stations:
            before_ms = newest.get((reading.station, reading.parameter.value), reading.time_ms)
            newest[reading.station, reading.parameter.value] = reading.time_ms
            steps[reading.station] += reading.time_ms > before_ms
            late[reading.station] += reading.time_ms - before_ms > 1000 * found.region.station_by_id[reading.station].silent_after_s
    seldom = sorted(station for station, number in late.items() if number > SELDOM * steps[station])
    if not seldom:
        return ()
    each = ", ".join(f"{station} ({late[station]} of {steps[station]} times)" for station in seldom[:SHOWN])
    more = f" and {len(seldom) - SHOWN} more" if len(seldom) > SHOWN else ""
    lost = "such a reading confirms none, and above the lowest limit nothing is forecast from it"
    return (f"read later than silent_after_h says: {each}{more}; {lost}: make silent_after_h three of their usual intervals",)


def _seen(asked: Asked, region: Region) -> tuple[str, ...]:
    """That the model of this version was made from floods of these very gauges, where it was."""
    if asked.leave_one_out is not None or asked.model is not None or not region.forecast.model:
        return ()
    root = config.find("sri-lanka").parent
    tables = [path for path in (root / "sri-lanka" / "stations.csv", *root.glob("training/*/gauges.csv")) if path.is_file()]
    known = {line.split(",", 1)[0] for path in tables for line in path.read_text(encoding="utf-8").splitlines()}
    seen = sorted(known & set(region.station_by_id))
    if not seen:
        return ()
    return (f"the built-in model was trained on floods of {len(seen)} of these gauges: judge it with --leave-one-out river",)


def _raised(listener: Listener) -> tuple[str, ...]:
    """What our own code could not compute: a hindcast with such readings is not to be trusted."""
    if not listener.raised:
        return ()
    (station, parameter), why = next(iter(listener.raised.items()))
    where = f"{station} {parameter}" if station else "more than one series at once"
    return (f"a computation raised on {len(listener.raised)} series, first on {where}: {why}; these figures are not to be trusted",)


def _said(asked: Asked, found: History, progress: Progress) -> Listener:
    region, readings = found.region, found.readings
    tick_s = tick_of(readings)
    if asked.leave_one_out is None:
        return listen(region, readings, progress, len(readings), tick_s)
    said = Listener(zone.id for zone in region.zones)
    trained = models_without(region, asked.leave_one_out, partial(progress, "models trained"))
    parts = [(with_model(region, text), zones, beside(region, readings, zones)) for zones, text in trained]
    for number, (other, zones, mine) in enumerate(parts):
        heard_of = listen(other, mine, partial(_part, progress, f"part {number + 1} of {len(parts)}"), len(mine), tick_s)
        said.zones.update({zone: heard_of.zones[zone] for zone in zones})
        said.raised.update(heard_of.raised)
    return said


def _part(progress: Progress, name: str, what: str, done: int, total: int) -> None:
    progress(f"{name}: {what}", done, total)


def models_without(region: Region, by: str, told: Callable[[int, int], None]) -> Iterator[tuple[set[str], str]]:
    """(zones, text of a model that saw no flood of their rivers) until all zones are there.

    ``by`` river or basin. There are ``FOLDS`` models at most: each leaves out every river (basin) of its fold, so at least the one under
    test. Trained from the floods of the repository (see ``warning.training``), which is minutes of work.
    """
    from warning.training import train

    parts = sorted(parts_of(region, by).items())
    folds = [parts[first::FOLDS] for first in range(min(FOLDS, len(parts)))]
    floods = train.every(config.find("sri-lanka").parent, lambda words: None)
    for number, fold in enumerate(folds):
        told(number, len(folds))
        zones = {zone for _, own in fold for zone in own}
        stations = {region.zone_by_id[zone].station for zone in zones}
        yield zones, train.train(floods, tuple(sorted({*stations, *(name for name, _ in fold)})))
    told(len(folds), len(folds))


def with_model(region: Region, text: str) -> Region:
    """The region with another trained model. Raises InputError or ConfigError, as the model's reader does, for what is none."""
    changed = replace(region, forecast=replace(region.forecast, model=text))
    return replace(changed, digest=digest(changed))


def _modelled(asked: Asked, found: History) -> History:
    if asked.model is None:
        return found
    if asked.leave_one_out is not None:
        raise ConfigError([Problem("--model", "--leave-one-out trains its own models", "leave one of them out")])
    try:
        text = asked.model.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise ConfigError([Problem(f"--model {asked.model}", f"cannot be read: {error}", "a file that warning train wrote")]) from error
    return replace(found, made=replace(found.made, region=with_model(found.region, text)))


def report(done: Done, folder: Path) -> list[Path]:
    """Figures and the page; returns what was written. Raises ConfigError without matplotlib, or if the folder cannot be written."""
    try:
        from warning.verification import page
    except ImportError as error:
        fix = "pip install 'flood-warning[plots]'"
        raise ConfigError([Problem("--out", f"figures need matplotlib, which is not installed ({error})", fix)]) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return page.write(folder, done.assessment, done.warnings, done.tables)
    except OSError as error:
        raise ConfigError([Problem(f"--out {folder}", f"cannot be written: {error.strerror}", "name a folder that can be made")]) from error
