"""The SMS centres' reports by themselves: from a folder and a URL, each once, whatever is killed; what differs is told."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
import services
from prometheus_client import CollectorRegistry
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from test_ledger import NOW, accepted, ledger, planned, receipt, server, told, url  # noqa: F401 - fixtures among them
from typer.testing import CliRunner

from warning import config_routes
from warning.cli import app
from warning.dispatch import reports as module
from warning.dispatch import tables as t
from warning.dispatch.attempts import Claim, Close
from warning.dispatch.database import reading
from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.lasting import Lasting
from warning.dispatch.ledger import Ledger
from warning.dispatch.reports import STILL_S, YOUNGEST_MS, Reports
from warning.errors import ConfigError
from warning.facts import Fact
from warning.operate.metrics import Metrics
from warning.people import consent
from warning.people.directory import Directory
from warning.people.tables import address
from warning.people.told import Reconciled
from warning.proof import chain
from warning.region import Contact, Region
from warning.routes import Report, Routes

HEAD = "MSGID;Stat\n"


class House:
    """``facts``, ``notices``: what was told; ``now_ms`` may be moved."""

    def __init__(self, region: Region, ledger: Ledger, report: Report) -> None:  # noqa: F811
        self.facts, self.notices, self.now_ms = list[Fact](), list[dict](), NOW + 86_400_000
        self.live = False
        self.report, self.region, self.ledger = report, region, ledger
        self.reports = self.started()

    def started(self) -> Reports:
        async def operators() -> list[Contact]:
            return [world.contact(9, hook="desk", live=self.live)]

        async def tell(contact: Contact, identifier: str, body: str) -> None:
            self.notices.append(json.loads(body))

        self.reports = Reports(self.region, [self.report], self.ledger, self.facts.append, lambda: self.now_ms, operators, tell)
        return self.reports

    async def rows(self) -> list[dict]:
        async with self.ledger.writing() as connection:
            return [dict(row) for row in (await connection.execute(select(t.reports).order_by(t.reports.c.id))).mappings()]


def drop(folder: Path, name: str, text: str, now_ms: int, age_s: float = 2 * STILL_S) -> Path:
    path = folder / name
    path.write_text(text)
    os.utime(path, (now_ms / 1000 - age_s,) * 2)
    return path


@pytest.fixture
async def house(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:  # noqa: F811
    """Three messages: one that the centre delivered, one that failed there, one that waits for its receipt."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    people = [world.contact(number) for number in range(3)]
    for item, name in zip(await planned(ledger, tmp_path, *people), ("a", "b", "c"), strict=True):
        await ledger.write([Claim(item.id, NOW)])
        await ledger.write([Close(item.id, replace(accepted(f"jazz/{name}"), route="jazz"), NOW)])
    (tmp_path / "in").mkdir()
    report = Report("jazz", str(tmp_path / "in"), columns={"message_id": "MSGID"}, states={"OK": "delivered"})
    return House(world.region(tmp_path), ledger, report)


async def test_what_differs_is_corrected_kept_and_told_and_never_twice(house: House, tmp_path: Path) -> None:
    text = HEAD + "a;OK\nb;UNDELIV\nx;OK\n"
    drop(tmp_path / "in", "night.csv", text, house.now_ms)
    drop(tmp_path / "in", "late.csv", HEAD + "c;OK\n", house.now_ms, age_s=1)  # still being written
    drop(tmp_path / "in", "notes.txt", "x", house.now_ms)
    house.now_ms += YOUNGEST_MS
    os.utime(tmp_path / "in" / "late.csv", (house.now_ms / 1000 - 1,) * 2)
    await house.reports.look(house.report)
    [row] = await house.rows()
    assert (row["name"], row["state"], row["held"]) == ("night.csv", "done", 3)
    assert row["counts"] == {"lines": 3, "corrected": 2, "unknown": 1, "unsettled": 1}
    assert [(each["message_id"], each["ours"], each["theirs"]) for each in row["differences"]] == [
        *(("jazz/a", "accepted", "delivered"), ("jazz/b", "accepted", "failed"), ("jazz/x", "", "delivered"))
    ]
    assert await house.ledger.counts() == {("sms", "delivered"): 1, ("sms", "failed"): 1, ("sms", "accepted"): 1}
    assert [one.origin for one in (await told(house.ledger))[-2:]] == ["reconciliation"] * 2
    assert house.facts == [Reconciled("jazz", house.now_ms, 3, 2, 1, 1)]
    [notice] = house.notices
    assert notice["type"] == "report.differs" and notice["data"]["counts"]["corrected"] == 2 and len(notice["data"]["differences"]) == 3
    drop(tmp_path / "in", "again.csv", text, house.now_ms)
    for _ in range(2):
        await house.started().look(house.report)
    assert len(await house.rows()) == 1 == len(house.notices) == len(house.facts), "the same bytes under another name, after a restart"
    house.now_ms += 120_000
    await house.reports.look(house.report)
    assert [row["name"] for row in await house.rows()] == ["night.csv", "late.csv"]
    assert await house.ledger.counts() == {("sms", "delivered"): 2, ("sms", "failed"): 1}
    assert house.facts[-1] == Reconciled("jazz", house.now_ms, 1, 1, 0, 0)


