"""Photos of gauges: kept once by their hash, the oldest go first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from form_house import png

from warning.errors import InputError
from warning.ingest.photos import MOST_BYTES, Of, Photos, kind_of


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
