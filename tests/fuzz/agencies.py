"""Mutated messages of agencies through their readers, the mapping and the gateway: all is taken, refused or counted; nothing is slow.

Seeds are cut from the real messages in tests/data/ways. Of each message: it is read, or refused as a whole as another format; what it
says is a part, or counted as left out; each part is a reading that the model allows, or kept with its reason.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from regions import write_region

from fuzz.inside import found_by
from warning import config, config_sources
from warning.config_agency import Agency, AgencyModel
from warning.config_sources import Source, Theirs
from warning.deployment import Deployment
from warning.errors import InputError
from warning.ingest.agency import mapped
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.pushed import reader
from warning.model import Reading, Rejected
from warning.region import Region

WAYS = Path(__file__).parent.parent / "data" / "ways"
FORMATS = ("usgs", "uk-ea", "nwps", "dmc-lk", "shef", "waterml2", "csv")
MOST_CPU_S = 1.0  # for a message of some KB
NOW_MS = 1_790_000_000_000
WORDS = (
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-999999", b"-9999.0", b'""', b"[]", b"{}", b"[[[[1]]]]", b'"\\ud800"'),
    *(b'"9999-12-31T23:59:59Z"', b'"0001-01-01T00:00:00Z"', b'"2025-02-30T00:00:00Z"', b"1" * 400, b"99999999999999999999", b"0.1e-400"),
    *(
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc2\x85",
        b"\n",
        b"\r",
        b"/",
        b":",
        b"<",
        b"&",
        b"&#0;",
        b"<!--",
        b"<![CDATA[",
        b'"',
        b"'",
        b",",
    ),
    *(
        b".A ",
        b".B ",
        b".E1 ",
        b".END",
        b"DH2460",
        b"DM13322561",
        b"DRH-99",
        b"DIH0",
        b"DID99",
        b"DVN99",
        b"DUS",
        b"DQM",
        b"M",
        b"T",
        b"+",
        b"24",
    ),
)


class Slow(AssertionError):
    pass


class Kept:
    """The port Log: what one message brought."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []

    async def append(self, records: Mapping[tuple[str, int], Sequence[tuple[bytes | None, bytes]]]) -> None:
        self.records += [(place[0], value) for place, some in records.items() for _, value in some]


def agency_of(name: str) -> Agency:
    if name != "csv":
        return config_sources.shipped(name)[name]
    reading = {"station": "row.gauge", "what": "row.what", "time": "row.when", "value": 'row."level (m)"', "unit": "row.unit"}
    stage = {"parameter": "stage", "datum": "gauge_zero"}
    form = {"format": "csv", "readings": [reading], "parameters": {"stage": stage}, "zone": "Europe/London", "comment": "#"}
    return AgencyModel.model_validate(form).noun()


def seeds(name: str) -> list[bytes]:
    """Real messages, cut so that a mutation meets something that matters."""
    if name == "shef":
        found = []
        for path in sorted((WAYS / "shef").glob("*.txt")):
            text = path.read_bytes()
            found += [part[:700] for part in re.split(rb"(?m)^(?=\.[ABE]R?\s)", text)[1:9]]
        return found
    if name == "waterml2":
        text = (WAYS / "waterml2/sos_52n_getobservation_wml2_response.xml").read_bytes()
        points = re.findall(rb"\s*<wml2:point>.*?</wml2:point>", text, re.S)
        for point in points[2:]:
            text = text.replace(point, b"")
        text = text.replace(b"AirTemperature", b"Stage").replace(b'"degC"', b'"cm"')
        return [text, text.replace(b"<wml2:value>12.2</wml2:value>", b'<wml2:value xsi:nil="true"/>')]
    if name == "csv":
        row = b"XRAY,stage,2025-09-02 12:00,1.25,m\n"
        return [b"# so\ngauge,what,when,level (m),unit\n" + row + b'"XRAY",stage,2025-03-30T02:00:00+01:00,"2.5",ft\nYOKE,flow,,,\n']
    file = {"usgs": "waterservices_iv.txt", "uk-ea": "readings_stage_rain.json"}.get(name, "")
    whole = json.loads(((WAYS / name / file) if file else next((WAYS / name).glob("*.json"))).read_text())
    return [json.dumps(_cut(whole)).encode(), json.dumps(_cut(whole), separators=(",", ":")).encode()]


def _cut(value: Any) -> Any:
    """The same with two of each list."""
    if isinstance(value, list):
        return [_cut(one) for one in value[:2]]
    return {key: _cut(one) for key, one in value.items()} if isinstance(value, dict) else value


