"""A secured Kafka: each refusal is one clear line and an exit code, at the start and while running; least rights suffice, none is spare."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
import services
from aiokafka import AIOKafkaProducer
from regions import write_region
from stream_worker import WorkerProcess

from warning import access, access_check, config, wiring, wiring_rejected
from warning.access_rights import CREATE, READ, WRITE, Right, commands, rights
from warning.deployment import Deployment
from warning.errors import AccessError, ConfigError, ExitCode, Unavailable, WarningSystemError
from warning.ingest.dead_letters import Selection
from warning.ingest.log import KafkaLog
from warning.ingest.mending import Edits
from warning.model import Rejected, to_json
from warning.region import Region
from warning.stream.app import work
from warning.stream.broker import free_port
from warning.stream.decisions import PIPELINE
from warning.stream.topics import ensure_topics
from warning.wiring_environment import to_environment

PROCESSES = ("worker", "ingest", "dispatch", "api")


@pytest.fixture(scope="module")
def kafka() -> Iterator[services.SecuredKafka]:
    names = (*PROCESSES, "export", "rejected", "stranger", "rotated")
    with services.secured_kafka({name: f"{name}-secret" for name in names}) as broker:
        yield broker


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load("indus")


numbers = itertools.count()


def place(kafka: services.SecuredKafka, user: str, **more: object) -> Deployment:
    fields: dict[str, object] = {
        "bootstrap": kafka.bootstrap,
        "prefix": f"s{next(numbers)}.",
        "kafka_security": "SASL_SSL",
        "kafka_user": user,
        "kafka_password": f"{user}-secret",
        "kafka_ca_file": str(kafka.certificates.ca_file),
        "session_timeout_s": 4.0,
        "checkpoint_every_s": 1.0,
    }
    return Deployment(**(fields | more))  # type: ignore[arg-type]


async def refused(deployment: Deployment, process: str = "worker") -> WarningSystemError:
    with pytest.raises(WarningSystemError) as told:
        await access_check.check(deployment, process)
    assert "\n" not in str(told.value)
    assert "-secret" not in str(told.value), "a password is never printed"
    return told.value


# --- who we are


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"kafka_password": "old-secret"}, 82, ["'worker' is refused", "another password", "WARNING_KAFKA_PASSWORD"]),
        ({"kafka_user": "ghost"}, 82, ["'ghost' is refused", "no such user", "WARNING_KAFKA_USER"]),
        ({"kafka_mechanism": "PLAIN", "kafka_password": "old-secret"}, 82, ["'worker' is refused"]),
        ({"kafka_mechanism": "SCRAM-SHA-256"}, 82, ["does not take SCRAM-SHA-256", "WARNING_KAFKA_MECHANISM"]),
        ({"kafka_ca_file": ""}, 82, ["not trusted", "WARNING_KAFKA_CA_FILE"]),
        ({"bootstrap": "kafka.nowhere.invalid:9093"}, 75, ["kafka.nowhere.invalid:9093", "does not resolve", "WARNING_BOOTSTRAP"]),
        ({"bootstrap": "localhost"}, 78, ["WARNING_BOOTSTRAP", "localhost", "host:port"]),
        ({"kafka_ca_file": "/nowhere/ca.pem"}, 78, ["WARNING_KAFKA_CA_FILE /nowhere/ca.pem", "No such file", "name the PEM file"]),
        ({"kafka_password": "", "kafka_password_file": "/nowhere/pw"}, 78, ["WARNING_KAFKA_PASSWORD_FILE /nowhere/pw", "No such file"]),
        ({"kafka_password_file": "/nowhere/pw"}, 78, ["both a password and a file"]),
        ({"kafka_user": ""}, 78, ["WARNING_KAFKA_USER", "SASL_SSL without a user"]),
        ({"kafka_security": "SASL_PLAINTEXT"}, 78, ["WARNING_KAFKA_SECURITY", "write PLAINTEXT, SSL, SASL_SSL"]),
        ({"kafka_security": "PLAINTEXT"}, 78, ["WARNING_KAFKA_SECURITY", "PLAINTEXT, but there is a user"]),
        ({"kafka_certificate_file": "/nowhere/a.pem"}, 78, ["WARNING_KAFKA_KEY_FILE", "one without the other"]),
    ],
)
async def test_a_refusal_names_what_where_and_the_fix(
    kafka: services.SecuredKafka, change: dict[str, object], code: int, words: list[str]
) -> None:
    told = await refused(place(kafka, "worker", **change))
    assert told.exit_code == code, told
    assert not [word for word in words if word not in str(told)], told


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("expired", ["its certificate is out of date", "renew it at the broker"]),
        ("misnamed", ["for another name", "localhost", "WARNING_BOOTSTRAP"]),
        ("mutual", ["wants a certificate of ours", "WARNING_KAFKA_CERTIFICATE_FILE"]),
    ],
)
async def test_certificates_of_brokers(kafka: services.SecuredKafka, port: str, words: list[str]) -> None:
    bare = place(kafka, "worker", kafka_security="SSL", kafka_user="", kafka_password="", bootstrap=f"localhost:{getattr(kafka, port)}")
    told = await refused(bare)
    assert isinstance(told, AccessError)
    assert not [word for word in words if word not in str(told)], told


async def test_our_own_certificate(kafka: services.SecuredKafka, tmp_path: Path) -> None:
    address = f"localhost:{kafka.mutual}"

    def mine(certificates: services.Certificates, name: str, **options: float) -> Deployment:
        certificate, key = certificates.issue(name, **options)  # type: ignore[arg-type]
        files = {"kafka_certificate_file": str(certificate), "kafka_key_file": str(key)}
        return place(kafka, "", kafka_password="", kafka_security="SSL", bootstrap=address, prefix="mutual.", **files)

    good = mine(kafka.certificates, "gauge")
    for right in rights(good, "dispatch"):
        await kafka.rule("User:CN=gauge", right)
    await access_check.check(good, "dispatch")
    for bad in (mine(kafka.certificates, "late", days=-1), mine(services.Certificates(tmp_path), "gauge")):
        told = await refused(bad)
        assert isinstance(told, AccessError) and "it refuses our certificate" in str(told) and bad.kafka_certificate_file in str(told)


async def test_another_ca(kafka: services.SecuredKafka, tmp_path: Path) -> None:
    other = services.Certificates(tmp_path)
    told = await refused(place(kafka, "worker", kafka_ca_file=str(other.ca_file)))
    assert told.exit_code is ExitCode.ACCESS and "not trusted" in str(told) and str(other.ca_file) in str(told)


async def test_an_open_client_at_a_secured_port(kafka: services.SecuredKafka) -> None:
    told = await refused(Deployment(bootstrap=kafka.bootstrap))
    assert told.exit_code is ExitCode.BROKER and "WARNING_KAFKA_SECURITY" in str(told)


async def test_a_broker_that_takes_connections_and_never_answers() -> None:
    server = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unavailable, match="does not answer within 1 s"):
            await access_check.check(Deployment(bootstrap=address), "worker", within_s=1.0)


# --- what we may


@pytest.mark.parametrize("process", PROCESSES)
async def test_the_rights_suffice_and_each_one_that_is_missing_is_named(kafka: services.SecuredKafka, process: str) -> None:
    deployment = place(kafka, process)
    told = await refused(deployment, process)
    needed = [right for right in rights(deployment, process) if not right.prefixed]
    assert isinstance(told, AccessError)
    assert [problem.where for problem in told.problems] == [f"{right.kind} {right.name}" for right in needed]
    await kafka.give(deployment, process)
    await access_check.check(deployment, process)
    for right in needed:
        await kafka.rule(f"User:{process}", right, away=True)
        told = await refused(deployment, process)
        assert isinstance(told, AccessError) and told.exit_code is ExitCode.ACCESS
        words = " and ".join(operation.word for operation in right.operations)
        assert str(told).startswith(
            f"{right.kind} {right.name}: user '{process}' has no {words} right at {kafka.bootstrap} (`warning acls`"
        )
        await kafka.rule(f"User:{process}", right)
    await access_check.check(deployment, process)


async def test_nobody_may_make_topics_without_the_right(kafka: services.SecuredKafka) -> None:
    deployment = place(kafka, "worker")
    for right in rights(deployment, "worker"):
        if CREATE not in right.operations:
            await kafka.rule("User:worker", right)
    with pytest.raises(AccessError) as told:
        await ensure_topics(deployment, 1)
    assert f"topic {deployment.readings}" in str(told.value) and "'worker' has no Create right" in str(told.value)
    await kafka.give(deployment, "worker")
    await ensure_topics(deployment, 1)


async def test_the_printed_commands_give_the_rights(kafka: services.SecuredKafka) -> None:
    """Kafka's own tool takes two of the lines as they are."""
    deployment = place(kafka, "stranger")
    lines = [shlex.split(line) for line in commands(deployment, "worker", "User:stranger", kafka.bootstrap)]
    assert len(lines) == len(rights(deployment, "worker"))
    for line in (lines[0], lines[-1]):
        assert line[:6] == ["kafka-acls.sh", "--bootstrap-server", kafka.bootstrap, "--command-config", "admin.properties", "--add"]
        await asyncio.to_thread(kafka.tool, "org.apache.kafka.tools.AclCommand", *line[5:])
    told = await refused(deployment)
    assert f"topic {deployment.readings}:" not in str(told) and f"topic {deployment.checkpoints}:" in str(told)


