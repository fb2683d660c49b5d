"""The page in a real Chromium: what a person sees, in English and Urdu, on a desk and on a phone. Makes deploy/page.png.

With WARNING_PICTURE=1 the picture in the README is made anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from msgspec.structs import replace
from operate_records import CUSEC, Records, decided, indus, send
from playwright.async_api import Page, async_playwright
from services import absent, embedded
from sqlalchemy import insert

from warning.deployment import Deployment
from warning.dispatch import tables
from warning.dispatch.ledger import Ledger
from warning.dispatch.rows import Position
from warning.model import AlertEvent, EventKind, Level, to_json
from warning.operate import api
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics

ROOT = Path(__file__).parent.parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
)
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}


NOW = round(datetime(2025, 8, 29, 9, 0, tzinfo=UTC).timestamp() * 1000)  # 14:00 in Pakistan, two hours after the bulletins


@pytest.fixture(scope="module")
def region() -> Region:
    return indus()


@dataclass
class Seen:
    """What a page did besides showing itself."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


@dataclass
class House:
    """A running broker and API with records in them, and a browser."""

    base: str
    broker: EmbeddedBroker
    region: Region
    where: Deployment
    made: Records
    browser: object

    @asynccontextmanager
    async def page(self, size: dict[str, int], path: str = "/", **options: object) -> AsyncIterator[tuple[Page, Seen]]:
        context = await self.browser.new_context(viewport=size, reduced_motion="reduce", **options)  # type: ignore[attr-defined]
        page, seen = await context.new_page(), Seen()
        page.on("console", lambda message: seen.errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
        page.on("response", lambda answer: seen.broken.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
        try:
            await page.goto(self.base + path)
            await page.wait_for_selector("#alert-list .alert")
            await page.evaluate("document.fonts.ready")
            yield page, seen
        finally:
            await context.close()


@asynccontextmanager
async def house(region: Region, folder: Path, made: Records, *, replay: bool = True) -> AsyncIterator[House]:
    if not Path(CHROMIUM).exists() and shutil.which("chromium") is None:
        absent("Chromium", "make services (Debian packages chromium and fonts-noto-core)")
    with embedded() as broker:
        where = Deployment(bootstrap=broker.bootstrap, prefix="replay-page.", directory=folder, embedded=True, replay=replay)
        await ensure_topics(where, region.partitions)
        await send(where, region, made)
        if (event := made.in_force.get("RAV-SHAHDARA")) is not None:
            await nobody_hears(where, region, event)
        async with api.serve(api.create_app(region, where), "127.0.0.1", 0) as port, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            try:
                yield House(f"http://127.0.0.1:{port}", broker, region, where, made, browser)
            finally:
                await browser.close()


async def nobody_hears(where: Deployment, region: Region, event: AlertEvent) -> None:
    """As the dispatcher's ledger says it."""
    ledger = await Ledger.open(where.database, region.id)
    try:
        raised = event.alert.identifier.rpartition(".")[0] + ".0"  # people heard of this one, the page shows what renewed it
        told = replace(event.alert, identifier=raised, revision=0, kind=EventKind.RAISE)
        for number, one in enumerate((replace(event, alert=told), event), 1):
            await ledger.begin(one, to_json(one), Position("alerts", 0, number, "a", "b"))
        async with ledger.writing() as connection:
            await connection.execute(insert(tables.untold).values(alert=raised, since_ms=told.sent_ms))
    finally:
        await ledger.close()


async def text(page: Page, selector: str) -> str:
    return (await page.locator(selector).first.inner_text()).strip()


async def test_the_page(region: Region, tmp_path: Path) -> None:
    """One browser for all of it: a start of Chromium is what takes the time."""
    async with house(region, tmp_path, decided(region, NOW)) as running:
        await on_a_desk(running, region)
        await in_urdu(running, region)
        await on_a_phone(running)
        await by_keyboard(running)
        await follows_and_says_when_cut_off(running, region)


async def on_a_desk(running: House, region: Region) -> None:
    async with running.page(DESK, "/?lang=en#zone=CHE-TRIMMU") as (page, seen):
        await the_gauges(page, running, region)
        await the_warnings(page, running, region)
        assert "EXERCISE" in await text(page, "#exercise")
        assert await page.locator("#map.unmapped").count() == 0, "its countries are drawn, what lies around them is the sea"
        assert await page.locator("path.area").count() > 5, "areas of warnings in force"
        assert "imply no opinion" in await text(page, "footer")
        await page.wait_for_selector("#plot canvas")
        await the_gauge(page, running, region)
        await the_plot(page)
        await page.wait_for_selector("#delivery-rows tr")
        assert await page.locator("#delivery-rows tr").count() == min(60, len(running.made.receipts)) > 5
        await page.locator("#sensor-counts", has_text="Silent series").wait_for()
        await page.wait_for_timeout(500)
        if os.environ.get("WARNING_PICTURE") == "1":
            await page.evaluate("scrollTo(0, 0)")
            await page.screenshot(path=ROOT / "deploy" / "page.png")
        assert (seen.errors, seen.broken) == ([], [])
        assert seen.hosts == {urlsplit(running.base).netloc}, "nothing comes from elsewhere"


async def the_gauges(page: Page, running: House, region: Region) -> None:
    gauges = page.locator(".gauge")
    assert await gauges.count() == len(region.zones)
    levels = [hazard.level.value for hazard in running.made.hazards]
    assert len(set(levels)) >= 5, "a picture of many classes"
    for level in ("UNKNOWN", *sorted(set(levels))):
        want = levels.count(level)
        assert want
        assert await page.locator(f".gauge[data-level={level}]").count() == want
    silent = page.locator(".gauge[data-level=UNKNOWN]").first
    assert await silent.locator("text").inner_html() == "?"
    assert "Unknown" in (await silent.get_attribute("aria-label") or "")


async def the_warnings(page: Page, running: House, region: Region) -> None:
    cards = page.locator("#alert-list .alert")
    assert await cards.count() == len(running.made.in_force) == int(await text(page, "#alert-count"))
    event = running.made.in_force["RAV-SHAHDARA"]
    card = page.locator(".alert[data-zone=RAV-SHAHDARA]")
    shown = await card.inner_text()
    assert region.class_names[event.alert.level]["en"] in shown
    assert event.alert.hazard.words[0] in shown, "the reason"
    assert "NOBODY is told of this warning" in await card.locator(".tag.reach").inner_text()
    assert await page.locator(".tag.reach").count() == 1, "of no other"
    href = await card.locator("a").get_attribute("href")
    document = await page.evaluate("async (url) => (await fetch(url)).text()", href)
    assert document == event.cap


async def the_gauge(page: Page, running: House, region: Region) -> None:
    now = await text(page, "#gauge-now")
    value = next(hazard.value for hazard in running.made.hazards if hazard.zone == "CHE-TRIMMU")
    assert f"{value / CUSEC:,.0f} cusec" in now.replace("\u2068", "").replace("\u2069", "")
    observed = next(hazard.observed_ms for hazard in running.made.hazards if hazard.zone == "CHE-TRIMMU")
    local = datetime.fromtimestamp(observed / 1000 + region.utc_offset_s, UTC)
    assert f"{local.day} Aug, {local:%H:%M} PKT" in now, "local time"
    reasons = await text(page, "#gauge-words")
    assert "how sure: likely (72 %)" in reasons
    assert "in the zone along the river, 12 km wide (not an inundation map): 3 towns" in await text(page, "#exposure-words")
    assert "Trimmu barrage road" in await text(page, "#exposure-assets")


async def the_plot(page: Page) -> None:
    legend = await text(page, "#plot-legend")
    assert [f"{percent}\u00a0% of the forecast's spread" in legend for percent in (90, 80, 50)] == [True] * 3, "the fan"
    drawn = await page.evaluate(
        "() => { const c = document.querySelector('#plot canvas'); "
        "return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size }"
    )
    assert drawn > 50, "the hydrograph is not empty"


async def in_urdu(running: House, region: Region) -> None:
    async with running.page(DESK, "/?lang=en") as (page, seen):
        assert await page.evaluate("document.documentElement.dir") == "ltr"
        await page.click("#languages button[lang=ur]")
        assert await page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ur", "rtl"]
        await page.evaluate("document.fonts.load('16px \"Noto Nastaliq Urdu\"', 'سیلاب')")
        loaded = await page.evaluate("[...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)")
        assert any("Nastaliq" in family for family in loaded)
        assert (await page.evaluate("getComputedStyle(document.querySelector('#alerts-title')).fontFamily")).startswith(
            '"Noto Nastaliq Urdu"'
        )
        assert "نافذ وارننگ" in await text(page, "#alerts-title")
        await page.click(".alert[data-zone=CHE-TRIMMU] button")
        await page.wait_for_selector("#gauge-exposure:not([hidden])")
        assert "یقین: امکان ہے" in await text(page, "#gauge-words"), "reasons in Urdu"
        told = running.made.in_force["CHE-TRIMMU"].alert.hazard
        reasons = await page.locator(".alert[data-zone=CHE-TRIMMU] .reasons li").all_inner_texts()
        assert len(reasons) == len(told.reasons) > 3 and "یقین: امکان ہے" in " ".join(reasons), "one by one, as in English"
        value = next(hazard.value for hazard in running.made.hazards if hazard.zone == "CHE-TRIMMU")
        assert f"{value / CUSEC:,.0f} کیوسک" in await text(page, "#gauge-now"), "its unit too"
        assert "یہ زیر آب آنے کا نقشہ نہیں" in await text(page, "#exposure-words")
        shown = await text(page, ".alert[data-zone=RAV-SHAHDARA]")
        assert region.class_names[running.made.in_force["RAV-SHAHDARA"].alert.level]["ur"] in shown
        assert region.zone_by_id["RAV-SHAHDARA"].names["ur"] in shown
        boxes = [await page.locator(selector).bounding_box() for selector in ("#map", "#alerts")]
        assert boxes[0] and boxes[1] and boxes[1]["x"] < boxes[0]["x"], "right to left: the map is on the right"
        await page.reload()
        await page.wait_for_selector("#alert-list .alert")
        assert (seen.errors, seen.broken) == ([], [])


async def on_a_phone(running: House) -> None:
    for language in ("en", "ur"):
        async with running.page(PHONE, f"/?lang={language}#zone=CHE-TRIMMU", has_touch=True, is_mobile=True) as (page, seen):
            await page.wait_for_selector("#plot canvas")
            wide = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], "nothing sticks out to the side"
            order = [(await page.locator(selector).bounding_box() or {})["y"] for selector in ("#map", "#gauge", "#alerts", "#deliveries")]
            assert order == sorted(order)
            key, limits = await text(page, "#plot-legend"), running.region.zone_by_id["CHE-TRIMMU"].limits.values
            names = [running.region.class_names[level][language] for level in limits]
            assert [name in key for name in names] == [language == "ur" and level is Level.MEDIUM for level in limits], (
                "no room at its line"
            )
            assert await page.locator(".gauge-name").count() > 3
            cut = "all => all.map((each) => [each.getBoundingClientRect(), document.querySelector('#map').getBoundingClientRect()])"
            cut += ".filter(([name, map]) => name.left < map.left || name.right > map.right).length"
            assert await page.locator(".gauge-name").evaluate_all(cut) == 0, "no name is cut off"
            assert seen.errors == []


async def by_keyboard(running: House) -> None:
    async with running.page(DESK, "/?lang=en") as (page, seen):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.focus(".gauge[data-zone=IND-GUDDU]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#gauge:not([hidden]) canvas")
        assert "Guddu" in await text(page, "#gauge-title")
        assert "Guddu" in (await page.locator("#plot").get_attribute("aria-label") or "")
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('button, a, [role=button]')]"
            ".filter((each) => !(each.ariaLabel || each.title || each.innerText.trim())).length"
        )
        assert unnamed == 0
        assert seen.errors == []