async def test_a_route_whose_newest_report_differs_is_told_of_twice_a_day_until_one_does_not(house: House, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        await house.ledger.write([receipt(f"jazz/{name}")])

    async def operators() -> list[Contact]:
        return [world.contact(9, hook="desk")]

    async def tell(contact: Contact, identifier: str, body: str) -> None:
        house.notices.append(json.loads(body))

    def started() -> Reports:
        lasting = Lasting(house.ledger, operators, tell, lambda: house.now_ms, 60_000)
        return Reports(house.region, [house.report], house.ledger, house.facts.append, lambda: house.now_ms, operators, tell, lasting)

    reports, hour = started(), 3_600_000
    drop(tmp_path / "in", "1.csv", HEAD + "x;OK\n", house.now_ms)
    for hours in (0, 11, 1):
        house.now_ms += hours * hour
        await reports.round()
    assert [(one["type"], one["data"].get("times")) for one in house.notices] == [("report.differs", None), ("report.differs", 2)]
    assert house.notices[1]["data"]["counts"]["unknown"] == 1
    drop(tmp_path / "in", "2.csv", HEAD + "a;OK\n", house.now_ms)
    reports = started()
    for _ in range(3):
        await reports.round()
        house.now_ms += 60_000
    assert [one["type"] for one in house.notices[2:]] == ["report.differs.ended"]


async def test_the_reports_of_quiet_nights_are_the_same_and_each_is_one(house: House, tmp_path: Path) -> None:
    for night in range(3):  # else an alarm says that none came
        drop(tmp_path / "in", f"{night}.csv", HEAD, house.now_ms)
        await house.reports.look(house.report)
        assert house.facts[-1] == Reconciled("jazz", house.now_ms, 0, 0, 0, 3) and len(house.facts) == night + 1
        house.now_ms += 86_400_000
    await house.started().look(house.report)
    assert [row["name"] for row in await house.rows()] == ["0.csv", "1.csv", "2.csv"] and len(house.facts) == 3, "nor again after a restart"


async def test_a_crash_between_two_chunks_goes_on_where_it_stopped(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    drop(tmp_path / "in", "night.csv", HEAD + "a;OK\nb;UNDELIV\nc;OK\nx;OK\n", house.now_ms)
    hold, held = module.hold, []

    async def dies(connection, region, chunk, *rest) -> None:
        await hold(connection, region, chunk, *rest)
        held.append(chunk[0].message_id)
        if len(held) in (2, 4, 5):
            raise OperationalError("killed", None, Exception())

    monkeypatch.setattr(module, "hold", dies)
    for _ in range(4):
        await house.started().look(house.report)
    assert held == ["jazz/a", "jazz/b", "jazz/b", "jazz/c", "jazz/c", "jazz/c", "jazz/x"]
    [row] = await house.rows()
    assert row["state"] == "done" and row["counts"] == {"lines": 4, "corrected": 3, "unknown": 1, "unsettled": 0}
    assert len(row["differences"]) == 4 and len(house.notices) == 1
    assert await house.ledger.counts() == {("sms", "delivered"): 2, ("sms", "failed"): 1}


async def test_one_that_nobody_can_read_keeps_no_other_back_and_is_taken_once_it_is_right(house: House, tmp_path: Path) -> None:
    drop(tmp_path / "in", "1.csv", HEAD + "a;WHATEVER\n", house.now_ms, 300)
    drop(tmp_path / "in", "2.csv", HEAD + "b;OK\n", house.now_ms, 200)
    (tmp_path / "in" / "3.csv").write_bytes(b"\xff\xfe\x00")
    os.utime(tmp_path / "in" / "3.csv", (house.now_ms / 1000 - 100,) * 2)
    await house.reports.look(house.report)
    await house.reports.look(house.report)
    assert [(row["name"], row["state"]) for row in await house.rows()] == [("1.csv", "refused"), ("2.csv", "done"), ("3.csv", "refused")]
    assert [fact.error for fact in house.facts] == ["ConfigError", "", "ValueError"], "each is told once"
    house.report = replace(house.report, states={"OK": "delivered", "WHATEVER": "failed"})
    await house.started().look(house.report)
    assert [row["state"] for row in await house.rows()] == ["done", "done", "refused"]
    house.report = replace(house.report, folder=str(tmp_path / "nowhere"))
    await house.started().look(house.report)
    assert house.facts[-1].error == "FileNotFoundError"


async def test_what_nobody_foresaw_in_a_report_ends_nothing_and_is_not_tried_for_ever(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(tmp_path / "in", "1.csv", HEAD + "a\0b;OK\n", house.now_ms, 300)
    drop(tmp_path / "in", "2.csv", HEAD + "b;OK\n", house.now_ms, 200)

    def dies(*_: object) -> None:
        raise RuntimeError("nobody foresaw it")

    said = module.said_in
    monkeypatch.setattr(module, "said_in", dies)
    await house.reports.look(house.report)
    await house.reports.look(house.report)
    assert [fact.error for fact in house.facts] == ["RuntimeError", "RuntimeError"]
    monkeypatch.setattr(module, "said_in", said)
    await house.started().look(house.report)
    assert [fact.error for fact in house.facts[2:]] == ["ConfigError", ""], "a zero byte is named; PostgreSQL would not even look"


async def test_a_report_that_a_ledger_refused_connections_for_is_taken_later(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncpg raises what the system said, which is no error of SQL's."""
    drop(tmp_path / "in", "night.csv", HEAD + "b;OK\n", house.now_ms)
    with monkeypatch.context() as away:

        def refuses() -> None:
            raise ConnectionRefusedError("connect call failed")

        away.setattr(house.ledger, "writing", refuses)
        await house.reports.round()
    await house.reports.round()
    assert [fact.error for fact in house.facts] == ["ConnectionRefusedError"], "not each second"
    house.now_ms += module.AGAIN_MS
    await house.reports.round()
    assert [row["state"] for row in await house.rows()] == ["done"]


async def test_an_exercise_tells_no_live_operator(house: House, tmp_path: Path) -> None:
    house.live = True
    drop(tmp_path / "in", "night.csv", HEAD + "x;OK\n", house.now_ms)
    await house.reports.look(house.report)
    assert len(house.facts) == 1 and house.notices == []


async def test_a_place_without_its_report_is_asked_every_quarter_of_an_hour(house: House, tmp_path: Path) -> None:
    house.report = replace(house.report, folder=str(tmp_path / "nowhere"))
    reports = house.started()
    for minutes, failures in ((0, 1), (1, 1), (16, 2)):
        house.now_ms += 60_000 * minutes
        await reports.round()
        assert len(house.facts) == failures


async def test_from_a_url_yesterdays_once_the_hour_has_come(house: House, httpserver: HTTPServer) -> None:
    day = "2025-08-27"  # of NOW + 1 day, less one
    asked = httpserver.expect_oneshot_request(f"/cdr/{day}.csv", headers={"Authorization": "Bearer s3cret"})
    asked.respond_with_data("not there yet", status=404)
    httpserver.expect_request(f"/cdr/{day}.csv").respond_with_data(HEAD + "a;OK\n")
    address = httpserver.url_for("/cdr/{date}.csv").replace("localhost", "127.0.0.1")
    hour = 60 * 3
    house.report = replace(house.report, folder="", url=address, authorization="Bearer s3cret", after_minute=hour)
    offset_ms = house.region.utc_offset_s * 1000
    midnight = house.now_ms - (house.now_ms + offset_ms) % 86_400_000
    house.now_ms = midnight + 60_000 * hour - 1
    await house.started().look(house.report)
    assert len(httpserver.log) == 0
    house.now_ms += 1
    await house.reports.look(house.report)
    assert house.facts[-1].error == "ValueError" and await house.rows() == []
    for _ in range(3):
        await house.started().look(house.report)
    [row] = await house.rows()
    assert row["state"] == "done" and row["counts"]["corrected"] == 1 and len(httpserver.log) == 2, "not even asked for again"
    assert day in row["name"] and "s3cret" not in row["name"]


async def test_a_restart_knows_when_the_newest_came(house: House, tmp_path: Path) -> None:
    drop(tmp_path / "in", "night.csv", HEAD + "a;OK\n", house.now_ms)
    await house.reports.look(house.report)
    done_ms, house.now_ms = house.now_ms, house.now_ms + 5_000_000
    registry = CollectorRegistry()
    metrics = Metrics(registry, house.region, "dispatch")
    await house.started()._tell_newest()
    metrics(house.facts[-1])
    assert registry.get_sample_value("warning_report_time_seconds", {"route": "jazz"}) == done_ms / 1000
    assert registry.get_sample_value("warning_report_differences", {"route": "jazz", "what": "corrected"}) == 1
    assert registry.get_sample_value("warning_report_failures_total", {"route": "jazz"}) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{route: other, folder: /x}", "'other' is no route by SMS"),
        ("{route: jazz}", "one place: folder or url"),
        ("{route: jazz, folder: /x, url: 'https://a/b'}", "one place: folder or url"),
        ("{route: jazz, url: 'http://smsc.example.net/b'}", "is no https:// address"),
        ("{route: jazz, url: 'https://user:pw@smsc.example.net/b'}", "is no https:// address"),
        ("{route: jazz, url: 'https://smsc.example.net/{day}'}", "{date} is all that may be left open"),
        ("{route: jazz, folder: /x, after: '25:00'}", "no time of the day"),
        ("{route: jazz, folder: /x, states: {OK: perhaps}}", "states"),
        ("{route: jazz, url: 'https://smsc.example.net/b', authorization: 'env:NONE_SUCH'}", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_place_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "routes.yaml"
    sms = "sms:\n  - smpp: {name: jazz, host: smsc.example.net, user: ews, password: 'env:PW'}\n"
    file.write_text(sms + f"reports:\n  - {text}\n")
    with pytest.raises(ConfigError, match=said.replace("{", r"\{").replace("}", r"\}")):
        config_routes.load(file, {"PW": "x"})
    file.write_text(sms + "reports:\n  - {route: jazz, url: 'https://smsc.example.net/{date}', authorization: 'env:PW', after: '04:30'}\n")
    [report] = config_routes.load(file, {"PW": "secret-x"}).reports
    assert (report.route, report.after_minute, report.authorization) == ("jazz", 270, "secret-x") and "secret-x" not in repr(report)


async def test_the_command_names_what_differed(house: House, tmp_path: Path) -> None:
    drop(tmp_path / "in", "night.csv", HEAD + "a;OK\nx;OK\n", house.now_ms)
    await house.reports.look(house.report)
    address = str(house.ledger._engine.url.render_as_string(hide_password=False))
    root = Path(__file__).parent.parent
    asked = ["deliveries", "reports", str(root / "config" / "indus"), "--database", address]
    shown = await asyncio.to_thread(CliRunner().invoke, app, asked)
    assert shown.exit_code == 0, shown.output
    assert (
        "jazz  night.csv  done  2 lines, 1 corrected, 1 unknown" in shown.output
        and "jazz/x  not in the ledger, delivered there" in shown.output
    )


async def test_the_dispatcher_itself_takes_reports_and_what_people_said(tmp_path: Path) -> None:
    """The process as it runs, over a broker: the folder of the one centre, and a consent on SQLite into the one chain."""
    (tmp_path / "in").mkdir()
    drop(tmp_path / "in", "night.csv", "id,state\nstranger,DELIVRD\n", world.now_ms())
    region = world.region(tmp_path, [])
    with services.embedded() as broker:
        where = await world.deployment(broker.bootstrap, tmp_path, "reports")
        directory = Directory(address(where), region)
        await consent.say(directory, "+923001234567", given=False, at_ms=7, by="ayesha", how="person")
        stop, facts = asyncio.Event(), list[Fact]()
        routes = Routes(reports=(Report("", str(tmp_path / "in")),))
        running = asyncio.create_task(Dispatcher(region, where, facts.append, routes=routes).run(stop))
        try:
            await world.until(lambda: any(isinstance(fact, Reconciled) and fact.unknown == 1 for fact in facts), what="the report")
            await world.until(lambda: carried(where.database), what="the line")
        finally:
            stop.set()
            await asyncio.gather(running)
            await directory.close()


async def carried(url: str) -> bool:  # noqa: F811
    async with reading(url) as connection:
        return any(row.kind == "consent" and row.at_ms == 7 for row in await connection.execute(chain.acts.select()))
