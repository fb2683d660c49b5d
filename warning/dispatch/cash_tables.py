"""The ledger of anticipatory cash. Times are milliseconds since 1970 UTC; amounts whole units of the currency.

A case (one trigger, one flood) goes: readiness -> approval -> activated; it ends as expired, cancelled, refused or stopped. Of an
activation nothing is taken back. An order (a case and a phase) goes: waiting -> sending -> confirmed | refused; waiting again when it
certainly did not arrive; unknown when it may have, and then the payment system is asked before it is sent again; withdrawn or lapsed
only from waiting.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")

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
    Column("key", String, primary_key=True),  # the idempotency key: of the case and the phase, the same for ever
    Column("case", String, ForeignKey("cash_cases.id"), nullable=False),
    Column("phase", String, nullable=False),
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
    UniqueConstraint("case", "phase", name="cash_orders_once"),
)

lines = Table(
    "cash_lines",
    metadata,
    Column("key", String, ForeignKey("cash_orders.key"), primary_key=True),
    Column("district", String, primary_key=True),
    Column("trigger", String, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
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
