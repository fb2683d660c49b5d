"""What a node says of itself: all of it on the spot (``warning edge status``), the few numbers that matter to the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from warning.ingest.edge.clock import Clock
from warning.ingest.edge.node import Node
from warning.ingest.edge.outbox import Counts, Outbox
from warning.ingest.edge.siren import Sounder
from warning.ingest.edge.store import Store
from warning.ingest.edge.uplink import Uplink
from warning.site import Site

_SHOWN_REFUSED = 10
_MOST_SIRENS = 5  # in the report, which is a header


class Status:
    """Asks everybody. ``broker_why``: what is wrong with the sensors' broker; None: there is none."""

    def __init__(
        self, site: Site, store: Store, clock: Clock, sounders: Sequence[Sounder], broker_why: Callable[[], str] | None = None
    ) -> None:
        self._site, self._store, self._clock, self._sounders, self._broker_why = site, store, clock, sounders, broker_why
        self._counts: Counts | None = None
        self.port: int | None = None  # that sensors are taken at

    async def refresh(self) -> None:
        """Counts anew. Raises Unavailable."""
        self._counts = await self._store.run(lambda outbox: outbox.counts())

    def report(self) -> bytes:
        """For the header of each request: JSON in ASCII, at most a kilobyte."""
        counts = self._counts
        sirens = {one.siren.name: f"{one.shown.told or 'failing'} {one.shown.level}" for one in self._sounders[:_MOST_SIRENS]}
        said: dict[str, Any] = {"node": self._site.node, "clock": self._clock.how, "sirens": sirens}
        if counts is not None:
            said |= {
                "waiting": counts.waiting,
                "oldest_ms": counts.oldest_ms,
                "refused": counts.refused,
                "thinned": counts.thinned,
                "undated": counts.undated,
            }
        return msgspec.json.encode(said)

    async def all(self, node: Node, uplink: Uplink) -> dict[str, Any]:
        """Everything, as JSON has it. Raises Unavailable."""
        await self.refresh()
        assert self._counts is not None
        now = self._clock.now()
        rest = await self._store.run(details)
        heard = None if uplink.heard_ms is None else round((self._clock.even_ms() - uplink.heard_ms) / 1000)
        return {
            "node": self._site.node,
            "time": _text(now.ms),
            "clock": self._clock.how or "unsure: nobody has said what time it is",
            "gateway": {"url": self._site.gateway.url, "why": uplink.why, "answered_s_ago": heard}
            | {"requests": uplink.requests, "failed": uplink.failed, "sent": uplink.sent, "items": uplink.pace.items},
            "outbox": msgspec.to_builtins(self._counts) | {"most_bytes": self._site.most_bytes},
            "port": self.port,
            "broker": None if self._broker_why is None else self._broker_why() or "connected",
            "sensors": {name: {"level": level.name} | _last(node.seeing.last.get(name)) for name, level in node.levels.items()},
            "sirens": [msgspec.to_builtins(one.shown) for one in self._sounders],
            "taken": node.seeing.taken,
            "doubled": node.seeing.doubled,
            "refused_here": dict(node.seeing.refused),
            "judged": dict(node.seeing.judged),
            **rest,
        }


def details(outbox: Outbox) -> dict[str, Any]:
    """What of an outbox is shown beside its counts: what was refused lately, what was thinned."""
    refused = [
        {"at": _text(at_ms), "by": "gateway" if upstream else "here", "sender": sender, "reason": reason, "field": field, "detail": detail}
        | {"fix": fix, "source": source[:200].decode("utf-8", "replace")}
        for at_ms, sender, upstream, reason, field, detail, fix, source in outbox.newest_refused(_SHOWN_REFUSED)
    ]
    thinned = [
        {"series": series, "rule": rule, "readings": count, "from": _text(first_ms), "to": _text(last_ms)}
        for series, rule, count, first_ms, last_ms in outbox.thinned()
    ]
    return {"refused": refused, "thinned": thinned}


def _last(last: tuple[int, float | None, str] | None) -> dict[str, Any]:
    return {} if last is None else {"time": _text(last[0]), "value": last[1], "judged": last[2]}


def _text(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return f"{ms} ms"
