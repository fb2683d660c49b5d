"""One SMPP 3.4 link: aiosmpplib's session, with what a warning needs on top.

What the library does not do, and this does (each held by a test in ``tests/test_smpp_link.py``):

- a submit that is under way when the connection breaks is answered at once, and says whether it was written to the wire;
- a receipt is acknowledged only after it is durable here, so that a crash makes the centre send it again;
- a receipt that the library cannot parse (12-digit dates, letters in ``err``) and a status that it does not know do not
  break the connection;
- parts are correlated by sequence number only: the library's own correlator scans all open messages for each one, and confuses
  messages when more than 256 are open.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from struct import error as struct_error
from struct import pack_into, unpack_from
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
    SubmitSmResp,
)
from aiosmpplib.protocol import MESSAGE_TYPE_MAP
from aiosmpplib.retrytimer import SimpleExponentialBackoff

log = logging.getLogger(__name__)

HEADER_OCTETS = 16
BROKEN = (ValueError, struct_error)  # what the library raises for a PDU that breaks off
WATCH_S = 0.05  # how often the state of the session is looked at; the library has no event for a broken connection
MESSAGE_STATES = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}  # SMPP 3.4, 5.2.28
RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427
RECEIPT_ID = re.compile(r"\bid:\s*([^\s]+)")
RECEIPT_STAT = re.compile(r"\bstat:\s*([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """The centre's answer to one submit. ``status`` None: there was none; then ``sent`` says whether it may have it."""

    status: SmppCommandStatus | None
    message_id: str = ""
    sent: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery receipt as it came: ``stat`` is SMPP's word (DELIVRD, UNDELIV ...)."""

    message_id: str
    stat: str


