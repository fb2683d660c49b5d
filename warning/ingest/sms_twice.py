"""A message that a centre hands over twice must not undo what its sender wrote in between.

Two things tell when a message was written: the centre's own time of it, where it gives one, and when the same words of the same phone first
came here. A JOIN of before a STOP is old, whenever it comes: consent is not begun again by a line that broke. The same words count as the
same message once more, and within half an hour: who is asked, and writes them again, is heard.

Where the centre gives no time (SMPP has none), any JOIN within a week of a STOP may be one of before it: it begins nothing, but is answered
with how to begin again. Only a JOIN after that answer counts, and only when the centre has taken the answer in the session in which we
acknowledged the JOIN: then it has the acknowledgement, too, and does not bring that one again.
"""

from __future__ import annotations

import hashlib

from warning.ingest.reader_memory import DAY_MS, Memory

SAME_MS = 30 * 60_000
STOPPED_MS = 7 * DAY_MS  # no centre brings a message later than that
_READ_MS = 10_000  # nobody reads an answer and writes another message in less
_LATE_MS, _AHEAD_MS = DAY_MS, 5 * 60_000  # a centre's own time counts so far back, and ahead
_KIND = "joined"


class Twice:
    """``memory``: of this gateway, and in SQL for the others."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def written_ms(self, phone: str, text: str, now_ms: int, sent_ms: int | None) -> int:
        """When it was written, as far as anybody knows: the earlier of both."""
        at_ms = credible(sent_ms, now_ms)
        before = await self._memory.get(_KIND, _name(phone, text))
        if before is not None and 0 <= now_ms - before[0] <= SAME_MS:
            return min(at_ms, int(before[1]["at_ms"]))
        await self._memory.put(_KIND, _name(phone, text), now_ms, {"at_ms": at_ms})
        return at_ms

    async def asked(self, phone: str, now_ms: int) -> None:
        """He is told how to begin again."""
        await self._memory.put(_KIND, _asked(phone), now_ms, {"sure": False})

    async def delivered(self, phone: str, now_ms: int) -> None:
        """What he was told is with the centre, and so is our word that we have what he wrote."""
        if (before := await self._memory.get(_KIND, _asked(phone))) is not None and before[1].get("sure") is False:
            await self._memory.put(_KIND, _asked(phone), now_ms, {"sure": True})

    async def another(self, phone: str) -> None:
        """He wrote something else: that its answer is with the centre says nothing of what he was told before."""
        if (before := await self._memory.get(_KIND, _asked(phone))) is not None and before[1].get("sure") is False:
            await self._memory.put(_KIND, _asked(phone), 0, {})

    async def meant(self, phone: str, stopped_ms: int, now_ms: int) -> bool:
        """Whether what comes now without a time was written after a stop."""
        if now_ms - stopped_ms > STOPPED_MS:
            return True
        before = await self._memory.get(_KIND, _asked(phone))
        return before is not None and bool(before[1].get("sure")) and stopped_ms <= before[0] <= now_ms - _READ_MS

    async def done(self, phone: str, text: str) -> None:
        """It was answered with no: the same words again are a new message. Raises Unavailable."""
        await self._memory.forget(_KIND, _name(phone, text))


def timed(sent_ms: int | None, now_ms: int) -> bool:
    """Whether the centre says when it was written, and it can be."""
    return sent_ms is not None and -_LATE_MS <= sent_ms - now_ms <= _AHEAD_MS


def credible(sent_ms: int | None, now_ms: int) -> int:
    """The centre's time of a message where it can be, else now.

    >>> credible(None, 5), credible(3, 5), credible(5 + 6 * 60_000, 5)
    (5, 3, 5)
    """
    return sent_ms if sent_ms is not None and timed(sent_ms, now_ms) else now_ms


def _name(phone: str, text: str) -> str:
    return f"{phone} {hashlib.sha256(text.strip().encode('utf-8', 'replace')).hexdigest()}"


def _asked(phone: str) -> str:
    return f"{phone} asked"
