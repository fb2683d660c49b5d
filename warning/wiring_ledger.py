"""What the commands ask of a ledger: deliveries, the SMS centre's report against it, the audit's export and heads."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from warning.deployment import Deployment
from warning.dispatch import database, exported, shown
from warning.dispatch.reconcile import Found, reconcile
from warning.dispatch.report_file import said_in
from warning.errors import ConfigError, Problem
from warning.model import Receipt
from warning.people import consent
from warning.people import tables as people
from warning.people.directory import Directory
from warning.proof import audit, chain, keys
from warning.proof.gathered import Gathering, salt_of
from warning.region import Region
from warning.stream.kafka import KafkaLog
from warning.wiring import clock_ms


@asynccontextmanager
async def reading(deployment: Deployment) -> AsyncIterator[Any]:
    """One connection that only asks. Raises Unavailable, and ConfigError where there is no ledger yet: to ask makes no file."""
    _there(deployment)
    async with database.reading(deployment.database) as connection:
        yield connection


def _there(deployment: Deployment) -> None:
    path = deployment.database.partition(":///")[2]
    if deployment.database.startswith("sqlite") and path and not Path(path).exists():
        raise ConfigError([Problem(path, "there is no ledger", "name its --directory, --prefix or --database; a dispatcher makes one")])


# --- the centre's report


async def reconciled(
    region: Region, deployment: Deployment, report: Path, columns: Mapping[str, str], states: Mapping[str, str], *, route: str, write: bool
) -> Found:
    """``columns``, ``states``, ``route``: as in ``report_file``.

    Raises ConfigError with every line that cannot be read; nothing is changed then.
    """
    said = said_in(_text(report), str(report), columns, states, route)
    _there(deployment)
    async with database.opened(deployment.database) as engine:
        return await reconcile(engine, region.id, said, clock_ms(), write=write)


def _text(report: Path) -> str:
    try:
        return report.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(report), f"cannot be read: {error}", "name a CSV file in UTF-8")]) from error


async def reports(deployment: Deployment, most: int) -> list[dict[str, Any]]:
    """The newest reports that the dispatcher took by itself, the newest first. Raises Unavailable, ConfigError."""
    async with reading(deployment) as connection:
        return await shown.reports(connection, most)


# --- the audit


async def export(region: Region, deployment: Deployment, file: Path, *, with_contacts: bool) -> int:
    """Writes the chain as it stands now; how many lines. Raises ConfigError where the file cannot be written, Unavailable."""
    await _gathered(deployment)
    key = keys.signer(keys.read(Path(deployment.signing_keys))[0], keys.today()) if deployment.signing_keys else None
    try:
        with _anew(file, private=with_contacts) as out:
            async with reading(deployment) as connection:
                seq, digest = await chain.head(connection)
                salt = await chain.salt(connection)
                _write(out, audit.first(region.id, datetime.now(UTC).isoformat(timespec="seconds"), salt if with_contacts else ""))
                async for line, own in exported.lines(connection, salt, seq):
                    _write(out, {"line": line, "digest": own})
                if with_contacts:
                    await _contacts(out, connection, deployment, salt)
            _write(out, audit.last(region.id, seq, digest, key))
    except OSError as error:
        raise ConfigError([Problem(str(file), f"cannot be written: {error.strerror}", "name a file in a folder that is there")]) from error
    return seq


def _anew(file: Path, *, private: bool) -> BinaryIO:
    """``private``: numbers and names are for whoever asked for them alone, also in a file that was there."""
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600 if private else 0o666)
    if private and stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)
    return os.fdopen(number, "wb")


async def _gathered(deployment: Deployment) -> None:
    """What people said since the dispatcher last looked, or while there is none."""
    _there(deployment)
    gathering = Gathering(people.address(deployment), deployment.database)
    try:
        await gathering.gather()
    finally:
        await gathering.close()


async def _contacts(out: Any, connection: Any, deployment: Deployment, salt: str) -> None:
    """Whom the tags of the lines name: those that a message was for, and who said something of its consent."""
    directory = Directory(people.address(deployment))
    try:
        async for each in exported.contacts(connection):
            found = await directory.contact(each)
            told = {"name": found.name, "phone": found.phone, "email": found.email} if found else {}
            _write(out, {"contact": chain.tag(salt, each), "id": each, **told})
        own = await salt_of(directory.tables) or salt
        async for each in consent.addresses(directory):
            _write(out, {"contact": chain.tag(own, each), "id": each} | ({"salt": own} if own != salt else {}))
    finally:
        await directory.close()


def _write(out: Any, item: Mapping[str, Any]) -> None:
    out.write(chain.canonical(item) + b"\n")


def verified(file: Path, known: Mapping[int, str], certificate: str) -> audit.Found:
    """The file alone, line by line. Raises ConfigError where it cannot be read."""
    try:
        with file.open("rb") as lines:
            return audit.verify(lines, known, certificate)
    except OSError as error:
        raise ConfigError([Problem(str(file), f"cannot be read: {error.strerror}", "name a file of warning audit export")]) from error


async def heads(deployment: Deployment) -> dict[int, str]:
    """seq -> digest of every head that stands on the topic ``receipts``. Raises Unavailable."""
    known: dict[int, str] = {}
    decoder = msgspec.json.Decoder(Receipt)

    def take(_: int, __: bytes | None, value: bytes | None) -> None:
        if value is not None and (head := decoder.decode(value).chain):
            place, digest = head.split(":", 1)
            known[int(place)] = digest

    async with KafkaLog(deployment, writes=False) as log:
        await log.read(deployment.receipts, 0, take)
    return known
