"""The topics of a deployment: made if absent, never changed, refused if they are not as they must be."""

from __future__ import annotations

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from warning import access
from warning.deployment import Deployment, Topic
from warning.errors import AccessError, ConfigError, ExitCode, Problem, StateError

_NO_RIGHT = 29  # TOPIC_AUTHORIZATION_FAILED
_EXISTS = 36  # TOPIC_ALREADY_EXISTS: another process of this deployment was faster


async def ensure_topics(deployment: Deployment, partitions: int) -> None:
    """Creates what is missing. ``partitions``: of ``readings`` and the topics that go with it; the others have one.

    Raises ``StateError`` (exit code CONFIG) if a topic has another number of partitions: basins would change places and their
    state would stay behind; ``ConfigError`` if the broker refuses a topic, ``AccessError`` if we have no right to make it;
    ``Unavailable`` if it cannot be reached.
    """
    admin = AIOKafkaAdminClient(**access.arguments(deployment), request_timeout_ms=20_000)
    try:
        await admin.start()
        wanted = {topic.name: (topic, partitions if topic.by_partition else 1) for topic in deployment.topics}
        missing = _compare(await _counts(admin, list(wanted)), wanted)
        if missing:
            new = [_new_topic(*wanted[name], deployment) for name in missing]
            _refusals(await admin.create_topics(new, timeout_ms=20_000), deployment)
            _compare(await _counts(admin, missing), {name: wanted[name] for name in missing})
    except KafkaError as error:
        raise access.in_words(error, deployment, f"broker {deployment.bootstrap}, asked for the topics {deployment.prefix}*") from error
    finally:
        await admin.close()


async def _counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """topic -> number of partitions; absent topics are left out. All are listed: to ask for one by name can create it."""
    found = {}
    for entry in await admin.describe_topics():
        if entry["topic"] not in names:
            continue
        if entry["error_code"]:
            raise for_code(entry["error_code"])(entry["topic"])
        found[entry["topic"]] = len(entry["partitions"])
    return found


def _compare(found: dict[str, int], wanted: dict[str, tuple[Topic, int]]) -> list[str]:
    wrong = [f"{name} has {count} partitions, not {wanted[name][1]}" for name, count in found.items() if count != wanted[name][1]]
    if wrong:
        raise StateError(
            f"{'; '.join(wrong)}. The number of partitions of a deployment cannot be changed: choose another prefix, or set "
            "'partitions' in the region back",
            exit_code=ExitCode.CONFIG,
            reason="partitions",
        )
    return [name for name in wanted if name not in found]


def _new_topic(topic: Topic, partitions: int, deployment: Deployment) -> NewTopic:
    configs = {"min.insync.replicas": str(min(2, deployment.replication)), "retention.ms": _milliseconds(topic.retention_s)}
    if topic.compact:
        configs |= {
            "cleanup.policy": "compact",
            "segment.ms": "600000",  # an open segment is not compacted, and recovery reads all that is left
            "segment.bytes": str(16 << 20),
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": "86400000",
        }
    if topic.name in (deployment.readings, deployment.checkpoints, deployment.receipts):
        # The broker's time comes back with every tick, and with the question before the first one (clock.py): that is how a worker,
        # and on receipts the dispatcher, sees that its own clock is wrong. It also makes retention count from the arrival, whatever a
        # sender claims.
        configs["message.timestamp.type"] = "LogAppendTime"
    return NewTopic(topic.name, partitions, deployment.replication, topic_configs=configs)


def _milliseconds(seconds: int | None) -> str:
    return "-1" if seconds is None else str(seconds * 1000)


def _refusals(response: Any, deployment: Deployment) -> None:
    problems, rights = [], []
    for name, code, *why in response.topic_errors:
        if code == _NO_RIGHT:
            fix = "`warning acls` prints the command; or make the topic by hand"
            what = f"is not there, or not to be seen, and {access.whoami(deployment)} has no Create right at {deployment.bootstrap}"
            rights.append(Problem(f"topic {name}", what, fix))
        elif code not in (0, _EXISTS):
            words = f"{for_code(code).__name__} {why[0] if why and why[0] else ''}".strip()
            fix = "WARNING_REPLICATION above the number of brokers?"
            problems.append(Problem(f"topic {name}", f"the broker refuses to create it: {words}", fix))
    if rights:
        raise AccessError(rights)
    if problems:
        raise ConfigError(problems)