async def follows_and_says_when_cut_off(running: House, region: Region) -> None:
    """Markup in names and words is text; news arrive by themselves; a page without its API says so."""
    async with running.page(DESK, "/?lang=en") as (page, _):
        hostile = '<img src=x onerror="window.owned=1"><b>risen</b>'
        hazard = next(each for each in running.made.hazards if each.zone == "IND-TARBELA")
        news = msgspec.structs.replace(hazard, level=Level.MEDIUM, n=1_000, value=12_000.0, words=(hostile,))
        await send(running.where, region, Records(hazards=[news]))
        await page.wait_for_selector(".gauge[data-zone=IND-TARBELA][data-level=MEDIUM]", timeout=120_000)
        await page.evaluate("location.hash = ''")
        await page.locator(".gauge[data-zone=IND-TARBELA]").dispatch_event("click")
        await page.locator("#gauge-words li", has_text="<b>risen</b>").wait_for()
        assert await page.evaluate("[window.owned ?? null, document.querySelectorAll('#gauge-words img').length]") == [None, 0]
        await page.route("**/v1/**", lambda route: asyncio.ensure_future(route.abort()))
        await page.wait_for_selector("#trouble:not([hidden])", timeout=120_000)
        assert "No connection" in await text(page, "#trouble")
        assert await page.locator(".gauge").count() == len(region.zones), "what it shows stays"
        await page.unroute("**/v1/**")
        await page.wait_for_selector("#trouble", state="hidden", timeout=120_000)


