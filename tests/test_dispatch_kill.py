"""kill -9 at random moments while warnings go out: nothing lost, and twice only what was under way, marked in the ledger."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import channel_process
import channel_world as world
import services

from warning.dispatch.ledger import Ledger
from warning.model import DeliveryState

HERE = Path(__file__).parent
ALERTS, CONTACTS, KILLS = 12, 60, 6


@contextmanager
def process(*arguments: str, ready: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A child that says ``ready ...`` on its standard output; ended with kill."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith(ready), f"{arguments}: {line!r}"
        yield child, line.removeprefix(ready).strip()
    finally:
        child.kill()
        child.wait()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_killed_at_random_moments_nothing_is_lost_and_only_what_was_under_way_goes_twice(tmp_path: Path) -> None:
    random.seed(20250827)
    folder = world.regions.write_region(tmp_path)
    secrets = {f"h{number}": world.SECRET for number in range(4)}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    phones, hooks = tmp_path / "sms.jsonl", tmp_path / "hooks.jsonl"
    with (
        services.embedded() as broker,
        process("-m", "warning.rehearsal.telecom", "--record", str(phones), ready="listening") as (_, sms_port),
        process(
            "-m", "warning.rehearsal.receiver", "--secrets", str(tmp_path / "secrets.json"), "--record", str(hooks), ready="listening"
        ) as (_, hook_port),
    ):
        where = await world.deployment(broker.bootstrap, tmp_path, "kill")
        where = replace(where, smpp_port=int(sms_port), smpp_user="ews", smpp_password="pw")
        region = replace(world.config.load(folder), contacts=tuple(channel_process.contacts(CONTACTS)))
        start = world.now_ms()
        events = [world.event(region, "ABCD"[number % 4], sent_ms=start + 1000 * number) for number in range(ALERTS)]
        await world.publish(where, events)
        settings = {
            "region": str(folder),
            "contacts": CONTACTS,
            "deployment": {**asdict(where), "directory": str(where.directory)},
            "receiver_port": int(hook_port),
            "endpoints": {name: f"http://127.0.0.1:{hook_port}/hook/{name}" for name in secrets},
        }
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        killed = await _kill_until_done(tmp_path, where, phones)
        ledger = await Ledger.open(where.database, region.id)
        try:
            assert await ledger.unsettled() == 0
            counts = await ledger.counts()
        finally:
            await ledger.close()
        told = await world.receipts(where)
    print(f"{killed} kills; {dict(counts)}")
    _compare(tmp_path / "kill.warning.db", phones, hooks, told, killed)


async def _kill_until_done(tmp_path: Path, where, phones: Path) -> int:
    killed = 0
    while True:
        with process(str(HERE / "channel_process.py"), str(tmp_path / "settings.json"), ready="started") as (child, _):
            if killed < KILLS:
                size = phones.stat().st_size  # every second time while messages flow, else at any moment of its start
                end = time.monotonic() + 20
                while killed % 2 == 0 and phones.stat().st_size == size and time.monotonic() < end and not await _done(where):
                    await asyncio.sleep(0.005)
                await asyncio.sleep(random.uniform(0.0, 0.4 if killed % 2 == 0 else 1.5))
                child.send_signal(signal.SIGKILL)
                child.wait()
                killed += 1
                if await _done(where):
                    break
            else:
                await world.until(lambda: _done(where), 180, "the rest goes out")
                finish(child)
                break
    with process(str(HERE / "channel_process.py"), str(tmp_path / "settings.json"), ready="started") as (child, _):
        await world.until(lambda: _done(where), 180, "receipts that were owed")
        finish(child)
    return killed


def finish(child: subprocess.Popen[str]) -> None:
    """Graceful; a child that does not end says where it hangs."""
    child.send_signal(signal.SIGTERM)
    try:
        assert child.wait(90) == 0  # then it is killed: deploy/compose, deploy/kubernetes
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGUSR1)
        time.sleep(1)
        raise


async def _done(where) -> bool:
    """Everything planned, delivered with its receipts, and published."""
    path = where.database.removeprefix("sqlite+aiosqlite:///")
    if not Path(path).exists():
        return False
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as database:
        try:
            (alerts,) = database.execute("SELECT count(*) FROM alerts").fetchone()
            (open_,) = database.execute("SELECT count(*) FROM deliveries WHERE state NOT IN ('delivered', 'failed')").fetchone()
            (owed,) = database.execute("SELECT count(*) FROM outbox").fetchone()
        except sqlite3.OperationalError:
            return False
    return alerts == ALERTS and open_ == 0 and owed == 0


def _compare(database: Path, phones: Path, hooks: Path, told, killed: int) -> None:
    """Ledger against the SMS centre's and the receiver's own records, message by message."""
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT d.*, c.phone FROM deliveries d JOIN contacts c ON c.id = d.contact").fetchall()
    assert len(rows) == ALERTS * CONTACTS, "every contact hears of every alert"
    assert Counter(row["state"] for row in rows) == {"delivered": len(rows)}
    messages = Counter(message["destination"] for message in lines(phones) if message["kind"] == "message")
    got = Counter(hook["webhook_id"] for hook in lines(hooks) if hook["verified"] and hook["status"] == 204)
    sms_rows = [row for row in rows if row["channel"] == "sms"]
    for phone in {row["phone"] for row in sms_rows}:
        mine = [row for row in sms_rows if row["phone"] == phone]
        doubled = sum(row["doubled"] for row in mine)
        count = messages[phone.removeprefix("+")]
        assert len(mine) <= count <= len(mine) + doubled * killed, f"{phone}: {len(mine)} due, {doubled} marked, {count} got"
    for row in rows:
        if row["channel"] == "webhook":
            count = got[f"{row['alert']}:{row['contact']}".replace(".", "~")]
            assert count >= 1, f"{row['alert']} to {row['contact']} is lost"
            assert count == 1 or row["doubled"], f"{row['alert']} to {row['contact']}: {count} times and not marked"
    twice = sum(messages.values()) - len(sms_rows) + sum(got.values()) - (len(rows) - len(sms_rows))
    marked = sum(row["doubled"] for row in rows)
    print(f"{len(rows)} deliveries, {twice} went twice, {marked} marked")
    assert marked > 0 and twice <= sum(row["attempts"] - 1 for row in rows)
    last = {(receipt.alert, receipt.contact, receipt.channel): receipt.state for receipt in told}
    assert set(last.values()) == {DeliveryState.DELIVERED} and len(last) == len(rows), "and the topic says the same"
