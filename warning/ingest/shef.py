"""SHEF .A, .B and .E, and their revisions, read by the library shef-parser of the US Army Corps of Engineers.

Manual: National Weather Service Manual 10-944, Standard Hydrometeorological Exchange Format, Version 2.2 (2012). The library writes to the
root log, to sys.path and ends the process after 1,500 errors; here none of it happens: what it says against a message is that message's
refusal. It gives values in English units whatever the message is in. A date without a year is the nearest one to today.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from warning.errors import InputError
from warning.ingest.agency import Said
from warning.ingest.formats import Refusal, refusal
from warning.ingest.paths import not_this_format

_HEAD = re.compile(r"\.[AE]R?\s+(\w{3,8})\s", re.I)
_TOKEN = re.compile(r"\[([^\[\]]+)\]$")  # how the library names the item that it cannot read
_OBSERVED = "R"
_DISOWNED = {"B": "bad", "R": "rejected"}  # qualifiers of a value that its own sender does not believe
_MOST_LINE = 2000  # characters: the library's expressions are quadratic in the length of a line
_MOST_LINES = 200  # of a .B at a time
_WITHIN_S = 60.0
_BEGINS_B, _MORE = re.compile(r"\.BR?\s"), re.compile(r"\.BR?\d")
_FIX = "see NWS Manual 10-944"


def read(body: bytes, within_s: float = _WITHIN_S) -> list[Said]:
    """All that the messages in a text say. What a value is: physical element, duration, type and source (``HGIRG``).

    ``within_s``: of a core; what a longer text holds beyond that is refused. Raises InputError ``format`` for what is no text with SHEF in
    it.
    """
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n").replace("\x00", " ")
    text = re.sub(r"(?im)^\.(END\b|[ABE]R?(?=[\s\d]))", lambda found: found[0].upper(), text)  # which the library knows in capitals only
    parser = _parser_class()()
    said: list[Said] = []
    lines = []
    for line in text.split("\n"):
        if len(line) > _MOST_LINE:
            said.append(_wrong(line, f"a line of {len(line)} characters"))
        else:
            lines.append(line)
    parser.set_input(io.StringIO("\n".join(_in_runs(lines)) + "\n"))
    messages, began_s = 0, time.thread_time()
    while _next(parser, said):
        messages += 1
        said += _message(parser)
        if time.thread_time() - began_s > within_s:
            said += _rest(parser, within_s)
            break
    said += [_wrong(line, line) for line in parser.outside]
    if not messages:
        raise not_this_format("no SHEF message: no line begins with .A, .B or .E")
    return said


def _next(parser: Any, said: list[Said]) -> bool:
    """Whether there is another message. Where the library cannot even find its end, all that is left is refused."""
    try:
        return bool(parser.get_next_message())
    except (Exception, SystemExit) as error:
        rest = "\n".join([*parser._input_lines, parser._input.read() if parser._input else ""])
        said.append(_wrong(rest, f"{type(error).__name__}: {error}"))
        return False


def _in_runs(lines: list[str]) -> Iterator[str]:
    """The same, with each long .B in several of its head: the library takes time with the square of its lines."""
    head: list[str] = []
    count = 0
    for line in lines:
        if line.startswith((".A", ".B", ".E")):  # .END, too
            more = bool(head) and _MORE.match(line) is not None and not count
            head = [*head, line] if more else [line] if _BEGINS_B.match(line) else []
            count = 0
        elif head:
            count += 1
            if count > _MOST_LINES:
                yield from (".END", *head)
                count = 1
        yield line


def _rest(parser: Any, within_s: float) -> list[Said]:
    rest = "\n".join([*parser._input_lines, parser._input.read() if parser._input else ""]).strip()
    return [_wrong(rest, f"not read: what comes before it took {within_s:g} s; send shorter texts")] if rest else []


def _message(parser: Any) -> list[Said]:
    raw = parser._raw_message
    parser.errors.clear()
    found: list[Said] = []
    try:
        records = parser.parse_message()
    except (Exception, SystemExit) as error:  # whatever it raises, it is about this message; the next one is read
        records = []
        parser.errors.append(f"{type(error).__name__}: {error}")
    for record in records:
        found.append(_said(record, raw))
    whole = [words for words in dict.fromkeys(parser.errors) if _TOKEN.search(words) is None]
    tokens = [words for words in dict.fromkeys(parser.errors) if _TOKEN.search(words) is not None]
    found += [_wrong(raw, "; ".join(whole))] if whole else []
    found += [_wrong(_with_its_head(raw, words), words) for words in tokens]  # not all of a long message for each bad item
    parser.errors.clear()
    return found


def _with_its_head(raw: str, words: str) -> str:
    token = _TOKEN.search(words)
    head = raw.split("\n", 1)[0]
    return raw if token is None or len(raw) <= len(head) + 1 else f"{head}\n{token[1]}"


def _said(record: Any, raw: str) -> Said:
    if record.value is None:  # which it makes of some words that are no number
        return _wrong(raw, f"{record.location} {record.parameter_code} has no value")
    code, time, value = record.parameter_code, record.obstime._dt, float(record.value)
    units = record.parser._pe_units.get(code[:2], ("", ""))
    source = {"location": record.location, "parameter": code, "time": time.isoformat(), "value": value, "message": raw.split("\n")[0][:200]}
    what = code[:5]
    wrong = None
    if code[3] != _OBSERVED or code[5:] != "ZZ":
        kind = "a forecast or processed" if code[3] != _OBSERVED else "an extreme or a probability of an observed"
        wrong = refusal(Refusal.NOT_OBSERVED, "parameter", f"{code} is {kind} value, no reading", "send type code R, without extremum")
    elif record.qualifier in _DISOWNED:
        words = f"its sender marks {value:g} as {_DISOWNED[record.qualifier]} (qualifier {record.qualifier})"
        wrong = refusal(Refusal.NOT_OBSERVED, "value", words, "send what was measured, or M for missing")
    return Said(_bytes(json.dumps(source)), record.location, what, time, value, units[0], "", wrong)


def _wrong(raw: str, words: str) -> Said:
    head = _HEAD.match(raw)
    words = " ".join(words.encode("utf-8", "backslashreplace").decode().split())[:300]
    return Said(_bytes(raw), head[1].upper() if head else "", "", wrong=InputError(words, reason="malformed", field="", fix=_FIX))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@functools.cache
def _parser_class() -> Any:
    """The library's parser, which tells us instead of the root log. Imported here: it looks for its loaders and exporters for 0.1 s."""
    before = list(sys.path)
    level = logging.getLogger().level
    from shef.shef_parser import ShefParser

    sys.path[:] = before
    logging.getLogger().setLevel(level)

    class Parser(ShefParser):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(output_format=1)
            self.errors: list[str] = []
            self.outside: list[str] = []  # lines that begin like a message and are none

        def error(self, message_text: str, count_error: bool = True) -> None:
            if message_text.startswith("Invalid line: ["):
                self.outside.append(message_text[len("Invalid line: [") : -1])
            elif 'missing ".END" appended' not in message_text:  # as the senders of half of the samples do
                self.errors.append(message_text)

        def warning(self, message_text: str) -> None:
            """Fewer values than parameters, or a word that it does not know: it has taken what is there."""

        info = debug = warning

        def critical(self, message_text: str) -> None:
            raise ShefParser.ParseException(message_text)

    return Parser
