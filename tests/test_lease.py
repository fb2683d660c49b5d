"""Which of two dispatchers works: one takes over when the other is gone or hangs, and who was overtaken writes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import channel_world as world
import pytest
from test_ledger import NOW, ledger, planned, server, url  # noqa: F401 - fixtures among them

from warning.dispatch import lease as lease_module
from warning.dispatch.attempts import Claim, Claimed
from warning.dispatch.ledger import Ledger
from warning.errors import Unavailable


async def test_one_dispatcher_works_and_the_other_takes_over_when_it_is_gone(ledger: Ledger, url: str) -> None:  # noqa: F811
    stop, waited = asyncio.Event(), list[str]()
    assert await ledger.lease.take(stop)
    other = await Ledger.open(url, "oak")
    taking = asyncio.create_task(other.lease.take(stop, lambda: waited.append("stands by")))
    await world.until(lambda: waited, what="the second one waits")
    await ledger.beat()
    await ledger.close()
    assert await taking is True and waited == ["stands by"]
    await other.beat()
    await other.close()


async def test_who_stands_by_asks_without_waiting_for_the_one_that_writes(ledger: Ledger, url: str) -> None:  # noqa: F811
    assert await ledger.lease.take(asyncio.Event())
    other = await Ledger.open(url, "oak")
    try:
        async with ledger._engine.begin():
            assert await asyncio.wait_for(other.lease._beats(), 30) == 0
    finally:
        await other.close()


async def test_one_that_hangs_is_overtaken_and_then_writes_nothing(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    stop = asyncio.Event()
    assert await ledger.lease.take(stop)
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    other = await Ledger.open(url, "oak")
    other.lease.hung_s = 0.6
    assert await other.lease.take(stop), "its count stood still, though it holds the lock"
    with pytest.raises(Unavailable, match="another dispatcher has taken the ledger over"):
        await ledger.write([Claim(item.id, NOW)])
    with pytest.raises(Unavailable, match="another dispatcher"):
        await ledger.beat()
    assert await other.write([Claim(item.id, NOW)]) == [Claimed(1, (), False)]
    await other.beat()
    await other.close()


class StandsBy:
    """One who waits for the lease. His time passes when a test says so, and not before he has looked: no machine is too slow for it."""

    def __init__(self, of: Ledger, monkeypatch: pytest.MonkeyPatch, hung_s: float) -> None:
        self.lease, self.now, self.looks, self.taking = of.lease, 1000.0, 0, False
        self.lease.hung_s = hung_s
        monkeypatch.setattr(lease_module, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(lease_module, "ASK_S", 0.01)
        look, take = self.lease._may_take, self.lease._raise

        async def looked(*args: Any, **kwargs: Any) -> str:
            why = await look(*args, **kwargs)
            self.looks += 1
            return why

        async def taken(seen: int | None) -> bool:
            self.taking = True
            try:
                return await take(seen)
            finally:
                self.taking = False

        monkeypatch.setattr(self.lease, "_may_take", looked)
        monkeypatch.setattr(self.lease, "_raise", taken)

    async def passes(self, seconds: float) -> None:
        """Until he has looked once more, or waits for a transaction to end."""
        self.now += seconds
        looks = self.looks
        await world.until(lambda: self.looks >= looks + 2 or self.taking, what="a look that began after it")

    async def takes(self, taking: asyncio.Task[bool], within_s: float = 20.0) -> bool:
        """What became of it, no later than ``within_s`` of his time."""
        end = self.now + within_s
        while not taking.done():
            assert self.now < end, f"not taken in {within_s:.0f} s of his own"
            self.now += 0.5
            looks = self.looks
            await world.until(lambda looks=looks: taking.done() or self.looks >= looks + 2, what="a look that began after it")
        return await taking


async def test_one_that_counts_keeps_its_lease(ledger: Ledger, url: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    stop = asyncio.Event()
    assert await ledger.lease.take(stop)
    other = await Ledger.open(url, "oak")
    waits = StandsBy(other, monkeypatch, 0.6)
    taking = asyncio.create_task(other.lease.take(stop))
    for _ in range(10):
        await ledger.beat()
        await waits.passes(0.4)
    stop.set()
    assert await taking is False
    await ledger.beat()
    await other.close()


async def test_one_whose_transaction_lasts_keeps_its_lease(
    ledger: Ledger,  # noqa: F811
    url: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It lasted three times as long as a holder may stand still, and its beats waited behind it: two took turns at a slow PostgreSQL."""
    stop, beaten = asyncio.Event(), [0]
    assert await ledger.lease.take(stop)
    other = await Ledger.open(url, "oak")
    waits = StandsBy(other, monkeypatch, 0.4)
    taking = asyncio.create_task(other.lease.take(stop))

    async def beats() -> None:
        while True:
            await asyncio.sleep(0.01)
            await ledger.beat()
            beaten[0] += 1

    beating = asyncio.create_task(beats())
    async with ledger.writing():
        for _ in range(4):
            before = beaten[0]
            await waits.passes(0.3)
            if not ledger.lease.alone:
                await world.until(lambda before=before: beaten[0] > before + 1, what="it counts beside its transaction")
    await waits.passes(0.0)
    assert not beating.done() and not taking.done()
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    assert await waits.takes(taking) is True, "frozen: its lock is held, and it counts no more"
    await other.close()
