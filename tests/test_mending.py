"""Dead letters without a broker: what was replayed is known, an edit changes what it says and nothing else, options are read."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from channel_postgres import postgres

from warning import cli_rejected_shown as shown
from warning import wiring_rejected
from warning.errors import ConfigError, InputError, Unavailable
from warning.ingest import dead_letters, mending
from warning.ingest.dead_letters import Letter, letter_of
from warning.ingest.mending import Edits
from warning.ingest.replays import Replays
from warning.model import Rejected, to_json

NOW = datetime.now(UTC).replace(microsecond=0)
GOOD = {"station": "A", "parameter": "stage", "time": NOW.isoformat(), "value": 2.5, "unit": "m", "datum": "gauge_zero"}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"
    else:
        with postgres() as url:
            yield url


def letter(offset: int, value: bytes = b"{}") -> Letter:
    return letter_of(0, offset, 5, to_json(Rejected(reason="x", stage="ingest", detail="", record=value.decode(), at_ms=9)))


async def test_what_was_replayed_is_known_by_its_place_and_its_content(database: str) -> None:
    replays, other = Replays(database, "t.readings.rejected", lambda: 7), Replays(database, "u.readings.rejected", lambda: 7)
    try:
        order = await replays.order("replay", "me", "why", "{}", "{}")
        many = [letter(number) for number in range(1200)]
        await replays.enter(order, many)
        await replays.enter(order, many[:5])  # twice is as once
        assert await replays.replayed([letter(3), letter(1199), letter(1200)]) == {"0:3": order, "0:1199": order}
        assert await replays.replayed([letter(3, b'{"another": "log"}')]) == {}, "the embedded broker began anew"
        assert await other.replayed([letter(3)]) == {}
        await replays.enter(order + 1, [letter(3, b'{"another": "log"}')])
        assert await replays.replayed([letter(3, b'{"another": "log"}'), letter(4)]) == {"0:3": order + 1, "0:4": order}
        await replays.end(order, 1200)
        (found,) = await replays.orders()
        assert (found.kind, found.who, found.sent, found.at_ms, found.ended_ms) == ("replay", "me", 1200, 7, 7)
        with pytest.raises(InputError, match="no fix 1 was kept"):
            await replays.fix(order)
    finally:
        await replays.close()
        await other.close()


async def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    replays = Replays(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'x.db'}", "t", lambda: 7)
    assert await replays.orders() == (), "to ask makes no file"
    with pytest.raises(Unavailable, match="database of replays"):
        await replays.order("fix", "me", "why", "{}", "{}")
    await replays.close()


def refused(record: str, **more: object) -> Letter:
    told = {"reason": "x", "stage": "ingest", "detail": "d", "record": record} | more
    return letter_of(0, 1, 5, msgspec.json.encode(told))


@pytest.mark.parametrize(
    ("edits", "sent", "expected"),
    [
        (Edits(set={"unit": "cm"}), {"station": "A", "value": 3}, {"station": "A", "value": 3, "unit": "cm"}),
        (Edits(map={"station": {"OLD": "A"}}), {"station": "OLD"}, {"station": "A"}),
        (Edits(map={"station": {"OLD": "A"}}), {"station": "B"}, {"station": "B"}),
        (Edits(rename={"ts": "time"}, drop=("quality",)), {"ts": "x", "quality": 1}, {"time": "x"}),
        (Edits(numbers=True), {"value": " 54.2 "}, {"value": 54.2}),
        (Edits(numbers=True), {"value": "high"}, {"value": "high"}),
        (Edits(numbers=True), {"value": "5_4"}, {"value": "5_4"}),
        (Edits(zone="+05:00"), {"time": "2025-09-02T12:00:00"}, {"time": "2025-09-02T12:00:00+05:00"}),
        (Edits(zone="+05:00"), {"time": "2025-09-02T12:00:00Z"}, {"time": "2025-09-02T12:00:00+00:00"}),
        (Edits(shift_s=-18000), {"time": "2025-09-02T12:00:00+00:00"}, {"time": "2025-09-02T07:00:00+00:00"}),
        (Edits(shift_s=-18000), {"time": "0001-01-01T00:00:00+00:00"}, {"time": "0001-01-01T00:00:00+00:00"}),
        (Edits(zone="Z"), {"time": "noon"}, {"time": "noon"}),
    ],
)
def test_an_edit_changes_what_it_says_and_nothing_else(edits: Edits, sent: dict[str, object], expected: dict[str, object]) -> None:
    (text,) = mending.mended(refused(json.dumps(sent)), edits)
    assert json.loads(text) == expected


def test_several_items_of_a_body_are_mended_each() -> None:
    body = json.dumps({"readings": [{"station": "A"}, {"station": "B"}]})
    texts = mending.mended(refused(body), Edits(set={"unit": "m"}))
    assert [json.loads(text) for text in texts] == [{"station": "A", "unit": "m"}, {"station": "B", "unit": "m"}]


def test_nan_that_is_not_mended_stays_nan_and_is_never_missing() -> None:
    (text,) = mending.mended(refused('{"value": NaN}'), Edits(set={"unit": "m"}))
    assert text == b'{"value": NaN, "unit": "m"}'
    (text,) = mending.mended(refused('{"value": NaN}'), Edits(set={"value": None}))
    assert text == b'{"value": null}'


@pytest.mark.parametrize(
    "letter",
    [
        refused("[", detail="x (kept: the first 65536 of 70000 bytes)"),
        refused("{", detail="record 7 (the first 131072 of 140000 bytes are kept)", stage="decode"),
        refused("SUKKUR 54.2"),
        refused("1, 2"),
        refused("", reason="empty", stage="inbox"),
        refused('{"a": 1}', stage="qc"),
        letter_of(0, 1, 5, b"junk"),
    ],
)
def test_what_cannot_be_mended_says_why(letter: Letter) -> None:
    with pytest.raises(InputError) as told:
        mending.mended(letter, Edits())
    assert told.value.reason == "not_mendable" and told.value.fix


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (mending.setting, "unit"), (mending.setting, "units=cm"), (mending.setting, "value=high"),
        (mending.setting, "value=nan"), (mending.setting, "value=1e999"),
        (mending.mapping, "station=A"), (mending.mapping, "value=1:2"), (mending.renaming, "ts"), (mending.renaming, "ts:when"),
        (mending.zone, "PKT"), (mending.zone, "+25:00"), (mending.shift_s, "5h"), (mending.shift_s, "+5w"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_read_says_how_to_write_it(read: object, text: str) -> None:
    with pytest.raises(InputError) as told:
        read(text)  # type: ignore[operator]
    assert told.value.fix and text[:5] in str(told.value)


def test_options_are_read() -> None:
    assert mending.setting("value=null") == ("value", None)
    assert mending.setting("value=1.5") == ("value", 1.5)
    assert mending.mapping("station=a:b:C") == ("station", "a:b", "C")
    assert (mending.shift_s("-5h"), mending.shift_s("+30min"), mending.zone("Z")) == (-18000, 1800, "Z")
    assert dead_letters.place_of("3:17") == (3, 17) and dead_letters.place_of("17") == (0, 17)


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"{}", b"[" * 5000, b'{"reason": 1}', b'{"reason":"x","stage":"y","detail":"z","record":"\\ud800"}']
)
def test_whatever_stands_in_the_topic_is_a_letter(value: bytes) -> None:
    found = letter_of(2, 3, 5, value)
    assert (found.name, found.at_ms, found.station) == ("2:3", 5, "")
    assert isinstance(found.source, bytes)
    with pytest.raises((InputError, ConfigError)):
        mending.mended(found, Edits())


def test_a_strangers_record_cannot_play_with_a_terminal() -> None:
    strange = "\x1b[2J"
    one = refused("x", reason=strange, stage=strange, provider=strange)
    found = wiring_rejected.Listing(Counter({(strange, strange, strange): 1}), deque([one]))
    assert "\x1b" not in shown.listing(found) + shown.letter(one, None, strange)