# --- the processes


def command(deployment: Deployment, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **to_environment(deployment)}
    whole = [sys.executable, "-m", "warning", *arguments, "--region", "indus"]
    return subprocess.Popen(whole, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_every_command_ends_with_one_line_and_its_code(kafka: services.SecuredKafka, tmp_path: Path) -> None:
    """One user each by ``{process}`` in the names; all of them with a password that is not right any more."""
    for process in PROCESSES:
        (tmp_path / process).write_text("old-secret\n")
    whose = place(kafka, "{process}", kafka_password="", kafka_password_file=str(tmp_path / "{process}"), directory=tmp_path)
    running = {process: command(whose, process, "--port", str(free_port())) for process in PROCESSES}
    for process, child in running.items():
        words = child.communicate(timeout=300)[0]
        assert child.returncode == ExitCode.ACCESS, words
        said = [line for line in words.splitlines() if "is refused: no such user, or another password" in line]
        assert len(said) == 1 and f"'{process}'" in said[0] and str(tmp_path / process) in said[0], words
        assert "Traceback" not in words and "old-secret" not in words


@pytest.mark.parametrize("process", PROCESSES)
async def test_every_process_ends_without_a_right_that_it_needs(
    kafka: services.SecuredKafka, indus: Region, process: str, tmp_path: Path
) -> None:
    lacks = {"worker": "alerts", "ingest": "readings", "dispatch": "alerts", "api": "hazards"}[process]
    deployment = place(kafka, process, directory=tmp_path)
    for right in rights(deployment, process):
        if right.name != deployment.prefix + lacks:
            await kafka.rule(f"User:{process}", right)
    if process == "worker":
        told: list[object] = []
        assert await asyncio.wait_for(work(indus, deployment, told.append, PIPELINE, asyncio.Event()), 30) is ExitCode.ACCESS
        assert "has no Read and Write right" in str(told[-1])
        return
    begin: Callable[..., Awaitable[None]] = getattr(wiring, process)
    with pytest.raises(AccessError, match=f"topic {deployment.prefix}{lacks}: user '{process}' has no (Read|Write|Read and Write) right"):
        await asyncio.wait_for(begin(indus, deployment, asyncio.Event()), 30)


async def test_a_right_that_is_taken_from_a_running_worker_ends_it(kafka: services.SecuredKafka) -> None:
    deployment = place(kafka, "worker")
    await kafka.give(deployment, "worker")
    with WorkerProcess(deployment=asdict(deployment), region={"stations": 4, "partitions": 2}) as worker:
        await asyncio.to_thread(worker.wait_for, "CheckpointWritten")
        await kafka.rule("User:worker", Right("topic", deployment.readings, (READ,), ""), away=True)
        assert await asyncio.to_thread(worker.ends, 60.0) == ExitCode.ACCESS
    ends = [line for line in worker.words.splitlines() if "the worker ends with code" in line]
    assert len(ends) == 1 and f"user 'worker' has no right to {deployment.readings}" in ends[0]
    assert "Traceback" not in worker.words


async def test_a_gateway_says_which_right_was_taken_and_goes_on_when_it_is_back(kafka: services.SecuredKafka) -> None:
    deployment = place(kafka, "ingest")
    await kafka.give(deployment, "worker", "ingest")
    await ensure_topics(replace(deployment, kafka_user="worker", kafka_password="worker-secret"), 1)
    right = Right("topic", deployment.readings, (WRITE,), "")
    log = gateway_log(deployment)
    await log.start()
    try:
        assert await log.until_up(30), log.why
        await log.append({(deployment.readings, 0): [(b"b", b"{}")]})
        await kafka.rule("User:ingest", right, away=True)
        for _ in range(2):  # the first learns it from the broker, the second is told why
            with pytest.raises(Unavailable):
                await log.append({(deployment.readings, 0): [(b"b", b"{}")]})
            await asyncio.sleep(1.0)
        assert f"topic {deployment.readings}: user 'ingest' has no Write right" in log.why
        await kafka.rule("User:ingest", right)
        assert await log.until_up(60), log.why
        await log.append({(deployment.readings, 0): [(b"b", b"{}")]})
    finally:
        await log.stop()


async def test_what_was_rejected_is_sent_again_with_the_rights_for_it_alone(kafka: services.SecuredKafka, tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))
    own = place(kafka, "rejected", directory=tmp_path)
    await kafka.give(own, "worker", "rejected")
    admin = replace(own, kafka_user="admin", kafka_password="admin-secret")
    await ensure_topics(replace(own, kafka_user="worker", kafka_password="worker-secret"), region.partitions)
    said = {"station": "A", "parameter": "stage", "time": "2025-09-02T12:00:00Z", "value": 250, "datum": "gauge_zero"}
    letter = Rejected(reason="unit_missing", stage="ingest", detail="unit", record=json.dumps(said), provider="agency", at_ms=1)
    producer = AIOKafkaProducer(**access.arguments(admin))
    await producer.start()
    for number in range(1500):
        await producer.send(own.rejected, to_json(msgspec.structs.replace(letter, at_ms=number)))
    await producer.stop()
    found = await wiring_rejected.listing(own, Selection(), 3)
    assert found.groups == {("ingest", "unit_missing", "agency"): 1500}
    assert [each.offset for each in found.newest] == [1497, 1498, 1499]
    chosen = Selection(names=frozenset({(0, 7), (0, 1499)}))
    for taken, before in ((2, 0), (0, 2)):
        _, done = await wiring_rejected.replay(region, own, "me", "why", chosen, Edits(set={"unit": "cm"}))
        assert (done.taken, done.before) == (taken, before)
    recent = Selection(reasons=frozenset({"unit_missing"}), since_ms=int(time.time() * 1000) + 7_200_000)
    assert (await wiring_rejected.preview(region, own, recent, Edits(), 1)).letters == 0
    await kafka.rule("User:rejected", Right("topic", own.rejected, (READ,), ""), away=True)
    with pytest.raises(WarningSystemError) as told:
        await wiring_rejected.listing(own, Selection(), 3)
    assert own.rejected in str(told.value) and "-secret" not in str(told.value)


