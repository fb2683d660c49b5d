"""Zones of heat, rain and flash flood on the page, in a real Chromium, in English and Urdu. The limits are made up (``hazard_regions``)."""

from __future__ import annotations

import os
from pathlib import Path

from hazard_regions import write_hazards
from operate_records import Records
from pipeline_story import MINUTE, START_MS, Story
from test_page import DESK, House, house, text

from warning import config
from warning.model import Parameter, Reading
from warning.region import Region

PICTURES = os.environ.get("WARNING_HAZARD_PICTURES", "")  # a folder: pictures for people


def decided(region: Region) -> Records:
    """Half a hot and rainy day, decided by the pipeline."""
    story, readings = Story(region), []
    course = [
        *(("W1", "temperature", hour, 33 + hour) for hour in range(9)),
        *(("W1", "humidity", hour, 34 - hour / 2) for hour in range(9)),
        *(("R1", "rain", hour, mm) for hour, mm in enumerate((0, 0, 2, 6, 18, 30, 26, 12, 4))),
        *(("R2", "rain", hour, mm) for hour, mm in enumerate((0, 0, 0, 4, 9, 20, 14, 6, 1))),
        *(("A", "stage", hour, 1.2 + hour / 8) for hour in range(9)),
    ]
    for station, parameter, hour, value in sorted(course, key=lambda one: one[2]):
        story.push(station, 60 * hour, value, parameter).tick(60 * hour)
        at = START_MS + 60 * hour * MINUTE
        readings.append(
            Reading(station=station, parameter=Parameter(parameter), time_ms=at, value=float(value), received_ms=at + MINUTE, provider="t")
        )
    alerts = list(story.alerts)
    return Records(readings=readings, hazards=list(story.hazards.values()), alerts=alerts, now_ms=START_MS + 8 * 60 * MINUTE)


async def test_other_hazards_on_the_page(tmp_path: Path) -> None:
    region = config.load(write_hazards(tmp_path))
    async with house(region, tmp_path, decided(region)) as running:
        await in_english(running, region)
        await in_urdu(running, region)


async def in_english(running: House, region: Region) -> None:
    async with running.page(DESK, "/?lang=en#zone=HEAT-UPPER") as (page, seen):
        await page.locator("#map.unmapped").wait_for(timeout=10_000)  # no country is drawn here: its gauges do not stand in the sea
        assert await page.locator(".gauge").count() == len(region.zones)
        hot = page.locator(".gauge[data-zone=HEAT-UPPER]")
        assert "Upper Oak: Heat, High" in (await hot.get_attribute("aria-label") or "")
        assert "°C" in (await hot.get_attribute("aria-label") or "")
        card = await text(page, ".alert[data-zone=HEAT-UPPER]")
        assert "High heat risk" in card and "Stay out of the sun" in card and "Flood" not in card
        assert "Heavy rain" in await text(page, ".alert[data-zone=RAIN-UPPER]")
        await page.wait_for_selector("#plot canvas")
        assert "Upper Oak · Heat" in await text(page, "#gauge-title")
        assert "High heat risk" in await text(page, "#gauge-now")
        assert await text(page, "#plot-legend li") == "heat index"
        await picture(running, page, "en-heat")
        boxes = [await page.locator(f".gauge[data-zone={zone}]").bounding_box() for zone in ("SHOWER-UPPER", "FLASH-UPPER")]
        assert boxes[0] and boxes[1] and abs(boxes[0]["x"] - boxes[1]["x"]) >= 30, "zones of one station stand side by side"
        for zone, legend in (("RAIN-UPPER", "rain in 24 h"), ("FLASH-UPPER", "rain")):
            await page.evaluate(f"location.hash = 'zone={zone}'")
            await page.goto(f"{running.base}/?lang=en#zone={zone}")
            await page.reload()
            await page.wait_for_selector("#plot canvas")
            assert await text(page, "#plot-legend li") == legend
            await picture(running, page, f"en-{zone}")
        assert (seen.errors, seen.broken) == ([], [])


async def in_urdu(running: House, region: Region) -> None:
    async with running.page(DESK, "/?lang=ur#zone=HEAT-UPPER") as (page, seen):
        assert await page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ur", "rtl"]
        card = await text(page, ".alert[data-zone=HEAT-UPPER]")
        assert "گرمی کا زیادہ خطرہ" in card and "دھوپ میں نہ نکلیں" in card and "سیلاب" not in card
        assert "بالائی اوک · شدید گرمی" in await text(page, "#gauge-title")
        await page.wait_for_selector("#plot canvas")
        assert await text(page, "#plot-legend li") == "محسوس ہونے والی گرمی"
        boxes = [await page.locator(selector).bounding_box() for selector in ("#map", "#alerts")]
        assert boxes[0] and boxes[1] and boxes[1]["x"] < boxes[0]["x"], "right to left: the map is on the right"
        await picture(running, page, "ur-heat")
        assert (seen.errors, seen.broken) == ([], [])


async def picture(running: House, page: object, name: str) -> None:
    if PICTURES:
        await page.wait_for_timeout(500)  # type: ignore[attr-defined]
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)  # type: ignore[attr-defined]
