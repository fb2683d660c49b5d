"""The ledger's tables. Times are milliseconds since 1970 UTC; states and levels stand by name."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from warning.database import NUMBER

metadata = MetaData()

contacts = Table(
    "contacts",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("language", String, nullable=False),
    Column("districts", Text, nullable=False),  # space-separated; empty: all
    Column("level", String, nullable=False),
    Column("phone", String, nullable=False),
    Column("webhook", String, nullable=False),  # the secret stays in the configuration
    Column("live", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),  # still in the configuration
)

alerts = Table(
    "alerts",
    metadata,
    Column("identifier", String, primary_key=True),
    Column("chain", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("level", String, nullable=False),
    Column("sent_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("digest", String, nullable=False),  # SHA-256 of the value: the same id with another one is an alarm
    Column("value", LargeBinary, nullable=False),
    Index("alerts_chain", "chain", "revision"),
    Index("alerts_expires", "expires_ms"),  # what holds is few of all that ever was
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("alert", String, ForeignKey("alerts.identifier"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("chain", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("level", String, nullable=False),
    Column("contact", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("language", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_ms", BigInteger),  # by the wall clock; NULL: none is due
    Column("due_ms", BigInteger, nullable=False),  # the same by the time that decides: the log's in a replay
    Column("expires_ms", BigInteger, nullable=False),
    Column("doubled", Boolean, nullable=False),
    Column("handed", Boolean, nullable=False),  # a gateway took it, or may have: the contact may have heard
    Column("parts", Integer, nullable=False),
    Column("parts_delivered", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("route", String, nullable=False, server_default=""),  # of the newest attempt: which of the channel's ways
    Column("deadline_ms", BigInteger),  # when the water is at this contact: what the queue is ordered by; NULL: unknown
    Column("step", Integer, nullable=False, server_default="0"),  # of the escalation; 0: planned with the revision
    Column("resent", Integer, nullable=False, server_default="0"),  # attempts before an operator had it sent again: ``resent``
    Column("resent_ms", BigInteger),  # when that was; NULL: never
    UniqueConstraint("alert", "revision", "contact", "channel", name="deliveries_once"),
    Index("deliveries_chain", "chain", "contact"),
    Index("deliveries_state", "state"),
)

plans = Table(  # alerts whose deliveries are not all planned yet: ``planner`` goes on with them after a crash
    "plans",
    metadata,
    Column("alert", String, ForeignKey("alerts.identifier"), primary_key=True),
    Column("chain", String, nullable=False),
    Column("revision", Integer, nullable=False),
)

escalations = Table(  # what was done because a delivery brought no receipt and no answer: one row a delivery, never changed
    "escalations",
    metadata,
    Column("delivery", NUMBER, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("alert", String, nullable=False),
    Column("contact", String, nullable=False),  # who was not reached
    Column("step", String, nullable=False),  # channel, office, control_room, nobody_left, answered: ``steps``
    Column("why", String, nullable=False),
    Column("to_contact", String, nullable=False),
    Column("to_channel", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("escalations_alert", "alert"),
)

resends = Table(  # decisions to send again, as far as they are done: ``resent``
    "resends",
    metadata,
    Column("decision", BigInteger, primary_key=True, autoincrement=False),  # ``proof.decisions``
    Column("alert", String, nullable=False),
    Column("after", BigInteger, nullable=False),  # deliveries up to here were looked at
    Column("upto", BigInteger, nullable=False),  # the newest delivery when it was begun: what came later was never meant
    Column("again", BigInteger, nullable=False),  # how many go again
    Column("done", Boolean, nullable=False),
    Column("why", String, nullable=False),  # "": gone through; else why it came to its end before: ``resent.ENDS``
    Column("at_ms", BigInteger, nullable=False),
)

parts = Table(
    "parts",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("delivery", NUMBER, ForeignKey("deliveries.id"), nullable=False),
    Column("channel", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("message_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("route", String, nullable=False, server_default=""),
    Index("parts_message", "channel", "message_id"),
    Index("parts_delivery", "delivery"),
)

transitions = Table(  # every change of state, in the order of the chain (``proof.chain``); never changed, never deleted
    "transitions",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("delivery", NUMBER, nullable=False),  # no foreign key: it is looked up for each line; a delivery that is gone shows in the chain
    Column("part", Integer, nullable=False),  # from 1; 0: the message
    Column("was", String, nullable=False),  # "" at its beginning
    Column("became", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("why", String, nullable=False),
    Column("route", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("transitions_delivery", "delivery"),
)

leases = Table(  # which dispatcher works: ``lease``
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # one more with each that takes it: who has an older one writes nothing any more
    Column("beat", BigInteger, nullable=False),  # counts while it lives; -1: given back
    Column("holder", String, nullable=False),
)

untold = Table(  # alerts in force that nobody at all is told of now: ``untold``
    "untold",
    metadata,
    Column("alert", String, ForeignKey("alerts.identifier"), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)

notices = Table(  # what lasts and operators were told of: ``lasting``
    "notices",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
    Column("operators", JSON, nullable=False),  # ids of who heard of it, and hear of its end
    Column("data", JSON, nullable=False),  # as it was told last
)

operator_posts = Table(  # notices to operators that are under way, by any of their ways: the next start goes on with them
    "operator_posts",
    metadata,
    Column("identifier", String, primary_key=True),  # of the notice to this operator
    Column("contact", String, nullable=False),
    Column("kind", String, nullable=False),  # what it is about
    Column("body", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

operator_texts = Table(  # SMS to operators, past the queue: ``texted``
    "operator_texts",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("identifier", String, nullable=False, unique=True),  # as above
    Column("contact", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("doubled", Boolean, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("parts_delivered", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("route", String, nullable=False),
    Index("operator_texts_changed", "changed_ms"),
    sqlite_autoincrement=True,
)

operator_parts = Table(
    "operator_parts",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("text", NUMBER, ForeignKey("operator_texts.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("message_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("route", String, nullable=False),
    Index("operator_parts_message", "message_id"),
    Index("operator_parts_text", "text"),
)

pulses = Table(  # until when something was followed: ``people.standing`` says nothing of what is not
    "pulses",
    metadata,
    Column("name", String, primary_key=True),  # alerts: read to the end; hazards N: the newest of that partition
    Column("at_ms", BigInteger, nullable=False),
)

versions = Table(  # of these tables: ``carried``
    "ledger_versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

strays = Table(  # receipts that came before the response which says whose they are
    "strays",
    metadata,
    Column("channel", String, primary_key=True),
    Column("message_id", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

reports = Table(  # of the SMS centres: ``reports``
    "centre_reports",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("route", String, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of its bytes
    Column("name", Text, nullable=False),  # file, or address and day
    Column("state", String, nullable=False),  # begun, done, refused
    Column("at_ms", BigInteger, nullable=False),
    Column("held", Integer, nullable=False),  # lines that were held against the ledger
    Column("counts", JSON, nullable=False),
    Column("differences", JSON, nullable=False),  # the first thousand
    UniqueConstraint("route", "digest", name="centre_reports_once"),
)

outbox = Table(  # receipts that the broker does not have yet
    "outbox",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("alert", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

positions = Table(
    "positions",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("first_digest", String, nullable=False),  # of the record at offset 0: which log this is
    Column("last_digest", String, nullable=False),  # of the record before next_offset
)

logs = Table(
    "logs",
    metadata,
    Column("topic", String, primary_key=True),
    Column("cluster", String, nullable=False),
    Column("newest_ms", BigInteger, nullable=False),  # the log's time: newest sent time seen
)

approvals = Table(  # a person's answer about a chain: alerts.rules.Approval
    "approvals",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("chain", String, nullable=False),
    Column("level", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("granted", Boolean, nullable=False),
)

silences = Table(  # a person's wish for quiet about a zone: alerts.rules.Silence
    "silences",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("zone", String, nullable=False),
    Column("up_to", String, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("contact", String, nullable=False),
)

endpoints_off = Table(  # answered 410: nothing goes there until the address changes
    "endpoints_off",
    metadata,
    Column("contact", String, primary_key=True),
    Column("address", String, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)

observed = Table(  # what operators were last told of a zone
    "observed",
    metadata,
    Column("zone", String, primary_key=True),
    Column("unknown", Boolean, nullable=False),
    Column("n", BigInteger, nullable=False),
)
