"""Rejected readings in words and tables, for a terminal; and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warning.errors import ConfigError, Problem

if TYPE_CHECKING:
    from warning.ingest.dead_letters import Letter
    from warning.ingest.replays import Order
    from warning.model import Reading
    from warning.wiring_rejected import Judged, Listing, Outcome

_WIDE = 60
_BYTES = 16  # in a line of the hexadecimal picture
_MOST_LINES = 256


def at(ms: int | None) -> str:
    if ms is None:
        return "-"
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(ms)


def line(text: str, wide: int = _WIDE) -> str:
    """A stranger's text as one line without control characters, so that it cannot play with a terminal."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= wide else plain[: wide - 3] + "..."


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (columns, *rows)]


def write(path: Path | None, document: dict[str, Any]) -> None:
    """Raises ConfigError where it cannot be written."""
    if path is None:
        return
    try:
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="surrogatepass")
    except OSError as error:
        fix = "name a file in a folder that is there"
        raise ConfigError([Problem(f"--json {path}", f"cannot be written: {error.strerror}", fix)]) from error


def _text(letter: Letter) -> str | None:
    try:
        return letter.source.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _short(letter: Letter) -> str:
    text = _text(letter)
    return line(text) if text is not None else f"{len(letter.source)} bytes: {letter.source[:16].hex(' ')}"


# --- list


def listing(found: Listing) -> str:
    total = sum(found.groups.values())
    if not total:
        return "nothing was rejected\n"
    groups = [(line(stage), line(reason), line(sender) or "-", str(count)) for (stage, reason, sender), count in found.groups.most_common()]
    lines = [f"{total} rejected", *table(("stage", "reason", "sender", "records"), groups)]
    rows = []
    for each in found.newest:
        again = f"sent again ({found.replayed[each.name]})" if each.name in found.replayed else ""
        told = each.rejected
        rows.append((each.name, at(each.at_ms), line(told.stage, 20), line(told.reason, 30), line(each.sender, 20), _short(each), again))
    if rows:
        columns = ("id", "rejected", "stage", "reason", "sender", "what came", "")
        lines += ["", f"the newest {len(rows)}", *table(columns, rows)]
    return "\n".join(lines) + "\n"


def listing_json(found: Listing) -> dict[str, Any]:
    return {
        "records": sum(found.groups.values()),
        "groups": [
            {"stage": stage, "reason": reason, "sender": sender, "records": count}
            for (stage, reason, sender), count in found.groups.most_common()
        ],
        "newest": [_plain(each) | {"replay": found.replayed.get(each.name)} for each in found.newest],
    }


def _plain(letter: Letter) -> dict[str, Any]:
    text = _text(letter)
    return {
        "id": letter.name,
        "at": at(letter.at_ms),
        "stage": letter.rejected.stage,
        "reason": letter.rejected.reason,
        "detail": letter.rejected.detail,
        "sender": letter.sender,
        "station": letter.station,
        "source": text if text is not None else letter.source.hex(),
        "encoding": "utf-8" if text is not None else "hex",
        "understood": letter.understood,
    }


# --- show


def letter(found: Letter, order: Order | None, fix: str) -> str:
    """Everything that is known of one."""
    told = found.rejected
    rows = [("id", found.name), ("rejected", f"{at(found.at_ms)} at {line(told.stage)}"), ("reason", line(told.reason))]
    rows += [("detail", line(told.detail, 1000)), ("fix", line(fix, 1000)), ("sender", line(found.sender) or "-")]
    rows += [("station", line(found.station))] * bool(found.station)
    rows += [("stood at", f"partition {told.partition}, offset {told.offset}")] * (told.offset >= 0)
    rows += [("understood", line(found.understood, 1000))] * bool(found.understood)
    if order is not None:
        rows.append(("sent again", f"{at(order.at_ms)} by {line(order.who)}: {line(order.why, 200)} (replay {order.id})"))
    lines = [f"{name:<11} {value}" for name, value in rows]
    text = _text(found)
    lines += ["", f"what came ({len(found.source)} bytes):"]
    if text is not None and all(each.isprintable() or each in "\r\n\t" for each in text):
        lines += text.splitlines()
    else:
        lines += _hexadecimal(found.source)
    return "\n".join(lines) + "\n"


