"""People who read gauges, and SensorThings: what ``warning ingest`` adds to its server for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from warning import config_datastreams, config_readers
from warning.deployment import Deployment
from warning.errors import ConfigError, Problem
from warning.facts import Listener, nobody
from warning.ingest.gateway import Gateway
from warning.ingest.keys import KeyStore
from warning.region import Region

if TYPE_CHECKING:
    from warning.ingest.rate import Limits
    from warning.ingest.reader_memory import Memory
    from warning.ingest.two_way import TwoWay

log = logging.getLogger(__name__)


async def readers(
    stack: AsyncExitStack,
    add_routes: Callable[[list[Any]], object],
    region: Region,
    deployment: Deployment,
    gateway: Gateway,
    keys: KeyStore,
    clock: Callable[[], int],
    listen: Listener,
    limits: Limits,
) -> None:
    """Routes for the server, and a session with the SMS centre that ``stack`` ends. Raises ConfigError."""
    from warning.ingest.form import Form
    from warning.ingest.kannel_held import Held
    from warning.ingest.kannel_in import KannelIn
    from warning.ingest.reader_memory import Memory
    from warning.ingest.sensorthings import Things
    from warning.ingest.sensorthings_http import SensorThings
    from warning.ingest.smpp_in import SmppIn
    from warning.ingest.sms_in import SmsIn

    allowed(deployment)
    known = config_readers.load(region.folder, region)
    memory = Memory(deployment.database)
    stack.push_async_callback(memory.close)
    sms = SmsIn(region, known, gateway, memory, clock, listen, _two_way(stack, region, deployment, memory, listen))
    kannel = KannelIn(sms, gateway, keys, Held(memory, gateway, clock, listen), listen, limits)
    add_routes(kannel.routes())
    _running(stack, kannel.run(), "sms that kannel forgot")
    add_routes(Form(region, known, gateway, keys, deployment.directory / "photos", listen, limits).routes())
    things = Things.of(region, config_datastreams.load(region.folder, region))
    add_routes(SensorThings(things, gateway, keys, listen, limits).routes())
    if deployment.readers_smpp_host:
        where = (
            deployment.readers_smpp_host,
            deployment.readers_smpp_port,
            deployment.readers_smpp_user,
            deployment.readers_smpp_password,
        )
        _until_closed(stack, SmppIn(where, sms, gateway, memory, clock, listen).run, "sms of readers")
        log.info("SMS of %d readers from %s:%d", len(known), *where[:2])


def _until_closed(stack: AsyncExitStack, run: Callable[[asyncio.Event], Coroutine[Any, Any, None]], name: str) -> None:
    """A task that is told when to stop, and waited for: a session is unbound, what it took is answered."""
    stop = asyncio.Event()
    running = asyncio.create_task(run(stop), name=name)

    async def end() -> None:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)

    stack.push_async_callback(end)


def _running(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _two_way(stack: AsyncExitStack, region: Region, deployment: Deployment, memory: Memory, listen: Listener = nobody) -> TwoWay:
    """Keywords by SMS, on the database of contacts, the ledger's and that of codes; each is opened when it is first needed."""
    from warning.ingest.two_way import TwoWay
    from warning.people.acknowledged import Acknowledgements
    from warning.people.directory import Directory
    from warning.people.enrolment import Enrolment
    from warning.people.standing import Standing
    from warning.people.tables import address
    from warning.proof.register import Register

    directory = Directory(address(deployment), region)
    acknowledgements, standing, register = (
        Acknowledgements(address(deployment)),  # where the dispatcher reads them
        Standing(region, deployment),
        Register(region, deployment),
    )
    for one in (directory, acknowledgements, standing, register):
        stack.push_async_callback(one.close)
    return TwoWay(region, Enrolment(directory, region), acknowledgements, register, standing, memory, listen=listen)


def allowed(deployment: Deployment) -> None:
    """Raises ConfigError where SMPP 3.4 has no room, or the account is that of the warnings."""
    problems = [
        Problem(name, f"has {len(value)} characters, SMPP 3.4 allows {most}", "ask the SMS centre for a shorter one")
        for name, value, most in (
            ("readers_smpp_user", deployment.readers_smpp_user, 15),
            ("readers_smpp_password", deployment.readers_smpp_password, 8),
        )
        if len(value) > most
    ]
    where = (deployment.readers_smpp_host, deployment.readers_smpp_port, deployment.readers_smpp_user)
    if deployment.readers_smpp_host and where == (deployment.smpp_host, deployment.smpp_port, deployment.smpp_user):
        fix = "ask the SMS centre for a second account: it shares receipts and messages among the sessions of one"
        problems.append(Problem("readers_smpp_user", "is the account that warnings are sent by", fix))
    if problems:
        raise ConfigError(problems)