async def test_without_any_alert_the_page_says_so(region: Region, tmp_path: Path) -> None:
    """A region that was just set up: every gauge UNKNOWN, nothing in force, nothing broken."""
    if not Path(CHROMIUM).exists():
        absent("Chromium", "make services (Debian packages chromium and fonts-noto-core)")
    with embedded() as broker:
        where = Deployment(bootstrap=broker.bootstrap, prefix="fresh.", directory=tmp_path, embedded=True)
        await ensure_topics(where, region.partitions)
        async with api.serve(api.create_app(region, where), "127.0.0.1", 0) as port, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            try:
                page = await browser.new_page()
                problems: list[str] = []
                page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
                page.on("pageerror", lambda error: problems.append(str(error)))
                await page.goto(f"http://127.0.0.1:{port}/?lang=en")
                await page.wait_for_selector(".gauge")
                assert await page.locator(".gauge[data-level=UNKNOWN]").count() == len(region.zones)
                await page.wait_for_selector("#alert-list .nothing")
                assert await text(page, "#alert-list") == "No warning is in force."
                await page.locator(".gauge").first.dispatch_event("click")
                await page.wait_for_selector("#gauge:not([hidden]) canvas")
                assert "no reading has ever arrived" in await text(page, "#gauge-now")
                assert problems == []
            finally:
                await browser.close()
