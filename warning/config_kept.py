"""A large region as it was built, kept beside the databases: a restart does not read and judge a hundred megabytes of unchanged tables.

It counts only while every byte of the folder, of the standard model and of the code that reads them is the same; else, or where it is
damaged, it is as if it were not there. It holds data alone (msgpack), and like the folder it holds people's phone numbers: mode 0600.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import platform
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from warning.config_model import standard_path
from warning.region import Region

LEAST_BYTES = 4 << 20  # of a folder; what is smaller is read in less than a second
_PASSED_BY = "replays"  # no part of a region
_SUM = 32  # bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a region is kept, and the sum of all that it was made of."""

    path: Path
    made_of: bytes

    @staticmethod
    def of(folder: Path, directory: Path) -> Kept | None:
        """None: the folder is not worth it, or cannot be read as a whole, which its reader will say better."""
        try:
            files = sorted(path for path in folder.rglob("*") if path.is_file() and _PASSED_BY not in path.relative_to(folder).parts)
            if sum(path.stat().st_size for path in files) < LEAST_BYTES:
                return None
            made_of = hashlib.blake2b(_code(), digest_size=_SUM)
            for path in files:
                made_of.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
                made_of.update(path.read_bytes())
        except OSError:
            return None
        place = hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()
        made_of.update(place.encode())  # a region knows its folder
        return Kept(directory / f"region-{folder.name}-{place}.kept", made_of.digest())

    def region(self) -> Region | None:
        """As it was built; None: not from this, or not whole."""
        try:
            with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return self._read(content)
        except (OSError, ValueError):  # an empty file cannot be mapped
            return None

    def _read(self, content: mmap.mmap) -> Region | None:
        made_of, summed = content[:_SUM], content[_SUM : 2 * _SUM]
        if made_of != self.made_of:
            return None
        with memoryview(content) as whole, whole[2 * _SUM :] as body:  # mapped: never twice in memory
            if summed != hashlib.blake2b(body, digest_size=_SUM).digest():
                return None
            try:
                return msgspec.msgpack.decode(body, type=Region)
            except msgspec.MsgspecError:
                return None

    def keep(self, region: Region) -> None:
        """Whole or not at all. Where it cannot be written the next start reads the files, as this one did."""
        body = msgspec.msgpack.encode(region)
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(prefix=self.path.stem, suffix=".part", dir=self.path.parent)  # 0600
            try:
                with os.fdopen(number, "wb") as file:
                    file.writelines((self.made_of, hashlib.blake2b(body, digest_size=_SUM).digest(), body))
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise


@cache
def _code() -> bytes:
    """Sum of what makes a Region of files."""
    package = Path(__file__).resolve().parent
    summed = hashlib.blake2b(f"{platform.python_version()} {msgspec.__version__}".encode(), digest_size=_SUM)
    for path in (*sorted(package.glob("config*.py")), package / "region.py", package / "model.py", standard_path()):
        summed.update(path.read_bytes())
    return summed.digest()
