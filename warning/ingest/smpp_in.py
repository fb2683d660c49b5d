"""Messages of gauge readers from an SMS centre: each is acknowledged when the log has it, and then answered.

A part of a long message is acknowledged when it is in SQL; the last one when the log has the whole. While the log is away the centre is
told to try again (ESME_RX_T_APPN) and keeps the message. Use an account of its own (``readers_smpp_user``): a centre shares what it has
among the sessions of an account, and the receipts of the warnings must not end up here.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable
from weakref import WeakValueDictionary

from warning.errors import InputError, Unavailable
from warning.facts import Listener, ReadersSmsState, Received, nobody
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.reader_memory import Memory
from warning.ingest.smpp_session import OK, QUEUE_FULL, THROTTLED, Refused, Session, submits
from warning.ingest.smpp_text import Piece, piece_of, words_of
from warning.ingest.sms_in import SmsIn

_AGAIN_S = (0.5, 10.0)  # the first pause, the longest
_REFUSED_S = 30.0
_PARTS_MS = 6 * 3_600_000  # so long a part waits for the others
_SWEEP_S = 600.0
_OFFERED = 5  # times, to a centre that says "too fast"

_log = logging.getLogger(__name__)


class SmppIn:
    """``await run(stop)``. ``clock``: ms since 1970 UTC."""

    def __init__(
        self,
        where: tuple[str, int, str, str],
        readers: SmsIn,
        gateway: Gateway,
        memory: Memory,
        clock: Callable[[], int],
        listen: Listener = nobody,
    ) -> None:
        self._where, self._readers, self._gateway, self._memory = where, readers, gateway, memory
        self._clock, self._listen = clock, listen
        self._session: Session | None = None
        self._later: set[asyncio.Task[None]] = set()
        self._joining: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def up(self) -> bool:
        return self._session is not None and self._session.bound.is_set()

    async def run(self, stop: asyncio.Event) -> None:
        """One session after another until ``stop``. A centre that is away is asked again, at most ten seconds later."""
        sweeping = asyncio.create_task(self._sweep(), name="smpp parts")
        keeping = asyncio.create_task(self._keep(), name="smpp in")
        try:
            await stop.wait()
        finally:
            for task in (keeping, sweeping, *self._later):
                task.cancel()
            await asyncio.gather(keeping, sweeping, *self._later, return_exceptions=True)

    async def _keep(self) -> None:
        pause = _AGAIN_S[0]
        while True:
            host, port, user, password = self._where
            self._session = Session(host, port, user, password, self._deliver)
            told = asyncio.create_task(self._tell(self._session))
            try:
                await self._session.run()
            except Refused as error:
                _log.error("SMS of readers: %s", error)
                pause = _REFUSED_S
            except (OSError, TimeoutError) as error:
                _log.warning("SMS of readers: %s", error or type(error).__name__)
                pause = _AGAIN_S[0] if told.done() else min(2 * pause, _AGAIN_S[1])
            except Exception:  # what nobody foresaw must not end the way in for good
                _log.exception("SMS of readers: the session ended; a new one follows")
                pause = _AGAIN_S[1]
            finally:
                told.cancel()
                self._listen(ReadersSmsState(up=False))
            await asyncio.sleep(pause)

    async def _tell(self, session: Session) -> None:
        await session.bound.wait()
        self._listen(ReadersSmsState(up=True))
        _log.info("SMS of readers: bound")

    async def _deliver(self, pdu: bytes) -> int:
        """What to answer the centre. Raises Unavailable."""
        try:
            piece = piece_of(pdu)
        except InputError as error:
            await self._gateway.keep(pdu, error, Sender("sms:unregistered"))
            self._listen(Received(0, {error.reason: 1}, 422, 0.0))
            return OK  # it would be as broken the next time
        if piece.receipt:
            return OK
        if piece.parts == 1:
            self._say(await self._take(piece, piece.content), piece)
            return OK
        joining = self._joining.setdefault(_name(piece, 0), asyncio.Lock())
        async with joining:  # parts come at once: only one of them is the last
            content = await self._joined(piece)
            if content is not None:
                answer = await self._take(piece, content)
                await self._forget(piece)
                self._say(answer, piece)
        return OK

    async def _take(self, piece: Piece, content: bytes) -> str:
        try:
            text = words_of(content, piece.coding)
        except InputError as error:
            return await self._readers.keep(piece.sender, content, error)
        return await self._readers.take(piece.sender, text)

    def _say(self, answer: str, piece: Piece) -> None:
        """Last of all: our acknowledgement is then on the line before the answer, and who has taken that has the other."""
        if answer:
            task = asyncio.create_task(self._answer(answer, piece))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _joined(self, piece: Piece) -> bytes | None:
        """All of the message, in order, or None while parts are missing; this one is in SQL then. Raises Unavailable."""
        now_ms = self._clock()
        await self._memory.put("parts", _name(piece, piece.part), now_ms, {"hex": piece.content.hex(), "from": piece.sender}, durable=True)
        found = [await self._memory.get("parts", _name(piece, number), durable=True) for number in range(1, piece.parts + 1)]
        if any(one is None or now_ms - one[0] > _PARTS_MS for one in found):
            return None
        return b"".join(bytes.fromhex(one[1]["hex"]) for one in found if one)

    async def _forget(self, piece: Piece) -> None:
        for number in range(1, piece.parts + 1):
            await self._memory.forget("parts", _name(piece, number))

    async def _answer(self, text: str, piece: Piece) -> None:
        """The answer to the phone. One that cannot be sent is given up: the reading is in, and he will ask."""
        reference, session = zlib.crc32(text.encode()), self._session
        try:
            for pdu in submits(text, piece.receiver, piece.sender, reference):
                for _ in range(_OFFERED):
                    assert self._session is not None
                    status = await self._session.submit(pdu)
                    if status not in (THROTTLED, QUEUE_FULL):
                        break
                    await asyncio.sleep(1.0)
                if status != OK:
                    _log.warning("an answer to a reader was refused by the centre: 0x%02x", status)
                    return
            if self._session is session:
                await self._readers.delivered(piece.sender)
        except (Unavailable, OSError) as error:
            _log.warning("an answer to a reader was not sent: %s", error)

    async def _sweep(self) -> None:
        """Parts whose others never came, into ``readings.rejected``."""
        while True:
            try:
                for name, content in await self._memory.older("parts", self._clock() - _PARTS_MS):
                    error = InputError("a part whose others never came", reason="part_missing", field="", fix="send it again, shorter")
                    await self._gateway.keep(bytes.fromhex(content["hex"]), error, Sender("sms:unregistered"))
                    self._listen(Received(0, {error.reason: 1}, 422, 0.0))
                    await self._memory.forget("parts", name)
            except Unavailable as error:
                _log.info("parts of messages wait: %s", error)
            except Exception:
                _log.exception("parts of messages wait")
            await asyncio.sleep(_SWEEP_S)


def _name(piece: Piece, number: int) -> str:
    return f"{piece.sender[:40]} {piece.reference} {piece.parts} {number}"
