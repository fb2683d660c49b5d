"""Signed documents: an independent implementation agrees, the first one wins, keys change by their dates, and no warning waits for one."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from alert_region import REGION, raised
from capvalidator.validate import Validator
from cash_world import event_of
from prometheus_client import CollectorRegistry
from services import absent
from typer.testing import CliRunner

from warning.alerts import cap
from warning.alerts.lint import lint
from warning.cli import app
from warning.deployment import Deployment
from warning.errors import InputError
from warning.facts import DocumentSealed
from warning.operate import api
from warning.operate.store import Store, address
from warning.operate.trust import SEALED, SealMetrics
from warning.proof import keys
from warning.proof.signing import Signed, sign
from warning.proof.verify import verified

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EVENT = event_of(raised(REGION), REGION)


def key(folder: Path, name: str = "a", begins: datetime = NOW - DAY, ends: datetime = NOW + 100 * DAY) -> keys.Key:
    return keys.make(folder, name, "Test authority", begins, ends)


def xmlsec(document: bytes, certificate: Path, folder: Path) -> bool:
    """The verdict of xmlsec1 (libxmlsec and OpenSSL: nothing in common with signxml), trusting this certificate alone."""
    if shutil.which("xmlsec1") is None:
        absent("xmlsec1", "make services (Debian: xmlsec1)")
    path = folder / "document.xml"
    path.write_bytes(document)
    at = "2026-11-22 12:00:00"
    command = [
        "xmlsec1",
        "--verify",
        "--verification-gmt-time",
        at,
        "--trusted-pem",
        str(certificate),
        "--enabled-key-data",
        "x509",
        str(path),
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def signed(folder: Path, now: datetime = NOW, told: list[Any] | None = None, url: str = "") -> Signed:
    where = Deployment(directory=folder, prefix="t.", signing_keys=str(folder / "keys"), database_url=url)
    return Signed(where, (told if told is not None else []).append, lambda: now)


def test_an_independent_implementation_and_the_field_s_own_checks_agree(tmp_path: Path) -> None:
    ours = key(tmp_path / "keys")
    document = sign(EVENT.cap.encode(), ours)
    certificate = tmp_path / "keys" / "a.crt"
    assert xmlsec(document, certificate, tmp_path)
    assert Validator(document).schema()[0] and Validator(document).signature()[0]
    assert lint(document, REGION) == []
    assert verified(document, certificate.read_bytes()) == EVENT.alert.identifier
    assert cap.parse(document).identifier == EVENT.alert.identifier


def test_what_was_changed_or_signed_by_another_is_refused_by_both(tmp_path: Path) -> None:
    ours, other = key(tmp_path / "keys"), key(tmp_path / "other")
    document, certificate = sign(EVENT.cap.encode(), ours), tmp_path / "keys" / "a.crt"
    wrong = {
        "changed": document.replace(b"<certainty>Observed", b"<certainty>Unlikely"),
        "another's": sign(EVENT.cap.encode(), other),
        "unsigned": EVENT.cap.encode(),
        "wrapped": b'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>forged</identifier>' + document[39:] + b"</alert>",
    }
    for name, forged in wrong.items():
        assert forged != document
        assert not xmlsec(forged, certificate, tmp_path) or name == "wrapped", name
        with pytest.raises(InputError) as refused:
            verified(forged, certificate.read_bytes())
        assert refused.value.reason == "signature", name


async def test_the_first_one_wins_also_between_processes(tmp_path: Path) -> None:
    key(tmp_path / "keys")
    desks = [signed(tmp_path) for _ in range(4)]
    found = await asyncio.gather(*(desk.seal(EVENT) for desk in desks for _ in range(3)))
    assert len({one.cap for one in found}) == 1 and "<ds:Signature" in found[0].cap
    key(tmp_path / "keys", "b", NOW - timedelta(hours=1))
    later = signed(tmp_path)
    assert later.current().name == "b"
    assert (await later.seal(EVENT)).cap == found[0].cap
    for desk in (*desks, later):
        await desk.close()


async def test_another_document_under_the_same_identifier_is_not_passed_off_as_the_signed_one(tmp_path: Path) -> None:
    key(tmp_path / "keys")
    told: list[Any] = []
    desk = signed(tmp_path, told=told)
    await desk.seal(EVENT)
    other = msgspec.structs.replace(EVENT, cap=EVENT.cap.replace("Observed", "Likely"))
    assert (await desk.seal(other)).cap == other.cap
    assert told[-1] == DocumentSealed("conflict")
    await desk.close()


async def test_nor_where_both_come_at_once(tmp_path: Path) -> None:
    key(tmp_path / "keys")
    desk = signed(tmp_path)
    other = msgspec.structs.replace(EVENT, cap=EVENT.cap.replace("Observed", "Likely"))
    first, second = await asyncio.gather(desk.seal(EVENT), desk.seal(other))
    assert "Likely" not in first.cap and "Likely" in second.cap
    assert sum("<ds:Signature" in one.cap or "<Signature" in one.cap for one in (first, second)) == 1
    await desk.close()


async def test_keys_change_by_the_dates_of_their_certificates(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    key(folder, "2026", NOW - 10 * DAY, NOW + 10 * DAY)
    key(folder, "2027", NOW + 5 * DAY, NOW + 700 * DAY)
    who = {}
    for days in (0, 4, 6, 20, 699, 701):
        desk = signed(tmp_path, NOW + days * DAY)
        current = desk.current()
        who[days] = current.name if current else None
        await desk.close()
    assert who == {0: "2026", 4: "2026", 6: "2027", 20: "2027", 699: "2027", 701: None}


@pytest.mark.parametrize(("which", "why"), [("none", "no_key"), ("expired", "key_expired"), ("broken", "no_key"), ("retired", "no_key")])
async def test_without_a_valid_key_the_warning_goes_unsigned_and_is_signed_when_there_is_one(tmp_path: Path, which: str, why: str) -> None:
    folder, told = tmp_path / "keys", []
    if which == "expired":
        key(folder, "old", NOW - 20 * DAY, NOW - DAY)
    if which in ("broken", "retired"):
        key(folder, "old")
        (folder / "old.key").write_text("no key") if which == "broken" else (folder / "old.key").unlink()
    desk = signed(tmp_path, told=told)
    assert (await desk.seal(EVENT)).cap == EVENT.cap
    assert told == [DocumentSealed(why)]
    await desk.close()
    key(folder, "new")
    desk = signed(tmp_path, told=told)
    assert "<ds:Signature" in (await desk.seal(EVENT)).cap
    assert told[-1] == DocumentSealed("signed", (NOW + 100 * DAY).timestamp())
    await desk.close()


async def test_the_end_of_the_last_key_is_told_while_there_is_nothing_to_sign(tmp_path: Path) -> None:
    registry, told = CollectorRegistry(), []  # type: ignore[var-annotated]
    metrics = SealMetrics(registry)
    key(tmp_path / "keys")
    desk = signed(tmp_path, told=told)
    for _ in range(2):
        desk.watch()
    assert told == [DocumentSealed("", (NOW + 100 * DAY).timestamp())]
    key(tmp_path / "keys", "b", NOW + 90 * DAY, NOW + 400 * DAY)
    desk._read_s = float("-inf")
    desk.watch()
    for fact in told:
        metrics.sealed(fact)
    assert registry.get_sample_value("warning_signing_certificate_ends_seconds") == (NOW + 400 * DAY).timestamp()
    assert not sum(registry.get_sample_value("warning_documents_sealed_total", {"outcome": one}) or 0 for one in SEALED)
    await desk.close()


async def test_a_database_that_is_away_holds_no_warning_up(tmp_path: Path) -> None:
    key(tmp_path / "keys")
    told: list[Any] = []
    desk = signed(tmp_path, told=told, url="postgresql+asyncpg://x@127.0.0.1:9/none")
    assert (await desk.seal(EVENT)).cap == EVENT.cap
    assert (await desk.seal(EVENT)).cap == EVENT.cap
    assert told == [DocumentSealed("database"), DocumentSealed("database")]
    await desk.close()


async def test_a_database_that_is_slow_at_each_question_holds_it_up_two_seconds_in_all(tmp_path: Path, monkeypatch: Any) -> None:
    key(tmp_path / "keys")
    told: list[Any] = []
    desk = signed(tmp_path, told=told)
    ask, asked = desk._tables.run, []

    async def slow(statement: Any, rows: Any = ()) -> Any:
        asked.append(statement)
        await asyncio.sleep(1.2)
        return await ask(statement, rows)

    monkeypatch.setattr("warning.proof.signing.WITHIN_S", 2.0)
    monkeypatch.setattr(desk._tables, "run", slow)
    assert (await desk.seal(EVENT)).cap == EVENT.cap
    assert len(asked) == 2 and told == [DocumentSealed("database")]
    await desk.close()


async def test_without_a_folder_nothing_happens_and_nothing_is_made(tmp_path: Path) -> None:
    desk = Signed(Deployment(directory=tmp_path))
    assert await desk.seal(EVENT) is EVENT
    await desk.close()
    assert list(tmp_path.iterdir()) == []


@asynccontextmanager
async def serving(where: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        api.serve(api.create_app(REGION, where), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def test_the_api_serves_the_stored_bytes_and_the_certificates(tmp_path: Path) -> None:
    now = keys.today()
    folder = tmp_path / "keys"
    key(folder, "old", now - 90 * DAY, now - DAY)
    key(folder, "now", now - DAY, now + DAY)
    key(folder, "new", now + DAY / 2, now + 90 * DAY)
    where = Deployment(bootstrap="127.0.0.1:9", directory=tmp_path, prefix="t.", signing_keys=str(folder))
    store = Store(address(where))
    await store.open()
    await store.add([EVENT])
    await store.close()
    dispatch = Signed(where)
    sent = (await dispatch.seal(EVENT)).cap.encode()
    await dispatch.close()
    async with serving(where) as client:
        path = f"/v1/alerts/{EVENT.alert.identifier}.cap"
        answers = [await client.get(path) for _ in range(2)]
        assert [one.content for one in answers] == [sent, sent]
        again = await client.get(path, headers={"If-None-Match": answers[0].headers["etag"]})
        assert again.status_code == 304 and "immutable" in answers[0].headers["cache-control"]
        shown = (await client.get("/v1/certificates")).json()["certificates"]
        assert {one["name"]: one["state"] for one in shown} == {"old": "past", "now": "current", "new": "next"}
        current = next(one for one in shown if one["state"] == "current")
        assert verified(sent, current["pem"].encode()) == EVENT.alert.identifier
        assert "length" not in (await client.get("/v1/alerts.atom")).text


def test_a_key_is_made_whole_private_and_never_over_another(tmp_path: Path) -> None:
    run = CliRunner()
    folder = tmp_path / "keys"
    made = run.invoke(app, ["signing", "new", "--folder", str(folder), "--name", "2027", "--subject", "Flood authority", "--days", "20"])
    assert made.exit_code == 0 and stat.S_IMODE((folder / "2027.key").stat().st_mode) == 0o600
    before = (folder / "2027.key").read_bytes()
    again = run.invoke(app, ["signing", "new", "--folder", str(folder), "--name", "2027", "--subject", "x"])
    assert again.exit_code != 0 and (folder / "2027.key").read_bytes() == before
    listed = run.invoke(app, ["signing", "list", "--folder", str(folder)])
    assert listed.exit_code == 0 and listed.stdout.startswith("2027  current  ")
    document = tmp_path / "alert.xml"
    (found,) = keys.read(folder)[0]
    document.write_bytes(sign(EVENT.cap.encode(), found))
    told = run.invoke(app, ["signing", "verify", str(document), "--certificate", str(folder / "2027.crt")])
    assert told.exit_code == 0 and told.stdout.startswith(EVENT.alert.identifier)


def test_check_says_what_is_wrong_with_the_keys(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert [problem.fatal for problem in keys.problems(str(folder), NOW)] == [True, True]
    key(folder, "old", NOW - 20 * DAY, NOW - DAY)
    (problem,) = keys.problems(str(folder), NOW)
    assert problem.fatal and "the last one ended 2026-11-21" in problem.what
    key(folder, "new", NOW - DAY, NOW + 10 * DAY)
    (problem,) = keys.problems(str(folder), NOW)
    assert not problem.fatal and "2026-12-02" in problem.what
    key(folder, "next", NOW + DAY, NOW + 400 * DAY)
    assert list(keys.problems(str(folder), NOW)) == []
    (folder / "next.key").chmod(0o644)
    (problem,) = keys.problems(str(folder), NOW)
    assert not problem.fatal and "everybody" in problem.what
    (folder / "alone.key").write_text("x")
    assert any("no certificate" in one.what for one in keys.problems(str(folder), NOW))
