"""What devices are told at ``sensors/DEVICE/config``, retained: a device that connects, or comes back, has it at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiomqtt import Client, MqttError

from warning.config_devices import Device
from warning.deployment import Deployment
from warning.errors import AccessError, Problem, Unavailable
from warning.ingest.mqtt_link import arguments
from warning.ingest.mqtt_topics import config


def content(device: Device, now_ms: int) -> bytes:
    """JSON: ``interval_s`` (null: as the device does by itself), ``stations`` (empty: all), ``said_at``."""
    said_at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
    return msgspec.json.encode({"interval_s": device.interval_s, "stations": sorted(device.stations), "said_at": said_at})


async def publish(deployment: Deployment, devices: Sequence[Device], now_ms: int) -> None:
    """Tells these devices; the broker has all of it on return. Raises Unavailable, ConfigError, AccessError."""
    settings = arguments(deployment) | {"identifier": f"{deployment.mqtt_session}-config", "clean_start": True, "properties": None}
    client = Client(**settings)
    refused = refusals(client)
    try:
        async with client:
            for device in devices:
                await client.publish(config(device.id), content(device, now_ms), qos=1, retain=True)
                if refused:
                    what = f"publishing on {config(device.id)} is refused: {refused[0]}"
                    raise AccessError([Problem("MQTT", what, "give our user the right to write it")])
    except (MqttError, OSError, TimeoutError) as error:
        raise Unavailable(f"the MQTT broker did not take it: {error}") from error


def refusals(client: Client) -> list[Any]:
    """Reasons why the broker has not taken what was published, as they come: aiomqtt takes every PUBACK for a yes."""
    refused: list[Any] = []
    theirs: Any = client._client.on_publish

    def heard(paho: Any, said: Any, number: int, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            refused.append(reason)
        theirs(paho, said, number, reason, properties)

    client._client.on_publish = heard
    return refused
