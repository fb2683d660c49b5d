"""Webhooks against a real receiver: the conformance suite, the signature, the addresses that are never posted to."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import channel_endpoint
import channel_world as world
import httpx
import pytest
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side

from warning.dispatch.webhook import WebhookChannel, body_of, message_id, outcome_of, retry_after
from warning.model import DeliveryState as State
from warning.rehearsal.receiver import Behaviour, Receiver


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    receiver, region = Receiver({"agency": world.SECRET}), world.region(tmp_path)
    port = await receiver.start()
    channel = WebhookChannel({"agency": receiver.url("agency")}, frozenset({("127.0.0.1", port)}), timeout_s=3.0)
    await channel.start()

    def behave(**fields: object) -> None:
        receiver.behaviours["agency"] = Behaviour(**fields)

    contact = world.contact(1, hook="agency", phone=False)
    made = channel_endpoint.side(channel, region, contact, receiver, behave, refuses={"status": 400}, silent_s=9.0)
    made.receiver = receiver
    yield made
    await channel.stop()
    await receiver.stop()


async def test_the_signed_body_is_the_event_with_its_document_and_the_id_is_the_same_on_every_attempt(side: Side) -> None:
    event = world.event(side.region, "A", sent_ms=1_756_260_000_000)
    body = json.loads(body_of(event))
    assert (body["type"], body["timestamp"]) == ("alert.raise", "2025-08-27T02:00:00Z")
    assert body["data"]["cap"] == event.cap and body["data"]["alert"]["identifier"] == event.alert.identifier
    assert message_id(event, side.contact) == "ews~oak~A~1756260000~1:c1"
    for attempt in (1, 2):
        outcome = await side.channel.post(side.contact, message_id(event, side.contact), body_of(event))
        assert outcome.state is State.DELIVERED, attempt
    assert {hook["webhook_id"] for hook in side.receiver.taken} == {"ews~oak~A~1756260000~1:c1"}


async def test_a_wrong_secret_is_refused_by_the_receiver(side: Side) -> None:
    side.contact = replace(side.contact, secret="whsec_" + "QUJD" * 8)
    outcome = await side.send()
    assert (outcome.state, outcome.detail) == (State.WAITING, "401") and side.receiver.taken == []


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!"])
async def test_a_secret_that_is_none_fails_with_the_fix(side: Side, secret: str) -> None:
    side.contact = replace(side.contact, secret=secret)
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.FAILED, "secret") and "whsec_" in outcome.detail


async def test_410_switches_off_429_says_when_and_a_redirect_is_not_followed(side: Side) -> None:
    behaviours = side.receiver.behaviours
    behaviours["agency"] = Behaviour(status=410)
    outcome = await side.send()
    assert (outcome.state, outcome.reason, outcome.switch_off) == (State.FAILED, "gone", True)
    behaviours["agency"] = Behaviour(status=503, retry_after="120")
    outcome = await side.send()
    assert (outcome.state, outcome.reason, outcome.retry_after_s) == (State.WAITING, "server_error", 120.0)
    behaviours["agency"] = Behaviour(status=307, location=side.receiver.url("elsewhere"))
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.WAITING, "redirect")
    assert [hook["name"] for hook in side.receiver.records] == ["agency"] * 3


INSIDE = [
    "http://127.0.0.1:{port}/hook/agency",
    "http://localhost:{port}/hook/agency",
    "http://2130706433:{port}/hook/agency",
    "http://0x7f000001:{port}/hook/agency",
    "http://127.1:{port}/hook/agency",
    "http://[::ffff:127.0.0.1]:{port}/hook/agency",
    "http://0.0.0.0:{port}/hook/agency",
    "http://[::1]:{port}/hook/agency",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[64:ff9b::7f00:1]/",
]


@pytest.mark.parametrize("url", INSIDE)
@pytest.mark.parametrize("live", [True, False], ids=["live", "exercise"])
async def test_an_address_inside_the_house_is_never_posted_to_not_even_the_rehearsals(side: Side, url: str, live: bool) -> None:
    side.contact = replace(side.contact, webhook=url.format(port=side.receiver.port), live=live)
    outcome = await side.send()
    assert outcome.state in (State.FAILED, State.WAITING) and outcome.reason in ("forbidden_address", "connect", "endpoint", "timeout")
    assert side.receiver.records == []


@pytest.mark.parametrize("host", ["[2002:7f00:1::]", "[::7f00:1]", "[::10.0.0.1]", "[2001:0:4136:e378:8000:63bf:f5ff:fffe]", "224.0.0.1"])
async def test_no_other_spelling_of_an_address_leads_inside_either(side: Side, host: str) -> None:
    """Refused before anything is tried: the name may have led elsewhere when it was subscribed."""
    side.contact = replace(side.contact, webhook=f"https://{host}/", live=True)
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.FAILED, "forbidden_address"), outcome


async def test_a_live_contact_cannot_have_a_rehearsal_endpoint(side: Side) -> None:
    side.contact = replace(side.contact, live=True)
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.FAILED, "endpoint") and side.receiver.records == []


async def test_a_rehearsal_endpoint_leads_only_to_the_loopback_ports_that_are_allowed(side: Side) -> None:
    for url in (f"http://127.0.0.1:{_other_port()}/", "http://10.0.0.1:80/", "http://169.254.169.254/"):
        channel = WebhookChannel({"agency": url}, side.channel.allow_loopback, timeout_s=1.0)
        await channel.start()
        outcome = await channel.post(side.contact, "x", "{}")
        await channel.stop()
        assert outcome.state is not State.DELIVERED and outcome.reason in ("forbidden_address", "connect", "timeout"), url


async def test_one_dead_endpoint_has_a_lane_of_its_own(side: Side) -> None:
    channel = WebhookChannel({"a": "http://127.0.0.1:1/hook/a", "b": "http://127.0.0.1:1/hook/b"})
    lanes = {channel.lane(world.contact(number, hook=name)) for number, name in enumerate("aab")}
    assert len(lanes) == 2


def test_retry_after_is_seconds_or_a_date_and_never_more_than_a_day() -> None:
    now = datetime(2025, 8, 27, 2, 0, tzinfo=UTC)
    assert retry_after("120", now) == 120.0
    assert retry_after("Wed, 27 Aug 2025 02:01:30 GMT", now) == 90.0
    assert retry_after("Wed, 27 Aug 2025 01:00:00 GMT", now) == 0.0
    assert retry_after("999999999", now) == 86_400.0
    assert retry_after("", now) is None and retry_after("soon", now) is None


@pytest.mark.parametrize(
    ("status", "state"), [(200, State.DELIVERED), (204, State.DELIVERED), (301, State.WAITING), (404, State.WAITING), (500, State.WAITING)]
)
def test_what_a_status_means(status: int, state: State) -> None:
    assert outcome_of(httpx.Response(status), datetime.now(UTC)).state is state


def _other_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
