"""What an edge node says of itself with each request (header ``Edge-Report``, JSON) -> facts, once its key has been found good."""

from __future__ import annotations

import logging
import time
from typing import Annotated

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from warning.facts import DeviceHeard, EdgeReported, Listener

HEADER = "Edge-Report"
_MOST_BYTES = 4096
_JUDGED = frozenset({202, 422})  # the key was good

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
_log = logging.getLogger(__name__)


class _Report(msgspec.Struct, frozen=True):
    """As ``ingest.edge.status`` writes it; a node of another version may say more, or less."""

    node: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    waiting: _Count = 0
    oldest_ms: Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)] | None = None
    refused: _Count = 0
    thinned: _Count = 0
    undated: _Count = 0
    clock: str = ""
    sirens: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(_Report)


def middleware(listen: Listener) -> Middleware:
    """For the application of ``POST /v1/readings``; it never changes an answer."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        text = request.headers.get(HEADER)
        if text and response.status in _JUDGED:
            for fact in facts_of(text, time.time_ns() // 1_000_000):
                listen(fact)
        return response

    return told


def facts_of(text: str, at_ms: int) -> tuple[DeviceHeard, EdgeReported] | tuple[()]:
    """The facts of a header; none of one that is no report, which costs its readings nothing."""
    try:
        if len(text) > _MOST_BYTES:
            raise ValueError(f"{len(text)} characters")
        report = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        _log.warning("%s cannot be read: %s", HEADER, str(error)[:200])
        return ()
    oldest_s = None if report.oldest_ms is None or not report.waiting else max(0.0, (at_ms - report.oldest_ms) / 1000)
    sounding = sum(state.startswith("on ") for state in report.sirens.values())
    failing = sum(state.startswith("failing") for state in report.sirens.values())
    said = EdgeReported(
        report.node, report.waiting, oldest_s, report.refused, report.thinned, report.undated, bool(report.clock), sounding, failing
    )
    return DeviceHeard(report.node, "edge", at_ms), said
