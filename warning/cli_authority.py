"""What people decide about warnings: release, silence, raise, correct, cancel, send again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from warning.cli_options import Database, Directory, Prefix, RegionName, deployment_of, moment
from warning.model import Alert, Level
from warning.region import Region

alert = typer.Typer(help="Alerts that a person raises, corrects, cancels or sends again.", no_args_is_help=True, rich_markup_mode=None)
silences = typer.Typer(help="Silences in force, and their end.", no_args_is_help=True, rich_markup_mode=None)

By = Annotated[str, typer.Option("--by", help="your name: it stands in the audit")]
Reason = Annotated[str, typer.Option("--reason", help="why; people read it in the warning")]
Class = Annotated[Level, typer.Option("--level", case_sensitive=False)]
Hours = Annotated[float, typer.Option("--expires-h", min=0.1, max=22.5, help="it ends by itself after so many hours")]
Arrival = Annotated[str | None, typer.Option("--arrival", help="when the water is expected, a time with its zone")]
Observed = Annotated[bool, typer.Option("--observed", help="it was seen; else it is expected")]
Identifier = Annotated[str, typer.Argument(help="identifier of an alert; what its chain says now counts")]


def at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _decide(region_name: str, work: Callable[[Any, Region, int], Awaitable[Any]], **given: Any) -> Any:
    """``work`` gets the authority, the region and the time."""
    from warning import config
    from warning.proof.authority import Authority
    from warning.proof.decisions import Decisions
    from warning.wiring import clock_ms

    region = config.load(region_name)
    deployment = deployment_of(region, **given)

    async def run() -> Any:
        decisions = Decisions(deployment.database)
        replay = deployment.replay or deployment.prefix.startswith("replay-")
        authority = Authority(region, deployment.database, decisions, replay=replay)
        try:
            return await work(authority, region, clock_ms())
        finally:
            await authority.close()
            await decisions.close()

    return asyncio.run(run())


def given_of(prefix: str | None, directory: Any, database: str | None) -> dict[str, Any]:
    return {"prefix": prefix, "directory": directory, "database_url": database}


def approve(
    region: RegionName,
    alert: Annotated[str, typer.Argument(help="identifier of an alert; the answer is for its chain")],
    level: Annotated[Level, typer.Option("--level", case_sensitive=False, help="up to this class; a higher one is asked again")],
    by: By,
    refuse: Annotated[bool, typer.Option("--refuse", help="it must not go out")] = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Release a warning that waits for a person, or refuse it. The dispatcher acts within a second."""

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.approve(alert, level, by, now_ms, granted=not refuse)

    answer = _decide(region, work, **given_of(prefix, directory, database))
    print(f"{answer.chain} up to {level.value}: {'refused' if refuse else 'released'} by {by}")


def silence(
    region: RegionName,
    zone: Annotated[str, typer.Argument(help="the zone's id")],
    level: Annotated[Level, typer.Option("--level", case_sensitive=False, help="up to this class; a higher one goes out")],
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=24.0)],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="why; stands in the audit")],
    contact: Annotated[str, typer.Option("--contact", help="for this contact only")] = "",
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Keep quiet about a zone for some hours, up to a class. ``warning silences end`` ends it early."""
    from warning.alerts.rules import Silence

    async def work(authority: Any, found: Region, now_ms: int) -> tuple[int, int]:
        await _there(contact, found, given)
        wish = Silence(zone, level, now_ms, now_ms + int(hours * 3_600_000), by, reason, contact)
        return await authority.silence(wish), wish.until_ms

    given = given_of(prefix, directory, database)
    number, until_ms = _decide(region, work, **given)
    print(f"{zone} up to {level.value} is silent until {at(until_ms)} (silence {number})")


async def _there(contact: str, region: Region, given: dict[str, Any]) -> None:
    """Raises InputError unless there is such a contact."""
    from warning.errors import InputError
    from warning.people.directory import Directory as Contacts
    from warning.people.tables import address

    if not contact or contact in {one.id for one in region.contacts}:
        return
    contacts = Contacts(address(deployment_of(region, **given)), region)
    try:
        if await contacts.contact(contact) is None:
            raise InputError(f"there is no contact {contact!r}", reason="contact", field="contact", fix="see `warning contacts list`")
    finally:
        await contacts.close()


@silences.command("list")
def list_silences(region: RegionName, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """Those in force, with their numbers."""

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return [(number, one) for number, one in (await authority.decisions.standing(now_ms)).silences.items() if one.until_ms > now_ms]

    for number, one in _decide(region, work, **given_of(prefix, directory, database)):
        whom = f"  for {one.contact}" if one.contact else ""
        print(f"{number}  {one.zone}  up to {one.up_to.value}  until {at(one.until_ms)}{whom}  {one.by}: {one.reason}")


@silences.command("end")
def end_silence(
    region: RegionName,
    number: Annotated[int, typer.Argument(help="its number in `warning silences list`")],
    by: By,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """End a silence now."""

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.end_silence(number, by, now_ms)

    ended = _decide(region, work, **given_of(prefix, directory, database))
    print(f"{ended.zone} is silent no more")


@alert.command("raise")
def raise_alert(
    region: RegionName,
    zone: Annotated[str, typer.Option("--zone", help="the zone's id")],
    level: Class,
    reason: Reason,
    expires_h: Hours,
    by: By,
    arrival: Arrival = None,
    observed: Observed = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Raise an alert by hand; the dispatcher publishes and sends it within seconds."""
    arrival_ms = moment("--arrival", arrival)

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.raise_alert(zone, level, reason, expires_h, by, now_ms, arrival_ms=arrival_ms, observed=observed)

    print(_decide(region, work, **given_of(prefix, directory, database)).alert.identifier)


