"""A CSV file of contacts -> the directory, with a report that has a word on every row. Columns: those of ``contacts.csv``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from warning.config_contacts import Known, check_contact, contact_of
from warning.config_readers import e164, of_two_countries
from warning.config_schema import ContactRow
from warning.config_table import NOT_CSV, Row, read_table
from warning.errors import ConfigError, InputError, Problem
from warning.people import imports
from warning.people.directory import Directory
from warning.people.enrolment import ORIGIN
from warning.region import Contact, Region

_AT = re.compile(r":(\d+)(?: \(([^()]+)\))?$")  # line, column
FEW_GONE = 10  # may always leave with a whole file ...
PART_GONE = 0.1  # ... and so many of its origin; more looks like half a file


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong in one row, and the fix. ``fatal`` False: it was taken all the same."""

    line: int
    field: str
    what: str
    fix: str
    fatal: bool


@dataclass
class Read:
    """A file's good rows, and what is wrong with the others."""

    contacts: dict[str, Contact] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # of every row that says its id, also a refused one
    complaints: list[Complaint] = field(default_factory=list)

    @property
    def refused(self) -> set[int]:
        """Lines."""
        return {one.line for one in self.complaints if one.fatal}


def read_contacts(path: Path, region: Region) -> Read:
    """Judged as ``contacts.csv`` is, row by row. Raises ConfigError where the file cannot be read at all."""
    problems: list[Problem] = []
    table = read_table(path, ContactRow, problems)
    if not table.ids:
        raise ConfigError(problems[:20] or [Problem(str(path), "holds no contact", "columns are those of contacts.csv: config/README.md")])
    if cut := [problem for problem in problems if problem.what.startswith(NOT_CSV)]:  # one quote too many may have hidden 10,000 rows
        raise ConfigError(cut)
    read, known = Read(lines=dict(table.ids)), Known.of(region)
    read.complaints = [_complaint(problem) for problem in problems]
    for given in table.rows:
        row = _called(given, region.country)
        found = [_complaint(problem) for problem in check_contact(row, known)]
        if row.data.id in read.contacts:
            first = table.ids[row.data.id]
            found.append(Complaint(row.line, "id", f"{row.data.id!r} stands in line {first} already", "remove one", True))
        elif not any(one.fatal for one in found):
            read.contacts[row.data.id] = contact_of(row.data)
            read.lines[row.data.id] = row.line  # a refused row of that id may stand above
        read.complaints += found
    read.complaints.sort(key=lambda one: one.line)
    return read


def _called(row: Row[ContactRow], country: str) -> Row[ContactRow]:
    """With its number as E.164, however a clerk or a spreadsheet wrote it. What may be two people's stays as it is, and is refused."""
    typed = row.data.phone
    phone = e164(typed, country) if typed and not of_two_countries(typed, country) else typed
    return row if phone == row.data.phone else msgspec.structs.replace(row, data=msgspec.structs.replace(row.data, phone=phone))  # type: ignore[type-var]


def _complaint(problem: Problem) -> Complaint:
    at = _AT.search(problem.where)
    return Complaint(int(at[1]) if at else 0, (at[2] or "") if at else "", problem.what, problem.fix, problem.fatal)


async def take(
    directory: Directory,
    read: Read,
    origin: str,
    at_ms: int,
    *,
    by: str,
    whole: bool = False,
    gone_up_to: int | None = None,
    dry_run: bool = False,
) -> dict[str, object]:
    """Enters the good rows in one transaction; the report. Raises InputError, Unavailable; then nothing has changed.

    ``whole``: contacts of this origin that the file has no more leave. Then every row must be good, and no more may leave than
    ``gone_up_to`` (None: ten, or a tenth of them), for a file that was cut off looks the same.
    """
    if origin == imports.CONFIG:
        fix = "edit contacts.csv: the dispatcher takes it in when it starts"
        raise InputError("config is the region's own contacts.csv", reason="origin", field="origin", fix=fix)
    if origin == ORIGIN:
        raise InputError("sms are those who joined by SMS", reason="origin", field="origin", fix="--origin with another name")
    contacts = list(read.contacts.values())
    if whole and read.refused:
        words = f"{len(read.refused)} rows are refused: who of them stays cannot be told"
        raise InputError(words, reason="refused", field="--remove", fix="mend them, or import without --remove")
    if whole:
        plan = await imports.merge(directory, contacts, origin, at_ms, by=by, whole=True, dry_run=True)
        most = max(FEW_GONE, int(PART_GONE * (len(plan.gone) + len(contacts)))) if gone_up_to is None else gone_up_to
        if len(plan.gone) > most:
            words = f"{len(plan.gone)} contacts of {origin} are not in the file and would leave, {most} may"
            raise InputError(
                words, reason="many_gone", field="--remove", fix=f"check the file; if it is right: --gone-up-to {len(plan.gone)}"
            )
    merged = await imports.merge(directory, contacts, origin, at_ms, by=by, whole=whole, dry_run=dry_run)
    return _report(read, merged, origin, at_ms, by=by, dry_run=dry_run)


def _report(read: Read, merged: imports.Merged, origin: str, at_ms: int, *, by: str, dry_run: bool) -> dict[str, object]:
    """``rows``: a word on each row, in the file's order."""
    outcomes: dict[str, str] = {}
    for name in ("accepted", "changed", "same"):
        outcomes |= dict.fromkeys(getattr(merged, name), name)
    wrong: dict[int, list[Complaint]] = {}
    for one in read.complaints:
        wrong.setdefault(one.line, []).append(one)
    foreign = [
        Complaint(read.lines[id], "id", f"{id!r} belongs to {whose}", "give it another id, or remove the other", True)
        for id, whose in merged.foreign.items()
    ]
    for one in foreign:
        wrong.setdefault(one.line, []).append(one)
    refused = read.refused | {one.line for one in foreign}
    shared = {id: [other for other in ids if other != id] for ids in merged.phones.values() for id in ids}
    named = {line: id for id, line in read.lines.items()}
    stopped = set(merged.stopped)
    rows = [
        _row(line, named.get(line, ""), "refused" if line in refused else outcomes[named[line]], wrong.get(line, ()), shared, stopped)
        for line in sorted(named.keys() | refused)
    ]
    counts = merged.counts() | {"refused": len(refused), "same_phone": len(merged.phones)}
    del counts["foreign"]
    missing = [] if merged.gone else [id for id in merged.missing if id not in read.lines]  # what stands in a refused row is not missing
    about = {"origin": origin, "at_ms": at_ms, "by": by, "dry_run": dry_run}
    return about | {"counts": counts, "gone": merged.gone, "missing": missing, "rows": rows}


def _row(
    line: int, id: str, outcome: str, wrong: tuple[Complaint, ...] | list[Complaint], shared: Mapping[str, list[str]], stopped: set[str]
) -> dict[str, object]:
    row: dict[str, object] = {"line": line, "id": id, "outcome": outcome}
    if wrong:
        row["problems"] = [{"field": one.field, "what": one.what, "fix": one.fix, "fatal": one.fatal} for one in wrong]
    if id in shared and outcome != "refused":
        row["same_phone_as"] = shared[id]
    if id in stopped and outcome != "refused":
        row["stopped"] = True
    return row
