"""A code is mailed to an address before warnings are: only who reads its mail can give it back.

The code is the subscription's token (192 bits by chance), good once and for a day. Nobody is mailed who said stop, and no address more than
three times a day whoever asks, nor more than twenty a day for one owner: subscribing others must not fill their mailboxes.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sql

from warning.people import consent
from warning.people.directory import Directory
from warning.people.subscriptions import LOG, SUBSCRIPTIONS, Subscription

GOOD_MS = 86_400_000
MOST_TO_ADDRESS, MOST_OF_OWNER = 3, 20  # mails a day
CODE = "code"  # in the subscription's log; the detail is the address
_OWN = SUBSCRIPTIONS.c


class Mailed:
    """Codes of one deployment. Raises Unavailable when the database is away."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._going: list[Subscription] = []
        self._judging = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, one: Subscription, now_ms: int) -> AsyncIterator[str]:
        """As ``refusal``; until it ends that mail counts as one that went, for twenty are under way at once."""
        async with self._judging:
            if not (why := await self.refusal(one, now_ms)):
                self._going.append(one)
        try:
            yield why
        finally:
            if not why:
                self._going.remove(one)

    async def refusal(self, one: Subscription, now_ms: int) -> str:
        """Why no code goes to it now; "" if one may."""
        said = await consent.history(self._directory, [one.address])
        if said and not said[-1].given:
            return "its owner said stop: he says start first (warning contacts consent)"
        recent = sql.and_(LOG.c.what == CODE, LOG.c.at_ms > now_ms - GOOD_MS)
        to = sql.select(sql.func.count()).where(recent, sql.func.lower(LOG.c.detail) == one.address.lower())
        going = sum(each.address.lower() == one.address.lower() for each in self._going)
        if going + (await self._directory.tables.run(to))[0][0] >= MOST_TO_ADDRESS:
            return f"{MOST_TO_ADDRESS} codes went to this address within a day; again tomorrow"
        of = (
            sql.select(sql.func.count()).join_from(LOG, SUBSCRIPTIONS, _OWN.id == LOG.c.subscription).where(recent, _OWN.owner == one.owner)
        )
        going = sum(each.owner == one.owner for each in self._going)
        if going + (await self._directory.tables.run(of))[0][0] >= MOST_OF_OWNER:
            return f"{MOST_OF_OWNER} codes were mailed for {one.owner} within a day; again tomorrow"
        return ""

    async def asked(self, id: str, code: str, now_ms: int) -> Subscription | None:
        """Whose code that is: of one that waits for it, or was confirmed by it. None: nobody's, or it is too old."""
        found = await self._directory.subscriptions.get(id)
        if found is None or found.channel != "email" or not hmac.compare_digest(found.token.encode(), code.encode(errors="replace")):
            return None
        good = found.state == "pending" and now_ms - found.errand_ms <= GOOD_MS
        return found if good or found.state == "active" else None

    async def confirm(self, id: str, code: str, now_ms: int) -> Subscription | None:
        """From now on it is used; its consent stands in the audit's chain. A second time changes nothing. None: as ``asked``."""
        found = await self.asked(id, code, now_ms)
        if found is None or found.state == "active":
            return found
        still = sql.and_(_OWN.id == id, _OWN.token == code, _OWN.state == "pending", _OWN.address == found.address)
        values = {"state": "active", "reason": "confirmed by the code that was mailed", "errand": "", "changed_ms": now_ms}
        async with self._directory.writing() as connection:
            if (await connection.execute(sql.update(SUBSCRIPTIONS).where(still).values(**values))).rowcount:
                by = f"subscription {id} of {found.owner}"
                await consent.enter_address(connection, found.address, at_ms=now_ms, by=by, how="link")
        return await self.asked(id, code, now_ms)
