"""The form of gauge readers: its photos and routes, through the suite of the ways in; in a real Chromium, phone-sized, offline and back.

With WARNING_PICTURE=1 the picture in deploy/ is made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from ingest_house import HOST, records, two_basins, wall_ms
from ingest_house import deployment as place_of
from playwright.async_api import Browser, Page, async_playwright
from services import absent, embedded
from test_page import CHROMIUM, FLAGS
from test_ways_http import BAD_KEY, fields
from way_conformance import Answer, At, Message, Way, WayConformance
from yarl import URL

from warning import config_readers
from warning.errors import InputError
from warning.ingest.form import PHOTOS, READER, Form
from warning.ingest.gateway import Gateway
from warning.ingest.http import create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.ingest.photos import MOST_BYTES, Of, Photos, kind_of
from warning.ingest.serving import serve
from warning.model import Reading
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics

ROOT = Path(__file__).parent.parent
PHONE = {"width": 390, "height": 844}
READERS = "id,name,phone,language,stations,parameter,unit\nclerk,Clerk of Alder,,ur,A|D,stage,ft\n"


def png(seed: int = 0, size: int = 8) -> bytes:
    """A real picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes((seed * 7 + x * 9 + y * 5) % 256 for x in range(3 * size)) for y in range(size))
    header = struct.pack("!IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- photos


def of(time_ms: int, received_ms: int = 5) -> Of:
    return Of("A", "stage", time_ms, "clerk", received_ms)


def test_a_photo_is_kept_once_by_its_hash_with_all_its_readings(tmp_path: Path) -> None:
    photos = Photos(tmp_path / "photos")
    name = photos.keep(png(), of(1))
    assert photos.keep(png(), of(1, received_ms=9)) == name, "sent again"
    assert photos.keep(png(), of(2)) == name
    found = photos.find(name)
    assert found is not None
    assert (found[0].read_bytes(), found[1], found[2]) == (png(), "image/png", (of(1), of(2)))
    assert [photos.find(other) for other in ("0" * 64, "../" + name[3:], "")] == [None] * 3
    assert sorted(path.suffix for path in (tmp_path / "photos").glob("??/*")) == [".jsonl", ".png"], "nothing half-written is left"


def test_the_same_photo_for_ever_fills_no_disk(tmp_path: Path) -> None:
    photos = Photos(tmp_path)
    for time_ms in range(60):
        name = photos.keep(png(), of(time_ms))
    found = photos.find(name)
    assert found is not None and found[2] == tuple(of(time_ms) for time_ms in range(10, 60))


def test_the_oldest_photos_go_first(tmp_path: Path) -> None:
    photos = Photos(tmp_path, most_bytes=3 * len(png(1)) + 10)
    names = []
    for seed in range(6):
        names.append(photos.keep(png(seed), of(seed)))
        os.utime(photos.find(names[-1])[0], (seed, seed))  # type: ignore[index]
    assert [photos.find(name) is not None for name in names] == [False, False, False, True, True, True]
    assert len(list(tmp_path.glob("??/*.jsonl"))) == 3
    again = Photos(tmp_path, most_bytes=len(png(1)))
    newest = again.keep(png(7), of(7))
    assert [again.find(name) is not None for name in (*names, newest)] == [False] * 6 + [True], "also of those from before a restart"


def test_what_is_no_photo() -> None:
    assert [kind_of(begin + bytes(9)) for begin in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n")] == [".jpg", ".png"]
    for content, reason in (
        (b"", "media_type"),
        (b"<svg/>", "media_type"),
        (b"GIF89a", "media_type"),
        (b"\xff\xd8\xff" + bytes(MOST_BYTES), "too_large"),
    ):
        with pytest.raises(InputError) as refused:
            kind_of(content)
        assert (refused.value.reason, refused.value.field) == (reason, "photo")


# --- the suite


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
        form.add_field(
            "reading", json.dumps(fields(message)).encode() if message.raw is None else message.raw, content_type="application/json"
        )
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


# --- routes and browser


class Running:
    def __init__(self, region: Region, broker: EmbeddedBroker, folder: Path) -> None:
        self.region, self.broker, self.folder = region, broker, folder
        self.place = place_of(broker.bootstrap, folder)
        self.port, self.server, self.key = 0, None, ""  # type: int, Serving | None, str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def open(self) -> None:
        await ensure_topics(self.place, self.region.partitions)
        self.log = KafkaLog(self.broker.bootstrap, Gateway.topics(self.region, self.place), idempotent=False, within_s=3.0)
        await self.log.start()
        assert await self.log.until_up(20), self.log.why
        self.keys = KeyStore(self.place.database, wall_ms)
        _, self.key = await self.keys.create("clerk", stations=("A", "D"))
        await self.up()

    async def up(self) -> None:
        gateway = Gateway(self.region, self.place, self.log, wall_ms)
        app = create_app(gateway, self.keys)
        self.form = Form(self.region, config_readers.load(self.region.folder, self.region), gateway, self.keys, self.folder / "photos")
        app.add_routes(self.form.routes())
        self.server = await serve(app, HOST, self.port)
        self.port = self.server.port

    async def down(self) -> None:
        assert self.server is not None
        await self.server.stop()

    async def close(self) -> None:
        await self.down()
        await self.keys.close()
        await self.log.stop()

    async def readings(self) -> list[Reading]:
        found = [await records(self.broker.bootstrap, self.place.readings, number) for number in (0, 1)]
        return [msgspec.json.decode(value, type=Reading) for one in found for _, value in one]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    region = two_basins(tmp_path)
    (Path(region.folder) / "readers.csv").write_text(READERS, "utf-8")
    with embedded() as broker:
        made = Running(region, broker, tmp_path)
        await made.open()
        try:
            yield made
        finally:
            await made.close()


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


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not Path(CHROMIUM).exists() and shutil.which("chromium") is None:
        absent("Chromium", "make services (Debian packages chromium and fonts-noto-core)")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def phone(browser: Browser, **options: Any) -> AsyncIterator[tuple[Page, list[str]]]:
    context = await browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True, timezone_id="Asia/Karachi", **options)
    page, errors = await context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    try:
        yield page, errors
    finally:
        await context.close()


async def states(page: Page, *want: str) -> None:
    """Waits until the list shows these states, the newest first."""
    await page.wait_for_function(
        "(want) => JSON.stringify([...document.querySelectorAll('#queue li')].map((each) => each.dataset.state)) === JSON.stringify(want)",
        arg=list(want),
        timeout=20_000,
    )


async def test_on_a_phone_in_urdu_and_english_offline_and_back(running: Running, browser: Browser, tmp_path: Path) -> None:
    async with phone(browser) as (page, errors):
        await page.goto(f"{running.url}/reader")
        await page.wait_for_selector("#trouble:not([hidden])")
        assert "own link" in await page.inner_text("#trouble")
        await page.goto(f"{running.url}/reader#{running.key}")
        await page.wait_for_selector("#form:not([hidden])")
        assert running.key not in page.url, "the key does not stay where others see it"
        await by_link(page, running)
        await in_english(page, running, tmp_path)
        await offline_and_back(page, running)
        await refused_is_told(page, running)
        assert errors == []
    readings = await running.readings()
    assert [(one.station, one.parameter.value, one.value, one.provider) for one in readings] == [
        ("A", "stage", pytest.approx(1.43256), "clerk"),
        ("A", "stage", 3.5, "clerk"),
        ("A", "stage", 3.6, "clerk"),
        ("A", "stage", 3.7, "clerk"),
        ("D", "inflow", pytest.approx(15687.53, abs=0.01), "clerk"),
    ]


async def by_link(page: Page, running: Running) -> None:
    """In his language, right to left, with Urdu digits."""
    await page.click("#languages button[lang=ur]")
    assert await page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ur", "rtl"]
    assert "الف" in await page.inner_text("#station")
    await page.fill("#value", "۴٫۷")
    await page.click("#send")
    await states(page, "sent")
    assert "مل گئی" in await page.inner_text("#queue")
    wide = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "nothing sticks out to the side"
    small = await page.evaluate(
        "[...document.querySelectorAll('button, select, input:not([type=radio]):not([type=file]), .pick')]"
        ".filter((each) => each.offsetHeight && each.offsetHeight < 44).length"
    )
    assert small == 0, "everything is large enough for a thumb"
    await page.fill("#value", "۱۳٫۲")
    assert await page.inner_text("#class") == "اونچے درجے کا سیلاب"
    if os.environ.get("WARNING_PICTURE") == "1":
        await page.evaluate("scrollTo(0, 0)")
        await page.screenshot(path=ROOT / "deploy" / "reader.png", full_page=True)
    await page.fill("#value", "")


async def in_english(page: Page, running: Running, folder: Path) -> None:
    """Another time, another unit, a photo; and a class as soon as the number stands there."""
    await page.click("#languages button[lang=en]")
    assert await page.evaluate("document.documentElement.dir") == "ltr"
    await page.fill("#value", "abc")
    await page.click("#send")
    assert "as a number" in await page.inner_text("#wrong")
    await page.select_option("#unit", "m")
    await page.fill("#value", "3.5")
    assert await page.inner_text("#class") == "Medium Flood"
    await page.check("input[value=then]")
    await page.fill("#time", "2025-09-02T06:30")
    (folder / "gauge.png").write_bytes(png(3, 64))
    await page.set_input_files("#photo", folder / "gauge.png")
    await page.wait_for_selector("#preview:not([hidden])")
    await page.click("#send")
    await states(page, "sent", "sent")
    [photo] = (running.folder / "photos").glob("??/*.jpg")
    assert photo.read_bytes().startswith(b"\xff\xd8\xff")
    [of] = [json.loads(line) for line in photo.with_suffix(".jsonl").read_text().splitlines()]
    assert of["time_ms"] == round(datetime(2025, 9, 2, 1, 30, tzinfo=UTC).timestamp() * 1000), "local time of the phone"


async def offline_and_back(page: Page, running: Running) -> None:
    """No connection, the page is opened anew, two readings wait, the server comes back and has both, in order."""
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await running.down()
    await page.reload()
    await page.wait_for_selector("#form:not([hidden])")
    await page.wait_for_selector("#trouble:not([hidden])")
    assert "No connection" in await page.inner_text("#trouble")
    for value, hour in (("3.6", 7), ("3.7", 8)):
        await page.fill("#value", value)
        await page.check("input[value=then]")
        await page.fill("#time", f"2025-09-02T{hour:02}:30")
        await page.click("#send")
        await page.wait_for_function("() => document.querySelector('#value').value === ''")
    await states(page, "queued", "queued", "sent", "sent")
    assert "waiting" in await page.inner_text("#queue")
    await page.reload()
    await states(page, "queued", "queued", "sent", "sent")
    await running.up()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await states(page, "sent", "sent", "sent", "sent")
    assert await page.is_hidden("#trouble")


async def refused_is_told(page: Page, running: Running) -> None:
    """What the server refuses is told with its reason; a doubtful value is asked about; a key that ended loses nothing."""
    await page.select_option("#station", "D")
    await page.fill("#value", "554,000")
    await page.click("#send")
    await states(page, "sent", "sent", "sent", "sent", "sent")
    await page.fill("#value", "5540000")
    await page.click("#send")
    await page.wait_for_selector("#sure:not([hidden])")
    await page.click("#sure-no")
    await page.evaluate(
        "(item) => Queue.add({ item, photo: null, at: 0 })",
        {"station": "B", "parameter": "stage", "time": "2025-09-02T06:00:00Z", "value": 1, "unit": "m", "datum": "gauge_zero"},
    )
    await page.evaluate("flush()")
    await states(page, "refused", *["sent"] * 5)
    assert "may not send for B" in await page.inner_text("#queue .why")
    await running.keys.revoke(running.key)
    await page.fill("#value", "555000")
    await page.click("#send")
    await page.wait_for_selector("#trouble:not([hidden])")
    assert "not valid" in await page.inner_text("#trouble")
    await states(page, "queued", "refused", *["sent"] * 5)
