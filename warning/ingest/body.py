"""The body of a request -> the JSON texts of its items, each to be judged by itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence

import msgspec

from warning.errors import InputError
from warning.ingest.formats import shown_field

MOST_ITEMS = 10_000
MOST_BYTES = 1 << 20  # as sent
MOST_BYTES_INFLATED = 2 << 20  # 10,000 readings of 200 bytes

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 1000  # of a gzip body: each is copied with all that follows it


def inflate(body: bytes) -> bytes:
    """A gzip body, inflated; never more than ``MOST_BYTES_INFLATED`` in memory. Raises InputError (``too_large``, ``not_gzip``)."""
    inflated, rest, members = bytearray(), body, 0
    try:
        while rest:  # members may follow each other (RFC 1952, 2.2)
            members += 1
            if members > _MOST_MEMBERS:
                what = f"the body has more than {_MOST_MEMBERS} gzip members"
                raise InputError(what, reason="not_gzip", field="", fix="compress the body as a whole")
            stream = zlib.decompressobj(_GZIP)
            inflated += stream.decompress(rest, MOST_BYTES_INFLATED + 1 - len(inflated))
            if len(inflated) > MOST_BYTES_INFLATED:
                what = f"the body inflates to more than {MOST_BYTES_INFLATED} bytes"
                raise InputError(what, reason="too_large", field="", fix="send smaller batches")
            if not stream.eof:
                raise InputError("the gzip body ends too early", reason="not_gzip", field="", fix="send the whole gzip member")
            rest = stream.unused_data
    except zlib.error as error:
        fix = "compress the body with gzip, or leave Content-Encoding out"
        raise InputError(f"the body is not gzip: {error}", reason="not_gzip", field="", fix=fix) from None
    return bytes(inflated)


def split(body: bytes) -> Sequence[bytes | msgspec.Raw]:
    """One object, an array, or ``{"readings": [...]}`` -> the items as JSON texts.

    NaN and Infinity are no JSON, yet Python's own ``json.dumps`` writes them: such a body is split all the same, so that one NaN
    refuses one item and not the readings of all other gauges. Raises InputError ``not_json``, ``empty`` or ``too_many``.
    """
    items: Sequence[bytes | msgspec.Raw]
    try:
        items = _split_strictly(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        items = _split_with_nan(body, str(error))
    if not items:
        raise InputError("no readings in the body", reason="empty", field="readings", fix="send at least one")
    _not_too_many(items)
    return items


def _not_too_many(items: Sequence[object]) -> None:
    if len(items) > MOST_ITEMS:
        raise InputError(f"{len(items)} items in one request", reason="too_many", field="readings", fix=f"at most {MOST_ITEMS}")


def _split_strictly(body: bytes) -> Sequence[msgspec.Raw | bytes]:
    if body.lstrip(b" \t\r\n")[:1] != b"{":
        return _ARRAY.decode(body)
    fields = _OBJECT.decode(body)
    if "readings" not in fields:
        return [body]
    _only_readings(fields)
    return _ARRAY.decode(fields["readings"])


def _split_with_nan(body: bytes, error: str) -> list[bytes]:
    fix = 'send one JSON object, an array of them, or {"readings": [...]}, in UTF-8'
    try:
        content = json.loads(body.decode("utf-8"))
        if not isinstance(content, list) and not (isinstance(content, dict) and "readings" in content):
            return [json.dumps(content).encode()]
        return [json.dumps(item).encode() for item in _listed(content, fix)]
    except (ValueError, RecursionError):
        raise InputError(error, reason="not_json", field="", fix=fix) from None


def _listed(content: list[object] | dict[str, object], fix: str) -> list[object]:
    if isinstance(content, dict):
        _only_readings(content)
        content = content["readings"]  # type: ignore[assignment]  # checked in the next line
    if not isinstance(content, list):
        raise InputError("readings is no array", reason="not_json", field="readings", fix=fix)
    _not_too_many(content)  # before each of them is written out again
    return content


def _only_readings(fields: Mapping[str, object]) -> None:
    others = sorted(fields.keys() - {"readings"})
    if others:
        what = f"unknown field {others[0][:60]!r} beside readings"
        raise InputError(what, reason="not_json", field=shown_field(others[0]), fix="only readings")
