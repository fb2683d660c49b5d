"""A session with an SMS centre that hands us what phones sent: SMPP 3.4, transceiver.

Of our own, over smpp34's codec: aiosmpplib answers a deliver_sm before we have it and cannot say "try again" (its bound of that lies in
``dispatch``, where it sends); smpp34's own client acknowledges by itself. What the centre sends is worked on by many tasks, ``window`` at
most; more is not read from the socket. A session that is silent for longer than two enquiries is a dead one.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import smpp34
import smsutil
from smsutil.codecs import GSM0338Codec

from warning.errors import Unavailable

HEADER = struct.Struct("!IIII")  # length, command, status, sequence
BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 0x09, 0x04, 0x05, 0x06, 0x15
RESPONSE, GENERIC_NACK = 0x80000000, 0x80000000
OK, INVALID_COMMAND, TRY_AGAIN, THROTTLED, QUEUE_FULL = 0x00, 0x03, 0x64, 0x58, 0x14  # TRY_AGAIN: ESME_RX_T_APPN
MOST_OCTETS = 70_000  # message_payload holds 64 KB

Deliver = Callable[[bytes], Awaitable[int]]  # a whole deliver_sm -> command_status to answer

_log = logging.getLogger(__name__)


class Refused(Exception):
    """The centre does not let us in."""


@dataclass
class Session:
    """``run`` until it breaks. ``deliver`` says what to answer each deliver_sm with, when that may be said."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    deliver: Deliver
    window: int = 16
    enquire_every_s: float = 10.0
    answer_within_s: float = 10.0

    def __post_init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._free = asyncio.Semaphore(self.window)
        self._tasks: set[asyncio.Task[None]] = set()
        self.bound = asyncio.Event()

    async def run(self) -> None:
        """Connects, binds and takes messages until the line breaks (raises OSError) or the centre says no (raises Refused)."""
        async with asyncio.timeout(self.answer_within_s):
            reader, self._writer = await asyncio.open_connection(self.host, self.port)
        enquiring = asyncio.create_task(self._enquire(), name="smpp enquire_link")
        try:
            await self._bind(reader)
            self.bound.set()
            while True:
                await self._handle(*await self._pdu(reader))
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            raise ConnectionError(f"the line to the centre broke: {type(error).__name__}") from None
        finally:
            self.bound.clear()
            enquiring.cancel()
            await self._close(enquiring)

    async def submit(self, pdu: bytes) -> int:
        """Sends a submit_sm; the centre's status. Raises Unavailable without an answer."""
        if not self.bound.is_set():
            raise Unavailable("no session with the SMS centre")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sequence = self._write(SUBMIT_SM, OK, pdu[HEADER.size :])
        self._waiting[sequence] = future
        try:
            async with asyncio.timeout(self.answer_within_s):
                return await future
        except TimeoutError:
            raise Unavailable("the SMS centre does not answer") from None
        finally:
            self._waiting.pop(sequence, None)

    async def _bind(self, reader: asyncio.StreamReader) -> None:
        body = b"".join(word.encode("ascii", "replace") + b"\0" for word in (self.user, self.password, "")) + b"\x34\0\0\0"
        self._write(BIND_TRANSCEIVER, OK, body)
        async with asyncio.timeout(self.answer_within_s):
            command, status, _, _ = await self._pdu(reader)
        if command != BIND_TRANSCEIVER | RESPONSE or status != OK:
            raise Refused(f"the SMS centre refuses {self.user}: command_status 0x{status:02x}")

    async def _pdu(self, reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
        async with asyncio.timeout(2.5 * self.enquire_every_s):
            head = await reader.readexactly(HEADER.size)
            length, command, status, sequence = HEADER.unpack(head)
            if not HEADER.size <= length <= MOST_OCTETS:
                raise ConnectionError(f"a PDU of {length} octets: this is not SMPP")
            return command, status, sequence, head + await reader.readexactly(length - HEADER.size)

    async def _handle(self, command: int, status: int, sequence: int, pdu: bytes) -> None:
        if command == DELIVER_SM:
            await self._free.acquire()
            self._spawn(self._delivered(sequence, pdu))
        elif command == ENQUIRE_LINK:
            self._write(ENQUIRE_LINK | RESPONSE, OK, sequence=sequence)
        elif command == UNBIND:
            self._write(UNBIND | RESPONSE, OK, sequence=sequence)
            raise ConnectionError("the centre unbound us")
        elif command & RESPONSE:
            future = self._waiting.get(sequence)
            if future and not future.done():
                future.set_result(status)
        else:
            self._write(GENERIC_NACK, INVALID_COMMAND, sequence=sequence)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _delivered(self, sequence: int, pdu: bytes) -> None:
        status = TRY_AGAIN
        try:
            status = await self.deliver(pdu)
        except Unavailable as error:
            _log.warning("a message from a phone stays with the centre: %s", error)
        except Exception:
            _log.exception("a message from a phone failed; the centre is to send it again")
        finally:
            self._free.release()
        if self._writer is not None and not self._writer.is_closing():
            self._write(DELIVER_SM | RESPONSE, status, b"\0" if status == OK else b"", sequence=sequence)

    def _write(self, command: int, status: int, body: bytes = b"", *, sequence: int = 0) -> int:
        if not sequence:
            self._sequence = sequence = self._sequence % 0x7FFFFFFF + 1
        assert self._writer is not None
        self._writer.write(HEADER.pack(HEADER.size + len(body), command, status, sequence) + body)
        return sequence

    async def _enquire(self) -> None:
        while True:
            await asyncio.sleep(self.enquire_every_s)
            if self.bound.is_set():
                self._write(ENQUIRE_LINK, OK)

    async def _close(self, *others: asyncio.Task[None]) -> None:
        """Unanswered messages stay with the centre."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *others, return_exceptions=True)
        for future in self._waiting.values():
            future.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


def submits(text: str, sender: str, receiver: str, reference: int) -> list[bytes]:
    """The submit_sm of an answer, one a part: without receipts, for nothing hangs on it."""
    split = smsutil.split(text)
    wide = split.encoding != "gsm0338"
    made = []
    for number, part in enumerate(split.parts, 1):
        content = part.content.encode("utf-16-be") if wide else GSM0338Codec().encode(part.content)[0]
        if len(split.parts) > 1:
            content = bytes((5, 0, 3, reference & 0xFF, len(split.parts), number)) + content
        international = receiver.startswith("+")
        made.append(
            smpp34.SubmitSm(
                sender.removeprefix("+"),
                receiver.removeprefix("+"),
                content,
                source_addr_ton=1 if sender.startswith("+") else 0,
                source_addr_npi=1 if sender.startswith("+") else 0,
                dest_addr_ton=1 if international else 0,
                dest_addr_npi=1,
                esm_class=0x40 if len(split.parts) > 1 else 0,
                data_coding=8 if wide else 0,
                validity_period="000001000000000R",  # a day: later it would only confuse him
            ).encode()
        )
    return made
