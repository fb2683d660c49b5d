"""The form of gauge readers as `warning ingest` serves it, and real pictures."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from ingest_house import HOST, records, two_basins, wall_ms
from ingest_house import deployment as place_of
from services import embedded

from warning import config_readers
from warning.ingest.form import Form
from warning.ingest.gateway import Gateway
from warning.ingest.http import create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.ingest.serving import serve
from warning.model import Reading
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics

ROOT = Path(__file__).parent.parent
PHONE = {"width": 390, "height": 844}
READERS = "id,name,phone,language,stations,parameter,unit\nclerk,Clerk of Alder,,ur,A|D,stage,ft\n"


def png(seed: int = 0, size: int = 8) -> bytes:
    """A real picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes((seed * 7 + x * 9 + y * 5) % 256 for x in range(3 * size)) for y in range(size))
    header = struct.pack("!IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Running:
    def __init__(self, region: Region, broker: EmbeddedBroker, folder: Path) -> None:
        self.region, self.broker, self.folder = region, broker, folder
        self.place = place_of(broker.bootstrap, folder)
        self.port, self.server, self.key = 0, None, ""  # type: int, Serving | None, str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def open(self) -> None:
        await ensure_topics(self.place, self.region.partitions)
        self.log = KafkaLog(self.broker.bootstrap, Gateway.topics(self.region, self.place), idempotent=False, within_s=3.0)
        await self.log.start()
        assert await self.log.until_up(20), self.log.why
        self.keys = KeyStore(self.place.database, wall_ms)
        _, self.key = await self.keys.create("clerk", stations=("A", "D"))
        await self.up()

    async def up(self) -> None:
        gateway = Gateway(self.region, self.place, self.log, wall_ms)
        app = create_app(gateway, self.keys)
        self.form = Form(self.region, config_readers.load(self.region.folder, self.region), gateway, self.keys, self.folder / "photos")
        app.add_routes(self.form.routes())
        self.server = await serve(app, HOST, self.port)
        self.port = self.server.port

    async def down(self) -> None:
        assert self.server is not None
        await self.server.stop()

    async def close(self) -> None:
        await self.down()
        await self.keys.close()
        await self.log.stop()

    async def readings(self) -> list[Reading]:
        found = [await records(self.broker.bootstrap, self.place.readings, number) for number in (0, 1)]
        return [msgspec.json.decode(value, type=Reading) for one in found for _, value in one]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    region = two_basins(tmp_path)
    (Path(region.folder) / "readers.csv").write_text(READERS, "utf-8")
    with embedded() as broker:
        made = Running(region, broker, tmp_path)
        await made.open()
        try:
            yield made
        finally:
            await made.close()
