"""``warning bench``: figures of this machine, each beside its bar."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warning.cli_options import Json, write_json
from warning.cli_shown import progress, run, show

if TYPE_CHECKING:
    from warning.wiring_bench_broker import Broker

bench = typer.Typer(help="Measure this machine, with made-up load.", no_args_is_help=True, rich_markup_mode=None)
Kafka = Annotated[str, typer.Option("--kafka", help="host:port, or embedded; default: one of its own if installed, else embedded")]


@bench.callback()
def _bench() -> None:
    from warning import wiring_logging

    wiring_logging.configure("bench", "ERROR")


@bench.command("stream")
def stream(
    series: Annotated[list[int] | None, typer.Option("--series", min=10, help="gauges; again for more; default: what fits")] = None,
    load: Annotated[list[str] | None, typer.Option("--load", help="uniform, hot (a basin), live; again for more")] = None,
    readings: Annotated[int, typer.Option("--readings", min=1000, help="measured for each row")] = 2_000_000,
    per_beat: Annotated[list[int] | None, typer.Option("--readings-per-beat", min=1, help="again for more rows")] = None,
    part: Annotated[list[str] | None, typer.Option("--part", help="rows, latency, backlog; again for more; default: all")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="of each latency measurement")] = 40.0,
    probes: Annotated[int, typer.Option("--probes", min=10, help="readings that cross a limit, at each load")] = 200,
    minutes: Annotated[int, typer.Option("--backlog-minutes", min=1)] = 60,
    kafka: Kafka = "",
    json_file: Json = None,
) -> None:
    """The whole of a worker's work: readings a second of a core, time by stage, memory, latencies, backlog, idle beats, checkpoints."""
    from warning import wiring_bench_report as report
    from warning.wiring_bench_latency import Plan
    from warning.wiring_bench_stream import LOADS, PARTS, Wanted
    from warning.wiring_bench_stream import stream as measure

    wanted = Wanted(
        tuple(series or ()),
        _of("--load", load, LOADS),
        tuple(per_beat or ()),
        readings,
        _of("--part", part, PARTS),
        kafka,
        Plan(seconds=seconds, probes=probes),
        minutes,
    )
    with progress() as told:
        done = run(measure(wanted, told, lambda row: print(report.sentence(row), flush=True)))
    show(report.tables(done))
    write_json(json_file, report.stream_document(done))


@bench.command("recover")
def recover(
    series: Annotated[list[int] | None, typer.Option("--series", min=10, help="gauges; again for more; default: what fits")] = None,
    generations: Annotated[int, typer.Option("--generations", min=1, help="checkpoints written before; a day has 2,880")] = 12,
    kafka: Kafka = "",
    json_file: Json = None,
) -> None:
    """From the start of a worker's process to its first beat, from the checkpoint of many series."""
    from warning import wiring_bench_report as report
    from warning.wiring_bench_recover import fitting
    from warning.wiring_bench_recover import recover as measure

    sizes, skipped = fitting(tuple(series or ()))
    with progress() as told:

        async def one(size: int, on: Broker, folder: Path) -> dict[str, Any]:
            return await measure(size, generations, on, folder, told)

        rows, where = run(_each(kafka, sizes, one))
    show(report.recover_tables(rows, where, skipped))
    write_json(json_file, report.recover_document(rows, where, skipped))


@bench.command("scale")
def scale(
    workers: Annotated[list[int] | None, typer.Option("--workers", min=1, help="and as many partitions; again for more")] = None,
    series: Annotated[int, typer.Option("--series", min=100, help="of each worker")] = 1000,
    readings: Annotated[int, typer.Option("--readings", min=1000, help="of each worker")] = 500_000,
    kafka: Kafka = "",
    json_file: Json = None,
) -> None:
    """1, 2 and 4 partitions and workers, from the broker to the broker."""
    from warning import wiring_bench_report as report
    from warning.wiring_bench_scale import scale as measure

    with progress() as told:

        async def one(number: int, on: Broker, folder: Path) -> dict[str, Any]:
            told(f"{number} workers", 0, 1)
            found = await measure(number, series, readings, on, folder)
            told(f"{number} workers", 1, 1)
            return found

        rows, where = run(_each(kafka, tuple(workers or (1, 2, 4)), one))
    show(report.scale_tables(rows, where))
    write_json(json_file, report.scale_document(rows, where))


