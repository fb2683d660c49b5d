"""The same oracle under atheris (libFuzzer), guided by what the code of the stream and of the gateway covers.

Optional: ``pip install atheris`` (Linux, Python 3.11 or newer). Bytes begin with what they are: a record of ``readings`` with a key, one
without, a fetch of ``readings.inbox``, an item. Findings are left beside it as ``crash-*``; give such a file as argument to see it again.
"""

from __future__ import annotations

import importlib.util
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fuzz.inside import Found


def guided(seconds: float) -> dict[str, Any]:
    """In a process of its own: libFuzzer does not come back. Raises ``Found``."""
    if importlib.util.find_spec("atheris") is None:
        raise Found("atheris is not installed: pip install atheris")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
        _seeds(Path(corpus))
        here = str(Path(__file__).parent.parent)
        program = f"import sys; sys.path[:0] = [{here!r}, {str(Path(here).parent)!r}]; from fuzz.guided import fuzz; fuzz()"
        command = [sys.executable, "-c", program, corpus, f"-max_total_time={int(seconds)}", "-max_len=600", "-print_final_stats=1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = done.stdout + done.stderr
    if done.returncode:
        raise Found(words[-4000:])
    runs, covered = re.search(r"number_of_executed_units: (\d+)", words), re.findall(r"cov: (\d+)", words)
    return {"guided": {"runs": int(runs[1]) if runs else 0, "covered": int(covered[-1]) if covered else 0, "seconds": seconds}}


def _seeds(corpus: Path) -> None:
    from fuzz import course, seeds

    names = course.stations(course.region(), course.MUTATED)[:3]
    records = [b"k" + text for text in seeds.readings(names)] + [b"m" + text for text in seeds.marks()]
    for number, text in enumerate([*records, *(b"i" + item for item in seeds.items(names)), b"b" + _batch()]):
        (corpus / f"seed-{number}").write_bytes(text)


def _batch() -> bytes:
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    builder.append(0, timestamp=1, key=b"k", value=b"{}", headers=[("h", b"x")])
    return bytes(builder.build())


def fuzz() -> None:
    """Never comes back."""
    import atheris

    with atheris.instrument_imports(include=["warning.stream.codec", "warning.stream.shape", "warning.ingest", "warning.batches"]):
        from warning.batches import batches
        from warning.ingest.gateway import Gateway, Sender
        from warning.stream.codec import Decoder

    from fuzz import course
    from fuzz.judged import NOW_MS, PLACE
    from warning.errors import InputError
    from warning.stream.decisions import PIPELINE

    region = course.region()
    plan = PIPELINE.plan(region, 0)
    decoder = Decoder(plan)
    gateway = Gateway(region, PLACE, None, lambda: NOW_MS)  # type: ignore[arg-type]  # nothing is appended

    def item(text: bytes) -> None:
        try:
            gateway.placed(text, Sender("fuzz"))
        except InputError as error:
            gateway.refused(text, error, "fuzz", None, 0, 0)

    def one(text: bytes) -> None:
        kind, rest = text[:1], text[1:]
        if kind == b"b":
            for batch in batches(_fetched(rest)):
                assert batch.next > batch.first
        elif kind == b"i":
            item(rest)
        else:
            _agree(decoder, plan, None if kind == b"m" else b"k", rest)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


def _agree(decoder: Any, plan: Any, key: bytes | None, value: bytes) -> None:
    """The decoder and the slow reference call a record the same."""
    from fuzz.reference import UNREADABLE, judge

    alike = (*UNREADABLE, "missing_key")
    [segment] = decoder.run([key], [value], 0)
    kind = judge(key, value, plan.row).kind
    got = segment.rejected[0].reason if segment.rejected else "mark" if segment.mark else "reading"
    assert got == kind or (got in alike and kind in alike), f"{value!r} is {kind}, and was taken as {got}"


def _fetched(raw: bytes) -> bytes:
    """As a batch whose length, version and checksum are right: what is behind them is read."""
    from crc32c import crc32c

    whole = bytearray(raw.ljust(61, b"\0"))
    whole[8:12], whole[16] = struct.pack(">i", len(whole) - 12), 2
    whole[17:21] = struct.pack(">I", crc32c(bytes(whole[21:])))
    return bytes(whole)
