"""An SMS centre for demo and tests: SMPP 3.4 on a real socket, receipts per part, throttling, and faults on request.

smpp34 reads the PDUs; the session is ours, because its server can neither check a password, nor stay silent, nor send a
receipt before its response, and these are what a client must survive. Runs as a process of its own::

    python -m warning.rehearsal.telecom --port 2775 --user ews --password pw --record sms.jsonl

and prints ``listening PORT`` when it does. Lines of JSON on its standard input set fields of ``Behaviour``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import struct
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO

import smpp34
from smsutil.codecs import GSM0338Codec

HEADER = struct.Struct("!IIII")  # command_length, command_id, command_status, sequence_number (SMPP 3.4, 3.2)
BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 0x09, 0x04, 0x05, 0x06, 0x15
GENERIC_NACK, RESPONSE = 0x80000000, 0x80000000
OK, BAD_ID, BAD_PASSWORD, NOT_BOUND = 0x00, 0x03, 0x0E, 0x04
THROTTLED = 0x58
UDH_PRESENT = 0x40
CODINGS = {0: "gsm7", 8: "ucs2"}


@dataclass
class Behaviour:
    """What the centre does. Every field may be set while it runs."""

    rate_per_s: float = 0.0  # more submits than this in a second are throttled (0x58); 0: no limit
    receipt_after_s: float = 0.0
    receipts: int = 1  # how many per part: 0 loses them, 2 doubles them
    receipt_first: bool = False  # the receipt goes out before the response
    receipt_stat: str = "DELIVRD"
    receipt_format: str = "id:{id} sub:001 dlvrd:001 submit date:{date} done date:{date} stat:{stat} err:000 text:"
    reject: int = 0  # command_status for every submit; 0: accept
    silent: bool = False  # never answers a submit (and does not take it)
    lose_response: bool = False  # takes it, does not answer
    reset_after: int = 0  # takes so many submits, then drops the connection instead of answering; 0: never


@dataclass(eq=False)
class Session:
    writer: asyncio.StreamWriter
    bound: bool = False
    sequence: int = 0

    def next_sequence(self) -> int:
        self.sequence = self.sequence % 0x7FFFFFFF + 1
        return self.sequence

    def write(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        self.writer.write(HEADER.pack(16 + len(body), command, status, sequence) + body)


@dataclass
class Telecom:
    """One SMS centre. ``record``: where JSON lines go, one per part taken, one per message that is complete."""

    user: str = "ews"
    password: str = "pw"  # noqa: S105 - of a rehearsal
    host: str = "127.0.0.1"
    port: int = 0
    record: Path | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    parts: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    throttled: int = 0

    def __post_init__(self) -> None:
        self._file: TextIO | None = None
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()
        self._later: set[asyncio.Task[None]] = set()
        self._joining: dict[tuple[str, int, int], dict[int, dict[str, Any]]] = {}
        self._unacknowledged: dict[tuple[int, int], bytes] = {}
        self._said: dict[tuple[int, int], asyncio.Future[int]] = {}  # messages of phones that wait for the client's answer
        self._waiting: list[bytes] = []  # receipts for which nobody was bound, or which were not acknowledged
        self._second, self._in_second, self._taken = 0.0, 0, 0
        self._born = f"{time.time_ns() // 1_000_000:x}"

    async def start(self) -> int:
        """Listens; returns the port."""
        if self.record:
            self._file = self.record.open("a", encoding="utf-8")
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        """Drops every connection at once, as a failing centre does; the port stays known for the next ``start``."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._later:
            task.cancel()
        for session in list(self._sessions):
            self._drop(session)
        if self._file:
            self._file.close()
            self._file = None

    @property
    def owed(self) -> int:
        """Receipts that no client has acknowledged yet."""
        return len(self._waiting) + len(self._unacknowledged)

    async def say(self, message: smpp34.DeliverSm, within_s: float = 20.0) -> int:
        """Hands a message of a phone to whoever is bound, waiting for one; the command_status that it answers.

        Raises ConnectionError if it goes away before, TimeoutError. A real centre then sends the same again later.
        """
        async with asyncio.timeout(within_s):
            while (session := next((session for session in self._sessions if session.bound), None)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            sequence = session.next_sequence()
            said: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._said[id(session), sequence] = said
            session.write(DELIVER_SM, OK, sequence, message.encode()[HEADER.size :])
            return await said

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer)
        self._sessions.add(session)
        try:
            while True:
                head = await reader.readexactly(HEADER.size)
                length, command, status, sequence = HEADER.unpack(head)
                pdu = head + await reader.readexactly(length - HEADER.size)
                if command == DELIVER_SM | RESPONSE and (said := self._said.pop((id(session), sequence), None)) and not said.done():
                    said.set_result(status)
                if not self._handle(session, command, sequence, pdu):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away: its receipts wait for the next bind
        finally:
            self._drop(session)

    def _drop(self, session: Session) -> None:
        self._sessions.discard(session)
        for key in [key for key in self._unacknowledged if key[0] == id(session)]:
            self._waiting.append(self._unacknowledged.pop(key))
        for key in [key for key in self._said if key[0] == id(session)]:
            if not (said := self._said.pop(key)).done():
                said.set_exception(ConnectionResetError("the client went away"))
        session.bound = False
        with contextlib.suppress(RuntimeError):
            session.writer.transport.abort()

    def _handle(self, session: Session, command: int, sequence: int, pdu: bytes) -> bool:
        """Answers one PDU; False ends the session."""
        if command == BIND_TRANSCEIVER:
            return self._bind(session, sequence, pdu)
        if command == SUBMIT_SM:
            return self._submit(session, sequence, pdu)
        if command == DELIVER_SM | RESPONSE:
            self._unacknowledged.pop((id(session), sequence), None)
        elif command == ENQUIRE_LINK:
            session.write(ENQUIRE_LINK | RESPONSE, OK, sequence)
        elif command == UNBIND:
            session.write(UNBIND | RESPONSE, OK, sequence)
            return False
        elif not command & RESPONSE:
            session.write(GENERIC_NACK, BAD_ID, sequence)
        return True

    def _bind(self, session: Session, sequence: int, pdu: bytes) -> bool:
        user, password = (word.decode("ascii") for word in pdu[HEADER.size :].split(b"\0")[:2])
        if (user, password) != (self.user, self.password):
            session.write(BIND_TRANSCEIVER | RESPONSE, BAD_PASSWORD, sequence, b"\0")
            return False
        session.bound = True
        session.write(BIND_TRANSCEIVER | RESPONSE, OK, sequence, b"TELECOM\0")
        waiting, self._waiting = self._waiting, []
        for receipt in waiting:
            self._deliver(receipt)
        return True

    def _submit(self, session: Session, sequence: int, pdu: bytes) -> bool:
        behaviour, answer = self.behaviour, SUBMIT_SM | RESPONSE
        if behaviour.silent:
            return True
        status = NOT_BOUND if not session.bound else behaviour.reject or (THROTTLED if self._too_fast() else OK)
        if status:
            self.throttled += status == THROTTLED
            session.write(answer, status, sequence, b"\0")
            return True
        self._taken += 1
        message_id = f"{self._born}-{self._taken:06d}"
        submit = smpp34.decode(pdu)
        assert isinstance(submit, smpp34.SubmitSm)
        self._record(submit, message_id)
        if behaviour.receipt_first:
            self._receipts(submit, message_id, at_once=True)
        if behaviour.reset_after and self._taken >= behaviour.reset_after:
            behaviour.reset_after = 0
            return False
        if not behaviour.lose_response:
            session.write(answer, OK, sequence, message_id.encode("ascii") + b"\0")
        if not behaviour.receipt_first:
            self._receipts(submit, message_id, at_once=False)
        return True

    def _too_fast(self) -> bool:
        now = time.monotonic()
        if now - self._second >= 1.0:
            self._second, self._in_second = now, 0
        self._in_second += 1
        return 0 < self.behaviour.rate_per_s < self._in_second

    def _record(self, submit: smpp34.SubmitSm, message_id: str) -> None:
        part = {"kind": "part", "message_id": message_id, "at_ms": time.time_ns() // 1_000_000, **decoded(submit)}
        self.parts.append(part)
        self._write(part)
        joining = self._joining.setdefault((part["destination"], part["reference"], part["parts"]), {})
        joining[part["part"]] = part
        if len(joining) == part["parts"]:
            del self._joining[part["destination"], part["reference"], part["parts"]]
            pieces = [joining[number] for number in sorted(joining)]
            whole = {**part, "kind": "message", "text": "".join(piece["text"] for piece in pieces)}
            whole["message_ids"] = [piece["message_id"] for piece in pieces]
            del whole["message_id"], whole["part"]
            self.messages.append(whole)
            self._write(whole)

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()

    def _receipts(self, submit: smpp34.SubmitSm, message_id: str, *, at_once: bool) -> None:
        if not submit.registered_delivery & 1:
            return
        behaviour = self.behaviour
        date = time.strftime("%y%m%d%H%M", time.gmtime())
        text = behaviour.receipt_format.format(id=message_id, date=date, stat=behaviour.receipt_stat)
        receipt = smpp34.DeliverSm(submit.destination_addr, submit.source_addr, text.encode("ascii"), esm_class=0x04).encode()
        for _ in range(behaviour.receipts):
            if at_once:
                self._deliver(receipt)
            else:
                task = asyncio.get_running_loop().create_task(self._deliver_later(receipt, behaviour.receipt_after_s))
                self._later.add(task)
                task.add_done_callback(self._later.discard)

    async def _deliver_later(self, receipt: bytes, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._deliver(receipt)

    def _deliver(self, receipt: bytes) -> None:
        """Hands a receipt to whoever is bound; it counts as delivered when that one acknowledges it."""
        session = next((session for session in self._sessions if session.bound), None)
        if session is None:
            self._waiting.append(receipt)
            return
        sequence = session.next_sequence()
        self._unacknowledged[id(session), sequence] = receipt
        session.write(DELIVER_SM, OK, sequence, receipt[HEADER.size :])


def decoded(submit: smpp34.SubmitSm) -> dict[str, Any]:
    """Text, coding, addresses, and the place of a part in its message (user data header of 3GPP TS 23.040, 9.2.3.24)."""
    data, reference, parts, part = submit.short_message, 0, 1, 1
    if submit.esm_class & UDH_PRESENT:
        header, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        if header[0] == 0x00:  # concatenated, 8-bit reference
            reference, parts, part = header[2], header[3], header[4]
    coding = CODINGS.get(submit.data_coding, str(submit.data_coding))
    text = data.decode("utf-16-be") if coding == "ucs2" else GSM0338Codec().decode(data)[0] if coding == "gsm7" else data.hex()
    return {
        "source": submit.source_addr,
        "destination": submit.destination_addr,
        "coding": coding,
        "octets": len(submit.short_message),
        "reference": reference,
        "parts": parts,
        "part": part,
        "validity": submit.validity_period,
        "text": text,
    }


async def obey(telecom: Telecom) -> None:
    """Sets fields of ``Behaviour`` from lines of JSON on standard input, until it closes."""
    names = {field.name for field in fields(Behaviour)}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        for name, value in json.loads(line).items():
            if name not in names:
                raise ValueError(f"behaviour: unknown field {name!r}; known: {', '.join(sorted(names))}")
            setattr(telecom.behaviour, name, value)


async def serve(telecom: Telecom, control: bool) -> None:
    """Listens until it is ended."""
    print(f"listening {await telecom.start()}", flush=True)
    try:
        if control:
            await obey(telecom)
        await asyncio.Event().wait()
    finally:
        await telecom.stop()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="SMS centre for rehearsals (SMPP 3.4)")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="ews")
    parser.add_argument("--password", default="pw")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--rate", type=float, default=0.0, help="submits per second; more are throttled")
    parser.add_argument("--behave", type=json.loads, default={}, help="fields of Behaviour from the start on, as JSON")
    parser.add_argument("--control", action="store_true", help="take JSON lines on standard input")
    options = parser.parse_args(arguments)
    telecom = Telecom(options.user, options.password, port=options.port, record=options.record)
    telecom.behaviour = Behaviour(**{"rate_per_s": options.rate, **options.behave})
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(serve(telecom, options.control))


if __name__ == "__main__":
    main()
