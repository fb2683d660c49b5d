"""The tables of the directory. Times are milliseconds since 1970 UTC; classes stand by name, and by rank to be compared."""

from __future__ import annotations

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.database import NUMBER
from warning.deployment import Deployment

METADATA = sql.MetaData()
EVERYWHERE = "*"  # the district of who is told of all
_LOCK = 0x666C6F6F7065  # of PostgreSQL
AT_ONCE = 500  # rows or names in one statement: below every database's limit of parameters

contacts = sql.Table(
    "people_contacts",
    METADATA,
    sql.Column("id", sql.String(255), primary_key=True),
    sql.Column("origin", sql.String(100), nullable=False),  # whose file, or way in, it came by; "config": contacts.csv
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("role", sql.String(20), nullable=False),
    sql.Column("language", sql.String(20), nullable=False),
    sql.Column("districts", sql.Text, nullable=False),  # space-separated; empty: all
    sql.Column("level", sql.String(20), nullable=False),
    sql.Column("level_rank", sql.Integer, nullable=False),
    sql.Column("phone", sql.String(40), nullable=False),
    sql.Column("webhook", sql.Text, nullable=False),
    sql.Column("secret", sql.String(200), nullable=False),
    sql.Column("live", sql.Boolean, nullable=False),
    sql.Column("email", sql.String(320), nullable=False),
    sql.Column("voice", sql.Boolean, nullable=False),
    sql.Column("office", sql.String(255), nullable=False),
    sql.Column("rank", sql.Integer, nullable=False),
    sql.Column("village", sql.Text, nullable=False),
    sql.Column("channels", sql.String(100), nullable=False),  # space-separated
    sql.Column("quiet_from", sql.Integer),  # minutes of the local day
    sql.Column("quiet_until", sql.Integer),
    sql.Column("control_room", sql.Boolean, nullable=False),
    sql.Column("lat", sql.Float),
    sql.Column("lon", sql.Float),
    sql.Column("consent", sql.Boolean, nullable=False),  # as its file says
    sql.Column("stopped", sql.Boolean, nullable=False),  # its own word, which no file overrides: the newest in ``consents``
    sql.Column("active", sql.Boolean, nullable=False),  # still in its file, and not removed
    sql.Column("digest", sql.String(32), nullable=False),  # of all that its file says
    sql.Column("changed_ms", sql.BigInteger, nullable=False),
    sql.Index("people_contacts_phone", "phone"),
    sql.Index("people_contacts_email", "email"),
    sql.Index("people_contacts_office", "office", "rank"),
    sql.Index("people_contacts_place", "lat", "lon"),
    sql.Index("people_contacts_origin", "origin"),
    sql.Index("people_contacts_room", "control_room"),
)

districts = sql.Table(
    "people_districts",
    METADATA,
    sql.Column("district", sql.String(255), primary_key=True),  # or EVERYWHERE
    sql.Column("contact", sql.String(255), primary_key=True),
    sql.Index("people_districts_of", "contact"),
)

consents = sql.Table(  # who said stop or start, when and how: rows are added, never changed
    "people_consents",
    METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("address", sql.String(320), nullable=False),  # a phone, an e-mail address, or a contact's id
    sql.Column("given", sql.Boolean, nullable=False),
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("by", sql.String(255), nullable=False),
    sql.Column("how", sql.String(30), nullable=False),  # sms, api, link, person ...
    sql.Index("people_consents_of", "address", "id"),
)

joins = sql.Table(  # new numbers that joined by SMS, by hour
    "people_joins",
    METADATA,
    sql.Column("hour", NUMBER, primary_key=True, autoincrement=False),  # since 1970 UTC
    sql.Column("numbers", sql.Integer, nullable=False),
)

imports = sql.Table(  # one row an import that changed something
    "people_imports",
    METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("origin", sql.String(100), nullable=False),
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("by", sql.String(255), nullable=False),
    sql.Column("counts", sql.JSON, nullable=False),
)


async def in_turn(connection: AsyncConnection) -> None:
    """First in each transaction that writes contacts or consents: one after the other, so that a stop and an import never cross unseen."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
    else:  # SQLite: a write takes the lock at the beginning, so that what is read next stays true
        await connection.execute(sql.update(imports).where(sql.false()).values(by=""))


def address(deployment: Deployment) -> str:
    """SQLAlchemy URL: the deployment's database, or a SQLite file of its own (so that a long import never holds up the ledger)."""
    return deployment.database_url or f"sqlite+aiosqlite:///{deployment.directory / (deployment.prefix + 'people.db')}"
