"""The command line of the fuzz."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz.inside import Chunk, Found

CHUNK = 250_000  # records; what a stopped run repeats at most

Lines = list[dict[str, Any]]


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Mutated records beside good readings, into the stream and the inbox. Ends with 1 and the record that shows it.",
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="mutated records through transport, decoder and pipeline; 0: none")
    parser.add_argument("--inbox", type=int, default=0, help="mutated items through the inbox's judgement, in this process")
    parser.add_argument("--agencies", type=int, default=0, help="mutated messages of each agency's format, up to the log")
    parser.add_argument("--format", action="append", help="of --agencies, --devices or --readers only this one; again for more")
    parser.add_argument("--readers", type=int, default=0, help="mutated SMS of gauge readers, and PDUs of an SMS centre, up to the log")
    parser.add_argument(
        "--things", type=int, default=0, help="mutated bodies and addresses of SensorThings, by HTTP and MQTT, up to the log"
    )
    parser.add_argument("--devices", type=int, default=0, help="mutated frames and events of LoRaWAN, and messages of MQTT, up to the log")
    parser.add_argument("--json-bodies", type=int, default=0, help="mutated items in bodies through the HTTP handler, in this process")
    parser.add_argument("--csv-bodies", type=int, default=0, help="mutated rows of CSV likewise")
    parser.add_argument("--on-broker", type=int, default=0, help="mutated records into readings and readings.inbox of a real deployment")
    parser.add_argument("--embedded", action="store_true", help="on the embedded broker, not on Apache Kafka")
    parser.add_argument("--flood", action="store_true", help="what a flood of rejects costs the good readings")
    parser.add_argument("--guided", type=float, default=0, metavar="SECONDS", help="atheris (pip install atheris), guided by coverage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, help="JSON lines: what is done there is not done again; results are added")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    figures: dict[str, Any] = {}
    try:
        for part in (_in_process, _by_format, _whole):
            figures |= part(options)
    except Found as found:
        print(f"FOUND: {found}", flush=True)
        return 1
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _in_process(options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if options.records:
        figures |= _chunks("inside", options.records, options, lambda number, count: _inside(options.seed, number, count))
    if options.inbox:
        from fuzz.judged import Items

        figures |= _chunks("inbox", options.inbox, options, Items(options.seed).chunk)
    return figures


def _by_format(options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if options.agencies:
        from fuzz.agencies import FORMATS, run_agencies

        for name in _chosen(FORMATS, options.format):
            figures |= _chunks(name, options.agencies, options, run_agencies(name, options.seed))
    if options.devices:
        from fuzz.devices import FORMATS as DEVICE_FORMATS
        from fuzz.devices import run_devices

        for name in _chosen(DEVICE_FORMATS, options.format):
            figures |= _chunks(name, options.devices, options, run_devices(name, options.seed))
    if options.readers:
        from fuzz.readers import FORMATS as READER_FORMATS
        from fuzz.readers import run_readers

        for name in _chosen(READER_FORMATS, options.format):
            figures |= _chunks(name, options.readers, options, run_readers(name, options.seed))
    return figures


def _whole(options: argparse.Namespace) -> dict[str, Any]:
    """By HTTP and MQTT, on brokers, guided, and as a flood."""
    figures: dict[str, Any] = {}
    if options.things:
        from fuzz.things import run_things

        figures |= _chunks("sensorthings", options.things, options, run_things(options.seed))
    for kind, count in (("json", options.json_bodies), ("csv", options.csv_bodies)):
        if count:
            from fuzz.requests import Requests

            figures |= _chunks(f"{kind}_bodies", count, options, Requests(options.seed, kind).chunk)
    if options.on_broker:
        from fuzz.brokers import run

        figures |= run(options.on_broker, options.seed, options.embedded)
    if options.guided:
        from fuzz.guided import guided

        figures |= guided(options.guided)
    if options.flood:
        from fuzz.flood import flood

        figures |= flood()
    return figures


def _chosen(names: Sequence[str], wanted: list[str] | None) -> list[str]:
    return [name for name in names if not wanted or name in wanted]


def _inside(seed: int, number: int, count: int) -> dict[str, Any]:
    return vars(Chunk(seed, number, count).run())


def _chunks(name: str, records: int, options: argparse.Namespace, run: Any) -> dict[str, Any]:
    """All chunks of so many records that the results do not hold yet."""
    done = {line["chunk"]: line for line in _read(options.results) if (line["what"], line["seed"]) == (name, options.seed)}
    for number in range(-(-records // CHUNK)):
        if number in done:
            continue
        count, began, cpu = min(CHUNK, records - number * CHUNK), time.monotonic(), time.process_time()
        try:
            tally = run(number, count)
        except Found as found:
            raise Found(f"--seed {options.seed}, {name} chunk {number} of {count}: {found}") from found
        done[number] = {"what": name, "seed": options.seed, "chunk": number, "cpu_s": time.process_time() - cpu} | tally
        if options.results:
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[number]) + "\n")
        sent = sum(line["records"] for line in done.values())
        print(f"{name}: {sent:,} of {records:,} records, {count / (time.monotonic() - began):,.0f}/s", flush=True)
    return {name: _sum(list(done.values()))}


def _read(path: Path | None) -> Lines:
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _sum(lines: Lines) -> dict[str, Any]:
    total: dict[str, Any] = {"chunks": len(lines)}
    for line in lines:
        for field, value in line.items():
            if isinstance(value, dict):
                total[field] = dict(sorted((Counter(total.get(field, {})) + Counter(value)).items()))
            elif isinstance(value, (int, float)) and field not in ("seed", "chunk"):
                total[field] = total.get(field, 0) + value
    total["records_per_cpu_second"] = round(total["records"] / total["cpu_s"]) if total.get("cpu_s") else 0
    return total