@bench.command("science")
def science(
    series: Annotated[list[int] | None, typer.Option("--series", min=10, help="gauges; again for more; default: 1,000 and 10,000")] = None,
    readings: Annotated[int, typer.Option("--readings", min=1000, help="measured for each row")] = 200_000,
    json_file: Json = None,
) -> None:
    """Quality control, windows, forecast and hazard: CPU microseconds for each reading by stage; a grid of rain to its basins."""
    from warning import wiring_bench_science as found

    with progress() as told:
        rows = found.science(tuple(series or found.SIZES), readings, told)
        grid_seconds = found.grid_seconds(told)
    show(found.tables(rows, grid_seconds))
    write_json(json_file, found.document(rows, grid_seconds))


@bench.command("qc")
def qc(
    faults: Annotated[int, typer.Option("--faults", min=10, help="of each kind, in each set of records")] = 10_000,
    reference: Annotated[int, typer.Option("--reference", min=0, help="so many of each by ioos_qc too, which is slow")] = 500,
    only: Annotated[list[str] | None, typer.Option("--set", help="ditwah-2025, texas-2026, france-2020; again for more")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="spike, step, ...; again for more; default: all")] = None,
    folder: Annotated[Path, typer.Option("--config", help="the folder config/ of the sources, with config/training")] = Path("config"),
    json_file: Json = None,
) -> None:
    """Faults of fourteen kinds put into real records: how many quality control finds, what it flags that is good, beside ioos_qc."""
    from warning import config
    from warning.rehearsal.qc_bench import SETS, measure
    from warning.rehearsal.qc_faults import KINDS

    sets, kinds = _of("--set", only, tuple(SETS)), _of("--kind", kind, tuple(KINDS))
    sri_lanka = config.load(str(folder / "sri-lanka"))
    write_json(json_file, measure(folder, faults, reference, sri_lanka, lambda line: print(line, flush=True), sets, kinds))


@bench.command("ingest")
def ingest(
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="of each measurement")] = 15.0,
    kafka: Kafka = "",
    json_file: Json = None,
) -> None:
    """What a gateway takes with keys and acks=all: readings a second in batches, single requests, MQTT; answers at half of that load."""
    from warning import wiring_bench_ingest as found

    with progress() as told:

        async def one(_: int, on: Broker, folder: Path) -> dict[str, Any]:
            return await found.ingest(seconds, on, folder, told)

        [rows], where = run(_each(kafka, (0,), one))
    show(found.tables(rows, where))
    write_json(json_file, found.document(rows, where))


