"""Operators are told of what waits by webhook and by e-mail, each once, whatever fails."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from pathlib import Path

import channel_world as world
import pytest
from channel_mail import MailServer

from warning.dispatch import operators
from warning.dispatch.channel import Outcome
from warning.dispatch.operators import OperatorPosts, told
from warning.model import DeliveryState as State
from warning.region import Contact
from warning.routes import MailRoute

BODY = json.dumps(
    {
        "type": "approval.waiting",
        "timestamp": "x",
        "data": {"identifier": "ews.oak.A.1.0", "left_s": 600, "zones": [{"zone": "A", "level": "HIGH"}]},
    }
)


class Hooks:
    def __init__(self, *outcomes: State) -> None:
        self.outcomes, self.posts = list(outcomes), 0

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        self.posts += 1
        return Outcome(self.outcomes.pop(0) if self.outcomes else State.DELIVERED, "")


async def test_who_has_both_is_told_by_both_and_by_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "RETRIES_S", (0.0, 0.0, 0.0))
    server, region = MailServer(), world.region(tmp_path)
    route = MailRoute("relay", "127.0.0.1", "Flood <warning@ews.example>", await server.start(), "none", most_per_s=1000.0)
    hooks = Hooks(State.WAITING, State.WAITING)
    posts = OperatorPosts(hooks, [route], region)
    try:
        both = world.contact(1, role="operator", hook="x", email="duty@office.example")
        await told(posts, both, "n1", BODY)
        assert (hooks.posts, len(server.mails)) == (3, 1)
        await told(posts, world.contact(2, role="operator", email="two@office.example"), "n2", BODY)
        assert (hooks.posts, len(server.mails)) == (3, 2)
        mail = message_from_bytes(server.mails[-1].as_bytes(), policy=policy.default)
        assert mail["To"] == "two@office.example" and mail["Subject"].endswith("A warning waits for your release")
        text = mail.get_content()  # type: ignore[attr-defined]
        assert "identifier: ews.oak.A.1.0" in text and "left_s: 600" in text and "  zone A, level HIGH" in text
    finally:
        await posts.close()
        await server.stop()


async def test_what_two_dispatchers_mail_is_one_message_to_a_mailbox(tmp_path: Path) -> None:
    server, region = MailServer(), world.region(tmp_path)
    route = MailRoute("relay", "127.0.0.1", "Flood <warning@ews.example>", await server.start(), "none", most_per_s=1000.0)
    one, dispatchers = (
        world.contact(1, role="operator", email="duty@office.example"),
        [OperatorPosts(Hooks(), [route], region) for _ in "ab"],
    )
    try:
        for posts, name in zip((*dispatchers, dispatchers[0]), ("n1", "n1", "n2"), strict=True):
            await told(posts, one, name, BODY)
        first, again, other = (message_from_bytes(mail.as_bytes(), policy=policy.default)["Message-ID"] for mail in server.mails)
        assert first == again != other and first.endswith("@ews.example>")
    finally:
        for posts in dispatchers:
            await posts.close()
        await server.stop()


async def test_a_relay_that_is_away_is_tried_again_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operators, "RETRIES_S", (0.0, 0.0, 0.0))
    posts = OperatorPosts(
        Hooks(), [MailRoute("relay", "127.0.0.1", "Flood <w@ews.example>", 1, "none", most_per_s=1000.0)], world.region(tmp_path)
    )
    one = world.contact(1, role="operator", email="duty@office.example")
    await told(posts, one, "n1", BODY)
    assert "operator c1 was not told of n1: connect" in caplog.text
    assert posts.reaches(one) and not OperatorPosts(Hooks(), [], world.region(tmp_path / "b")).reaches(one)
    await posts.close()
