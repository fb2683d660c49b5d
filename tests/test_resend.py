"""An operator has a warning sent again: to whom, in which words, once for each decision, and not to whom nothing may go.

On a real broker, SMS centre and receiver; then the same ledger and courier killed at every operation.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy import select, text
from test_authority import authority
from test_authority_property import T0, H, House
from test_dispatch import bootstrap, dispatching, outside, settled  # noqa: F401
from test_ledger import NOW, accepted, ledger, planned, receipt, server, url  # noqa: F401
from test_ledger_proof import exported_lines

from warning.alerts import hand_words, message
from warning.alerts.rules import Silence
from warning.deployment import Deployment
from warning.dispatch import resent, shown
from warning.dispatch.attempts import Claim, Claimed, Close
from warning.dispatch.ledger import Ledger
from warning.dispatch.reconcile import Said, reconcile
from warning.dispatch.resending import Resends
from warning.dispatch.trail import legal
from warning.errors import InputError
from warning.model import EventKind, Level
from warning.model import DeliveryState as State
from warning.people.acknowledged import Acknowledgements
from warning.people.tables import address
from warning.proof import audit
from warning.proof.decisions import Resend


def to(telecom) -> Counter[str]:
    return Counter(one["destination"][-1] for one in telecom.messages)


async def test_it_goes_again_marked_in_the_receivers_words_and_the_audit_says_who(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    people = [world.contact(1), world.contact(2, language="ur"), world.contact(3, hook="agency", phone=False)]
    region = world.region(tmp_path, people)
    where = await world.deployment(bootstrap, tmp_path, "again")
    event = world.event(region, "A", sent_ms=world.now_ms())
    identifier = event.alert.identifier
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver), authority(region, where) as desk:
        await world.publish(where, [event])
        await world.until(lambda: len(telecom.messages) == 2 and len(receiver.taken) == 1, what="the first")
        await settled(where, region)
        wish = await desk.resend(identifier, "The mast was down", "A. Khan", world.now_ms(), key="k1")
        await world.until(lambda: len(telecom.messages) == 4 and len(receiver.taken) == 2, what="all again")
        await settled(where, region)
        with pytest.raises(InputError, match="is being sent again just so") as twice:
            await desk.resend(identifier, "once more", "B. Shah", world.now_ms())
        one = await desk.resend(identifier, "She asked", "B. Shah", world.now_ms(), contact="c1")
        await world.until(lambda: to(telecom) == {"1": 3, "2": 2}, what="one of them, once more")
        await settled(where, region)
        acts = await desk.decisions.acts(kinds=("resend",))
    assert twice.value.reason == "decided"
    for number, language in (("1", "en"), ("2", "ur")):
        first, again = [each["text"] for each in telecom.messages if each["destination"].endswith(number)][:2]
        assert hand_words.again(language) in again and hand_words.again(language) not in first
        assert again.replace(f"{hand_words.again(language)} ", "") == first, "else the same words"
    ids = [hook["webhook_id"] for hook in receiver.records if hook["verified"]]
    assert ids == [ids[0], f"{ids[0]}:again:1"] and len(receiver.taken) == 2
    assert [(act.id, act.by, act.key, act.what["reason"], act.what["contact"]) for act in acts] == [
        (one.id, "B. Shah", "", "She asked", "c1"),
        (wish.id, "A. Khan", "k1", "The mast was down", ""),
    ]
    await _the_ledger_says_so(where, wish, one)
    told = [each for each in await world.receipts(where) if each.contact == "c2"]
    assert [(each.state, each.attempt, each.resent, each.reason) for each in told if each.state is not State.ACCEPTED] == [
        (State.DELIVERED, 1, 0, ""),
        (State.WAITING, 1, 1, "resend"),
        (State.DELIVERED, 2, 1, ""),
    ]


async def _the_ledger_says_so(where, wish: Resend, one: Resend) -> None:
    ledger = await Ledger.open(where.database, "oak")  # noqa: F811
    try:
        async with ledger._engine.connect() as connection:
            rows = [row async for row in shown.listed(connection, shown.Which(contact="c1"))]
            both = await shown.shown(connection, rows[0]["id"])
    finally:
        await ledger.close()
    assert both is not None and (both["state"], both["attempts"], both["resent"], both["doubled"]) == ("delivered", 3, 2, False)
    assert [each["attempt"] for each in both["messages"]] == [1, 2, 3], "every message that went stands with its id"
    again = [each["why"] for each in both["transitions"] if each["became"] == "waiting" and each["was"]]
    assert again == [f"resend {wish.id}", f"resend {one.id}"]
    lines = await exported_lines(where.database)
    assert not audit.verify(lines).faults
    acts = [json.loads(line).get("line", {}) for line in lines]
    said = [(act["number"], act["by"]) for act in acts if act.get("kind") == "decision.resend"]
    assert said == [(wish.id, "A. Khan"), (one.id, "B. Shah")]
    assert [(act["decision"], act["deliveries"]) for act in acts if act.get("kind") == "resent"] == [(wish.id, 3), (one.id, 1)]
