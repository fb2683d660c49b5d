"""The form in a real Chromium, phone-sized, in Urdu and English, offline and back.

With WARNING_PICTURE=1 the picture in deploy/ is made anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import form_house
import pytest
from form_house import PHONE, ROOT, Running, png
from playwright.async_api import Browser, Page, async_playwright
from services import absent
from test_page import CHROMIUM, FLAGS

running = form_house.running


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
        timeout=120_000,
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
