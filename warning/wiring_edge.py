"""``warning edge``: one edge node. A process of its own, ``python -m warning.wiring_edge``, that loads next to nothing.

Its site comes as JSON in WARNING_EDGE_SITE, which the command line has read and checked: pydantic and YAML stay in that process's memory,
which is gone when this one takes its place.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from warning import wiring_logging
from warning.errors import ExitCode, Unavailable
from warning.site import Listen, Siren, Site
from warning.wiring_signals import first_of, on_signals

if TYPE_CHECKING:
    from warning.ingest.edge.mqtt import LocalBroker
    from warning.ingest.edge.node import Node
    from warning.ingest.edge.siren import Sounder
    from warning.ingest.edge.status import Status

SITE = "WARNING_EDGE_SITE"
OUTBOX = "outbox.db"
_STATUS_S = 15.0
_WATCHDOG_S = 10.0
_AGAIN_S = 5.0
_OPENED_WITHIN_S = 5.0

log = logging.getLogger(__name__)


def main() -> None:
    """Runs the node until a signal stops it."""
    wiring_logging.configure("edge")
    site = msgspec.json.decode(os.environ[SITE], type=Site)
    with _alone(Path(site.directory)):
        asyncio.run(_until_signalled(site))


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """A second node in the same folder ends: it would tell the sirens off that the first one has told on. A broken disk ends none."""
    with ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((directory / "edge.lock").open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.error("another node runs in %s: stop that one first (systemctl stop warning-edge)", directory)
            raise SystemExit(ExitCode.CONFIG) from None
        except OSError as error:
            log.error("whether another node runs in %s nobody knows: %s", directory, error)
        yield


async def _until_signalled(site: Site) -> None:
    await edge(site, on_signals())


async def edge(site: Site, stop: asyncio.Event) -> None:
    """Sensors in, sirens and readings out, until ``stop``."""
    from warning.ingest.edge import clock as clocks
    from warning.ingest.edge import control
    from warning.ingest.edge.link import Link
    from warning.ingest.edge.node import SURE, Node, look_after
    from warning.ingest.edge.status import Status
    from warning.ingest.edge.store import Store
    from warning.ingest.edge.uplink import Uplink

    directory = Path(site.directory)
    async with AsyncExitStack() as stack:
        store = Store(directory / OUTBOX, clocks.boot_id(), site.most_bytes, clocks.system_ms)
        stack.push_async_callback(store.close)
        clock = clocks.Clock(battery=site.battery_clock)
        with suppress(Unavailable, TimeoutError):  # said by the store; the sirens wait for no disk, and a large outbox is checked first
            async with asyncio.timeout(_OPENED_WITHIN_S):
                remembered = await store.run(lambda outbox: outbox.remembered(SURE))
            clock = clocks.Clock(battery=site.battery_clock, least_ms=clocks.least_ms(remembered))
        broker = _broker(site)
        sounders = [_sounder(siren, broker) for siren in site.sirens]
        status = Status(site, store, clock, sounders, (lambda: broker.why) if broker else None)
        link = Link(site.gateway)
        stack.push_async_callback(link.close)

        async def settle() -> None:
            await node.settle()

        uplink = Uplink(site.gateway, link, store, clock, report=status.report, settle=settle)
        node = Node(site, store, clock, sounders, uplink.news)
        with suppress(Unavailable, TimeoutError):  # likewise; a siren that sounded before a power cut is not told off first
            async with asyncio.timeout(_OPENED_WITHIN_S):
                await node.restore()
        works = [_again("siren " + sounder.siren.name, sounder.run) for sounder in sounders]
        works += [_again("uplink", uplink.run), _again("clock and outbox", partial(look_after, node, store, clock))]
        works.append(_again("status", partial(_counted, status)))
        if broker is not None:
            works.append(_again("the sensors' broker", partial(broker.run, node)))
        if site.listen is not None:
            works.append(_again("readings by HTTP", partial(_listen, node, site, site.listen, status, stack)))
        await control.serve(control.create_app(status, node, uplink, store, sounders), directory, stack)
        log.info("node %s: %d sensors, %d sirens, readings go to %s", site.node, len(site.sensors), len(sounders), site.gateway.url)
        gc.freeze()
        await first_of(stop, *works, _watchdog())


def _broker(site: Site) -> LocalBroker | None:
    if site.mqtt is None:
        return None
    from warning.ingest.edge.mqtt import LocalBroker  # 6 MB, for those who have one

    return LocalBroker(site, site.mqtt)


def _sounder(siren: Siren, broker: LocalBroker | None) -> Sounder:
    from warning.ingest.edge.siren import Sounder, by_command

    if siren.topic:
        assert broker is not None  # config_edge has seen to it
        return Sounder(siren, broker.by_topic(siren), time.monotonic)
    return Sounder(siren, by_command(siren), time.monotonic)


async def _listen(node: Node, site: Site, listen: Listen, status: Status, stack: AsyncExitStack) -> None:
    """Takes its port as soon as it can: a node without it has its sirens and its broker all the same. For ever."""
    from warning.ingest.edge import local
    from warning.ingest.serving import serve

    while True:
        try:
            server = await serve(local.create_app(node, site.keys), listen.host, listen.port)
        except OSError as error:
            log.error("%s:%d cannot be listened to: %s", listen.host, listen.port, error.strerror or error)
            await asyncio.sleep(_AGAIN_S)
        else:
            break
    stack.push_async_callback(server.stop)
    status.port = server.port
    log.info("readings in at http://%s:%d%s", listen.host, server.port, local.PATH)
    await asyncio.Event().wait()


async def _counted(status: Status) -> None:
    while True:
        with suppress(Unavailable):  # said by the store
            await status.refresh()
        await asyncio.sleep(_STATUS_S)


async def _watchdog() -> None:
    """Tells systemd that the loop goes round (``WatchdogSec`` of the unit); nothing where nobody asks. For ever."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        await asyncio.Event().wait()
    every_s = int(os.environ.get("WATCHDOG_USEC", 0)) / 1e6 / 3 or _WATCHDOG_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        word = b"READY=1"
        while True:
            with suppress(OSError):  # systemd will miss it, and that is what it is for
                sender.sendto(word, "\0" + address[1:] if address.startswith("@") else address)
            word = b"WATCHDOG=1"
            await asyncio.sleep(every_s)


async def _again(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a part for ever: a bug in one must not end the others, least of all the sirens."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("%s failed; begun anew in %g s", name, _AGAIN_S)
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    main()
