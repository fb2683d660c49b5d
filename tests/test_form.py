"""The form of gauge readers: its routes, and photos through the suite of the ways in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import form_house
import msgspec
import pytest
from form_house import READERS, Running, png
from ingest_house import HOST, records
from test_ways_http import BAD_KEY, fields
from way_conformance import Answer, At, Message, Way, WayConformance
from yarl import URL

from warning import config_readers
from warning.ingest.form import PHOTOS, READER, Form
from warning.ingest.http import create_app
from warning.ingest.keys import KeyStore
from warning.ingest.photos import MOST_BYTES
from warning.ingest.serving import serve

running = form_house.running


class WithPhoto(Way):
    """Each reading with a photo of its own."""

    most_bytes = 64 << 10

    def prepare(self, folder: Path) -> None:
        (folder / "readers.csv").write_text(READERS, "utf-8")

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        keys = KeyStore(at.deployment.database, at.clock)
        app = create_app(at.gateway, keys, at.listen)
        readers = config_readers.load(at.region.folder, at.region)
        app.add_routes(Form(at.region, readers, at.gateway, keys, at.deployment.directory / "photos", at.listen).routes())
        server = await serve(app, HOST, 0)
        try:
            yield {"url": f"http://{HOST}:{server.port}{PHOTOS}", "key": at.key}
        finally:
            await server.stop()
            await keys.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        form = aiohttp.FormData()
        raw = json.dumps(fields(message)).encode() if message.raw is None else message.raw
        form.add_field("reading", raw, filename="reading", content_type="application/json")
        form.add_field("photo", png(message.at_ms % 251), filename="gauge.png", content_type="image/png")
        headers = {"Authorization": f"Bearer {BAD_KEY if message.bad_key else where['key']}"}
        try:
            async with aiohttp.ClientSession() as http, http.post(where["url"], data=form, headers=headers) as response:
                content = json.loads(await response.read())
        except aiohttp.ClientError:
            return Answer(None, again=True)
        assert response.status != 202 or len(content["photo"]) == 64
        return Answer(response.status == 202, content.get("reason", ""), again=response.status in (429, 503))


class TestWithPhoto(WayConformance):
    way = WithPhoto()


async def test_routes(running: Running) -> None:
    async with aiohttp.ClientSession(running.url) as http:
        for path, kind in (("/reader", "text/html"), ("/reader/form.js", "text/javascript"), ("/reader/worker.js", "text/javascript")):
            async with http.get(path) as page:
                assert (page.status, page.content_type) == (200, kind)
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]
                body, tag = await page.read(), page.headers["ETag"]
                assert b"http://" not in body.replace(b"http://www.w3.org", b"") and b"https://" not in body, "nothing from elsewhere"
            async with http.get(path, headers={"If-None-Match": tag}) as page:
                assert page.status == 304
        for path in ("/reader/../form.py", "/reader/form.py", "/reader/%2e%2e/http.py"):
            async with http.get(path) as page:
                assert page.status == 404
        async with http.get(READER) as page:
            assert page.status == 401
        _, other = await running.keys.create("whole agency")
        async with http.get(READER, headers={"Authorization": f"Bearer {other}"}) as page:
            assert page.status == 403, "a key for all stations is no reader's"
        _, narrow = await running.keys.create("clerk", stations=("D",))
        async with http.get(READER, headers={"Authorization": f"Bearer {narrow}"}) as page:
            assert [one["id"] for one in (await page.json())["stations"]] == ["D"]
        async with http.get(READER, headers={"Authorization": f"Bearer {running.key}"}) as page:
            known = await page.json()
        assert known["reader"] == {"id": "clerk", "name": "Clerk of Alder", "language": "ur"}
        alder, dogwood = known["stations"]
        assert [unit["unit"] for unit in alder["series"][0]["units"]] == ["ft", "m", "cm"]
        assert alder["series"][0]["levels"][2] == {"level": "HIGH", "si": 4.0}
        assert [one["parameter"] for one in dogwood["series"]] == ["inflow", "outflow"]
        assert dogwood["series"][0]["levels"][0]["si"] == pytest.approx(5663.369)


async def test_a_photo_and_its_reading(running: Running) -> None:
    item = {"station": "A", "parameter": "stage", "time": "2025-09-02T06:00:00Z", "value": 3, "unit": "m", "datum": "gauge_zero"}
    mine = {"Authorization": f"Bearer {running.key}"}

    async def post(http: aiohttp.ClientSession, reading: object, photo: bytes | None, name: str = "photo") -> tuple[int, dict[str, Any]]:
        form = aiohttp.FormData()
        form.add_field("reading", json.dumps(reading), content_type="application/json")
        if photo is not None:
            form.add_field(name, photo, filename="x.jpg", content_type="image/jpeg")
        async with http.post(PHOTOS, data=form, headers=mine) as response:
            return response.status, await response.json(content_type=None)

    async with aiohttp.ClientSession(running.url) as http:
        status, answer = await post(http, item, png())
        assert status == 202
        [reading] = await running.readings()
        assert (reading.station, reading.value, reading.provider) == ("A", 3.0, "clerk")
        async with http.get(f"{PHOTOS}/{answer['photo']}", headers=mine) as photo:
            assert (photo.status, photo.content_type, await photo.read()) == (200, "image/png", png())
            [told] = json.loads(photo.headers["Photo-Of"])
            assert (told["station"], told["parameter"], told["time_ms"]) == (reading.station, "stage", reading.time_ms)
        _, other = await running.keys.create("other", stations=("B",))
        async with http.get(f"{PHOTOS}/{answer['photo']}", headers={"Authorization": f"Bearer {other}"}) as photo:
            assert photo.status == 404, "another's photo"
        for body, reason, code in (
            ((item, b"GIF89a"), "media_type", 415),
            ((item, b"\xff\xd8\xff" + bytes(MOST_BYTES)), "too_large", 413),
            ((item, None), "malformed", 400),
            ((item, png(), "picture"), "malformed", 400),
            (({**item, "station": "B"}, png()), "station_forbidden", 403),
            (({**item, "unit": "cusec"}, png()), "unit_mismatch", 422),
            (({**item, "note": "x" * 9000}, png()), "too_large", 413),
        ):
            status, answer = await post(http, *body)  # type: ignore[misc]
            assert (status, answer["reason"]) == (code, reason)
        async with http.post(
            PHOTOS, data=b"--x\r\nbroken", headers={**mine, "Content-Type": "multipart/form-data; boundary=y"}
        ) as response:
            assert response.status == 400
        async with http.post(PHOTOS, json=item, headers=mine) as response:
            assert response.status == 415
        assert len(await running.readings()) == 1
        assert len(list((running.folder / "photos").glob("??/*.png"))) == 1, "no photo of a refused reading is kept"


def multipart(*parts: tuple[bytes, bytes]) -> bytes:
    """(headers of a part, content)."""
    return b"".join(b"--y\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + b"--y--\r\n"


async def test_a_body_that_breaks_its_own_rules_is_the_senders_fault_and_its_reading_is_kept(running: Running) -> None:
    reading = b'{"station": "A", "parameter": "stage", "time": "2025-09-02T06:00:00Z", "value": 3, "unit": "m", "datum": "gauge_zero"}'
    name, photo = b'Content-Disposition: form-data; name="reading"', b'Content-Disposition: form-data; name="photo"; filename="x"'
    bodies = [
        multipart((name, reading), (photo + b"\r\nno header at all", png())),
        multipart((name, reading), (photo + b"\r\nX: " + b"x" * 9000, png())),
        multipart((name, reading), (photo + b"\r\nX: 1" * 300, png())),
        multipart((b'Content-Disposition: form-data; name="_charset_"', b"x" * 40), (name, reading), (photo, png())),
        multipart((name, reading), (b"Content-Type: multipart/mixed", b"")),
        multipart((name, reading), (photo, b"\xff\xd8\xff" + bytes(MOST_BYTES))),
        multipart((name, b"{" + b" " * 9000), (photo, png())),
        multipart((name, reading)),
    ]
    mine = {"Authorization": f"Bearer {running.key}"}
    async with aiohttp.ClientSession(running.url) as http:
        for number, body in enumerate(bodies):
            headers = {**mine, "Content-Type": "multipart/form-data; boundary=y"}
            async with http.post(PHOTOS, data=body, headers=headers) as response:
                assert response.status in (400, 413), (number, await response.text())
        for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "y" * 90, "multipart/form-data; boundary="):
            async with http.post(PHOTOS, data=bodies[0], headers={**mine, "Content-Type": kind}) as response:
                assert response.status == 400, (kind, await response.text())
        for photo_name in ("%F0%A0%80%80" * 64, "%D9%A3" * 64, "z" * 64, "a" * 63):
            async with http.get(URL(f"{PHOTOS}/{photo_name}", encoded=True), headers=mine) as response:
                assert response.status == 404, photo_name
    kept = [msgspec.json.decode(value) for _, value in await records(running.broker.bootstrap, running.place.rejected, 0)]
    assert [one["record"].encode()[:9] for one in kept] == [*[reading[:9]] * 5, b"{        ", reading[:9]], "all but one"
    assert await running.readings() == []


async def test_a_full_disk_costs_no_reading(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.form._photos, "keep", full)
    form = aiohttp.FormData()
    form.add_field(
        "reading", json.dumps({"station": "D", "parameter": "inflow", "time": "2025-09-02T06:00:00Z", "value": 3, "unit": "cusec"})
    )
    form.add_field("photo", png(), filename="x.png")
    async with (
        aiohttp.ClientSession(running.url) as http,
        http.post(PHOTOS, data=form, headers={"Authorization": f"Bearer {running.key}"}) as response,
    ):
        assert (response.status, (await response.json())["photo"]) == (202, None)
    assert len(await running.readings()) == 1
