"""One SMPP 3.4 link: aiosmpplib's session, with what a warning needs on top.

The library binds, keeps the session alive and reconnects. The two PDUs that there are thousands of a second, submits with their answers and
delivery receipts, go past it (``smpp_pdu``), and are written to the socket once a turn of the loop. What it does not do, and this does
(held by ``tests/test_sms_channel.py`` and ``tests/test_smpp_pdu.py``):

- a submit that is under way when the connection breaks is answered at once, and says whether it was written to the wire;
- a receipt is acknowledged only after it is durable here, so that a crash makes the centre send it again;
- a receipt that the library cannot parse (12-digit dates, letters in ``err``) and a status that it does not know do not
  break the connection;
- parts are correlated by sequence number only: the library's own correlator scans all open messages for each one, and confuses
  messages when more than 256 are open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from struct import error as struct_error
from typing import Any

from aiosmpplib import (
    ESME,
    AbstractBroker,
    AbstractCorrelator,
    AbstractHook,
    AbstractThrottleHandler,
    DeliverSm,
    DeliverSmResp,
    GenericNack,
    PduHeader,
    SmppCommand,
    SmppCommandStatus,
    SmppMessage,
    SmppSessionState,
    SubmitSm,
)
from aiosmpplib.protocol import MESSAGE_TYPE_MAP
from aiosmpplib.retrytimer import SimpleExponentialBackoff

from warning.dispatch import smpp_pdu
from warning.dispatch.smpp_pdu import HEADER, Receipt

log = logging.getLogger(__name__)

BROKEN = (ValueError, struct_error)  # what the library raises for a PDU that breaks off
WATCH_S = 0.05  # how often the state of the session is looked at; the library has no event for a broken connection
ALIVE_S = 1.0  # how often the library hears that something came, when that went past it


@dataclass(frozen=True, slots=True)
class Answer:
    """The centre's answer to one submit. ``status`` None: there was none; then ``sent`` says whether it may have it."""

    status: SmppCommandStatus | None
    message_id: str = ""
    sent: bool = True
    why: str = ""


@dataclass(slots=True)
class Ticket:
    """A submit that was written. ``until``: by the loop's clock, when nobody waits for its answer any more."""

    future: asyncio.Future[Answer]
    until: float


