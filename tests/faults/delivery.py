"""Did every message arrive? What phones and webhooks really got, held against what was due, and doubles against what receipts admit."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warning.alerts import message
from warning.deployment import Deployment
from warning.dispatch.sms import Text, text_of
from warning.model import AlertEvent, DeliveryState, Receipt
from warning.proof.codes import code_of, secrets_of
from warning.region import Contact, Region
from warning.rehearsal.reckoning import SETTLED, due_of

Key = tuple[str, str, str]  # alert, contact, channel
NOT_SENT = (DeliveryState.REFUSED, DeliveryState.OVERTAKEN)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """``due``: deliveries that had to arrive. ``again``: copies that arrived twice and are marked as in flight at a kill."""

    due: int
    lost: list[str]
    doubled: list[str]
    again: int
    overtaken: int


def deliveries(region: Region, events: Iterable[AlertEvent], receipts: Iterable[Receipt], phones: Path, hooks: Path) -> Deliveries:
    events = {event.alert.identifier: event for event in events}
    contacts = {contact.id: contact for contact in region.contacts}
    last, attempts, marked = _closings(receipts)
    wanted = {key for event in events.values() for key in due_of(region, event)} | set(last)
    silent = sorted(key for key in wanted if key not in last)
    must = [key for key in wanted if last.get(key) not in NOT_SENT]
    lost = [f"{key}: due and never tried" for key in silent]
    lost += [f"{key}: {last[key].value}" for key in must if key in last and last[key] is DeliveryState.FAILED]
    got = _arrived(phones, hooks)
    need, admitted = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    whose: dict[tuple[str, ...], Key] = {}
    for key in must:
        for copy in _copies(region, events[key[0]], contacts[key[1]], key[2]):
            need[copy] += 1
            whose[copy] = key
    for key in marked:
        for copy in _copies(region, events[key[0]], contacts[key[1]], key[2]):
            admitted[copy] += max(1, attempts[key] - 1) if key in must else attempts[key]
    lost += [f"{whose[copy]}: {count} copies did not arrive" for copy, count in (need - got).items()]
    twice = got - need
    doubled = [f"{copy[:3]}" for copy, count in (twice - admitted).items() for _ in range(count) if copy in need]
    again = sum((twice & admitted).values())
    return Deliveries(len(must), lost, doubled, again, sum(state is DeliveryState.OVERTAKEN for state in last.values()))


def _closings(receipts: Iterable[Receipt]) -> tuple[dict[Key, DeliveryState], dict[Key, int], set[Key]]:
    """(last state, attempts, those of which the ledger says that they may have arrived more often than it knows)"""
    last: dict[Key, DeliveryState] = {}
    attempts: dict[Key, int] = defaultdict(int)
    marked = set()
    for receipt in receipts:
        key = (receipt.alert, receipt.contact, receipt.channel)
        if last.get(key) not in SETTLED or receipt.state is DeliveryState.DELIVERED:
            last[key] = receipt.state
        attempts[key] = max(attempts[key], receipt.attempt)
        if receipt.doubled or receipt.state is DeliveryState.UNKNOWN or receipt.reason == "outcome_unknown":
            marked.add(key)
    return last, attempts, marked


def _copies(region: Region, event: AlertEvent, contact: Contact, channel: str) -> list[tuple[str, ...]]:
    """What has to arrive for one delivery: each part of an SMS, or one request."""
    if channel == "webhook":
        return [("webhook", contact.webhook.partition(":")[2], event.alert.identifier)]
    parts = words(region, event, contact).parts
    return [("sms", contact.phone.lstrip("+"), f"{number}/{len(parts)}", text) for number, text in enumerate(parts, 1)]


def words(region: Region, event: AlertEvent, contact: Contact) -> Text:
    """The SMS of a revision, with the code that a deployment for exercises computes."""
    code = code_of(secrets_of(region, Deployment())[0], event.alert.identifier)
    return text_of(message.sms(event.alert, region, contact.language, contact.role, code).text)


def _arrived(phones: Path, hooks: Path) -> Counter[tuple[str, ...]]:
    """Parts rather than whole messages: a killed SMS centre forgets what it was putting together, not what it wrote down."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in _lines(phones):
        if line["kind"] == "part":
            found["sms", line["destination"].lstrip("+"), f"{line['part']}/{line['parts']}", line["text"]] += 1
    for line in _lines(hooks):
        if line["verified"] and 200 <= line["status"] < 300 and line["alert"]:
            found["webhook", line["name"], line["alert"]] += 1
    return found


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """Whole lines; a kill can cut the last one of a life short."""
    for text in path.read_text("utf-8", "replace").splitlines() if path.exists() else ():
        try:
            yield json.loads(text)
        except ValueError:
            continue
