"""What people said for themselves, or an office of them, as lines of the audit's chain: in the transaction that does it, on every database.

No number, address or name stands in a line: ``chain.tag`` of it does, which nobody reads without the salt.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from warning.proof import chain

CONSENT, JOINED, LANGUAGE, IMPORT, REMOVAL, CONFIRMED = "consent", "joined", "language", "import", "removal", "confirmed"
MOST_TAGS = 500  # of one removal


async def consented(connection: AsyncConnection, address: str, *, given: bool, at_ms: int, by: str, how: str) -> None:
    """``address``: phone, e-mail address or contact's id; ``by`` stands there unless it is that same address."""
    salt = await chain.salt(connection)
    await chain.enter(connection, CONSENT, at_ms, who=chain.tag(salt, address), given=given, by=_by(by, address), how=how)


async def joined(connection: AsyncConnection, phone: str, contact: str, districts: Iterable[str], language: str, at_ms: int) -> None:
    """A phone is told of these districts from now on."""
    salt = await chain.salt(connection)
    whose = {"who": chain.tag(salt, phone), "contact": chain.tag(salt, contact)}
    await chain.enter(connection, JOINED, at_ms, **whose, districts=list(districts), language=language, how="sms")


async def spoke(connection: AsyncConnection, phone: str, language: str, at_ms: int) -> None:
    """All contacts of a phone are told in that language."""
    await chain.enter(connection, LANGUAGE, at_ms, who=chain.tag(await chain.salt(connection), phone), language=language, how="sms")


async def imported(connection: AsyncConnection, origin: str, counts: dict[str, int], at_ms: int, *, by: str) -> None:
    """A list that changed something."""
    await chain.enter(connection, IMPORT, at_ms, origin=origin, counts=counts, by=by)


async def removed(connection: AsyncConnection, contacts: Iterable[str], count: int, at_ms: int, *, by: str) -> None:
    """Contacts that a person took out."""
    salt = await chain.salt(connection)
    tags = [chain.tag(salt, one) for one in contacts][:MOST_TAGS]
    await chain.enter(connection, REMOVAL, at_ms, contacts=tags, count=count, by=by)


async def confirmed(connection: AsyncConnection, subscription: str, address: str, at_ms: int, *, by: str) -> None:
    """A person has made sure that an agency's e-mail address is its own."""
    whose = chain.tag(await chain.salt(connection), address.lower())
    await chain.enter(connection, CONFIRMED, at_ms, subscription=subscription, who=whose, by=by, how="person")


def _by(by: str, address: str) -> str:
    return "" if by.lower() == address.lower() else by
