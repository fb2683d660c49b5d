"""``warning flag`` through a real broker: the record that a worker reads, and what it refuses to say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from regions import write_region
from services import embedded

from warning import cli, wiring_flag
from warning.config import load
from warning.deployment import Deployment
from warning.errors import ExitCode
from warning.model import ManualFlag, Parameter
from warning.pipeline import Plan
from warning.stream.codec import Decoder
from warning.stream.kafka import KafkaLog
from warning.stream.topics import ensure_topics

AT = ["--from", "2025-08-27T14:00+05:00", "--because", "the float hangs", "--who", "Duty officer"]


def test_what_is_said_stands_in_the_partition_of_its_basin(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    region = load(folder)

    async def played(bootstrap: str) -> list[tuple[bytes | None, bytes | None]]:
        deployment = Deployment(bootstrap=bootstrap, prefix="t.", directory=tmp_path, embedded=True)
        await ensure_topics(deployment, region.partitions)
        said = ManualFlag(
            flag_ms=1, station="B", parameter=Parameter.STAGE, action="fail", who="me", because="tree", from_ms=5000, to_ms=9000
        )
        await wiring_flag.say(region, deployment, said)
        found: list[tuple[bytes | None, bytes | None]] = []
        async with KafkaLog(deployment) as log:
            await log.read(deployment.readings, 0, lambda _, key, value: found.append((key, value)))
        return found

    with embedded() as broker:
        records = asyncio.run(played(broker.bootstrap))
    (segment,) = Decoder(Plan.of(region, 0)).run([key for key, _ in records], [value for _, value in records], 0)
    assert [key for key, _ in records] == [b"oak"]
    assert [(flag.station, flag.action, flag.from_ms, flag.to_ms, flag.because) for flag in segment.flags] == [
        ("B", "fail", 5000, 9000, "tree")
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Z", "stage", *AT], "no such station"),
        (["A", "inflow", *AT], "does not measure it"),
        (["A", "stage", *AT, "--to", "2025-08-27T09:00Z"], "not after --from"),
        (["A", "stage", "--from", "2025-08-27T14:00", "--because", "x", "--who", "y"], "not a time with a zone"),
        (["A", "stage", "--because", "x", "--who", "y"], "is missing"),
        (["A", "stage", *AT, "--to", "2150-01-01T00:00Z"], "1970 to 2100"),
        (["A", "stage", "--from", "1960-01-01T00:00Z", "--because", "x", "--who", "y"], "1970 to 2100"),
        (["A", "stage", *AT, "--withdraw", "--accept"], "two things"),
        (["A", "stage", "--from", "2025-08-27T14:00Z", "--because", " ", "--who", "y"], "are empty"),
    ],
)
def test_what_cannot_be_is_not_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["flag", str(write_region(tmp_path)), *arguments])
    assert ended.value.code == ExitCode.CONFIG
    assert words in capsys.readouterr().err
