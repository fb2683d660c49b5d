"""Probes that tell the truth, over HTTP and with a clock that the test owns."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from asyncio import to_thread

import pytest
from prometheus_client import CollectorRegistry, Counter

from warning import facts
from warning.errors import Unavailable
from warning.operate import health
from warning.operate.health import Health


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_worker_with_records_waiting_and_none_applied_for_a_minute_is_not_live(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.PartitionsOwned((0, 1)))
    for _ in range(61):
        clock.now += 1
        own(facts.Backlog(0, 5))
        own(facts.Backlog(1, 0))
    assert own.live() == (True, {"live": True, "problems": []})
    clock.now += 1
    own(facts.Backlog(0, 9))
    own(facts.Backlog(1, 0))
    live, told = own.live()
    assert not live
    assert told["problems"] == ["partition 0: 9 records wait and no beat was closed for 61 s"]
    own(facts.BeatClosed(0, 0, 1, 0, 0))
    assert own.live()[0]


def test_an_idle_worker_lives(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.PartitionsOwned((0,)))
    for _ in range(600):
        clock.now += 1
        own(facts.Backlog(0, 0))
    assert own.live()[0]
    own(facts.Backlog(0, 3))  # begins to wait only now
    clock.now += 30
    assert own.live()[0]


def test_a_backlog_that_shrinks_is_progress(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.PartitionsOwned((0,)))
    for waiting in range(1000, 0, -10):
        clock.now += 5
        own(facts.Backlog(0, waiting))
    assert own.live()[0]


def test_a_worker_that_says_nothing_of_its_partition_is_not_live(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.PartitionsOwned((2,)))
    clock.now += 61
    assert own.live()[1]["problems"] == ["partition 2: owned, and nothing heard of it for 61 s"]
    own(facts.PartitionsOwned(()))
    assert own.live()[0], "what is not ours is not our fault"


def test_a_broker_that_is_away_is_no_reason_to_restart(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.PartitionsOwned((0,)))
    own(facts.Backlog(0, 5))
    own(facts.BrokerState(False))
    clock.now += 600
    assert own.live()[0]
    assert own.ready() == (False, {"ready": False, "parts": {"broker": {"ready": False, "why": "the broker does not answer"}}})
    own(facts.BrokerState(True))
    clock.now += 59
    assert own.live()[0]
    clock.now += 2
    assert not own.live()[0], "the time begins anew, and does not end"


def test_ready_names_the_part_and_why() -> None:
    own = Health(("broker", "stream"))
    assert own.ready()[1]["parts"]["stream"] == {"ready": False, "why": health.NOT_HEARD}
    own(facts.BrokerState(True))
    own(facts.Ready("stream", False, "reading the checkpoint"))
    ready, told = own.ready()
    assert not ready
    assert told["parts"] == {"broker": {"ready": True}, "stream": {"ready": False, "why": "reading the checkpoint"}}
    own(facts.Ready("stream", True))
    assert own.ready()[0]
    own(facts.Ready("ledger", False, "no database"))
    assert not own.ready()[0], "a part that was not expected counts too"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_served_over_http(clock: Clock) -> None:
    registry = CollectorRegistry()
    Counter("warning_test_total", "for the test", registry=registry).inc(3)
    own = Health(("broker",), clock=clock)
    async with health.serve(own, registry, "127.0.0.1", 0) as port:
        base = f"http://127.0.0.1:{port}"
        status, body = await to_thread(get, f"{base}/readyz")
        assert (status, json.loads(body)["ready"]) == (503, False)
        own(facts.BrokerState(True))
        assert (await to_thread(get, f"{base}/readyz"))[0] == 200
        assert (await to_thread(get, f"{base}/livez")) == (200, '{"live": true, "problems": []}')
        own(facts.PartitionsOwned((0,)))
        clock.now += 61
        assert (await to_thread(get, f"{base}/livez"))[0] == 503
        status, body = await to_thread(get, f"{base}/metrics")
        assert status == 200
        assert "warning_test_total 3.0" in body
        with pytest.raises(Unavailable, match=str(port)):
            async with health.serve(own, registry, "127.0.0.1", port):
                pass
    with pytest.raises(urllib.error.URLError):
        await to_thread(get, f"{base}/livez")


def test_an_inbox_that_is_stuck_is_not_live(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.InboxOwned((), joined=False))
    clock.now += 61
    assert own.live()[1]["problems"] == ["inbox: its reader has been in no group for 61 s"]
    own(facts.InboxOwned((0, 1)))
    assert own.live()[0]
    for _ in range(61):
        clock.now += 1
        own(facts.InboxWaiting(0, 7))
        own(facts.InboxWaiting(1, 7))
        own(facts.InboxTaken(1, 1, {}))
    clock.now += 1
    assert own.live()[1]["problems"] == ["inbox 0: 7 records wait and none was taken for 61 s"]
    own(facts.InboxTaken(0, 0, {"malformed": 1}))  # what is refused is done with, too
    assert own.live()[0]
    clock.now += 61
    own(facts.InboxWaiting(1, 0))
    assert own.live()[1]["problems"][-1] == "inbox 0: owned, and nothing heard of it for 61 s"
    own(facts.InboxOwned((1,)))  # another process has it
    assert own.live()[0]


def test_an_inbox_waits_for_the_broker_as_all_do(clock: Clock) -> None:
    own = Health(clock=clock)
    own(facts.InboxOwned((), joined=False))
    own(facts.BrokerState(up=False))
    clock.now += 600
    assert own.live()[0]
    own(facts.BrokerState(up=True))
    clock.now += 59
    assert own.live()[0]