@bench.command("edge")
def edge(
    days: Annotated[int, typer.Option("--days", min=1, help="simulated")] = 30,
    sensors: Annotated[int, typer.Option("--sensors", min=1, help="each read every five minutes")] = 12,
    loss: Annotated[float, typer.Option("--loss", min=0, max=0.9, help="part of the requests that is lost")] = 0.4,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    kafka: Kafka = "embedded",
    json_file: Json = None,
) -> None:
    """An edge node's month on a bad link, simulated: what arrived, what was doubled, how late; the siren in an outage."""
    from warning import wiring_bench_edge as found

    plan = found.Month(days=days, sensors=sensors, loss=loss, seed=seed, outages=max(1, days * 2 // 3), cuts=max(1, days // 3))
    with progress() as told:
        document = run(found.bench(plan, kafka, told))
    show(found.tables(document))
    write_json(json_file, document)


@bench.command("dispatch")
def dispatch(
    contacts: Annotated[int, typer.Option("--contacts", min=100, help="with a phone each")] = 90_000,
    rate: Annotated[float, typer.Option("--rate", min=1, help="SMS a second that the centre takes; more it throttles")] = 500.0,
    ceiling: Annotated[float, typer.Option("--ceiling", min=0, help="what the telecom has agreed to; 0: just that rate")] = 0.0,
    endpoints: Annotated[int, typer.Option("--endpoints", min=10, help="webhooks")] = 5000,
    dead: Annotated[int, typer.Option("--dead", min=0, help="of them refuse, hang or drop")] = 500,
    part: Annotated[list[str] | None, typer.Option("--part", help="sms, unlimited, webhooks; again for more; default: all")] = None,
    database: Annotated[
        list[str] | None, typer.Option("--database", help="sqlite, postgresql (one of its own), or a URL; again for more; default: both")
    ] = None,
    kafka: Kafka = "",
    json_file: Json = None,
) -> None:
    """One alert to many contacts: the rate used, the order by deadlines, memory; webhooks of which some are dead."""
    from warning import wiring_bench_dispatch as found
    from warning import wiring_bench_dispatch_shown as shown

    wanted = found.Wanted(contacts, rate, ceiling, endpoints, dead)
    databases = database or ["sqlite", "postgresql"]
    parts = _of("--part", part, found.PARTS)
    with progress() as told:

        async def one(_: int, on: Broker, folder: Path) -> dict[str, Any]:
            return await found.everywhere(wanted, databases, parts, on, folder, told)

        [rows], where = run(_each(kafka, (0,), one))
    show(shown.tables(rows, where))
    write_json(json_file, shown.document(rows, where))


@bench.command("latency")
def latency(
    rate: Annotated[float, typer.Option("--rate", min=1, help="readings a second behind it")] = 5000.0,
    seconds: Annotated[float, typer.Option("--seconds", min=1)] = 60.0,
    probes: Annotated[int, typer.Option("--probes", min=10, help="readings that cross a limit")] = 200,
    kafka: Kafka = "",
    json_file: Json = None,
) -> None:
    """From the POST of a reading that crosses a limit to its warning's submit_sm at the SMS centre, with load behind it."""
    from warning import wiring_bench_to_phone as found
    from warning.wiring_bench_latency import Plan

    plan = Plan(seconds=seconds, probes=probes)
    with progress() as told:

        async def one(_: int, on: Broker, folder: Path) -> dict[str, Any]:
            return await found.to_phone(plan, rate, on, folder, told)

        [rows], where = run(_each(kafka, (0,), one))
    show(found.tables(rows, rate, where))
    write_json(json_file, found.document(rows, where))


async def _each(
    kafka: str, numbers: tuple[int, ...], one: Callable[[int, Broker, Path], Coroutine[Any, Any, dict[str, Any]]]
) -> tuple[list[dict[str, Any]], str]:
    """One after the other on one broker; and where that was."""
    from warning.wiring_bench_broker import broker

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        on = await stack.enter_async_context(broker(kafka))
        return [await one(number, on, folder) for number in numbers], on.words


def _of(option: str, given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    for word in given or ():
        if word not in known:
            raise typer.BadParameter(f"{word!r} is none of {', '.join(known)}", param_hint=option)
    return tuple(given or known)


@bench.command("peers")
def peers(
    readings: Annotated[
        int, typer.Option("--readings", min=10_000, help="measured for each engine, after as many to get warm")
    ] = 1_000_000,
    only: Annotated[list[str] | None, typer.Option("--only", help="ours, flink, kafka_streams_dsl, ...; again for more")] = None,
    json_file: Json = None,
) -> None:
    """One windowed job on Apache Kafka, ours against Faust, Quix Streams, Kafka Streams and Flink. In a checkout only."""
    from warning import wiring_bench_peers

    raise typer.Exit(wiring_bench_peers.peers(readings, only or (), json_file))
