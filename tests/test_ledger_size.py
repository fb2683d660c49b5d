"""A ledger that has grown for years: what is asked again and again reads what holds, and not all that ever was."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from test_ledger import ledger, server, url  # noqa: F401 - fixtures: SQLite and PostgreSQL

from warning.dispatch import escalated, untold
from warning.dispatch.ledger import Ledger

NOW, DAY_MS = 1_756_260_000_000, 86_400_000
ALERTS, EACH = 4_000, 10  # an alert in ten hours, of which each is good for a day
ALERT = f"""INSERT INTO alerts (identifier, chain, zone, revision, kind, level, sent_ms, expires_ms, digest, value)
    SELECT 'a.' || n, 'c.' || (n / 10), 'A', n % 10, 'UPGRADE', 'HIGH', at, at + {DAY_MS}, '', CAST('x' AS {{blob}})
    FROM (SELECT n, {NOW} - CAST({ALERTS} - n AS bigint) * {DAY_MS // 10 * 4} AS at FROM {{numbers}}) AS all_of_them"""
DELIVERY = """INSERT INTO deliveries (alert, revision, chain, zone, level, contact, channel, language, state, reason, attempts, due_ms,
        expires_ms, doubled, handed, parts, parts_delivered, created_ms, changed_ms)
    SELECT a.identifier, a.revision, a.chain, 'A', 'HIGH', 'c' || n, 'sms', 'en', CASE WHEN n % 2 = 0 THEN 'refused' ELSE 'accepted' END,
        '', 1, 0, a.expires_ms, {no}, {yes}, 1, 0, a.sent_ms, a.sent_ms FROM alerts AS a, {numbers} ORDER BY a.sent_ms, n"""


def words(dialect: str, statement: str, count: int) -> str:
    """Numbers 1 ... ``count``, in the dialect."""
    if dialect == "postgresql":
        numbers = f"generate_series(1, {count}) AS numbers(n)"
        return statement.format(numbers=numbers, blob="bytea", no="false", yes="true")
    counting = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c) AS numbers"
    return statement.format(numbers=counting, blob="blob", no="0", yes="1")


async def plan(connection, query) -> str:  # type: ignore[no-untyped-def]
    dialect = connection.dialect
    said = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN" if dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(row[-1]) for row in (await connection.exec_driver_sql(f"{explain} {said}")).all())


@pytest.fixture
async def grown(ledger: Ledger) -> Ledger:  # noqa: F811
    async with ledger._engine.begin() as connection:
        name = connection.dialect.name
        await connection.exec_driver_sql(words(name, ALERT, ALERTS))
        await connection.exec_driver_sql(words(name, DELIVERY, EACH))
        if name == "postgresql":
            await connection.exec_driver_sql("ANALYZE")
    return ledger


async def test_what_nobody_hears_of_is_looked_for_among_what_holds(grown: Ledger) -> None:
    async with grown.reading() as connection:
        said = await plan(connection, untold._candidates(NOW, frozenset()))
        assert "alerts_expires" in said and "alerts_chain" in said and "deliveries_chain" in said
        for whole in ("SCAN alerts", "SCAN newer", "SCAN deliveries", "Seq Scan on alerts", "Seq Scan on deliveries"):
            assert whole not in said, said


async def test_who_did_not_answer_is_looked_for_from_the_first_delivery_of_what_holds(
    grown: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with grown.reading() as connection:
        after = await escalated.before(connection, NOW)
        held = ALERTS * DAY_MS // (DAY_MS // 10 * 4) // ALERTS + 1  # of a day, one in ten hours
        assert after == (ALERTS - held) * EACH
        rows = await escalated.candidates(connection, NOW, 1, 1, 500, 0, frozenset())
        assert [row["id"] for row in rows] == [row["id"] for row in await grown.unanswered(NOW, 1, 1, 500, 0)]
        assert rows and rows[0]["id"] > after
        first, second = rows[0]["id"], rows[1]["id"]
        assert [row["id"] for row in await grown.unanswered(NOW, 1, 1, 1, first)] == [second]
        assert await escalated.before(connection, NOW + 10 * DAY_MS) is None
    monkeypatch.setattr(escalated, "candidates", None)
    assert await grown.unanswered(NOW + 10 * DAY_MS, 1, 1, 500, 0) == [], "where nothing holds nothing is looked at"


async def test_a_ledger_of_before_gets_the_index(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    async with ledger._engine.begin() as connection:
        await connection.execute(text("DROP INDEX alerts_expires"))
    again = await Ledger.open(url, "oak")
    async with again.reading() as connection:
        told = "pg_indexes WHERE indexname" if connection.dialect.name == "postgresql" else "sqlite_master WHERE name"
        assert (await connection.execute(text(f"SELECT count(*) FROM {told} = 'alerts_expires'"))).scalar_one() == 1
    await again.close()
