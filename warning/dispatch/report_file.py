"""A report of an SMS centre, CSV with a head, in its words -> what it says of each message."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from warning.dispatch.reconcile import STATES, Said
from warning.dispatch.routed import qualified
from warning.errors import ConfigError, Problem

COLUMNS: Mapping[str, tuple[str, ...]] = {  # what centres call them, in small letters
    "message_id": ("message_id", "messageid", "msgid", "msg_id", "smsc_id", "id"),
    "state": ("state", "status", "stat", "message_state", "dlr_status"),
}
MOST_PROBLEMS = 50


def said_in(text: str, name: str, columns: Mapping[str, str], states: Mapping[str, str], route: str) -> list[Said]:
    """``name``: of the report, for errors. ``columns``: message_id, state -> name in the report; ``states``: its words -> delivered, failed
    or pending; both beside the usual. ``route``: by which of several the messages went, "": by the deployment's one centre.

    Raises ConfigError with every line that cannot be read.
    """
    meant = {**STATES, **{word.upper(): "" if to == "pending" else to for word, to in states.items()}}
    return [replace(line, message_id=qualified(route, line.message_id)) for line in _said(text, name, columns, meant)]


def _said(text: str, name: str, columns: Mapping[str, str], states: Mapping[str, str]) -> Iterator[Said]:
    problems = list[Problem]()
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), dialect=_dialect(text))
        named = {column: _column(name, reader.fieldnames or (), column, columns.get(column, "")) for column in COLUMNS}
        for row in reader:
            message_id, word = (row[named["message_id"]] or "").strip(), (row[named["state"]] or "").strip()
            at = f"{name}:{reader.line_num}"
            if "\0" in message_id:
                problems.append(Problem(at, "a message id holds a zero byte", "ask the centre for a whole report"))
            elif not message_id:
                problems.append(Problem(at, f"{named['message_id']} is empty", "each line names a message"))
            elif word.upper() not in states:
                fix = f"--state {word or 'WORD'}=delivered|failed|pending, states: in routes.yaml"
                problems.append(Problem(at, f"{named['state']}: {word[:40]!r} is no known state", fix))
            else:
                yield Said(reader.line_num, message_id, states[word.upper()])
            if len(problems) == MOST_PROBLEMS:
                break
    except csv.Error as error:
        problems.append(Problem(name, f"is no CSV: {error}", "ask the centre for a whole one"))
    if problems:
        raise ConfigError(problems)


def _dialect(text: str) -> Any:
    try:
        return csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


def _column(name: str, there: Iterable[str], column: str, given: str) -> str:
    wanted = (given.lower(),) if given else COLUMNS[column]
    found = {each.strip().lower(): each for each in there}
    for each in wanted:
        if each in found:
            return found[each]
    fix = f"--column {column}=NAME, columns: in routes.yaml"
    raise ConfigError([Problem(name, f"has no column for {column}: {', '.join(there) or 'no columns'}", fix)])
