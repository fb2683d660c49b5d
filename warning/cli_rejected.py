"""``warning rejected``: readings that were not taken: what they are, why, and how they come in after all."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from warning import cli_rejected_shown as shown
from warning.cli_options import Database, Directory, Json, Kafka, Prefix, loaded, moment
from warning.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from warning.ingest.dead_letters import Selection
    from warning.ingest.mending import Edits

rejected = typer.Typer(help="Readings that were not taken: list, show, mend and send again.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="name of a region, or the path of its folder")]
Reason = Annotated[list[str] | None, typer.Option("--reason", help="rejected for this; again for more")]
Stage = Annotated[list[str] | None, typer.Option("--stage", help="rejected at ingest, inbox, decode or qc; again for more")]
SentBy = Annotated[list[str] | None, typer.Option("--sender", help="sent with this provider's key; again for more")]
Station = Annotated[list[str] | None, typer.Option("--station", help="of this station, as its sender calls it; again for more")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="this one, partition:offset; again for more")]
Since = Annotated[str | None, typer.Option("--since", help="rejected at this time or later; with its zone")]
Until = Annotated[str | None, typer.Option("--until", help="rejected before this time; with its zone")]
Set = Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE: unit=cm, datum=gauge_zero, value=null ...; again for more")]
Map = Annotated[list[str] | None, typer.Option("--map", help="FIELD=OLD:NEW: station=OLD:NEW ...; again for more")]
Rename = Annotated[list[str] | None, typer.Option("--rename", help="OLD:NEW: the sender's field OLD is our NEW")]
Drop = Annotated[list[str] | None, typer.Option("--drop", help="leave this field of the sender's away")]
Numbers = Annotated[bool, typer.Option("--numbers", help="a value in quotes is a number")]
Zone = Annotated[str | None, typer.Option("--zone", help="of times that have none: +05:00, or Z")]
Shift = Annotated[str | None, typer.Option("--shift", help="added to each time: -5h, +90s")]
Whole = Annotated[str | None, typer.Option("--item", help="the whole item as JSON, instead of what was sent (with one --id)")]
Who = Annotated[str, typer.Option("--who", help="your name; it is kept")]
Why = Annotated[str, typer.Option("--why", help="why; it is kept")]
Most = Annotated[int, typer.Option("--most", min=0, max=100_000, help="rows of the table")]


def _selection(
    ids: list[str] | None = None,
    reason: list[str] | None = None,
    stage: list[str] | None = None,
    sender: list[str] | None = None,
    station: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Selection:
    from warning.ingest.dead_letters import Selection, place_of

    several = {"reasons": reason, "stages": stage, "senders": sender, "stations": station}
    return Selection(
        names=frozenset(map(place_of, ids or ())),
        since_ms=moment("--since", since),
        until_ms=moment("--until", until),
        **{name: frozenset(values or ()) for name, values in several.items()},
    )


def _edits(
    set: list[str] | None,
    map: list[str] | None,
    rename: list[str] | None,
    drop: list[str] | None,
    numbers: bool,
    zone: str | None,
    shift: str | None,
    item: str | None,
) -> Edits:
    from warning.ingest import mending

    changes: dict[str, dict[str, str]] = {}
    for name, old, new in (mending.mapping(each) for each in map or ()):
        changes.setdefault(name, {})[old] = new
    return mending.Edits(
        item=item or "",
        rename=dict(mending.renaming(each) for each in rename or ()),
        drop=tuple(drop or ()),
        set=dict(mending.setting(each) for each in set or ()),
        map=changes,
        numbers=numbers,
        zone=mending.zone(zone) if zone else "",
        shift_s=mending.shift_s(shift) if shift else 0,
    )


def _possible(selection: Selection, edits: Edits, who: str, why: str) -> None:
    """Raises ConfigError for what would be an accident."""
    problems = []
    if not selection.narrow:
        fix = "say which: --reason, --stage, --sender, --station or --id"
        problems.append(Problem("rejected", "nothing selects the records: all of them would be sent", fix))
    if edits.item and len(selection.names) != 1:
        problems.append(Problem("--item", "is the whole of one reading", "name that one with --id"))
    if not who.strip() or not why.strip():
        problems.append(Problem("--who, --why", "are empty", "say who you are and why: it is kept"))
    if problems:
        raise ConfigError(problems)


@rejected.command("list")
def list_rejected(
    region: Name, ids: Ids = None, reason: Reason = None, stage: Stage = None, sender: SentBy = None, station: Station = None,
    since: Since = None, until: Until = None, most: Most = 20,
    kafka: Kafka = None, prefix: Prefix = None, directory: Directory = None, database: Database = None, json_file: Json = None,
) -> None:  # fmt: skip
    """Count what was not taken by stage, reason and sender; then the newest of it."""
    from warning import wiring_rejected

    chosen = _selection(ids, reason, stage, sender, station, since, until)
    _, deployment = loaded(region, "rejected", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    found = asyncio.run(wiring_rejected.listing(deployment, chosen, most))
    print(shown.listing(found))
    shown.write(json_file, shown.listing_json(found))


@rejected.command("show")
def show(
    region: Name,
    name: Annotated[str, typer.Argument(metavar="ID", help="partition:offset")],
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    json_file: Json = None,
) -> None:
    """Show one: what came, byte for byte, why it was not taken, how to mend it, and whether it was sent again."""
    from warning import wiring_rejected

    found, deployment = loaded(region, "rejected", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    letter, order = asyncio.run(wiring_rejected.one(deployment, name))
    print(shown.letter(letter, order, wiring_rejected.fix_of(found, deployment, letter)))
    shown.write(json_file, shown.letter_json(letter, order))


@rejected.command("fix")
def fix(
    region: Name, ids: Ids = None, reason: Reason = None, stage: Stage = None, sender: SentBy = None, station: Station = None,
    since: Since = None, until: Until = None,
    set: Set = None, map: Map = None, rename: Rename = None, drop: Drop = None, numbers: Numbers = False, zone: Zone = None,
    shift: Shift = None, item: Whole = None,
    keep: Annotated[bool, typer.Option("--keep", help="keep it, for `warning rejected replay --fix`")] = False,
    who: Annotated[str, typer.Option("--who", help="your name; is kept (with --keep)")] = "",
    why: Annotated[str, typer.Option("--why", help="why; is kept (with --keep)")] = "",
    most: Most = 20,
    kafka: Kafka = None, prefix: Prefix = None, directory: Directory = None, database: Database = None, json_file: Json = None,
) -> None:  # fmt: skip
    """Try edits on what was not taken, and print what would become of it. Nothing is sent. With --keep the fix gets a number."""
    from dataclasses import replace

    from warning import wiring, wiring_rejected

    chosen, edits = (
        _selection(ids, reason, stage, sender, station, since, until),
        _edits(set, map, rename, drop, numbers, zone, shift, item),
    )
    if keep or edits.item:
        _possible(chosen, edits, who if keep else "-", why if keep else "-")
    place, deployment = loaded(region, "rejected", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    if chosen.until_ms is None:  # what comes after this was not looked at
        chosen = replace(chosen, until_ms=wiring.clock_ms() + 1)
    found = asyncio.run(wiring_rejected.preview(place, deployment, chosen, edits, most))
    print(shown.judged(found, "would be"))
    shown.write(json_file, shown.judged_json(found))
    if keep:
        number = asyncio.run(wiring_rejected.keep(deployment, who, why, chosen, edits))
        print(f"kept as fix {number}: send it with `warning rejected replay {region} --fix {number} --who NAME --why WORDS`")


@rejected.command("replay")
def replay(
    region: Name, who: Who, why: Why,
    number: Annotated[int | None, typer.Option("--fix", min=1, help="a fix that was kept, with its selection and edits")] = None,
    ids: Ids = None, reason: Reason = None, stage: Stage = None, sender: SentBy = None, station: Station = None,
    since: Since = None, until: Until = None,
    set: Set = None, map: Map = None, rename: Rename = None, drop: Drop = None, numbers: Numbers = False, zone: Zone = None,
    shift: Shift = None, item: Whole = None, most: Most = 20,
    kafka: Kafka = None, prefix: Prefix = None, directory: Directory = None, database: Database = None, json_file: Json = None,
) -> None:  # fmt: skip
    """Send what was not taken through the gate once more, mended or as it was; what was sent again before is left alone."""
    from warning import wiring_rejected

    chosen, edits = (
        _selection(ids, reason, stage, sender, station, since, until),
        _edits(set, map, rename, drop, numbers, zone, shift, item),
    )
    place, deployment = loaded(region, "rejected", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    if number is not None:
        if chosen.narrow or edits.any:
            raise ConfigError([Problem("--fix", "has its own selection and edits", "leave the others away, or keep another fix")])
        chosen, edits = asyncio.run(wiring_rejected.kept(deployment, number))
    _possible(chosen, edits, who, why)
    order, found = asyncio.run(wiring_rejected.replay(place, deployment, who, why, chosen, edits, number, shown.progress))
    print(shown.judged(found, "were"))
    print(f"replay {order}, by {who}: {why}")
    shown.write(json_file, shown.judged_json(found) | {"order": order})
    if found.letters and not (found.taken or found.before):
        print("nothing was taken: see `warning rejected fix`", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED)


@rejected.command("audit")
def audit(
    region: Name, kafka: Kafka = None, prefix: Prefix = None, directory: Directory = None, database: Database = None, json_file: Json = None
) -> None:
    """Who mended and sent what again, when and why."""
    from warning import wiring_rejected

    _, deployment = loaded(region, "rejected", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    orders = asyncio.run(wiring_rejected.audit(deployment))
    print(shown.orders(orders))
    shown.write(json_file, shown.orders_json(orders))