@alert.command("correct")
def correct(
    region: RegionName,
    identifier: Identifier,
    level: Class,
    reason: Reason,
    expires_h: Hours,
    by: By,
    arrival: Arrival = None,
    observed: Observed = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Say otherwise than an alert does: another class, time or ground. Its automatic chain is silent until it rises above, or this ends."""
    arrival_ms = moment("--arrival", arrival)

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.correct(identifier, level, reason, expires_h, by, now_ms, arrival_ms=arrival_ms, observed=observed)

    _said(_decide(region, work, **given_of(prefix, directory, database)).alert)


def _said(made: Alert) -> None:
    """Its identifier, and until when it keeps an automatic chain quiet: on the error channel, for programs read the first."""
    from warning.alerts.cap import replaces_automatic

    print(made.identifier)
    if replaces_automatic(made.zone, made.references):
        words = f"the automatic warning of {made.zone} is silent until {at(made.expires_ms)}"
        print(f"{words}; if it still holds then it is told again, and at once if it rises", file=sys.stderr)


@alert.command("cancel")
def cancel(
    region: RegionName,
    identifier: Identifier,
    reason: Reason,
    by: By,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """End an alert by hand. An automatic chain is called off for `alert.call_off_for`, or until it rises above its class."""

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.cancel(identifier, reason, by, now_ms)

    _said(_decide(region, work, **given_of(prefix, directory, database)).alert)


@alert.command("resend")
def resend(
    region: RegionName,
    identifier: Annotated[str, typer.Argument(help="identifier of an alert; what people were told last of its chain goes again")],
    by: Annotated[str, typer.Option("--by", "--who", help="your name: it stands in the audit")],
    reason: Annotated[str, typer.Option("--reason", "--why", help="why; stands in the audit")],
    contact: Annotated[str, typer.Option("--contact", help="to this contact only")] = "",
    district: Annotated[str, typer.Option("--district", help="to contacts of this district only")] = "",
    channel: Annotated[str, typer.Option("--channel", help="by this channel only")] = "",
    undelivered: Annotated[bool, typer.Option("--undelivered", help="to whom no receipt and no answer came from only")] = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Send an alert again, marked so: what has an end, once more by the channel that it went; what is on its way is left alone."""
    wanted: dict[str, Any] = {"contact": contact, "district": district, "channel": channel, "undelivered": undelivered}

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.resend(identifier, reason, by, now_ms, **wanted)

    wish = _decide(region, work, **given_of(prefix, directory, database))
    print(f"{wish.alert} goes again (decision {wish.id}); see `warning deliveries {region} list --alert {wish.alert}`")


def decisions(
    region: RegionName,
    subject: Annotated[str | None, typer.Option("--subject", help="of this chain, zone or alert only")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="a JSON object a line")] = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """List what people and rules decided, the newest first."""

    async def work(authority: Any, _: Region, now_ms: int) -> Any:
        return await authority.decisions.acts(subject=subject, most=limit)

    for act in _decide(region, work, **given_of(prefix, directory, database)):
        what = {name: value for name, value in act.what.items() if name not in ("event", "once")}
        if as_json:
            row = {"id": act.id, "kind": act.kind, "by": act.by, "key": act.key, "at": at(act.at_ms), "subject": act.subject, "what": what}
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(f"{at(act.at_ms)}  {act.kind}  {act.subject}  {act.by}  {', '.join(f'{name} {value}' for name, value in what.items())}")
