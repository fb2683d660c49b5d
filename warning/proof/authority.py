"""What a person may decide about warnings, each judged before it is entered: the same for the API and for the commands.

``by`` is a person's name (of the API: its key's), ``key`` that key's id. InputError names the field and its mend; Unavailable: nothing is
entered, try again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sql

from warning.alerts import manual
from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import LONGEST_SILENCE_MS, Approval, Decision, Silence, called_off, may_leave, said_level
from warning.database import Tables
from warning.errors import InputError, Unavailable
from warning.model import CLASSES, Alert, AlertEvent, EventKind, Level, to_json
from warning.proof.decisions import Decisions, Resend, approval
from warning.region import CHANNELS, Region

_EVENT = msgspec.json.Decoder(AlertEvent)
_LEDGER = sql.MetaData()
_ALERTS = sql.Table(  # of the dispatcher's ledger, which owns and makes it; only read here
    "alerts",
    _LEDGER,
    sql.Column("identifier", sql.String),
    sql.Column("chain", sql.String),
    sql.Column("revision", sql.Integer),
    sql.Column("kind", sql.String),
    sql.Column("value", sql.LargeBinary),
)
_DELIVERIES = sql.Table("deliveries", _LEDGER, *(sql.Column(name, sql.String) for name in ("alert", "contact", "channel")))
_TOLD = tuple(kind.value for kind in EventKind if kind.told)
MOST_LOOKED_AT = 100  # revisions of a chain
TWICE_MS = 60_000  # the same wish again so soon is a finger that slipped, or a request whose answer was lost


class Authority:
    """``url``: ``Deployment.database``. ``replay``: a replay takes no alert by hand, its log is history's."""

    def __init__(self, region: Region, url: str, decisions: Decisions, *, replay: bool = False) -> None:
        self._region, self.decisions, self._replay = region, decisions, replay
        self._ledger = Tables(url, sql.MetaData(), "the ledger")

    async def close(self) -> None:
        await self._ledger.close()

    async def approve(self, identifier: str, level: Level, by: str, at_ms: int, *, granted: bool = True, key: str = "") -> Approval:
        """Releases an alert's chain up to a class, or refuses it."""
        if level not in CLASSES:
            raise InputError(f"{level.value} is no class of warning", reason="level", field="level", fix="LOW to EXCEPTIONAL")
        _named(by)
        if not self._of_region(identifier):
            fix = f"an identifier of /v1/alerts, or its chain; it begins {self._region.namespace}."
            raise InputError(f"{identifier[:100]!r} is no alert of {self._region.id}", reason="alert", field="alert", fix=fix)
        kind, subject, what = approval(identifier, level, granted)
        await self.decisions.decide(kind, by, at_ms, subject, what, key=key)
        return Approval(subject, level, by, at_ms, granted, key)

    async def silence(self, wish: Silence, *, key: str = "") -> int:
        """Keeps quiet about a zone; the silence's number."""
        _named(wish.by)
        if wish.zone not in self._region.zone_by_id:
            fix = "an id of /v1/zones"
            raise InputError(f"region {self._region.id} has no zone {wish.zone!r}", reason="zone", field="zone", fix=fix)
        if not wish.reason.strip():
            raise InputError("a silence needs its reason", reason="reason", field="reason", fix="say why; it stands in the audit")
        if not 0 < wish.until_ms - wish.from_ms <= LONGEST_SILENCE_MS:
            raise InputError("a silence ends within 24 h", reason="hours", field="hours", fix="above 0, at most 24")
        what = {
            "up_to": wish.up_to.value,
            "from_ms": wish.from_ms,
            "until_ms": wish.until_ms,
            "reason": wish.reason,
            "contact": wish.contact,
        }
        number = await self.decisions.decide("silence", wish.by, wish.from_ms, wish.zone, what, key=key)
        assert number is not None
        return number

    async def end_silence(self, number: int, by: str, at_ms: int, *, key: str = "", reason: str = "") -> Silence:
        """Ends it now."""
        _named(by)
        found = (await self.decisions.standing(at_ms)).silences.get(number)
        if found is None or found.until_ms <= at_ms:
            raise InputError(f"no silence {number} is in force", reason="silence", field="silence", fix="see `warning silence list`")
        await self.decisions.decide("silence_end", by, at_ms, str(number), {"zone": found.zone, "reason": reason}, key=key)
        return found

    async def raise_alert(
        self,
        zone: str,
        level: Level,
        reason: str,
        hours: float,
        by: str,
        at_ms: int,
        *,
        key: str = "",
        arrival_ms: int | None = None,
        observed: bool = False,
    ) -> AlertEvent:
        """An alert by hand. The dispatcher publishes it."""
        self._allowed(by)
        seen = await self.decisions.by_hand(zone)

        def made(sent_ms: int) -> AlertEvent:
            return manual.raised(self._region, zone, level, reason, sent_ms, hours, arrival_ms=arrival_ms, observed=observed)

        event = await self._named_alone(made, at_ms)
        await self._enter("raise", event, by, at_ms, key, reason, once=event.alert.identifier, seen=seen)
        return event

    async def correct(
        self,
        identifier: str,
        level: Level,
        reason: str,
        hours: float,
        by: str,
        at_ms: int,
        *,
        key: str = "",
        arrival_ms: int | None = None,
        observed: bool = False,
    ) -> AlertEvent:
        """Another class, time or ground in place of what a chain says now; an automatic one is called off up to the higher class."""
        self._allowed(by)
        before, seen = await self._changeable(identifier, at_ms)

        def made(sent_ms: int) -> AlertEvent:
            return manual.corrected(before, self._region, level, reason, sent_ms, hours, arrival_ms=arrival_ms, observed=observed)

        event = await self._named_alone(made, at_ms)
        off = max(level, said_level(before), key=lambda one: one.rank)
        once = await self._once(before, at_ms)
        await self._enter("correct", event, by, at_ms, key, reason, once=once, seen=seen, before=before, off=off)
        return event

    async def cancel(self, identifier: str, reason: str, by: str, at_ms: int, *, key: str = "") -> AlertEvent:
        """The end of an alert's chain, by hand; an automatic one is called off up to its class."""
        self._allowed(by)
        before, seen = await self._changeable(identifier, at_ms)
        event = await self._named_alone(lambda sent_ms: manual.cancelled(before, self._region, reason, sent_ms), at_ms)
        once = await self._once(before, at_ms)
        await self._enter("cancel", event, by, at_ms, key, reason, once=once, seen=seen, before=before, off=said_level(before))
        return event

    async def resend(
        self,
        identifier: str,
        reason: str,
        by: str,
        at_ms: int,
        *,
        key: str = "",
        contact: str = "",
        district: str = "",
        channel: str = "",
        undelivered: bool = False,
    ) -> Resend:
        """Has what people were told last of a chain sent again: to all, or as far as all that is named is met (``decisions.Resend``)."""
        self._allowed(by)
        if not reason.strip():
            raise InputError("to send again needs its reason", reason="reason", field="reason", fix="say why; it stands in the audit")
        alert = await self._told(identifier, at_ms)
        await self._meant(alert, contact, district, channel)
        what: dict[str, str | bool] = {"identifier": alert.identifier, "contact": contact, "district": district}
        what |= {"channel": channel, "undelivered": undelivered}
        chain = chain_of(alert.identifier)
        before = [
            act
            for act in await self.decisions.acts(kinds=("resend",), subject=chain)
            if {name: act.what.get(name) for name in what} == what
        ]
        once = hashlib.sha256(json.dumps([what, len(before)]).encode()).hexdigest()
        number = None
        if not before or at_ms - before[0].at_ms >= TWICE_MS:
            number = await self.decisions.decide("resend", by, at_ms, chain, what | {"reason": reason}, key=key, once=f"resend:{once}")
        if number is None:
            fix = "look at `warning decisions`; once more in a minute, if it is meant"
            raise InputError(f"{alert.identifier} is being sent again just so", reason="decided", field="alert", fix=fix)
        return Resend(number, alert.identifier, by, contact, district, channel, undelivered)

    async def _told(self, identifier: str, at_ms: int) -> Alert:
        """What contacts were told last of a chain, if it may be said still. What waits for a release was told to nobody."""
        mine = _ALERTS.c.chain.in_({identifier, chain_of(identifier)}) & _ALERTS.c.kind.in_(_TOLD)
        rows = await self._stored(sql.select(_ALERTS.c.value).where(mine).order_by(_ALERTS.c.revision.desc()).limit(MOST_LOOKED_AT))
        standing = await self.decisions.standing(at_ms)
        decision = Decision(standing.approvals, call_offs=standing.call_offs, asked=standing.asked)
        alerts = (_EVENT.decode(bytes(row.value)).alert for row in rows)
        alert = next((one for one in alerts if not self._waits(one, decision, at_ms)), None)
        if alert is None:
            words, fix = f"no alert {identifier[:100]!r} went out to anybody", "an identifier of /v1/alerts that needs no release"
            raise InputError(words, reason="alert", field="alert", fix=fix)
        if at_ms >= alert.expires_ms:
            fix = "`warning alert correct` says to everybody what holds now"
            raise InputError(f"what people were told by {alert.identifier} has run out", reason="over", field="alert", fix=fix)
        off = called_off(alert, self._region.alert, decision, at_ms)
        if off is not None:
            fix = f"send {off.instead[-1].identifier} again" if off.instead else "raise a new one"
            raise InputError(f"{off.by} called {off.chain} off", reason="decided", field="alert", fix=fix)
        return alert

    def _waits(self, alert: Alert, decision: Decision, at_ms: int) -> bool:
        verdict = may_leave(alert, None, self._region, decision, at_ms)
        return verdict.held or verdict.reason == "declined"

    async def _meant(self, alert: Alert, contact: str, district: str, channel: str) -> None:
        """Raises InputError where that is nobody whom this alert was for."""
        if district and district not in {each for zone in self._region.zones for each in zone.districts}:
            raise InputError(f"no zone of {self._region.id} lies in {district!r}", reason="district", field="district", fix="see zones.csv")
        if channel == "broadcast" or (channel and channel not in CHANNELS):
            fix = f"one of {', '.join(name for name in CHANNELS if name != 'broadcast')}; a cell broadcast repeats itself"
            raise InputError(f"nothing is sent again by {channel!r}", reason="channel", field="channel", fix=fix)
        d = _DELIVERIES.c
        query = sql.select(d.alert).where(d.alert == alert.identifier)
        for column, value in ((d.contact, contact), (d.channel, channel)):
            query = query.where(column == value) if value else query
        if not await self._stored(query.limit(1)):
            field, fix = "contact" if contact else "channel" if channel else "alert", "see `warning deliveries REGION list --alert ...`"
            raise InputError(f"{alert.identifier} was for nobody of these", reason="nobody", field=field, fix=fix)

    async def _stored(self, query: sql.Select[Any]) -> Sequence[sql.Row[Any]]:
        """Rows of the ledger; none where no dispatcher ever ran."""
        try:
            rows: Sequence[sql.Row[Any]] = await self._ledger.run(query)
            return rows
        except Unavailable as error:
            if "no such table" not in str(error) and "does not exist" not in str(error):
                raise
            return ()

    async def newest(self, identifier: str, at_ms: int) -> Alert:
        """The newest revision of an alert's chain (an identifier, or the chain's), from the ledger or decided a moment ago."""
        found: dict[int, bytes] = {}
        chains = {identifier, chain_of(identifier)}
        where = sql.select(_ALERTS.c.revision, _ALERTS.c.value).where(_ALERTS.c.chain.in_(chains))
        rows = await self._stored(where.order_by(_ALERTS.c.revision.desc()).limit(1))
        found |= {row.revision: bytes(row.value) for row in rows}
        for name, value in (await self.decisions.standing(at_ms)).manual.items():
            if chain_of(name) in chains:
                found.setdefault(int(name.rpartition(".")[2]), value)
        if not found:
            fix = "an identifier of /v1/alerts"
            raise InputError(f"there is no alert {identifier[:100]!r}", reason="alert", field="alert", fix=fix)
        return _EVENT.decode(found[max(found)]).alert

    async def _changeable(self, identifier: str, at_ms: int) -> tuple[Alert, frozenset[int]]:
        """The same, to be corrected or cancelled: not a chain in whose place another one speaks, or people would hear two; with what had
        been decided by hand about its zone before we looked."""
        seen = await self.decisions.by_hand((await self.newest(identifier, at_ms)).zone)
        alert = await self.newest(identifier, at_ms)
        standing = await self.decisions.standing(at_ms)
        decision = Decision(standing.approvals, call_offs=standing.call_offs)
        off = called_off(alert, self._region.alert, decision, at_ms)
        if off is not None and off.instead:
            said = off.instead[-1]
            fix = f"correct or cancel {said.identifier}" if said.active else "raise a new one"
            raise InputError(f"{off.by} has {said.identifier} stand in its place", reason="decided", field="alert", fix=fix)
        return alert, seen

    async def _named_alone(self, made: Callable[[int], AlertEvent], at_ms: int) -> AlertEvent:
        """What ``made`` makes of a sent time, under a name that nothing else has. A chain by hand is named by zone and second: where an
        automatic one is cancelled in the second in which another was raised, the later one is of the next second. Raised twice in a second
        is raised once."""
        taken, event = (await self.decisions.standing(at_ms)).manual, made(at_ms)
        while event.alert.revision == 0 and (known := taken.get(event.alert.identifier)) is not None:
            if not event.alert.references and not _EVENT.decode(known).alert.references:
                break
            at_ms += 1000
            event = made(at_ms)
        return event

    async def _once(self, before: Alert, at_ms: int) -> str:
        """Of two who decide about a revision at once the first counts; and again when what was said in its place has run out."""
        offs = (await self.decisions.standing(at_ms)).call_offs
        mine = [one.identifier for off in offs if off.chain == chain_of(before.identifier) for one in off.instead[-1:]]
        since = f" since {hashlib.sha256(mine[-1].encode()).hexdigest()[:16]}" if mine else ""
        return f"after {before.identifier}{since}"

    def _of_region(self, identifier: str) -> bool:
        return len(identifier) <= 255 and identifier.startswith(f"{self._region.namespace}.")

    def _allowed(self, by: str) -> None:
        _named(by)
        if self._replay:
            raise InputError("a replay takes no alerts by hand", reason="replay", field="region", fix="use the live deployment")

    async def _enter(
        self,
        kind: str,
        event: AlertEvent,
        by: str,
        at_ms: int,
        key: str,
        reason: str,
        *,
        once: str,
        seen: frozenset[int],
        before: Alert | None = None,
        off: Level | None = None,
    ) -> None:
        alert = event.alert
        what = {
            "identifier": alert.identifier,
            "zone": alert.zone,
            "level": alert.level.value,
            "reason": reason,
            "event": to_json(event).decode(),
        }
        subject = chain_of(alert.identifier)
        if before is not None:
            what["replaces"] = before.identifier
            if off is not None and not manual.by_hand(before):
                subject, what["calls_off"] = chain_of(before.identifier), off.value
        if await self.decisions.decide(kind, by, at_ms, subject, what, key=key, once=f"manual:{once}", seen=(alert.zone, seen)) is None:
            fix = "look at what there is now (`warning decisions`), and decide again"
            raise InputError(f"somebody else has just decided about {alert.zone}", reason="decided", field="alert", fix=fix)


def _named(by: str) -> None:
    if not by.strip() or len(by) > 200:
        raise InputError("a decision needs the name of who decided", reason="by", field="by", fix="1 to 200 characters")
