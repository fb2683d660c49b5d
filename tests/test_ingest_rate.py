"""How much a key may send: the bucket, its headers, its bounds."""

from __future__ import annotations

import gzip

import msgspec
import pytest
from ingest_house import HOST, Ingest
from test_ingest import stage

from warning.errors import Unavailable
from warning.ingest import rate
from warning.ingest.body import MOST_ITEMS
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import Key
from warning.ingest.rate import DEVICE_PER_MINUTE, MOST_KEYS, Bucket, Limits
from warning.ingest.serving import serve


class Clock:
    s = 1000.0

    def __call__(self) -> float:
        return self.s


def key(id: str = "0", *stations: str, per_minute: int | None = None) -> Key:
    return Key(id, "p", frozenset(stations), 0, per_minute=per_minute)


def bucket(limits: Limits, whose: Key) -> Bucket:
    found = limits.bucket(whose)
    assert found is not None
    return found


def test_a_bucket_fills_by_the_minute_and_holds_a_whole_request() -> None:
    clock = Clock()
    limits = Limits(clock)
    device = key("d", "A")
    bucket(limits, device).take(MOST_ITEMS)
    with pytest.raises(Unavailable, match="6000 readings a minute") as refused:
        bucket(limits, device).take(50)
    assert (refused.value.reason, refused.value.retry_after_s, refused.value.retryable) == ("rate_limited", 1, True)
    clock.s += 1
    bucket(limits, device).take(DEVICE_PER_MINUTE // 60)
    with pytest.raises(Unavailable) as refused:
        bucket(limits, device).take(MOST_ITEMS)
    assert refused.value.retry_after_s == 100
    clock.s += 100
    bucket(limits, device).take(MOST_ITEMS)
    clock.s += 1e6
    assert bucket(limits, device).left == MOST_ITEMS
    assert bucket(limits, device).headers == {
        "RateLimit-Policy": '"readings";q=10000;w=100',
        "RateLimit": '"readings";r=10000;t=0',
    }


def test_each_key_has_its_own_and_may_have_another_limit() -> None:
    limits = Limits(Clock(), device=60, provider=120)
    bucket(limits, key("a", "A")).take(MOST_ITEMS)
    assert bucket(limits, key("b", "A")).left == MOST_ITEMS
    assert bucket(limits, key("c")).per_minute == 120
    assert limits.bucket(key("d", per_minute=0)) is None
    slow = bucket(limits, key("e", per_minute=1))
    slow.take(MOST_ITEMS)
    assert bucket(limits, key("e", per_minute=90_000)).left == 90_000, "a new limit holds at once"


def test_what_was_not_taken_is_given_back() -> None:
    one = bucket(Limits(Clock()), key("a", "A"))
    one.take(10)
    one.give_back(10)
    assert one.left == MOST_ITEMS


def test_memory_is_bounded() -> None:
    limits = Limits(Clock())
    bucket(limits, key("first", "A")).take(5)
    for number in range(MOST_KEYS + 5):
        limits.bucket(key(str(number), "A"))
    assert len(limits._buckets) == MOST_KEYS
    assert bucket(limits, key("first", "A")).left == MOST_ITEMS, "forgotten: full again"


async def test_429_says_when_to_come_again_and_takes_nothing(house: Ingest) -> None:
    _, slow = await house.keys.create("slow", per_minute=60)
    _, other = await house.keys.create("other", per_minute=60)
    clock = Clock()
    server = await serve(create_app(house.gateway, house.keys, limits=Limits(clock)), HOST, 0)
    house.url = f"http://{HOST}:{server.port}{PATH}"
    try:
        mine = {"Authorization": f"Bearer {slow}"}
        status, _, response = await house.post(gzip.compress(msgspec.json.encode([stage()] * 9990)), Content_Encoding="gzip", **mine)
        assert (status, response.headers["RateLimit"]) == (202, '"readings";r=10;t=9990')
        status, answer, response = await house.post([stage()] * 12, **mine)
        assert (status, answer["reason"], response.headers["Retry-After"]) == (429, "rate_limited", "2")
        assert response.headers["RateLimit-Policy"] == '"readings";q=10000;w=10000'
        assert response.headers["RateLimit"] == '"readings";r=10;t=9990'
        assert (await house.post([stage()] * 10, **mine))[0] == 202
        assert (await house.post(b"{", **mine))[0] == 429, "with nothing left the body is not read"
        assert (await house.post(stage(), Authorization=f"Bearer {other}"))[0] == 202
        clock.s += 2
        assert (await house.post([stage()] * 2, **mine))[0] == 202
    finally:
        await server.stop()
    assert len(await house.readings()) == 9990 + 10 + 1 + 2
    assert await house.rejected() == []


async def test_what_is_no_body_counts_by_its_length(house: Ingest) -> None:
    """A device gone mad must not fill readings.rejected."""
    _, slow = await house.keys.create("slow", per_minute=60)
    mine = {"Authorization": f"Bearer {slow}"}
    status, _, response = await house.post(b"{" * 100_000, **mine)
    assert (status, response.headers["RateLimit"]) == (400, '"readings";r=9672;t=328')
    answers = [(await house.post(b"{" * 100_000, **mine))[0] for _ in range(40)]
    assert (answers.count(400), answers.count(429)) == (29, 11)
    assert len(await house.rejected()) == 30


async def test_while_the_log_is_away_nothing_is_counted(house: Ingest) -> None:
    _, slow = await house.keys.create("slow", per_minute=1)
    mine = {"Authorization": f"Bearer {slow}"}
    await house.log.stop()
    for _ in range(3):
        status, _, response = await house.post([stage()] * 5000, **mine)
        assert (status, response.headers["RateLimit"]) == (503, '"readings";r=10000;t=0')


def test_the_default_lets_a_month_of_minutes_in() -> None:
    assert 31 * 24 * 60 / rate.DEVICE_PER_MINUTE < 8
