"""``warning deliveries``: what the ledger says of each message, and the SMS centre's own report held against it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warning.cli_groups import RegionFirst
from warning.cli_options import Database, Directory, Prefix, loaded, moment
from warning.errors import ConfigError, Problem
from warning.model import DeliveryState

if TYPE_CHECKING:
    from warning.deployment import Deployment
    from warning.dispatch.shown import Which
    from warning.region import Region

deliveries = typer.Typer(cls=RegionFirst, help="What became of each message.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="REGION", help="name of a region, or the path of its folder")]
Alert = Annotated[str, typer.Option("--alert", help="identifier")]
ContactId = Annotated[str, typer.Option("--contact", help="id of the contact")]
District = Annotated[str, typer.Option("--district", help="zones of this district")]
State = Annotated[list[DeliveryState] | None, typer.Option("--state", help="again for more")]
Channel = Annotated[str, typer.Option("--channel")]
Since = Annotated[str | None, typer.Option("--since", help="planned from then on; a time with its zone")]
Until = Annotated[str | None, typer.Option("--until", help="planned before then")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, an object a line")]


def _which(
    region: Region, alert: str, contact: str, district: str, state: list[DeliveryState] | None, channel: str, *times: str | None
) -> Which:
    from warning.dispatch.shown import Which

    zones = None
    if district:
        zones = tuple(zone.id for zone in region.zones if district in zone.districts)
        if not zones:
            known = ", ".join(sorted({each for zone in region.zones for each in zone.districts})[:20])
            raise ConfigError([Problem(f"--district {district}", f"no zone of {region.id} lies there", f"districts: {known}")])
    since, until = times
    return Which(alert, contact, zones, tuple(state or ()), channel, moment("--since", since), moment("--until", until))


def utc(ms: int | None) -> str:
    """To the millisecond; what is timed is told as it was timed."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def _line(row: dict[str, Any]) -> str:
    marks = (" doubled" if row["doubled"] else "") + (f" sent again {utc(row['resent_ms'])}" if row["resent_ms"] is not None else "")
    why = f" ({row['reason']})" if row["reason"] else ""
    way = f"{row['channel']}{'/' + row['route'] if row['route'] else ''}"
    parts = f"{row['parts_delivered']}/{row['parts']}"
    words = (str(row["id"]), utc(row["created_ms"]), row["alert"], row["contact"], way, row["state"] + why + marks, f"parts {parts}")
    return "  ".join((*words, f"attempts {row['attempts']}", f"changed {utc(row['changed_ms'])}"))


def _asked(deployment: Deployment, work: Callable[[Any], AsyncIterator[str]]) -> None:
    """Prints what the work yields, line by line."""
    from warning import wiring_ledger

    async def run() -> None:
        async with wiring_ledger.reading(deployment) as connection:
            async for text in work(connection):
                typer.echo(text)

    asyncio.run(run())


