"""Who has answered a warning: by SMS, by its link, through the API or a person. In SQL, for the answer comes in by another process.

An answer names what its way in knows: a contact or only a phone, a chain or only a code or nothing at all ("1"). The dispatcher, which
knows what it sent to whom, ``settle``s such an answer into one row for each contact and chain; ``answered`` sees these and those that
named both. Nothing is ever deleted or changed but the mark ``settled``.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sql

from warning.database import NUMBER, Tables
from warning.proof import chain as audit

HOW = ("sms", "link", "api", "person", "voice")
MOST = 500  # answers read at once
_METADATA = sql.MetaData()
_ANSWERS = sql.Table(
    "acknowledgements",
    _METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("of", NUMBER),  # the answer that this one was made from; NULL: it came so
    sql.Column("contact", sql.String(255), nullable=False),
    sql.Column("phone", sql.String(40), nullable=False),
    sql.Column("chain", sql.String(255), nullable=False),
    sql.Column("code", sql.String(40), nullable=False),
    sql.Column("by", sql.String(255), nullable=False),
    sql.Column("how", sql.String(20), nullable=False),
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("settled", sql.Boolean, nullable=False),
    sql.UniqueConstraint("of", "contact", "chain", name="acknowledgements_once"),
    sql.Index("acknowledgements_chain", "chain"),
    sql.Index("acknowledgements_settled", "settled"),
)
_SECRET = sql.Table(
    "acknowledgement_secret",
    _METADATA,
    sql.Column("one", sql.Integer, primary_key=True, autoincrement=False),  # 1: there is one
    sql.Column("secret", sql.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One answer. ``at_ms``: when it came. Empty: not said."""

    id: int
    contact: str
    phone: str
    chain: str
    code: str
    by: str
    how: str
    at_ms: int


class Acknowledgements:
    """All access to the answers of one deployment. Raises Unavailable when the database is away."""

    def __init__(self, url: str) -> None:
        self._tables = Tables(url, _METADATA, "acknowledgements")
        self._secret = b""
        self._chained = False

    async def close(self) -> None:
        await self._tables.close()

    async def acknowledge(
        self, *, by: str, how: str, at_ms: int, contact: str = "", phone: str = "", chain: str = "", code: str = ""
    ) -> None:
        """Somebody has it. ``contact`` or ``phone`` (E.164) is needed; without ``chain`` or ``code`` all that this one was lately sent.

        ``by``: who says so, for the audit. Raises ValueError naming what is missing.
        """
        if not (contact or phone):
            raise ValueError("acknowledge: contact or phone is needed")
        if how not in HOW:
            raise ValueError(f"how: {how!r} is none of {', '.join(HOW)}")
        row: dict[str, object] = {
            "of": None,
            "contact": contact,
            "phone": phone,
            "chain": chain,
            "code": code,
            "by": by or phone or contact,
            "how": how,
        }
        row |= {"at_ms": at_ms, "settled": bool(contact and chain)}
        if not self._chained:
            await audit.made(self._tables)
            self._chained = True
        async with self._tables.together() as connection:
            await connection.execute(sql.insert(_ANSWERS).values(row))
            salt = await audit.salt(connection)
            whom = {name: audit.tag(salt, value) if value else "" for name, value in (("contact", contact), ("phone", phone))}
            who = "" if row["by"] in (phone, contact) else by  # a number stands in no line
            await audit.enter(connection, "acknowledgement", at_ms, **whom, alert_chain=chain, code=code, by=who, how=how)

    async def answered(self, chain: str, since_ms: int = 0) -> set[str]:
        """Contacts that acknowledged that chain, at ``since_ms`` or later."""
        column = _ANSWERS.c
        query = sql.select(column.contact).where(column.chain == chain, column.contact != "", column.at_ms >= since_ms)
        return {row.contact for row in await self._tables.run(query)}

    async def unsettled(self, most: int = MOST) -> list[Acknowledgement]:
        """Answers that do not name contact and chain yet, oldest first."""
        return await self._read(sql.select(_ANSWERS).where(~_ANSWERS.c.settled).order_by(_ANSWERS.c.id).limit(most))

    async def settle(self, answer: Acknowledgement, means: Iterable[tuple[str, str]]) -> None:
        """``means``: the (contact, chain) that it acknowledges; none: it means nothing, and stays for the audit. May be repeated."""
        said = {"of": answer.id, "phone": answer.phone, "code": answer.code, "by": answer.by, "how": answer.how, "at_ms": answer.at_ms}
        rows = [{**said, "contact": contact, "chain": chain, "settled": True} for contact, chain in means]
        if rows:
            await self._tables.run(self._tables.insert(_ANSWERS).on_conflict_do_nothing(), rows)
        await self._tables.run(sql.update(_ANSWERS).where(_ANSWERS.c.id == answer.id).values(settled=True))

    async def token(self, chain: str, contact: str) -> str:
        """What makes a link of one contact and chain its own: 128 bits that nobody can guess, the same at each call and in each process."""
        digest = hmac.digest(await self._key(), f"{chain}\n{contact}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()

    async def genuine(self, chain: str, contact: str, token: str) -> bool:
        """Whether that token is the one of this contact and chain."""
        return hmac.compare_digest((await self.token(chain, contact)).encode(), token.encode())

    async def _key(self) -> bytes:
        if not self._secret:
            ours = self._tables.insert(_SECRET).on_conflict_do_nothing()
            await self._tables.run(ours, [{"one": 1, "secret": secrets.token_bytes(32)}])  # the first one wins
            self._secret = bytes((await self._tables.run(sql.select(_SECRET.c.secret)))[0].secret)
        return self._secret

    async def _read(self, query: sql.Select[tuple[object, ...]]) -> list[Acknowledgement]:
        names = Acknowledgement.__slots__
        return [Acknowledgement(**{name: getattr(row, name) for name in names}) for row in await self._tables.run(query)]
