"""Answers to warnings in SQL: whoever names contact and chain counts at once, the others when the dispatcher has settled them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql
from channel_postgres import postgres

from warning.people.acknowledged import _ANSWERS, Acknowledgements


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def answers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Acknowledgements]:
    url = f"sqlite+aiosqlite:///{tmp_path}/a.db" if request.param == "sqlite" else request.getfixturevalue("database")
    made = Acknowledgements(url)
    yield made
    await made.close()


async def test_who_names_contact_and_chain_has_answered_it_from_then_on(answers: Acknowledgements) -> None:
    assert await answers.answered("one.A.1") == set()
    await answers.acknowledge(contact="c1", chain="one.A.1", by="A. Khan", how="api", at_ms=1000)
    assert await answers.answered("one.A.1") == {"c1"}
    assert await answers.answered("one.A.1", since_ms=1001) == set(), "an answer to an earlier revision is none to this one"
    assert await answers.answered("one.B.1") == set()


async def test_a_reply_from_a_phone_counts_when_it_is_settled_and_settling_twice_is_once(answers: Acknowledgements) -> None:
    await answers.acknowledge(phone="+999200", by="", how="sms", at_ms=2000)
    (answer,) = [each for each in await answers.unsettled() if each.phone == "+999200"]
    means = [("c2", "two.A.1"), ("c2", "two.B.1"), ("c3", "two.A.1")]
    await answers.settle(answer, means)
    await answers.settle(answer, means)
    assert [each.id for each in await answers.unsettled() if each.id == answer.id] == []
    assert await answers.answered("two.A.1") == {"c2", "c3"}
    told = await answers._read(sql.select(_ANSWERS).where(_ANSWERS.c.chain == "two.A.1", _ANSWERS.c.contact != "").order_by(_ANSWERS.c.id))
    assert [(each.contact, each.phone, each.how, each.at_ms) for each in told] == [
        ("c2", "+999200", "sms", 2000),
        ("c3", "+999200", "sms", 2000),
    ]


@pytest.mark.parametrize("said", [{"how": "sms"}, {"how": "smoke", "contact": "c1"}])
async def test_what_names_nobody_or_an_unknown_way_is_refused(answers: Acknowledgements, said: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"contact or phone|smoke"):
        await answers.acknowledge(by="x", at_ms=1, **said)


async def test_a_link_is_of_one_contact_and_chain_and_the_same_in_every_process(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/a.db"
    first, second = Acknowledgements(url), Acknowledgements(url)
    try:
        tokens = await asyncio.gather(first.token("x.A.1", "c1"), second.token("x.A.1", "c1"))
        assert tokens[0] == tokens[1] and len(tokens[0]) == 22
        assert await second.genuine("x.A.1", "c1", tokens[0])
        for chain, contact, token in (("x.A.2", "c1", tokens[0]), ("x.A.1", "c2", tokens[0]), ("x.A.1", "c1", "é" + tokens[0][1:])):
            assert not await first.genuine(chain, contact, token)
    finally:
        await first.close()
        await second.close()
