"""An SMS centre for load: SMPP 3.4, as fast as Python gets, counting submits a second and refusing the rest with 0x58.

Next to nothing of the protocol (``rehearsal.telecom`` has it): bind, submit, receipts, enquire_link. Runs as a process of its own, with a
JSON object as argument, and tells JSON lines: ``listening`` at once, then ``taken`` and ``throttled`` four times a second. At SIGTERM it
writes what it took to ``record``: lines of arrival (Unix s), destination.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import struct
import sys
import time
from pathlib import Path

HEADER = struct.Struct("!IIII")  # command_length, command_id, command_status, sequence_number (SMPP 3.4, 3.2)
SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK, RESPONSE = 0x04, 0x05, 0x06, 0x15, 0x80000000
BINDS = (0x01, 0x02, 0x09)
THROTTLED = 0x58
EVERY_S = 0.25


class Centre:
    """What all sessions share. ``rate_per_s`` 0: no limit."""

    def __init__(self, rate_per_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.taken: list[tuple[float, bytes]] = []
        self.throttled = 0
        self._second, self._in_second = 0, 0

    def take(self, destination: bytes) -> str:
        """The message's id, or "" for "too fast"."""
        now = time.time()
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        if 0 < self.rate_per_s < self._in_second:
            self.throttled += 1
            return ""
        self.taken.append((now, destination))
        return f"{len(self.taken):08x}"


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, centre: Centre) -> None:
        self._centre, self._left, self._sequence = centre, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data, at, out = self._left + data, 0, list[bytes]()
        while len(data) - at >= HEADER.size:
            length, command, _, sequence = HEADER.unpack_from(data, at)
            if len(data) - at < length:
                break
            self._handle(command, sequence, data[at + HEADER.size : at + length], out)
            at += length
        self._left = data[at:]
        if out:
            self._transport.write(b"".join(out))

    def _handle(self, command: int, sequence: int, body: bytes, out: list[bytes]) -> None:
        if command == SUBMIT_SM:
            destination, source = addresses(body)
            message_id = self._centre.take(destination).encode()
            out.append(pdu(SUBMIT_SM | RESPONSE, 0 if message_id else THROTTLED, sequence, message_id + b"\0"))
            if message_id:
                self._sequence += 1
                out.append(pdu(DELIVER_SM, 0, self._sequence, receipt(message_id, destination, source)))
        elif command in BINDS:
            out.append(pdu(command | RESPONSE, 0, sequence, b"LOAD\0"))
        elif command in (ENQUIRE_LINK, UNBIND):
            out.append(pdu(command | RESPONSE, 0, sequence, b""))


def pdu(command: int, status: int, sequence: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


def addresses(body: bytes) -> tuple[bytes, bytes]:
    """(destination, source) of a submit_sm (SMPP 3.4, 4.4.1)."""
    at = body.index(b"\0") + 3  # service_type, source_addr_ton, source_addr_npi
    end = body.index(b"\0", at)
    after = end + 3
    return body[after : body.index(b"\0", after)], body[at:end]


def receipt(message_id: bytes, destination: bytes, source: bytes) -> bytes:
    """Body of a deliver_sm: DELIVRD at once (appendix B)."""
    date = time.strftime("%y%m%d%H%M", time.gmtime()).encode()
    text = b"id:%b sub:001 dlvrd:001 submit date:%b done date:%b stat:DELIVRD err:000 text:" % (message_id, date, date)
    head = b"\0\1\1" + destination + b"\0\0\0" + source + b"\0"
    return head + b"\x04\0\0" + b"\0\0" + b"\0\0\0\0" + bytes((len(text),)) + text


def tell(**told: object) -> None:
    print(json.dumps(told), flush=True)


async def serve(rate_per_s: float, record: Path) -> None:
    """Until SIGTERM."""
    centre, loop, stop = Centre(rate_per_s), asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: Session(centre), "127.0.0.1", 0)
    tell(listening=server.sockets[0].getsockname()[1])
    told = -1
    while not stop.is_set():
        if len(centre.taken) != told:
            told = len(centre.taken)
            tell(taken=told, throttled=centre.throttled)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await stop.wait()
    server.close()
    with record.open("w", encoding="ascii") as file:
        file.writelines(f"{at:.4f} {destination.decode()}\n" for at, destination in centre.taken)


def main() -> None:
    settings = json.loads(sys.argv[1])
    asyncio.run(serve(settings["rate_per_s"], Path(settings["record"])))


if __name__ == "__main__":
    main()
