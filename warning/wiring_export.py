"""``warning export-log`` and ``warning replay --from-log``: a log into a file, and what a log decides here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from warning.deployment import Deployment
from warning.errors import ConfigError, Problem
from warning.model import AlertEvent
from warning.region import Region
from warning.stream.archive import Range
from warning.stream.decisions import PIPELINE
from warning.stream.export import Written, export
from warning.stream.exported import Exported
from warning.stream.kafka import KafkaLog

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One document that is not the same here as it was published. ``where``: the first field that differs, with both its values."""

    identifier: str
    where: str
    here: str
    there: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """``documents``: identifier -> bytes as on ``alerts``; ``codes``: that decided in the log; ``code``: of the one here."""

    exported: Exported
    documents: dict[str, bytes]
    differences: list[Difference]
    codes: list[str]
    code: str


def partition_of(region: Region, basin: str | None, partition: int | None) -> int:
    """Raises ConfigError unless exactly one partition is meant."""
    if basin is not None and basin not in region.basins:
        raise ConfigError([Problem("--basin", f"{basin!r} is no basin of {region.id}", f"one of {', '.join(region.basins)}")])
    if partition is not None and not 0 <= partition < region.partitions:
        raise ConfigError([Problem("--partition", f"{region.id} has {region.partitions} partitions", f"0 to {region.partitions - 1}")])
    meant = {region.basins[basin]} if basin is not None else {partition} if partition is not None else set(region.basins.values())
    if len(meant) != 1:
        raise ConfigError([Problem("--basin", f"{region.id} has several", f"one of {', '.join(region.basins)}")])
    return int(meant.pop() or 0)


async def export_log(
    regions: list[Region], deployment: Deployment, partition: int, wanted: Range, path: Path, progress: Progress
) -> Written:
    """``regions``: the one of the deployment, then others that decided in the range."""
    async with KafkaLog(deployment, writes=False) as log:
        return await export(log, deployment, regions, PIPELINE.plan(regions[0], partition).code, partition, wanted, path, progress)


async def replay_topic(regions: list[Region], deployment: Deployment, partition: int, wanted: Range, progress: Progress) -> Replayed:
    """The same as exporting it and replaying the file, which is in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="flood-replay-") as folder:
        path = Path(folder) / "log"
        await export_log(regions, deployment, partition, wanted, path, progress)
        return replay_exported(path, progress)


def replay_exported(path: Path, progress: Progress) -> Replayed:
    """Everything that the file's log decides, by the configuration in it, held against what was published."""
    found = Exported.of(path)
    documents = found.documents(progress=progress)
    published = found.expected()
    differences = [
        difference
        for name in dict.fromkeys([*published, *documents])
        if (difference := _difference(name, documents.get(name), published.get(name))) is not None
    ]
    return Replayed(found, documents, differences, found.codes(), PIPELINE.plan(found.region_of(found.header.config), found.partition).code)


def write_documents(documents: dict[str, bytes], folder: Path) -> None:
    """IDENTIFIER.json, the event as on ``alerts``, and IDENTIFIER.xml, its CAP document. Raises ConfigError if they cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for identifier, content in documents.items():
            name = folder / identifier.replace("/", "_")
            name.with_name(name.name + ".json").write_bytes(content)
            cap = msgspec.json.decode(content, type=AlertEvent).cap
            if cap:
                name.with_name(name.name + ".xml").write_text(cap, encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(f"--out {folder}", f"cannot be written: {error.strerror}", "name a folder that can")]) from error


def _difference(identifier: str, here: bytes | None, there: bytes | None) -> Difference | None:
    if here == there:
        return None
    if here is None or there is None:
        return Difference(identifier, "being there", "no" if here is None else "yes", "no" if there is None else "yes")
    where, mine, theirs = _first("", msgspec.json.decode(here), msgspec.json.decode(there)) or ("its bytes", "", "")
    return Difference(identifier, where.lstrip("."), str(mine)[:200], str(theirs)[:200])


def _first(where: str, here: Any, there: Any) -> tuple[str, Any, Any] | None:
    """The first place where two JSON documents differ."""
    if isinstance(here, dict) and isinstance(there, dict):
        pairs = [(f"{where}.{key}", here.get(key), there.get(key)) for key in dict.fromkeys([*here, *there])]
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        pairs = [(f"{where}[{place}]", *both) for place, both in enumerate(zip(here, there, strict=True))]
    else:
        return None if here == there else (where, here, there)
    return next((found for pair in pairs if (found := _first(*pair)) is not None), None)