def gateway_log(deployment: Deployment) -> KafkaLog:
    """As the wiring makes it."""
    check = partial(access_check.check, deployment, "ingest")
    return KafkaLog(
        deployment.bootstrap, {deployment.readings: 1}, within_s=5.0, security=partial(access.security, deployment), check=check
    )


async def test_a_password_that_is_rotated_while_they_run(kafka: services.SecuredKafka, tmp_path: Path) -> None:
    """The gateway takes the new one from its file; the worker ends, says why, and is up again with the new one at its next start."""
    secret = tmp_path / "password"
    secret.write_text("rotated-secret\n")
    deployment = place(kafka, "rotated", kafka_password="", kafka_password_file=str(secret))
    for process in ("worker", "ingest"):
        for right in rights(deployment, process):
            await kafka.rule("User:rotated", right)
    await ensure_topics(deployment, 1)
    log = gateway_log(deployment)
    await log.start()
    settings = {"deployment": asdict(deployment), "region": {"stations": 2, "partitions": 1}}
    try:
        with WorkerProcess(**settings) as worker:
            assert await log.until_up(30), log.why
            await asyncio.to_thread(worker.wait_for, "CheckpointWritten")
            entity = ("--alter", "--entity-type", "users", "--entity-name", "rotated")
            password = ("--add-config", "SCRAM-SHA-512=[password=fresh-secret]")
            await asyncio.to_thread(kafka.tool, "kafka.admin.ConfigCommand", *entity, *password)
            await asyncio.to_thread(kafka.kill)  # who is connected stays so; a broker that starts again asks anew
            await asyncio.to_thread(kafka.start)
            assert await asyncio.to_thread(worker.ends, 90.0) == ExitCode.ACCESS
        assert "'rotated' is refused" in worker.words and str(secret) in worker.words and "-secret" not in worker.words
        with pytest.raises(Unavailable):
            await log.append({(deployment.readings, 0): [(b"b", b"{}")]})
        while log.up:  # the gateway learns it by its lane's time, a moment after its sender
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)
        assert "'rotated' is refused" in log.why
        secret.write_text("fresh-secret\n")
        assert await log.until_up(60), log.why
        await log.append({(deployment.readings, 0): [(b"b0", b"{}")]})
    finally:
        await log.stop()
    with WorkerProcess(**settings) as worker:
        await asyncio.to_thread(worker.wait_for, "Ready", ready=True)
        assert await asyncio.to_thread(worker.stop) == ExitCode.OK


def test_configuration_is_all_said_at_once() -> None:
    wrong = Deployment(kafka_security="SASL_SSL", kafka_mechanism="GSSAPI", kafka_key_file="k")
    with pytest.raises(ConfigError) as told:
        access.arguments(wrong)
    assert len(told.value.problems) == 4
