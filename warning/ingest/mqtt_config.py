"""What devices are told at ``sensors/DEVICE/config``, retained: a device that connects, or comes back, has it at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from aiomqtt import Client, MqttError

from warning.config_devices import Device
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.ingest.mqtt_link import arguments
from warning.ingest.mqtt_topics import config


def content(device: Device, now_ms: int) -> bytes:
    """JSON: ``interval_s`` (null: as the device does by itself), ``stations`` (empty: all), ``said_at``."""
    said_at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
    return msgspec.json.encode({"interval_s": device.interval_s, "stations": sorted(device.stations), "said_at": said_at})


async def publish(deployment: Deployment, devices: Sequence[Device], now_ms: int) -> None:
    """Tells these devices; the broker has all of it on return. Raises Unavailable, ConfigError."""
    settings = arguments(deployment) | {"identifier": f"{deployment.mqtt_session}-config", "clean_start": True, "properties": None}
    try:
        async with Client(**settings) as client:
            for device in devices:
                await client.publish(config(device.id), content(device, now_ms), qos=1, retain=True)
    except (MqttError, OSError, TimeoutError) as error:
        raise Unavailable(f"the MQTT broker did not take it: {error}") from error