def mutated(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    body = bytearray(chance.choice(pool))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at, kind = chance.randrange(len(body) + 1), chance.randrange(8)
        if kind == 0 and at < len(body):
            body[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            body[at:at] = chance.choice(WORDS)
        elif kind == 2:
            del body[at : at + chance.randrange(1, 40)]
        elif kind == 3:
            body[at:at] = body[at : at + chance.randrange(1, 200)]
        elif kind == 4:
            del body[at:]
        elif kind == 5:
            other = chance.choice(pool)
            body[at:] = other[chance.randrange(len(other)) :]
        elif kind == 6:  # a number, a word or a string as a whole
            places = list(re.finditer(rb"-?\d[\d.]*|\"[^\"]*\"|\b[A-Za-z]+\b", body))
            if places:
                place = chance.choice(places)
                body[place.start() : place.end()] = chance.choice(WORDS)
        elif chance.randrange(200) == 0:  # rarely, for it is long
            body[at:at] = chance.choice((b" ", b"/", b"[", b"<a>", b"DM1/", b"1", b"A", b".", b"M/")) * chance.choice((1000, 20_000))
    return bytes(body)


class Agencies:
    """``chunk`` runs so many mutated messages of one format; the same seed gives the same."""

    def __init__(self, region: Region, seed: int) -> None:
        self._region, self._seed = region, seed

    def chunk(self, name: str, count: int, number: int = 0) -> dict[str, Any]:
        agency, pool = agency_of(name), seeds(name)
        words = sorted({word for body in pool for word in re.findall(r"[A-Za-z0-9_-]{3,20}", body.decode("latin1"))})
        theirs = {word: Theirs("A") for word in words[: len(words) // 2]} | {word: Theirs("B") for word in words[len(words) // 2 :]}
        source = Source("fuzz", agency, "", theirs, others="refuse" if number % 2 else "ignore")
        chance = random.Random(f"{self._seed} {name} {number}")
        return asyncio.run(self._run(source, (mutated(chance, pool) for _ in range(count))))

    async def _run(self, source: Source, bodies: Iterator[bytes]) -> dict[str, Any]:
        log = Kept()
        gateway = Gateway(self._region, Deployment(), log, lambda: NOW_MS)  # type: ignore[arg-type]
        read, ends, counted, slowest_s = reader(source.agency), Counter[str](), 0, 0.0
        for body in bodies:
            counted += 1
            began = time.process_time()
            try:
                said = read(body)
                found = mapped(said, source)
            except InputError as error:
                assert error.reason == "format" and str(error) and error.fix, (error, body)
                await gateway.keep(body, error, Sender(source.id))
                ends["format"] += 1
                self._check(log, 0, 1, body)
                continue
            except Exception as error:
                raise AssertionError(f"{error!r} of {body!r}") from error
            finally:
                slowest_s = max(slowest_s, time.process_time() - began)
                if slowest_s > MOST_CPU_S:
                    raise Slow(f"{slowest_s:.1f} s for {body!r}")
            counts = (len(found.parts), sum(found.others.values()), found.no_observation, found.doubles)
            assert sum(counts) == len(said), (counts, len(said), body)
            taken = await gateway.offer(found.parts, Sender(source.id))
            assert taken.accepted + len(taken.refused) == len(found.parts), body
            self._check(log, taken.accepted, len(taken.refused), body)
            ends["accepted"] += taken.accepted
            ends["refused"] += len(taken.refused)
            ends["left_out"] += sum(counts[1:])
        return {"records": counted, "ends": dict(ends), "slowest_ms": round(slowest_s * 1000)}

    @staticmethod
    def _check(log: Kept, accepted: int, refused: int, body: bytes) -> None:
        readings = [msgspec.json.decode(value, type=Reading) for topic, value in log.records if topic == "readings"]
        kept = [msgspec.json.decode(value, type=Rejected) for topic, value in log.records if topic == "readings.rejected"]
        assert (len(readings), len(kept)) == (accepted, refused), body
        for one in readings:
            assert one.station in ("A", "B") and one.time_ms <= NOW_MS + 300_000, (one, body)
            assert one.value is None or abs(one.value) < 1e308, (one, body)
        assert all(one.reason and one.detail and (one.record or not body) for one in kept), (kept, body)
        log.records.clear()


def run_agencies(name: str, seed: int) -> Callable[[int, int], dict[str, Any]]:
    """(chunk, messages) -> its tally, for the command. What it finds is raised as Found."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-agencies-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fuzz = Agencies(config.load(write_region(folder)), seed)
    return found_by(name, lambda number, count: fuzz.chunk(name, count, number))
