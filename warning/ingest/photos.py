"""Photos of staff gauges, by the SHA-256 of their bytes, in one folder of bounded size.

``ab/abcd....jpg`` is the photo; ``ab/abcd....jsonl`` says of which readings (station, parameter, time_ms, provider, received_ms), a line
each, the newest 50. When the folder is over its bound the oldest go first. A photo that cannot be kept never costs a reading.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from warning.errors import InputError

MOST_BYTES = 4 << 20
MOST_KEPT_BYTES = 2 << 30
_KINDS = ((b"\xff\xd8\xff", ".jpg", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", ".png", "image/png"))
_NAME = re.compile(r"[0-9a-f]{64}")
_MOST_OF = 50  # readings of one photo that are remembered, the newest: whoever sends the same picture for ever fills no disk


class Of(msgspec.Struct, frozen=True):
    """Which reading a photo is of."""

    station: str
    parameter: str
    time_ms: int
    provider: str
    received_ms: int


def kind_of(content: bytes) -> str:
    """``.jpg`` or ``.png``, by its first bytes. Raises InputError for anything else, and for one that is too large."""
    if len(content) > MOST_BYTES:
        raise InputError(f"the photo has over {MOST_BYTES} bytes", reason="too_large", field="photo", fix="send a smaller one")
    for magic, suffix, _ in _KINDS:
        if content.startswith(magic):
            return suffix
    raise InputError("the photo is neither JPEG nor PNG", reason="media_type", field="photo", fix="send JPEG or PNG")


@dataclass
class Photos:
    """Not for the event loop: each call waits for the disk. One process writes to a folder."""

    folder: Path
    most_bytes: int = MOST_KEPT_BYTES
    _bytes: int | None = field(default=None, init=False)

    def keep(self, content: bytes, of: Of) -> str:
        """Its hash; it is on the disk then. The same photo again costs a line. Raises InputError, OSError."""
        suffix = kind_of(content)
        name = hashlib.sha256(content).hexdigest()
        place = self.folder / name[:2]
        place.mkdir(parents=True, exist_ok=True)
        photo = place / (name + suffix)
        if not photo.exists():
            self._write(photo, content)
            if self._bytes is not None:
                self._bytes += len(content)
        lines = place / f"{name}.jsonl"
        line = msgspec.json.encode(of) + b"\n"
        known = lines.read_bytes() if lines.exists() else b""
        if _without_received(line) not in {_without_received(each) for each in known.splitlines()}:
            self._write(lines, b"".join([*known.splitlines(keepends=True)[1 - _MOST_OF :], line]))
        self._bound(photo)
        return name

    def find(self, name: str) -> tuple[Path, str, tuple[Of, ...]] | None:
        """(file, media type, of which readings); None if it is not, or no more, there."""
        if not _NAME.fullmatch(name):
            return None
        for _, suffix, media_type in _KINDS:
            photo = self.folder / name[:2] / (name + suffix)
            if photo.exists():
                lines = photo.with_suffix(".jsonl")
                known = lines.read_bytes().splitlines() if lines.exists() else []
                return photo, media_type, tuple(msgspec.json.decode(line, type=Of) for line in known)
        return None

    def _write(self, path: Path, content: bytes) -> None:
        """All of it or nothing, also after a power cut."""
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _bound(self, newest: Path) -> None:
        if self._bytes is None:
            self._bytes = sum(size for _, size, _ in self._all())
        if self._bytes <= self.most_bytes:
            return
        for _, size, path in sorted(self._all()):
            if path != newest:
                path.unlink(missing_ok=True)
                path.with_suffix(".jsonl").unlink(missing_ok=True)
                self._bytes -= size
            if self._bytes <= self.most_bytes:
                break

    def _all(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.folder.glob("??/*"):
            if path.suffix in (".jpg", ".png"):
                found = path.stat()
                yield found.st_mtime, found.st_size, path


def _without_received(line: bytes) -> bytes:
    return line.rpartition(b',"received_ms"')[0] if b',"received_ms"' in line else line