@dataclass
class Ticket:
    future: asyncio.Future[Answer]
    sent: bool = False
    sequence: int = 0


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
        self._tickets: dict[str, Ticket] = {}
        self._sequences: dict[int, Ticket] = {}
        self._names = itertools.count(1)
        self._bound = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: Session | None = None

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(), name="smpp session"), asyncio.create_task(self._watch(), name="smpp state")]

    async def stop(self) -> None:
        """Unbinds; whatever is under way is answered with "no answer"."""
        if self._session is not None:
            try:
                await asyncio.wait_for(self._session.stop(), 3.0)
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

    async def submit(self, message: SubmitSm, *, wait_s: float) -> Answer:
        """One part to the centre; never raises for what the other side does. Waits up to ``wait_s`` for a session."""
        try:
            await asyncio.wait_for(self._bound.wait(), wait_s)
        except TimeoutError:
            return Answer(None, sent=False, why="unavailable")
        ticket = Ticket(asyncio.get_running_loop().create_future())
        message.log_id = str(next(self._names))
        self._tickets[message.log_id] = ticket
        assert self._session is not None
        await self._session.broker.enqueue(message)
        try:
            return await asyncio.wait_for(ticket.future, self.answer_within_s)
        except TimeoutError:
            return Answer(None, sent=ticket.sent, why="timeout" if ticket.sent else "unavailable")
        finally:
            del self._tickets[message.log_id]
            self._sequences.pop(ticket.sequence, None)

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
            await asyncio.sleep(WATCH_S)

    def _broken(self, why: str) -> None:
        """The connection is gone: nobody will answer what is under way."""
        self._bound.clear()
        self._sequences.clear()
        for ticket in self._tickets.values():
            if not ticket.future.done():
                ticket.future.set_result(Answer(None, sent=ticket.sent, why=why if ticket.sent else "unavailable"))

    # --- what the library calls

    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        """Just before the write. Raising here keeps a part off the wire that was already answered with "not sent"."""
        if not isinstance(smpp_message, SubmitSm):
            return
        ticket = self._tickets.get(smpp_message.log_id)
        if ticket is None or ticket.future.done() or not self._bound.is_set():
            raise ValueError("given up before it was sent")
        ticket.sent, ticket.sequence = True, smpp_message.sequence_num
        self._sequences[smpp_message.sequence_num] = ticket

    async def received(self, smpp_message: SmppMessage | None, pdu: bytes, client_id: str) -> None:
        if isinstance(smpp_message, SubmitSmResp) and not isinstance(smpp_message, DeliverSmResp):
            self._answered(smpp_message.sequence_num, Answer(smpp_message.command_status, smpp_message.message_id))
        elif isinstance(smpp_message, GenericNack):
            self._answered(smpp_message.sequence_num, Answer(SmppCommandStatus.ESME_RINVCMDID))

    async def send_error(self, smpp_message: SmppMessage, error: Exception, client_id: str) -> None:
        ticket = self._tickets.get(getattr(smpp_message, "log_id", ""))
        if ticket and not ticket.future.done():
            malformed = isinstance(error, ValueError) and not ticket.sent and self._bound.is_set()
            why = "malformed" if malformed else "reset" if ticket.sent else "unavailable"
            ticket.future.set_result(Answer(None, sent=ticket.sent, why=why))

    def _answered(self, sequence: int, answer: Answer) -> None:
        ticket = self._sequences.pop(sequence, None)
        if ticket and not ticket.future.done():
            ticket.future.set_result(answer)


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
        self._on_receipt = link.on_receipt
        self._durable: dict[int, asyncio.Task[None]] = {}
        self._acknowledging: set[asyncio.Task[None]] = set()

    async def _get_pdu(self) -> tuple[bytes, PduHeader]:
        """As the library's, but a vendor's own command_status is read as "unknown error" instead of ending the session."""
        head = bytearray(await self._reader.readexactly(HEADER_OCTETS))
        if unpack_from("!I", head, 8)[0] not in KNOWN_STATUS:
            pack_into("!I", head, 8, SmppCommandStatus.ESME_RUNKNOWNERR.value)
        header = SmppMessage.parse_header(bytes(head))
        return bytes(head) + await self._reader.readexactly(header.pdu_length - HEADER_OCTETS), header

    async def _handle_response(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """Without the library's correlation: ``Link`` knows every request by its sequence number."""
        try:
            return MESSAGE_TYPE_MAP[header.smpp_command].from_pdu(pdu, header)
        except (KeyError, *BROKEN) as error:
            log.error("SMPP: cannot read a response (%s): %s", type(error).__name__, pdu[:HEADER_OCTETS].hex())
            return None

    async def _handle_request(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """As the library's, but receipts are read here: leniently, and made durable before ``_send_data`` acknowledges them."""
        if header.smpp_command is not SmppCommand.DELIVER_SM:
            return await super()._handle_request(pdu, header)
        try:
            message = DeliverSm.from_pdu(pdu, header, "latin_1", None)
        except BROKEN as error:  # its body is not for a log: it holds a number and what somebody wrote
            log.error("SMPP: cannot read deliver_sm (%s): %s", type(error).__name__, pdu[:HEADER_OCTETS].hex())
            await self._send_data(GenericNack(header.sequence_num))
            return None
        receipt = read_receipt(message) if message.is_receipt() else None
        if receipt:
            self._durable[header.sequence_num] = asyncio.create_task(self._keep_receipt(receipt))
        else:
            log.info("SMPP: a message from a phone, or a receipt without an id, is not for us")
        return message

    async def _keep_receipt(self, receipt: Receipt) -> None:
        await self._on_receipt(receipt)

    async def _send_data(self, smpp_message: SmppMessage) -> None:
        durable = self._durable.pop(smpp_message.sequence_num, None) if isinstance(smpp_message, DeliverSmResp) else None
        if durable is None:
            await super()._send_data(smpp_message)
            return
        task = asyncio.create_task(self._acknowledge(smpp_message, durable))
        self._acknowledging.add(task)
        task.add_done_callback(self._acknowledging.discard)

    async def _acknowledge(self, response: SmppMessage, durable: asyncio.Task[None]) -> None:
        try:
            await durable
            await super()._send_data(response)
        except Exception as error:
            log.warning("SMPP: receipt not acknowledged, the centre will send it again: %r", error)


def read_receipt(message: DeliverSm) -> Receipt | None:
    """The receipt in a deliver_sm: from the optional parameters, else from the usual text (SMPP 3.4, appendix B)."""
    options: dict[int, Any] = {option.tag: option.value for option in message.optional_params or []}
    text = message.short_message or message.message_payload
    in_id, in_stat = RECEIPT_ID.search(text), RECEIPT_STAT.search(text)
    message_id = str(options.get(RECEIPTED_MESSAGE_ID, "")) or (in_id.group(1) if in_id else "")
    stat = in_stat.group(1).upper() if in_stat else MESSAGE_STATES.get(options.get(MESSAGE_STATE, 0), "")
    return Receipt(message_id.rstrip("\0"), stat) if message_id and stat else None


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
