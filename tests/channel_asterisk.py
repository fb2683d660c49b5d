"""What Asterisk does with its spool, as far as a caller of it sees (pbx/pbx_spool.c, with ``Archive: yes``): takes a file, notes each try,
and moves it with its outcome to the archive. Debian has no Asterisk to run; the rest of what it does is not ours.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = {"Channel", "MaxRetries", "RetryTime", "WaitTime", "Archive", "Set", "CallerID", "Context", "Extension", "Priority"}
KNOWN |= {"Application", "Data", "StartRetry", "EndRetry"}


@dataclass
class Asterisk:
    """``heard``: the fields of each call that was answered. ``outcome``: Completed, Expired, Failed; "": it rings on."""

    folder: Path
    outcome: str = "Completed"
    archives: bool = True  # False: nobody archives it, the receipt is lost
    once: set[str] | None = None  # every file but these comes into the archive twice; None: none does
    heard: list[dict[str, str]] = field(default_factory=list)
    called: set[str] = field(default_factory=set)
    running: bool = True

    def __post_init__(self) -> None:
        for name in ("outgoing", "outgoing_done"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def known(self) -> set[str]:
        """Files of ours that were called, or wait to be."""
        return {name for name in (*self.called, *(path.name for path in (self.folder / "outgoing").glob("*"))) if "warning" in name}

    async def run(self) -> None:
        while True:
            for path in sorted((self.folder / "outgoing").glob("*")):
                if self.running and self.outcome and path.is_file() and path.stat().st_mtime <= time.time():
                    self.call(path)
            await asyncio.sleep(0.02)

    def call(self, path: Path) -> None:
        """One try of one file, to its end."""
        self.called.add(path.name)
        text = path.read_text("utf-8")
        fields: dict[str, str] = {}
        for line in text.splitlines():
            line = line.split("#")[0].strip() if line.startswith("#") else line.strip()
            if line:
                name, _, value = line.partition(":")
                assert name in KNOWN, f"Unknown keyword {name!r}"
                fields[f"{name} {value.strip().partition('=')[0]}" if name == "Set" else name] = value.strip()
        assert "Channel" in fields and ("Application" in fields or "Extension" in fields), "Invalid file contents"
        with path.open("a") as file:
            file.write(f"\nStartRetry: 17 1 ({int(time.time())})\nEndRetry: 17 1 ({int(time.time())})\nStatus: {self.outcome}\n")
        if self.outcome == "Completed":
            self.heard.append(fields)
        if not self.archives:
            path.unlink()
            return
        done = self.folder / "outgoing_done" / path.name
        path.rename(done)
        if self.once is not None and path.name not in self.once:
            again = done.read_text()
            asyncio.get_running_loop().call_later(1.5, lambda: done.write_text(again))
