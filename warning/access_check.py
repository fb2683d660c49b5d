"""Before a process begins: do the brokers know us, and have we the rights that it needs? In bounded time, and every problem at once.

The brokers are asked (Metadata and DescribeGroups with authorized operations, KIP-430), nothing is tried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from warning.access import in_words, security, whoami
from warning.access_rights import Right, missing, rights
from warning.deployment import Deployment
from warning.errors import AccessError, Problem, Unavailable, WarningSystemError

WITHIN_S = 20.0
REQUEST_S = 8.0
_ABSENT, _NO_TOPIC_RIGHT, _NO_GROUP_RIGHT = 3, 29, 30
_SOON = (14, 15, 16)  # the coordinator is loading, not there yet, or moved
_UNKNOWN = -(1 << 31)  # a broker without an authorizer may say this: it lets everybody do everything


class _Metadata_v8(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names them
    API_KEY, API_VERSION = 3, 8
    _partition = (
        ("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32),
        ("replicas", Array(Int32)), ("isr", Array(Int32)), ("offline_replicas", Array(Int32)),
    )  # fmt: skip
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        ("topics", Array(
            ("error_code", Int16), ("topic", String("utf-8")), ("is_internal", Boolean), ("partitions", Array(*_partition)),
            ("authorized_operations", Int32),
        )),
        ("cluster_authorized_operations", Int32),
    )  # fmt: skip


class _MetadataRequest_v8(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY, API_VERSION, RESPONSE_TYPE = 3, 8, _Metadata_v8
    SCHEMA = Schema(("topics", Array(String("utf-8"))), ("create", Boolean), ("of_cluster", Boolean), ("of_topics", Boolean))


class _AskTopics(Request[_MetadataRequest_v8]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest_v8]) -> _MetadataRequest_v8:
        return request_struct_class(self._topics, False, False, True)


class _GroupsRequest_v3(RequestStruct):  # type: ignore[misc]  # noqa: N801 - aiokafka 0.14.0 takes the answer to its own for version 2
    API_KEY, API_VERSION, RESPONSE_TYPE = 15, 3, DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("of_groups", Boolean))


class _AskGroups(Request[_GroupsRequest_v3]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_GroupsRequest_v3]) -> _GroupsRequest_v3:
        return request_struct_class(self._groups, True)


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group as its coordinator sees it."""

    state: str  # Stable, PreparingRebalance, CompletingRebalance, Empty, Dead
    members: int
    granted: int  # bit field of operations; 0: not even Describe


async def check(deployment: Deployment, process: str, *, absent: bool = True, within_s: float = WITHIN_S) -> None:
    """Raises ``ConfigError`` (settings, files), ``AccessError`` (refused: password, certificate, each missing right) or ``Unavailable``
    (away, unknown host) after ``within_s`` at most. ``absent``: topics need not be there yet. The embedded broker knows no rights."""
    security(deployment)
    if deployment.embedded:
        return
    try:
        async with asyncio.timeout(within_s):
            problems = await _problems(deployment, process, absent)
    except TimeoutError as error:
        raise Unavailable(f"broker {deployment.bootstrap} takes connections, but does not answer within {within_s:.0f} s") from error
    if problems:
        raise AccessError(problems)


async def refusal(deployment: Deployment, process: str) -> WarningSystemError | None:
    """What ``check`` raises, unless that is only that nobody answers."""
    try:
        await check(deployment, process, within_s=REQUEST_S)
    except Unavailable as error:
        return error if error.reason == "host" else None
    except WarningSystemError as error:
        return error
    return None


async def group(deployment: Deployment, name: str) -> Group:
    """Raises ``AccessError``, ``Unavailable``."""
    try:
        async with asyncio.timeout(WITHIN_S):
            connection = await _connected(deployment)
            try:
                return await _group(deployment, connection, name)
            finally:
                connection.close()
    except TimeoutError as error:
        raise Unavailable(f"broker {deployment.bootstrap} does not answer about the group {name}") from error


async def _problems(deployment: Deployment, process: str, absent: bool) -> list[Problem]:
    wanted = [right for right in rights(deployment, process) if not right.prefixed]
    connection = await _connected(deployment)
    try:
        problems = await _topics(deployment, connection, [right for right in wanted if right.kind == "topic"], absent)
        for right in wanted:
            if right.kind == "group":
                found = await _group(deployment, connection, right.name)
                problems += _lacking(deployment, right, found.granted)
    finally:
        connection.close()
    return problems


async def _connected(deployment: Deployment) -> AIOKafkaConnection:
    """To the first address that takes us; a refusal is raised rather than an address that is away."""
    worst: WarningSystemError | None = None
    for address in deployment.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            return await _connect(deployment, host.strip("[]"), int(port))
        except (WarningSystemError, OSError) as error:
            told = in_words(error, deployment, f"broker {address.strip()}")
            worst = told if worst is None or isinstance(told, AccessError) else worst
    assert worst is not None, "split() gives one address at the least"
    raise worst


async def _connect(deployment: Deployment, host: str, port: int) -> AIOKafkaConnection:
    try:
        return await create_conn(host, port, request_timeout_ms=int(REQUEST_S * 1000), **security(deployment))
    except WarningSystemError:
        raise
    except Exception as error:  # whatever TLS, SASL or the protocol make of a stranger's answer
        raise in_words(error, deployment, f"broker {host}:{port}") from error


async def _ask(deployment: Deployment, connection: AIOKafkaConnection, request: Any) -> Any:
    try:
        return await connection.send(request)
    except Exception as error:
        raise in_words(error, deployment, f"broker {connection.host}:{connection.port}") from error


async def _topics(deployment: Deployment, connection: AIOKafkaConnection, wanted: list[Right], absent: bool) -> list[Problem]:
    response = await _ask(deployment, connection, _AskTopics([right.name for right in wanted]))
    answers = {name: (code, granted) for code, name, _, _, granted in response.topics}
    problems: list[Problem] = []
    for right in wanted:
        code, granted = answers.get(right.name, (_ABSENT, 0))
        if code == _NO_TOPIC_RIGHT:
            problems += _lacking(deployment, right, 0)
        elif code == 0:
            problems += _lacking(deployment, right, granted)
        elif code == _ABSENT and not absent:
            raise Unavailable(f"topic {right.name} is not there (the worker makes it at its first start)", reason="topic")
    return problems


async def _group(deployment: Deployment, connection: AIOKafkaConnection, name: str) -> Group:
    while True:
        found = await _ask(deployment, connection, FindCoordinatorRequest(name, 0))
        if found.error_code == _NO_GROUP_RIGHT:
            return Group("", 0, 0)
        if found.error_code == 0:
            coordinator = await _connect(deployment, found.host, found.port)
            try:
                response = await _ask(deployment, coordinator, _AskGroups([name]))
            finally:
                coordinator.close()
            code, _, state, _, _, members, granted = response.groups[0]
            if code in (0, _NO_GROUP_RIGHT):
                return Group(state, len(members), 0 if code else granted)
        else:
            code = found.error_code
        if code not in _SOON:
            raise in_words(for_code(code)(name), deployment, f"group {name}")
        await asyncio.sleep(0.25)


def _lacking(deployment: Deployment, right: Right, granted: int) -> Iterable[Problem]:
    if granted == _UNKNOWN:
        return
    if lacking := missing(right, granted):
        words = " and ".join(operation.word for operation in lacking)
        fix = f"`warning acls` prints the command; needed: {right.why}"
        yield Problem(f"{right.kind} {right.name}", f"{whoami(deployment)} has no {words} right at {deployment.bootstrap}", fix)
