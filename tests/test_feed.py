"""The agencies' feed: what is in it, how it is cut into pages, and that every document is reached exactly once."""

from __future__ import annotations

import msgspec
import pytest
from lxml import etree
from operate_records import NOW, alert_of, hazard_of, indus

from warning.model import AlertEvent
from warning.operate import feed
from warning.operate.store import Document, digest_of, texts_of
from warning.region import Region

ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.fixture(scope="module")
def region() -> Region:
    return indus()


def events(region: Region, count: int, words: str = "") -> list[AlertEvent]:
    """Newest first."""
    made = []
    for number in range(count):
        zone = region.zones[number % len(region.zones)]
        event = alert_of(region, hazard_of(region, zone, None, number), revision=number, sent_ms=NOW - number * 1000)
        if words:
            event = msgspec.structs.replace(event, cap=event.cap.replace("this gauge has never spoken", words))
        made.append(event)
    return made


def documents(made: list[AlertEvent]) -> list[Document]:
    return [Document(event, texts_of(event.cap), digest_of(event), event.cap.encode()) for event in made]


def test_an_entry(region: Region) -> None:
    (document,) = documents(events(region, 1))
    page = feed.page(region, [document], "http://host", "/v1/alerts.atom", more=None)
    root = etree.fromstring(page.body)
    alert = document.event.alert
    assert root.xpath("string(a:updated)", namespaces=ATOM) == "2025-09-03T06:00:00Z"
    assert root.xpath("string(a:link[@rel='self']/@href)", namespaces=ATOM) == "http://host/v1/alerts.atom"
    assert root.xpath("a:link[@rel='next']", namespaces=ATOM) == []
    (entry,) = root.findall("a:entry", ATOM)
    assert entry.findtext("a:title", namespaces=ATOM) == document.texts["en"].headline
    assert alert.identifier in entry.findtext("a:id", namespaces=ATOM)
    for link in entry.findall("a:link", ATOM):
        assert link.get("type") == "application/cap+xml"
        assert link.get("href") == f"http://host/v1/alerts/{alert.identifier}.cap"
    assert {each.get("term") for each in entry.findall("a:category", ATOM)} == {"Exercise", "raise", alert.level.value}
    assert page.last is None


def test_pages_stay_below_100_kb_and_lose_nothing(region: Region) -> None:
    made = documents(events(region, 400, words="سیلاب " * 300))
    rest, seen, pages = made, [], 0
    while rest:
        page = feed.page(region, rest, "http://host", "/v1/alerts.atom", more=None)
        assert len(page.body) <= feed.BEST_BYTES
        root = etree.fromstring(page.body)
        seen += [entry.findtext("a:id", namespaces=ATOM) for entry in root.findall("a:entry", ATOM)]
        pages += 1
        following = root.xpath("string(a:link[@rel='next']/@href)", namespaces=ATOM)
        if page.last is None:
            assert following == ""
            break
        assert following.endswith(feed.cursor(page.last))
        rest = [each for each in made if (each.event.alert.sent_ms, each.event.alert.identifier) < page.last]
    assert pages > 3
    assert len(seen) == len(set(seen)) == 400
    assert seen[0].endswith(made[0].event.alert.identifier)


def test_more_documents_than_were_handed_in_give_a_next_link(region: Region) -> None:
    made = documents(events(region, 3))
    last = (made[-1].event.alert.sent_ms, made[-1].event.alert.identifier)
    page = feed.page(region, made, "http://host", "/v1/alerts.atom", more=last)
    assert (page.entries, page.last) == (3, last)
    assert feed.from_cursor(feed.cursor(last)) == last


@pytest.mark.parametrize("text", ["", "x", "1756_", "_a", "-5_a", "١٢_a"])
def test_a_cursor_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        feed.from_cursor(text)


def test_control_characters_in_words_do_not_break_the_feed(region: Region) -> None:
    (document,) = documents(events(region, 1))
    broken = Document(document.event, {"en": msgspec.structs.replace(document.texts["en"], headline="a\x00b\x0b<c>&")}, "", document.cap)
    root = etree.fromstring(feed.page(region, [broken], "http://host", "/", more=None).body)
    assert root.xpath("string(a:entry/a:title)", namespaces=ATOM) == "ab<c>&"


def test_a_document_that_is_no_xml_has_no_words_and_is_kept() -> None:
    assert texts_of("<alert") == {}
    assert (
        texts_of('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert><info><headline>&x;</headline></info></alert>')[
            "en"
        ].headline
        == ""
    )
