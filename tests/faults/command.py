"""The command line of the simulator."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import channel_postgres
import services

from warning.wiring_bench_broker import installed as kafka_home

from . import dispatching, results
from .breaks_field import Field
from .breaks_processes import Kill9
from .cluster import Brokers
from .fault import Fault
from .registry import FAULTS
from .run import Plan, as_json, once

MOST_PER_S = 2500.0  # readings that a run pushes

DESCRIPTION = (
    "Breaks a whole deployment of real processes at random moments, and holds what is left against the file replay of its own log."
)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=DESCRIPTION)
    parser.add_argument("--list", action="store_true", help="print the faults and end")
    parser.add_argument("--field", action="store_true", help="as --fault field: over all ways in, while gateway, Mosquitto and brokers die")
    parser.add_argument(
        "--dispatch", action="store_true", help="two dispatchers on one ledger, killed, and all around them fails (runs of 25 kills)"
    )
    parser.add_argument("--outage", type=float, default=30.0, help="seconds that the SMS centre is away in each run of --dispatch")
    parser.add_argument("--fault", action="append", help="name of a fault; again for more; default: all")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count on from it")
    parser.add_argument("--runs", type=int, default=1, help="of each fault")
    parser.add_argument("--readings", type=int, default=24_000, help="pushed in each run")
    parser.add_argument("--rate", type=float, help="readings a second; default: so that the fault falls into the feed")
    parser.add_argument("--kills", type=int, help="of the faults kill9 and field, in each run")
    parser.add_argument("--gap", type=float, help="seconds between two kills, on average")
    parser.add_argument("--results", type=Path, help="JSON lines: what passed there is not run again; results are added")
    parser.add_argument("--json", type=Path, help="write the figures of all recorded runs there")
    parser.add_argument("--keep", type=Path, help="folder where the logs stay, and all that the brokers held where something was wrong")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # outages are what we make here
    if options.list:
        for name, fault in FAULTS.items():
            print(f"{name}: {fault.breaks}\n    must: {fault.must}" + (f"\n    not here: {why}" if (why := fault().absent()) else ""))
        return
    if options.field:
        options.fault = [*(options.fault or []), Field.name]
    names = options.fault or [name for name in FAULTS if name != "none"]
    unknown = sorted(set(names) - set(FAULTS))
    if unknown:
        sys.exit(f"no such fault: {', '.join(unknown)}; --list names them")
    home = kafka_home()
    if home is None:
        sys.exit("Apache Kafka is not installed: make services")
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    if options.dispatch:
        sys.exit(asyncio.run(_dispatch(options)))
    recorded = results.read(options.results)
    asyncio.run(_run_all(options, names, home, recorded))
    print(results.table(recorded))
    if options.json:
        options.json.write_text(json.dumps(results.figures(recorded), indent=2) + "\n", encoding="utf-8")
    if any(not line["passed"] for line in recorded):
        sys.exit(1)


async def _run_all(options: argparse.Namespace, names: list[str], home: Path, recorded: list[results.Line]) -> None:
    async with Brokers(home) as brokers:
        for name in names:  # fault by fault: most share their brokers
            for seed in range(options.seed, options.seed + options.runs):
                fault = FAULTS[name]()
                if why := fault.absent():
                    print(f"{name}: skipped, {why}", flush=True)
                elif results.done(recorded, name, seed, options.readings):
                    print(f"{name} seed {seed}: recorded before", flush=True)
                else:
                    result = await once(_plan(options, fault, seed), fault, brokers)
                    recorded.append(as_json(result))
                    results.append(options.results, recorded[-1])
                    print(json.dumps(recorded[-1]), flush=True)


async def _dispatch(options: argparse.Namespace) -> int:
    """Exit code 0 if nobody was missed and nothing went twice without its mark."""
    done = []
    with channel_postgres.cluster() as database, services.apache_kafka() as broker:
        for seed in range(options.seed, options.seed + options.runs):
            folder = tempfile.mkdtemp(prefix="faults-dispatch-", dir=options.keep)
            try:
                asked = {name: value for name in ("kills", "gap_s") if (value := getattr(options, name.removesuffix("_s")))}
                plan = dispatching.Plan(seed, outage_s=options.outage, folder=Path(folder), **asked)
                done.append(await dispatching.once(plan, broker.bootstrap, database))
            finally:
                if not options.keep:
                    shutil.rmtree(folder, ignore_errors=True)
            print(json.dumps(asdict(done[-1])), flush=True)
    figures = results.dispatch_figures(done)
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if any(one.wrong for one in done) else 0


def _plan(options: argparse.Namespace, fault: Fault, seed: int) -> Plan:
    """The readings come in for somewhat longer than the fault lasts."""
    if isinstance(fault, (Kill9, Field)):
        fault.kills = options.kills or fault.kills
        spread_s = options.readings / MOST_PER_S / (1.15 * fault.kills)  # over the whole feed, however long it is
        fault.gap_s = options.gap or max(fault.gap_s, spread_s)
        lasts_s = 1.15 * fault.kills * fault.gap_s + fault.after_s[1]
    else:
        lasts_s = 1.3 * (fault.after_s[1] + fault.lasts_s[1])
    rate = options.rate or min(MOST_PER_S, options.readings / max(lasts_s, 15.0))
    return Plan(type(fault), seed, options.readings, rate, options.keep)
