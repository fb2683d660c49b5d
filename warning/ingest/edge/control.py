"""For people on the spot: a socket in the node's folder, which only its user may open. See the status, test or mute a siren, try again."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from aiohttp import web

from warning.errors import Unavailable
from warning.ingest.edge.node import Node
from warning.ingest.edge.outbox import Entry
from warning.ingest.edge.siren import Sounder
from warning.ingest.edge.status import Status
from warning.ingest.edge.store import Store
from warning.ingest.edge.uplink import Uplink
from warning.ingest.formats import item

SOCKET = "edge.sock"

_log = logging.getLogger(__name__)


def create_app(status: Status, node: Node, uplink: Uplink, store: Store, sounders: Sequence[Sounder]) -> web.Application:
    """GET /status, POST /sirens/NAME/test, POST /sirens/NAME/mute, POST /again."""
    by_name = {one.siren.name: one for one in sounders}

    async def shown(_: web.Request) -> web.Response:
        try:
            return _json(await status.all(node, uplink))
        except Unavailable as error:
            return _json({"error": str(error)}, 503)

    async def siren(request: web.Request) -> web.Response:
        found = by_name.get(request.match_info["name"])
        if found is None:
            return _json({"error": f"no siren {request.match_info['name']}; there are: {', '.join(by_name) or 'none'}"}, 404)
        if request.match_info["what"] == "test":
            found.test()
        else:
            found.mute()
        return _json(msgspec.to_builtins(found.shown))

    async def again(_: web.Request) -> web.Response:
        try:
            back = await store.run(lambda outbox: outbox.again(_entry))
        except Unavailable as error:
            return _json({"error": str(error)}, 503)
        uplink.news(urgent=True)
        return _json({"again": back})

    app = web.Application()
    app.router.add_get("/status", shown)
    app.router.add_post("/sirens/{name}/{what:test|mute}", siren)
    app.router.add_post("/again", again)
    return app


async def serve(app: web.Application, directory: Path, stack: AsyncExitStack) -> None:
    """On the socket in the folder until ``stack`` closes; a disk that takes none is said, and gone on without."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.SockSite(runner, _bound(directory)).start()
    except OSError as error:
        _log.error("no status and no siren test by hand: the socket in %s: %s", directory, error)


def _bound(directory: Path) -> socket.socket:
    """The socket, of this user alone. Raises OSError."""
    path = directory / SOCKET
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.bind(str(path))
    finally:
        os.umask(before)
    return found


def _entry(source: bytes) -> Entry | None:
    """What the gateway refused, as it was sent to it."""
    read = item(source)
    return Entry(read.station, read.parameter, round(read.time.timestamp() * 1000), read.value, read.unit, read.datum)


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
