"""Calls, by an Asterisk that takes call files (pbx_spool): written beside its spool, renamed into it, read again when it has archived them.

One file a delivery, whatever the attempt, until an operator has it sent again: a file that is in the spool still is not put there twice.
A call that waits when a newer revision comes to the same contact, or when its warning is worth nothing any more, is taken back.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from warning.alerts.lifecycle import chain_of
from warning.dispatch import speech
from warning.dispatch.channel import OnReceipt, Outcome, Part, PartReceipt, Sending
from warning.errors import Unavailable
from warning.model import DeliveryState
from warning.routes import VoiceRoute
from warning.tasks import ended

log = logging.getLogger(__name__)

LOOK_S = 1.0
LATER_S = 15.0
KEEP_SOUNDS_S = 3 * 86_400
NUMBER = re.compile(r"\+[0-9]{7,15}")
OURS = re.compile(r"warning-[0-9a-f]{12}-[0-9]+(r[0-9]+)?\.call")
STATUS = re.compile(r"^Status:\s*(\w+)", re.MULTILINE)
UNTIL = re.compile(r"^#until (\d+)", re.MULTILINE)
STATES = {
    "completed": (DeliveryState.DELIVERED, ""),  # answered, and heard to the end of the application
    "expired": (DeliveryState.FAILED, "no_answer"),
    "failed": (DeliveryState.FAILED, "no_answer"),
}

Said = Callable[[Sending], tuple[str, str]]  # what is said, and in which language


class VoiceWay:
    """One Asterisk. ``wall_s``: seconds since 1970."""

    def __init__(
        self, route: VoiceRoute, said: Said, on_receipt: OnReceipt, timeout_s: float = 20.0, wall_s: Callable[[], float] = time.time
    ) -> None:
        self.name, self.window = route.name, 4
        self._route, self._said, self._on_receipt, self._timeout_s, self._wall_s = route, said, on_receipt, timeout_s, wall_s
        self._spool, self._done, self._staging, self._sounds = map(Path, (route.spool, route.done, route.staging, route.sounds))
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        return True

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name=f"voice {self.name}")

    async def stop(self) -> None:
        if self._task:
            await ended([self._task])

    async def well(self) -> bool:
        return await asyncio.to_thread(lambda: self._spool.is_dir() and os.access(self._spool, os.W_OK))

    async def send(self, sending: Sending) -> Outcome:
        if not NUMBER.fullmatch(sending.contact.phone):
            return Outcome(DeliveryState.FAILED, "rejected", detail="no international number")
        words, language = self._said(sending)
        try:
            self._sounds.mkdir(parents=True, exist_ok=True)
            sound = await speech.say(words, language, self._sounds)
        except (Unavailable, OSError) as error:
            return Outcome(DeliveryState.WAITING, "unavailable", soon=True, detail=str(error)[:200])
        async with self._lock:  # the count of calls and the file that makes one more
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await asyncio.to_thread(self._hand_over, sending, sound)
            except TimeoutError:
                return Outcome(DeliveryState.UNKNOWN, "timeout", detail="the file system does not answer")
            except OSError as error:
                return Outcome(DeliveryState.WAITING, "unavailable", soon=True, detail=repr(error)[:200])

    def _hand_over(self, sending: Sending, sound: Path) -> Outcome:
        """Raises OSError before the file is in the spool; then nobody is called."""
        name = file_name(sending)
        accepted = Outcome(DeliveryState.ACCEPTED, parts=(Part(1, DeliveryState.ACCEPTED, name),))
        if (self._spool / name).exists() or (self._done / name).exists():
            return accepted  # of an attempt whose end we did not see
        others = [path for path in self._spool.glob("*.call") if not self._taken_back(path, name)]
        if len(others) >= self._route.most_calls:
            return Outcome(DeliveryState.WAITING, "throttled", LATER_S, soon=True)
        self._staging.mkdir(parents=True, exist_ok=True)
        fresh = self._staging / name
        with fresh.open("w", encoding="utf-8") as file:
            file.write(self._call(sending, sound))
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o660)  # Asterisk writes its tries into it
        fresh.rename(self._spool / name)
        return accepted

    def _call(self, sending: Sending, sound: Path) -> str:
        """The call file (Asterisk, "Call Files"). A line that begins with # is a comment, to Asterisk."""
        route = self._route
        until = int(self._wall_s() + sending.valid_ms / 1000)
        play = str(sound.with_suffix(""))
        lines = [
            f"#until {until}",
            f"Channel: {route.dial.replace('{number}', sending.contact.phone)}",
            f"MaxRetries: {route.retries}",
            f"RetryTime: {route.retry_s}",
            f"WaitTime: {route.wait_s}",
            "Archive: yes",
            f"Set: WARNING_SOUND={play}",
            f"Set: WARNING_DELIVERY={sending.delivery}",
        ]
        lines += [f"CallerID: {' '.join(route.caller.split())}"] if route.caller else []
        way = (f"Context: {route.context}", "Extension: s", "Priority: 1") if route.context else ("Application: Playback", f"Data: {play}")
        return "\n".join([*lines, *way]) + "\n"

    def _taken_back(self, path: Path, newer: str) -> bool:
        """A call of an older revision to the same contact that is not under way right now is removed."""
        if path.name[:20] != newer[:20] or under_way(_text(path)):
            return False
        path.unlink(missing_ok=True)
        return True

    async def _watch(self) -> None:
        """Receipts from the archive; what has expired leaves the spool. A receipt's file goes when the receipt is durable."""
        while True:
            try:
                for path, receipt in await asyncio.to_thread(self._ended):
                    await self._on_receipt(receipt)
                    self._remove(path)
            except Exception:
                log.exception("voice %s: looked for calls that ended; again in a second", self.name)
            await asyncio.sleep(LOOK_S)

    def _remove(self, path: Path) -> None:
        """Its receipt is durable; if it stays, the same again changes nothing, and it holds up no other's."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.error("voice %s: %s cannot be removed, give this user the right to: %s", self.name, path, error.strerror)

    def _ended(self) -> list[tuple[Path, PartReceipt]]:
        ended: list[tuple[Path, PartReceipt]] = []
        for path in sorted(self._done.glob("warning-*.call")) if self._done.is_dir() else ():
            status = STATUS.findall(_text(path))
            if OURS.fullmatch(path.name) and status:
                state, reason = STATES.get(status[-1].casefold(), (DeliveryState.FAILED, "no_answer"))
                ended.append((path, PartReceipt("voice", path.name, state, reason)))
        now = self._wall_s()
        for path in self._spool.glob("warning-*.call") if self._spool.is_dir() else ():
            text = _text(path)
            until = UNTIL.search(text)
            if OURS.fullmatch(path.name) and until and int(until[1]) < now and not under_way(text):
                ended.append((path, PartReceipt("voice", path.name, DeliveryState.FAILED, "expired")))
        self._forget_sounds(now)
        return ended

    def _forget_sounds(self, now: float) -> None:
        for path in self._sounds.glob("*.wav") if self._sounds.is_dir() else ():
            if path.stat().st_mtime < now - KEEP_SOUNDS_S:
                path.unlink(missing_ok=True)


def file_name(sending: Sending) -> str:
    """Chain and contact, then the delivery: ``warning-0123456789ab-17.call``; ``-17r2`` if it was sent again after two attempts."""
    about, again = f"{chain_of(sending.event.alert.identifier)} {sending.contact.id}", f"r{sending.resent}" if sending.resent else ""
    return f"warning-{hashlib.blake2b(about.encode(), digest_size=6).hexdigest()}-{sending.delivery}{again}.call"


def under_way(text: str) -> bool:
    """Is somebody being called now? Asterisk notes the begin and the end of each try."""
    return text.count("\nStartRetry:") > text.count("\nEndRetry:") + text.count("\nAbortRetry:")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return ""  # Asterisk has just moved it
