"""One siren: on, off and test, told by a command or a topic; told again and again, so that neither side can forget; off after its longest.

A hook that fails or hangs is killed, said so, and called again soon: 1, 2, 4 ... 30 s. What it was told last is never taken for what it
does: ``on`` is repeated every ``again_s``, ``off`` every ten times that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from warning.errors import Unavailable
from warning.model import Level
from warning.site import Siren

Tell = Callable[[str, Level], Awaitable[None]]  # state: on, off or test; raises Unavailable

_MOST_WAIT_S = 30.0
_OFF_LESS_OFTEN = 10

_log = logging.getLogger(__name__)


def again_s(siren: Siren, state: str) -> int:
    """So often a siren is told what it was told already."""
    return siren.again_s * (1 if state == "on" else _OFF_LESS_OFTEN)


@dataclass(frozen=True, slots=True)
class Shown:
    """``wanted`` and ``told`` differ while the hook fails (``why``)."""

    name: str
    level: str
    wanted: str
    told: str
    why: str
    muted: bool


class Sounder:
    """``clock``: seconds that go on evenly."""

    def __init__(self, siren: Siren, tell: Tell, clock: Callable[[], float]) -> None:
        self.siren, self._tell, self._clock = siren, tell, clock
        self._level = Level.NORMAL
        self._since_s = clock()  # the class rose to what it is
        self._muted = Level.NORMAL
        self._told, self._told_s, self._why, self._failures = "", clock(), "", 0
        self._told_level = Level.NORMAL
        self._test_until_s: float | None = None
        self._news = asyncio.Event()

    def hear(self, level: Level) -> None:
        """The highest class of its series, now."""
        if level > self._level:
            self._since_s = self._clock()
        if level < self._level:
            self._muted = min(self._muted, level, key=lambda each: each.rank)
        if level != self._level:
            self._level = level
            self._failures = 0
            self._news.set()

    def mute(self) -> None:
        """Off until the class rises, whatever it is: somebody on the spot has said so."""
        self._muted = self._level
        self._news.set()

    def test(self) -> None:
        """Sounds for ``test_s``, then goes on with what is."""
        self._test_until_s = self._clock() + self.siren.test_s
        self._told = ""
        self._news.set()

    @property
    def wanted(self) -> str:
        now = self._clock()
        sounding = self._level >= self.siren.at and self._level > self._muted and now - self._since_s < self.siren.longest_s
        if sounding:
            return "on"
        return "test" if self._test_until_s is not None and now < self._test_until_s else "off"

    @property
    def shown(self) -> Shown:
        muted = self._muted >= self.siren.at
        return Shown(self.siren.name, self._level.name, self.wanted, self._told, self._why, muted)

    async def run(self) -> None:
        while True:
            self._news.clear()
            wait_s = await self.once()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):  # wait_for (Python 3.11) loses a cancellation that comes with the news
                    await self._news.wait()

    async def once(self) -> float:
        """Tells the hook if it is time to; how long nothing more is to be done if nothing changes, in s."""
        wanted, level = self.wanted, self._level
        every_s = again_s(self.siren, wanted)
        now = self._clock()
        changed = wanted != self._told or (wanted == "on" and level is not self._told_level)
        if changed or now - self._told_s >= every_s:
            try:
                await self._tell(wanted, level)
            except Unavailable as error:
                self._failures += 1
                self._why = str(error)
                _log.error("siren %s could not be told %s: %s", self.siren.name, wanted, error)
                self._told = ""
                return float(min(_MOST_WAIT_S, 2 ** min(self._failures - 1, 5)))
            if changed:
                _log.warning("siren %s: %s (%s)", self.siren.name, wanted, level.name)
            self._told, self._told_level, self._told_s, self._why, self._failures = wanted, level, self._clock(), "", 0
        now = self._clock()
        ends = [self._told_s + every_s - now]
        if wanted == "on":
            ends.append(self._since_s + self.siren.longest_s - now)
        if self._test_until_s is not None and self._test_until_s > now:
            ends.append(self._test_until_s - now)
        return max(0.05, min(ends))


def by_command(siren: Siren) -> Tell:
    """Runs ``siren.command`` without a shell; exit code 0 means that it was done."""

    async def tell(state: str, level: Level) -> None:
        words = {"{state}": state, "{level}": level.name, "{siren}": siren.name}
        command = [words.get(word, word) for word in siren.command]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise Unavailable(f"{command[0]}: {error.strerror or error}", reason="siren") from error
        try:
            async with asyncio.timeout(siren.within_s):
                code = await process.wait()
        except TimeoutError:
            raise Unavailable(f"{command[0]} did not end within {siren.within_s:g} s and was killed", reason="siren") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if code:
            raise Unavailable(f"{command[0]} ended with exit code {code}", reason="siren")

    return tell
