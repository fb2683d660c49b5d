"""Real servers for tests: where they are, how they are started, and that they end. ``make services`` installs what is not in a wheel.

A test that needs a server which is absent is skipped by name; with WARNING_REQUIRE_SERVICES=1 it fails.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from warning.access_rights import Right, rights
from warning.deployment import Deployment
from warning.stream.broker import EmbeddedBroker, end_with_parent, free_port
from warning.wiring_bench_broker import installed, one_broker, written

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"


def absent(name: str, how: str) -> None:
    """Skips the test, or fails it where all servers must be there."""
    words = f"{name} is not installed: {how}"
    if os.environ.get("WARNING_REQUIRE_SERVICES") == "1":
        pytest.fail(words)
    pytest.skip(words)


class ApacheKafka:
    """One KRaft broker on 127.0.0.1, with its own folder; ``kill`` and ``start`` again keep what it holds."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.port, self.controller = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.properties = folder / "server.properties"
        written(folder, self._settings())
        self._run("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(self.properties), *self._format())

    def _format(self) -> list[str]:
        """Users that are there from the beginning."""
        return []

    def _settings(self) -> dict[str, object]:
        return one_broker(self.folder, self.port, self.controller) | {
            "group.min.session.timeout.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "log.retention.check.interval.ms": 2000,
        }

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [
            "java",
            "-Xmx384m",
            "-Xms128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            logging,
            "-cp",
            f"{self.home}/libs/*",
            *arguments,
        ]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(self._java(*arguments), capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, within_s: float = 240.0) -> ApacheKafka:
        with (self.folder / "server.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(self.properties))
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=end_with_parent())
        until = time.monotonic() + within_s
        while not listening(self.port):
            words = (self.folder / "server.log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"Kafka ended: {words}"
            assert time.monotonic() < until, f"Kafka does not answer: {words}"
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(port: int, host: str = HOST) -> bool:
    try:
        with socket.create_connection((host, port), 0.5):
            return True
    except OSError:
        return False


@contextmanager
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


def _home() -> Path:
    home = installed()
    if home is None:
        absent("Apache Kafka", "make services (Java 17 and Maven), or set WARNING_KAFKA_HOME to a folder with libs/*.jar")
        raise AssertionError  # absent() does not return
    return home


@contextmanager
def apache_kafka() -> Iterator[ApacheKafka]:
    """Skips (or fails) where it is not installed."""
    home, folder = _home(), Path(tempfile.mkdtemp(prefix="kafka-"))
    kafka = ApacheKafka(home, folder)
    try:
        yield kafka.start()
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def secured_kafka(users: Mapping[str, str]) -> Iterator[SecuredKafka]:
    """Likewise."""
    home, folder = _home(), Path(tempfile.mkdtemp(prefix="kafka-"))
    kafka = SecuredKafka(home, folder, users)
    try:
        yield kafka.start()
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Certificates:
    """A CA in a folder, and certificates for ``localhost`` and 127.0.0.1 as PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.ca_file = folder, folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test CA {folder.name}")])
        ca = self._builder(self._name, self._key, days=30).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        ca = ca.add_extension(usage, critical=True)
        self.ca_file.write_bytes(ca.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        until = now + timedelta(days=days)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_after(until)
        return builder.not_valid_before(min(now, until) - timedelta(days=1))

    def issue(self, name: str, *, days: float = 30, host: str = "localhost") -> tuple[Path, Path]:
        """(certificate, key). ``days`` below 0: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, days)
        names = [x509.DNSName(host)] + ([x509.IPAddress(ipaddress.ip_address(HOST))] if host == "localhost" else [])
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        secret.write_bytes(private)
        secret.chmod(0o600)
        return certificate, secret


class SecuredKafka(ApacheKafka):
    """SCRAM-SHA-512 (and PLAIN) over TLS, and nobody may do what no rule allows, but ``admin``.

    ``users``: name -> password. On ports of their own: ``mutual`` TLS; TLS with a certificate that is ``expired``, or ``misnamed``. The
    broker talks to itself and to its controller by mutual TLS.
    """

    def __init__(self, home: Path, folder: Path, users: Mapping[str, str]) -> None:
        self.users = {"admin": "admin-secret", **users}
        self.certificates = Certificates(folder / "certificates")
        self.between, self.mutual, self.expired, self.misnamed = (free_port() for _ in range(4))
        self.keystore = self._keystore("broker")
        super().__init__(home, folder)

    def _keystore(self, name: str, **options: Any) -> Path:
        certificate, key = self.certificates.issue(name, **options)
        keystore = self.certificates.folder / f"{name}.keystore.pem"
        keystore.write_bytes(key.read_bytes() + certificate.read_bytes() + self.certificates.ca_file.read_bytes())
        return keystore

    def _settings(self) -> dict[str, object]:
        jaas = "org.apache.kafka.common.security"
        plain = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        addresses = {"CLIENT": self.port, "BROKER": self.between, "MUTUAL": self.mutual, "EXPIRED": self.expired, "MISNAMED": self.misnamed}
        listeners = ",".join(f"{name}://localhost:{port}" for name, port in addresses.items())
        return super()._settings() | {
            "controller.quorum.voters": f"1@localhost:{self.controller}",
            "listeners": f"{listeners},CONTROLLER://localhost:{self.controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CLIENT:SASL_SSL,BROKER:SSL,MUTUAL:SSL,EXPIRED:SSL,MISNAMED:SSL,CONTROLLER:SSL",
            "inter.broker.listener.name": "BROKER",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.client.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
            "listener.name.client.plain.sasl.jaas.config": f"{jaas}.plain.PlainLoginModule required {plain};",
            **{f"listener.name.{name}.ssl.client.auth": "required" for name in ("broker", "mutual", "controller")},
            "listener.name.expired.ssl.keystore.location": self._keystore("expired", days=-1),
            "listener.name.misnamed.ssl.keystore.location": self._keystore("misnamed", host="kafka.example.org"),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.ca_file,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:CN=broker;User:admin",
        }

    def _format(self) -> list[str]:
        return [word for name, secret in self.users.items() for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={secret}]")]

    @property
    def bootstrap(self) -> str:
        return f"localhost:{self.port}"

    def admin_properties(self) -> Path:
        """For Kafka's own tools."""
        file = self.folder / "admin.properties"
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        file.write_text(
            f"security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.certificates.ca_file}\n"
            f'sasl.jaas.config={module} username="admin" password="{self.users["admin"]}";\n'
        )
        return file

    def tool(self, name: str, *arguments: str) -> str:
        """Runs a class of Kafka's tools as admin; its words. Two seconds each."""
        where = ("--bootstrap-server", self.bootstrap, "--command-config", str(self.admin_properties()))
        return self._run(name, *where, *arguments)

    async def give(self, deployment: Deployment, *processes: str) -> None:
        """To each user the rights of the process of that name."""
        for process in processes:
            for right in rights(deployment, process):
                await self.rule(f"User:{process}", right)

    async def rule(self, principal: str, right: Right, *, away: bool = False) -> None:
        """Gives a right, or takes it away; waits until the broker does accordingly."""
        kind, pattern = {"topic": 2, "group": 3}[right.kind], 4 if right.prefixed else 3
        for operation in right.operations:
            order = DeleteAclsRequest if away else CreateAclsRequest
            await self._ask(order(kind, right.name, pattern, principal, "*", int(operation), 3))
            until = time.monotonic() + 60.0
            while (
                bool((await self._ask(DescribeAclsRequest(kind, right.name, pattern, principal, "*", int(operation), 3))).resources) == away
            ):
                assert time.monotonic() < until, f"{right} of {principal} does not take effect"
                await asyncio.sleep(0.05)

    async def _ask(self, request: Any) -> Any:
        secrets = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "admin", "sasl_plain_password": self.users["admin"]}
        context = ssl.create_default_context(cafile=str(self.certificates.ca_file))
        connection = await create_conn("localhost", self.port, security_protocol="SASL_SSL", ssl_context=context, **secrets)
        try:
            return await connection.send(request)
        finally:
            connection.close()