@deliveries.command("list")
def list_deliveries(
    name: Name,
    alert: Alert = "",
    contact: ContactId = "",
    district: District = "",
    state: State = None,
    channel: Channel = "",
    since: Since = None,
    until: Until = None,
    most: Annotated[int | None, typer.Option("--most", min=1, help="so many at most")] = None,
    as_json: AsJson = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """List deliveries in the order in which they were planned."""
    from warning.dispatch import shown

    region, deployment = loaded(name, "dispatch", prefix=prefix, directory=directory, database_url=database)
    which = _which(region, alert, contact, district, state, channel, since, until)

    async def work(connection: Any) -> AsyncIterator[str]:
        async for row in shown.listed(connection, which, most):
            yield json.dumps(row, ensure_ascii=False) if as_json else _line(row)

    _asked(deployment, work)


@deliveries.command("unreached")
def unreached(
    name: Name,
    alert: Alert = "",
    as_json: AsJson = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """List who has not been reached: no receipt and no answer; of one alert, or of all that hold now."""
    from warning.wiring_unreached import unreached as found

    _, deployment = loaded(name, "dispatch", prefix=prefix, directory=directory, database_url=database)

    async def run() -> None:
        number = 0
        async for one in found(deployment, alert):
            number += 1
            tried = "; ".join(
                f"{t.channel} {t.state}{t.reason and ' ' + t.reason}{t.step and f' -> {t.step} {t.to}'}".rstrip() for t in one.tried
            )
            typer.echo(json.dumps(asdict(one)) if as_json else f"{one.alert}  {one.contact}  since {utc(one.since_ms)}  {tried}")
        if not as_json:
            typer.echo(f"{number} not reached")

    asyncio.run(run())


@deliveries.command("counts")
def counts(
    name: Name,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="state, channel, route, language, level, zone, alert ...; again for more")
    ] = None,
    alert: Alert = "",
    contact: ContactId = "",
    district: District = "",
    state: State = None,
    channel: Channel = "",
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Count deliveries, by channel and state unless something else is named."""
    from warning.dispatch import shown

    if unknown := sorted(set(by or ()) - set(shown.COUNTED_BY)):
        raise ConfigError([Problem(f"--by {each}", "is nothing to count by", ", ".join(shown.COUNTED_BY)) for each in unknown])
    region, deployment = loaded(name, "dispatch", prefix=prefix, directory=directory, database_url=database)
    which, columns = _which(region, alert, contact, district, state, channel, since, until), by or ["channel", "state"]

    async def work(connection: Any) -> AsyncIterator[str]:
        for row in await shown.counted(connection, which, columns):
            words = "  ".join(str(row[column]) or "-" for column in columns)
            yield json.dumps(row, ensure_ascii=False) if as_json else f"{row['deliveries']:>9}  {words}"

    _asked(deployment, work)


@deliveries.command("show")
def show(
    name: Name,
    which: Annotated[str, typer.Argument(metavar="NUMBER", help="of the delivery, or the message's id at a gateway")],
    as_json: AsJson = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Show one delivery: every attempt, every part, every change of state with its time."""
    from warning.dispatch import shown

    _, deployment = loaded(name, "dispatch", prefix=prefix, directory=directory, database_url=database)

    async def work(connection: Any) -> AsyncIterator[str]:
        numbers = await shown.of_message(connection, which) or ([int(which)] if which.isdigit() else [])
        rows = [row for number in numbers if (row := await shown.shown(connection, number)) is not None]
        if not rows:
            raise ConfigError([Problem(which, "the ledger has no such delivery or message", "warning deliveries REGION list names them")])
        for row in rows:
            for text in [json.dumps(row, ensure_ascii=False)] if as_json else told(row):
                yield text

    _asked(deployment, work)


def told(row: dict[str, Any]) -> list[str]:
    """One delivery with its history, as text."""
    lines = [_line(row)]
    for each in row["transitions"]:
        what = f"part {each['part']}" if each["part"] else "message"
        why = f" ({each['why']})" if each["why"] else ""
        route = f" by {each['route']}" if each["route"] else ""
        lines.append(
            f"    {utc(each['at_ms'])}  {what:<8} {each['was'] or 'new':>9} > {each['became']}{why}, attempt {each['attempt']}{route}"
        )
    ids = [f"{each['number']}: {each['message_id']} {each['state']}" for each in row["messages"] if each["message_id"]]
    return [*lines, *(f"    message id of part {each}" for each in ids)]


@deliveries.command("reconcile")
def reconcile(
    name: Name,
    report: Annotated[Path, typer.Argument(help="the SMS centre's report, CSV with a head", exists=True, dir_okay=False)],
    column: Annotated[
        list[str] | None, typer.Option("--column", help="message_id=NAME or state=NAME, where the report calls them otherwise")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="WORD=delivered, failed or pending, where it has words of its own")
    ] = None,
    route: Annotated[str, typer.Option("--route", help="of routes.yaml, whose centre wrote the report; its ids are told apart by it")] = "",
    dry: Annotated[bool, typer.Option("--dry-run", help="list what differs, change nothing")] = False,
    as_json: AsJson = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Hold the SMS centre's report against the ledger: what differs is listed, and corrected by a receipt of origin reconciliation."""
    from warning import wiring_ledger

    region, deployment = loaded(name, "dispatch", prefix=prefix, directory=directory, database_url=database)
    columns, states = _pairs("--column", column, ("message_id", "state")), _pairs("--state", state)
    if wrong := sorted(set(states.values()) - {"delivered", "failed", "pending"}):
        raise ConfigError([Problem("--state", f"{wrong[0]!r} is no state", "WORD=delivered, WORD=failed or WORD=pending")])
    found = asyncio.run(wiring_ledger.reconciled(region, deployment, report, columns, states, route=route, write=not dry))
    if as_json:
        typer.echo(json.dumps({"counts": dict(found.counts), "differences": [asdict(each) for each in found.differences]}))
        return
    for each in found.differences:
        where = f"delivery {each.delivery} part {each.part}: {each.ours} here" if each.delivery else "not in the ledger"
        typer.echo(f"{report}:{each.line}  {each.message_id}  {where}, {each.theirs} there")
    names = ("lines", "same", "pending", "corrected", "unknown")
    typer.echo(", ".join(f"{found.counts[word]} {word}" for word in names) + ("; nothing was changed" if dry else ""))


def _pairs(option: str, given: list[str] | None, known: tuple[str, ...] = ()) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        word, equals, value = text.partition("=")
        if not equals or not value or (known and word not in known):
            raise ConfigError([Problem(f"{option} {text}", "is not WORD=VALUE", f"WORD is one of {', '.join(known)}" if known else "")])
        pairs[word] = value
    return pairs


@deliveries.command("reports")
def reports(
    name: Name,
    most: Annotated[int, typer.Option("--most", min=1, help="so many at most, the newest first")] = 20,
    as_json: AsJson = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """The SMS centres' reports that the dispatcher took by itself (`reports:` in routes.yaml), and what differed."""
    from warning import wiring_ledger

    _, deployment = loaded(name, "dispatch", prefix=prefix, directory=directory, database_url=database)
    for row in asyncio.run(wiring_ledger.reports(deployment, most)):
        if as_json:
            typer.echo(json.dumps(row))
            continue
        counts = ", ".join(f"{count} {word}" for word, count in row["counts"].items())
        typer.echo(f"{utc(row['at_ms'])}  {row['route'] or '-'}  {row['name'].partition('?')[0]}  {row['state']}  {counts}")
        for each in row["differences"]:
            where = f"delivery {each['delivery']} part {each['part']}: {each['ours']} here" if each["delivery"] else "not in the ledger"
            typer.echo(f"    line {each['line']}  {each['message_id']}  {where}, {each['theirs']} there")