@dataclass
class Link(AbstractHook):  # type: ignore[misc]
    """A transceiver that reconnects by itself. ``on_receipt`` returns when the receipt is durable."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    on_receipt: Callable[[Receipt], Awaitable[None]]
    on_state: Callable[[bool], None]
    answer_within_s: float = 20.0
    enquire_every_s: float = 10.0

    def __post_init__(self) -> None:
        self._tickets: dict[int, Ticket] = {}  # sequence number -> submit, in the order of their writing
        self._bound = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: Session | None = None

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(), name="smpp session"), asyncio.create_task(self._watch(), name="smpp state")]

    async def stop(self) -> None:
        """Unbinds; whatever is under way is answered with "no answer"."""
        if self._session is not None:
            try:
                async with asyncio.timeout(3.0):
                    await self._session.stop()
            except (TimeoutError, OSError) as error:
                log.warning("SMPP unbind: %r", error)
        for _ in range(5):  # the library may take a cancellation for one of its own tasks'
            waiting = [task for task in self._tasks if not task.done()]
            for task in waiting:
                task.cancel()
            if waiting:
                await asyncio.wait(waiting, timeout=2.0)
        self._broken("stopped")

    @property
    def up(self) -> bool:
        return self._bound.is_set()

    async def bound(self) -> None:
        """Returns when there is a session."""
        await self._bound.wait()

    async def submit(self, body: bytes, *, wait_s: float) -> Answer:
        """One part (``smpp_pdu.submit_sm``) to the centre; never raises for what the other side does. Waits up to ``wait_s`` for a
        session."""
        if not self._bound.is_set():
            try:
                async with asyncio.timeout(wait_s):
                    await self._bound.wait()
            except TimeoutError:
                return Answer(None, sent=False, why="unavailable")
        session, loop = self._session, asyncio.get_running_loop()
        if session is None or not session.writable:
            return Answer(None, sent=False, why="unavailable")
        sequence = session.sequence_generator.next_sequence()
        ticket = self._tickets[sequence] = Ticket(loop.create_future(), loop.time() + self.answer_within_s)
        session.write(smpp_pdu.pdu(smpp_pdu.SUBMIT_SM, 0, sequence, body))
        try:
            return await ticket.future
        finally:
            self._tickets.pop(sequence, None)

    def answered(self, sequence: int, status: int, body: bytes) -> None:
        """A submit_sm_resp came. One that nobody waits for any more is passed over."""
        ticket = self._tickets.pop(sequence, None)
        if ticket and not ticket.future.done():
            known = SmppCommandStatus(status) if status in KNOWN_STATUS else SmppCommandStatus.ESME_RUNKNOWNERR
            ticket.future.set_result(Answer(known, smpp_pdu.message_id(body)))

    async def _keep(self) -> None:
        """Holds one session after another; the library reconnects by itself, this is for what it did not foresee."""
        while True:
            self._session = Session(self)
            try:
                await self._session.start()
                return
            except Exception:
                log.exception("SMPP session ended; a new one follows")
            await asyncio.sleep(1.0)

    async def _watch(self) -> None:
        while True:
            up = self._session is not None and self._session.session_state is SmppSessionState.BOUND_TRX
            if up and not self._bound.is_set():
                self._bound.set()
                self.on_state(True)
            elif not up and self._bound.is_set():
                self._broken("reset")
                self.on_state(False)
            self._give_up(asyncio.get_running_loop().time())
            await asyncio.sleep(WATCH_S)

    def _give_up(self, now: float) -> None:
        """What was not answered in time; the oldest stand first."""
        for ticket in self._tickets.values():
            if ticket.until > now:
                return
            if not ticket.future.done():
                ticket.future.set_result(Answer(None, why="timeout"))

    def _broken(self, why: str) -> None:
        """The connection is gone: nobody will answer what is under way."""
        self._bound.clear()
        for ticket in self._tickets.values():
            if not ticket.future.done():
                ticket.future.set_result(Answer(None, why=why))

    # --- what the library calls

    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        """Nothing that it sends is ours."""

    async def received(self, smpp_message: SmppMessage | None, pdu: bytes, client_id: str) -> None:
        if isinstance(smpp_message, GenericNack):
            self.answered(smpp_message.sequence_num, SmppCommandStatus.ESME_RINVCMDID, b"")

    async def send_error(self, smpp_message: SmppMessage, error: Exception, client_id: str) -> None:
        """Nothing that it sends is ours."""


class Session(ESME):  # type: ignore[misc]
    """The library's session; four of its inner methods are replaced (its version is pinned for that)."""

    def __init__(self, link: Link) -> None:
        super().__init__(
            link.host,
            link.port,
            link.user,
            link.password,
            hook=link,
            broker=Queue(),
            throttle_handler=NoThrottle(),
            correlator=NoCorrelator(),
            retry_timer=SimpleExponentialBackoff(min_delay=250, max_increases=4),
            enquire_link_interval=link.enquire_every_s,
            socket_timeout=10.0,
            log_level=logging.WARNING,
            log_handler=Forward(),
        )
        self._link = link
        self._durable: dict[int, asyncio.Task[None]] = {}
        self._acknowledging: set[asyncio.Task[None]] = set()
        self._out: list[bytes] = []
        self._alive_at = float("-inf")

    @property
    def writable(self) -> bool:
        """Is there a session, as far as can be known without asking?"""
        return self._session_state is SmppSessionState.BOUND_TRX and self._writer is not None and not self._writer.is_closing()

    def write(self, pdu: bytes) -> None:
        """With what else is to be written in this turn of the loop: a call of the system costs more than a PDU."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush, self._writer)
        self._out.append(pdu)

    def _flush(self, writer: asyncio.StreamWriter) -> None:
        out, self._out = self._out, []
        if not writer.is_closing():  # else whoever waits for an answer hears that the connection broke
            writer.write(b"".join(out))

    async def _get_pdu(self) -> tuple[bytes, PduHeader]:
        """The next one that is for the library. A vendor's own command_status is read as "unknown error" instead of ending the session."""
        while True:
            head = await self._reader.readexactly(HEADER.size)
            length, command, status, sequence = HEADER.unpack(head)
            body = await self._reader.readexactly(length - HEADER.size)
            if command == smpp_pdu.SUBMIT_SM_RESP:
                self._link.answered(sequence, status, body)
            elif command != smpp_pdu.DELIVER_SM or (receipt := smpp_pdu.plain_receipt(body)) is None:
                if status not in KNOWN_STATUS:
                    head = HEADER.pack(length, command, SmppCommandStatus.ESME_RUNKNOWNERR.value, sequence)
                return head + body, SmppMessage.parse_header(head)
            else:
                self._beside(self._settle(self._writer, sequence, receipt))
            self._came()

    def _came(self) -> None:
        """So that the library does not ask whether the link is alive. Not at each PDU: it starts two tasks each time."""
        now = asyncio.get_running_loop().time()
        if now - self._alive_at >= ALIVE_S:
            self._alive_at = now
            self._data_received.set()

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._acknowledging.add(task)
        task.add_done_callback(self._acknowledging.discard)

    async def _settle(self, writer: asyncio.StreamWriter, sequence: int, receipt: Receipt) -> None:
        """Acknowledges a receipt when it is durable, on the connection that it came by."""
        try:
            await self._link.on_receipt(receipt)
        except Exception as error:
            log.warning("SMPP: receipt not acknowledged, the centre will send it again: %r", error)
            return
        if writer is self._writer and self.writable:
            self.write(smpp_pdu.pdu(smpp_pdu.DELIVER_SM_RESP, 0, sequence, b"\0"))

    async def _handle_response(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """Without the library's correlation: ``Link`` knows every request by its sequence number."""
        try:
            return MESSAGE_TYPE_MAP[header.smpp_command].from_pdu(pdu, header)
        except (KeyError, *BROKEN) as error:
            log.error("SMPP: cannot read a response (%s): %s", type(error).__name__, pdu[: HEADER.size].hex())
            return None

    async def _handle_request(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """As the library's, but receipts are read here: leniently, and made durable before ``_send_data`` acknowledges them."""
        if header.smpp_command is not SmppCommand.DELIVER_SM:
            return await super()._handle_request(pdu, header)
        try:
            message = DeliverSm.from_pdu(pdu, header, "latin_1", None)
        except BROKEN as error:  # its body is not for a log: it holds a number and what somebody wrote
            log.error("SMPP: cannot read deliver_sm (%s): %s", type(error).__name__, pdu[: HEADER.size].hex())
            await self._send_data(GenericNack(header.sequence_num))
            return None
        receipt = read_receipt(message) if message.is_receipt() else None
        if receipt:
            self._durable[header.sequence_num] = asyncio.create_task(self._keep_receipt(receipt))
        else:
            log.info("SMPP: a message from a phone, or a receipt without an id, is not for us")
        return message

    async def _keep_receipt(self, receipt: Receipt) -> None:
        await self._link.on_receipt(receipt)

    async def _send_data(self, smpp_message: SmppMessage) -> None:
        durable = self._durable.pop(smpp_message.sequence_num, None) if isinstance(smpp_message, DeliverSmResp) else None
        if durable is None:
            await super()._send_data(smpp_message)
        else:
            self._beside(self._acknowledge(smpp_message, durable))

    async def _acknowledge(self, response: SmppMessage, durable: asyncio.Task[None]) -> None:
        try:
            await durable
            await super()._send_data(response)
        except Exception as error:
            log.warning("SMPP: receipt not acknowledged, the centre will send it again: %r", error)


def read_receipt(message: DeliverSm) -> Receipt | None:
    """The receipt in a deliver_sm: from the optional parameters, else from the usual text (SMPP 3.4, appendix B)."""
    options: dict[int, Any] = {option.tag: option.value for option in message.optional_params or []}
    return smpp_pdu.receipt_in(
        message.short_message or message.message_payload,
        str(options.get(smpp_pdu.RECEIPTED_MESSAGE_ID, "")),
        options.get(smpp_pdu.MESSAGE_STATE, 0),
    )


KNOWN_STATUS = {status.value for status in SmppCommandStatus}


class Queue(AbstractBroker):  # type: ignore[misc]
    """Unbounded: ``sms.SmsChannel.width`` bounds what is under way."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[SmppMessage] = asyncio.Queue()

    async def enqueue(self, message: SmppMessage) -> None:
        self._queue.put_nowait(message)

    async def dequeue(self) -> SmppMessage:
        return await self._queue.get()


class NoThrottle(AbstractThrottleHandler):  # type: ignore[misc]
    """``pace.Pace`` does it: the library's would stop for minutes after one throttled answer in a hundred."""

    async def throttled(self) -> None: ...

    async def not_throttled(self) -> None: ...

    async def allow_request(self) -> bool:
        return True

    async def throttle_delay(self) -> float:
        return 0.0


class NoCorrelator(AbstractCorrelator):  # type: ignore[misc]
    """``Link`` correlates, by sequence number."""

    def get_cumulated_status(self, ref_num: int) -> int:
        return 0

    async def expired(self, smpp_message: SmppMessage) -> None: ...

    async def put(self, smpp_message: SmppMessage) -> None: ...

    async def put_delivery(self, smsc_message_id: str, submit_sm: SubmitSm) -> None: ...

    async def put_delivery_segmented(self, deliver_sm: DeliverSm) -> DeliverSm | None:
        return deliver_sm

    async def get(self, response: SmppMessage) -> SmppMessage | None:
        return None

    async def get_segmented(self, smpp_seq_num: int, remove: bool = False) -> tuple[None, int]:
        return None, 0

    async def get_delivery(self, receipt: DeliverSm) -> SubmitSm | None:
        return None


class Forward(logging.Handler):
    """Hands the library's records to ours, without their data: numbers and texts of contacts do not belong into a log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, "%s", record.getMessage().partition(" >>> ")[0])
