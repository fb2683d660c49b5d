"""The ledger of anticipatory cash. Times are milliseconds since 1970 UTC; amounts whole units of the currency.

A case (one trigger, one flood) goes: readiness -> approval -> activated, and to approval again where further districts come up to it; it
ends as expired, cancelled, refused or stopped. Of an activation nothing is taken back. An order (a case, a phase, a part) goes: waiting ->
sending -> confirmed | refused; waiting again when it certainly did not arrive; unknown when it may have, and then the payment system is
asked before it is sent again; withdrawn or lapsed only from waiting. A district stands once in a case and phase.
"""

from __future__ import annotations

import json

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
    update,
)

from warning.database import NUMBER

metadata = MetaData()

OPEN_CASES = ("readiness", "approval")
ENDED_CASES = ("expired", "cancelled", "refused", "stopped")
UNSETTLED = ("waiting", "sending", "unknown")
SPENT = (*UNSETTLED, "confirmed")  # what counts against the caps: all that may have been paid

turns = Table(
    "cash_turns", metadata, Column("id", Integer, primary_key=True), Column("n", BigInteger, nullable=False)
)  # who writes it is alone

cases = Table(
    "cash_cases",
    metadata,
    Column("id", String, primary_key=True),
    Column("trigger", String, nullable=False),
    Column("state", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("alert", String, nullable=False),  # that opened it
    Column("opened_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # readiness ends here
    Column("over", Boolean, nullable=False),  # no alert of its districts is in force any more: the next one is another flood
    Column("changed_ms", BigInteger, nullable=False),
    Index("cash_cases_state", "state"),
)

orders = Table(
    "cash_orders",
    metadata,
    Column("key", String, primary_key=True),  # the idempotency key: of the case, the phase and the part, the same for ever
    Column("case", String, ForeignKey("cash_cases.id"), nullable=False),
    Column("phase", String, nullable=False),
    Column("part", Integer, nullable=False, server_default="1"),  # counts the orders of a phase: districts that came later
    Column("state", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # as it is sent, every time
    Column("attempts", Integer, nullable=False),
    Column("doubtful", Boolean, nullable=False),  # its outcome was unknown once: it is never withdrawn, only settled
    Column("next_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("owner", String, nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    UniqueConstraint("case", "phase", "part", name="cash_orders_part"),
)

lines = Table(  # a district in an order, of every phase
    "cash_lines",
    metadata,
    Column("key", String, ForeignKey("cash_orders.key"), primary_key=True),
    Column("district", String, primary_key=True),
    Column("case", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("alert", String, nullable=False),  # that it was for
    Column("turn", BigInteger, nullable=False, server_default="0"),  # of ``turns``: what came before an answer, by no clock
    UniqueConstraint("case", "phase", "district", name="cash_lines_once"),
)

answers = Table(  # a person's; the newest of each person counts
    "cash_answers",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("case", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("key", String, nullable=False, server_default=""),  # of the API
    Column("turn", BigInteger, nullable=False, server_default="0"),  # whose clock made ``at_ms`` nobody knows; this is the order
)

moves = Table(  # every change of state, never rewritten
    "cash_moves",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("subject", String, nullable=False),  # a case, or an order's key
    Column("state", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("by", String, nullable=False),  # "" = the system
    Column("at_ms", BigInteger, nullable=False),
    Index("cash_moves_subject", "subject"),
)


def carry(connection: Connection) -> None:
    """Tables of older versions to this one, in the caller's transaction."""
    _parted(connection)
    _numbered(connection)


def _numbered(connection: Connection) -> None:
    """From before answers had a turn: by their times, as they were compared then. The next turn is later."""
    if "turn" in {column["name"] for column in inspect(connection).get_columns(answers.name)}:
        return
    for table in (answers, lines):
        if "turn" not in {column["name"] for column in inspect(connection).get_columns(table.name)}:
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN turn BIGINT DEFAULT 0 NOT NULL"))
    times = {at_ms for table in (answers, lines) for at_ms in connection.execute(select(table.c.at_ms).distinct()).scalars()}
    for turn, at_ms in enumerate(sorted(times), 1):
        for table in (answers, lines):
            connection.execute(update(table).where(table.c.at_ms == at_ms).values(turn=turn))
    if not connection.execute(update(turns).values(n=turns.c.n + len(times))).rowcount:
        connection.execute(insert(turns).values(id=1, n=len(times)))


def _parted(connection: Connection) -> None:
    """Tables from before an order had a part: made anew beside, filled, and put in their place."""
    columns = {column["name"] for column in inspect(connection).get_columns("cash_orders")}
    if "part" in columns:
        return
    for table in (lines, orders):
        connection.execute(text(f"ALTER TABLE {table.name} RENAME TO {table.name}_1"))
        if connection.dialect.name == "postgresql":  # names of keys are those of the whole schema there
            connection.execute(text(f"ALTER TABLE {table.name}_1 RENAME CONSTRAINT {table.name}_pkey TO {table.name}_1_pkey"))
    orders.create(connection)
    lines.create(connection)
    connection.execute(text("ALTER TABLE cash_answers ADD COLUMN key VARCHAR DEFAULT '' NOT NULL"))
    old, paid = (Table(f"{one.name}_1", MetaData(), autoload_with=connection, resolve_fks=False) for one in (orders, lines))
    connection.execute(insert(orders).from_select(sorted(columns), select(*(old.c[name] for name in sorted(columns)))))
    moved = select(*paid.c, old.c.case, old.c.phase, cases.c.alert).join(old, old.c.key == paid.c.key).join(cases, cases.c.id == old.c.case)
    connection.execute(insert(lines).from_select([*paid.c.keys(), "case", "phase", "alert"], moved))
    _readied(connection)
    for table in (lines, orders):
        connection.execute(text(f"DROP TABLE {table.name}_1"))


def _readied(connection: Connection) -> None:
    """The districts of a readiness stood in what was sent alone."""
    query = select(orders.c.key, orders.c.case, orders.c.body, orders.c.created_ms, cases.c.trigger, cases.c.alert)
    for row in connection.execute(query.join(cases, cases.c.id == orders.c.case).where(orders.c.phase == "readiness")).all():
        for line in json.loads(row.body)["data"]["lines"]:
            same = {"key": row.key, "case": row.case, "phase": "readiness", "trigger": row.trigger, "at_ms": row.created_ms}
            connection.execute(insert(lines).values(**same, district=line["district"], amount=line["amount"], alert=row.alert))