def _hexadecimal(source: bytes) -> list[str]:
    lines = []
    for start in range(0, min(len(source), _BYTES * _MOST_LINES), _BYTES):
        some = source[start : start + _BYTES]
        text = "".join(chr(each) if 32 <= each < 127 else "." for each in some)
        lines.append(f"{start:06x}  {some.hex(' '):<{3 * _BYTES}} {text}")
    left = len(source) - _BYTES * _MOST_LINES
    return [*lines, f"... and {left} more; --json has all"] if left > 0 else lines


def letter_json(found: Letter, order: Order | None) -> dict[str, Any]:
    return _plain(found) | {"replay": None if order is None else asdict(order)}


# --- fix, replay


def judged(found: Judged, verb: str) -> str:
    """``verb``: "would be" of a trial, else "were"."""
    lines = [f"{found.letters} selected: {found.taken} {verb} taken ({found.readings} readings), {found.before} were sent again before"]
    if found.refused:
        why = ", ".join(f"{reason} {count}" for reason, count in found.refused.most_common())
        lines.append(f"{sum(found.refused.values())} {verb} refused still: {why}")
    if found.shown:
        rows = [_row(each) for each in found.shown]
        lines += ["", *table(("id", "station", "parameter", "time", "value", "what came, or why not"), rows)]
    return "\n".join(lines) + "\n"


def _row(each: Outcome) -> tuple[str, ...]:
    if each.refusal is not None:
        fix = f" ({each.refusal.fix})" if each.refusal.fix else ""
        return (each.letter.name, "", "", "", "", line(f"{each.refusal.reason}: {each.refusal}{fix}", 120))
    if len(each.readings) != 1:
        return (each.letter.name, f"{len(each.readings)} readings", "", "", "", _short(each.letter))
    (reading,) = each.readings
    return (each.letter.name, reading.station, reading.parameter.value, at(reading.time_ms), _value(reading), _short(each.letter))


def _value(reading: Reading) -> str:
    return "missing" if reading.value is None else f"{reading.value:g} {reading.parameter.unit}"


def judged_json(found: Judged) -> dict[str, Any]:
    return {
        "selected": found.letters,
        "taken": found.taken,
        "readings": found.readings,
        "replayed_before": found.before,
        "refused": dict(found.refused),
        "shown": [
            {
                "id": each.letter.name,
                "refused": None if each.refusal is None else each.refusal.reason,
                "detail": None if each.refusal is None else str(each.refusal),
                "readings": [
                    {"station": one.station, "parameter": one.parameter.value, "time": at(one.time_ms), "value": one.value}
                    for one in each.readings
                ],
            }
            for each in found.shown
        ],
    }


def progress(found: Judged) -> None:
    if sys.stderr.isatty():
        print(f"\r{found.letters} read, {found.taken} sent", end="", file=sys.stderr, flush=True)


# --- audit


def orders(found: Sequence[Order]) -> str:
    if not found:
        return "nothing was mended or sent again\n"
    rows = []
    for each in found:
        what = f"fix {each.of}" if each.of is not None else line(f"{each.selection} {each.edits}", 100)
        state = "kept" if each.kind == "fix" else f"{each.sent} sent" if each.ended_ms is not None else "did not end"
        rows.append((str(each.id), each.kind, at(each.at_ms), line(each.who, 30), line(each.why, 60), state, what))
    return "\n".join(table(("id", "what", "when", "who", "why", "state", "which"), rows)) + "\n"


def orders_json(found: Sequence[Order]) -> dict[str, Any]:
    return {"orders": [asdict(each) for each in found]}
