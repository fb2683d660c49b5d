"""CAP push to a cell-broadcast entity over HTTPS with certificates on both sides: the conformance suite, and who is let in."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import channel_endpoint
import channel_world as world
import pytest
import services
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side
from channel_gateway import DIALECTS, Behaviour, Gateway
from lxml import etree

from warning.dispatch.push import PushWay
from warning.dispatch.routed import Routed
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.routes import PushRoute


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> services.Certificates:
    return services.Certificates(tmp_path_factory.mktemp("ca"))


def entity(certificates: services.Certificates) -> Gateway:
    """It asks for a certificate of its own CA."""
    certificate, key = certificates.issue("cbe")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    return Gateway(DIALECTS["cap"], context)


def route_to(port: int, certificates: services.Certificates) -> PushRoute:
    certificate, key = certificates.issue("ews")
    return PushRoute("cbe", f"https://127.0.0.1:{port}/cap", str(certificate), str(key), str(certificates.ca_file))


@pytest.fixture
async def side(tmp_path: Path, certificates: services.Certificates) -> AsyncIterator[Side]:
    gateway, region = entity(certificates), world.region(tmp_path)
    way = PushWay(route_to(await gateway.start(), certificates), timeout_s=3.0)
    channel = Routed("broadcast", [way], lambda contact: "cbe", lambda up: None, nobody, well_s=0.0, look_s=0.05)
    await channel.start()

    def behave(**fields: object) -> None:
        gateway.behaviour = Behaviour(**fields)

    official = replace(world.contact(1), role="official", channels=("broadcast",))
    refuses = {"status": 422, "body": "no such area"}
    made = channel_endpoint.side(channel, region, official, gateway, behave, refuses=refuses, silent_s=9.0)
    made.gateway = gateway
    yield made
    await channel.stop()
    await gateway.stop()


async def test_it_gets_the_document_octet_for_octet(side: Side) -> None:
    await side.send()
    headers, body = side.gateway.requests[0]
    assert headers["Content-Type"] == "application/cap+xml"
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    assert etree.fromstring(body).tag == "{urn:oasis:names:tc:emergency:cap:1.2}alert"
    assert len(body) == len(event.cap.encode())


async def test_what_it_has_already_is_delivered(side: Side) -> None:
    side.gateway.behaviour = Behaviour(status=409)
    assert (await side.send()).state is State.DELIVERED


@pytest.mark.parametrize("wrong", ["ours", "theirs"])
async def test_without_the_right_certificate_nothing_is_said(tmp_path: Path, certificates: services.Certificates, wrong: str) -> None:
    gateway, region, strangers = entity(certificates), world.region(tmp_path), services.Certificates(tmp_path / "strangers")
    port = await gateway.start()
    other = route_to(port, strangers)
    good = route_to(port, certificates)
    chosen = replace(other, ca_file=good.ca_file) if wrong == "ours" else replace(good, ca_file=other.ca_file)
    way = PushWay(chosen, timeout_s=2.0)
    channel = Routed("broadcast", [way], lambda contact: "cbe", lambda up: None, nobody)
    await channel.start()
    try:
        made = Side(channel, region, world.contact(1), *(lambda: None,) * 8)  # type: ignore[arg-type]
        outcome = await made.send()
        assert outcome.state in (State.WAITING, State.UNKNOWN) and gateway.requests == []
    finally:
        await channel.stop()
        await gateway.stop()
