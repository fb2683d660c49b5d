"""Topics of MQTT: what comes on them, and from whom. A device's name stands in its topics, and the broker's ACL holds it to its own.

=========================================  =====================================================================================
``sensors/DEVICE/readings``                our JSON, one reading or several (QoS 1)
``sensors/DEVICE/status``                  its last will (``offline``), and what it says of itself: battery_v, rssi_dbm, time ...
``sensors/DEVICE/answers``                 from us: what was refused; what was taken too, if the message had correlation data (v5)
``sensors/DEVICE/config``                  from us, retained: interval_s, stations
``sensors/DEVICE/v1.1/.../Observations``    SensorThings: one Observation; ``...`` is ``Datastreams(ID)``, or nothing
``application/+/device/+/event/up``        ChirpStack 4 (also ``event/status``)
``v3/+/devices/+/up``                      The Things Stack 3
=========================================  =====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warning.ingest.uplink import Network

SENSORS = ("sensors/+/readings", "sensors/+/status", "sensors/+/v1.1/Observations", "sensors/+/v1.1/+/Observations")
NETWORKS = ("application/+/device/+/event/up", "application/+/device/+/event/status", "v3/+/devices/+/up")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose message it is. ``device``: as the topic has it; of a network's event its EUI or name there."""

    kind: Literal["readings", "status", "observation", "uplink", "other"]
    device: str = ""
    network: Network | None = None
    event: str = ""


def origin(topic: str) -> Origin:
    match topic.split("/"):
        case ["sensors", device, "readings"]:
            return Origin("readings", device)
        case ["sensors", device, "status"]:
            return Origin("status", device)
        case ["sensors", device, "v1.1", *_, "Observations"]:
            return Origin("observation", device)
        case ["application", _, "device", device, "event", event]:
            return Origin("uplink", device, Network.CHIRPSTACK, event)
        case ["v3", _, "devices", device, "up"]:
            return Origin("uplink", device, Network.TTN, "up")
    return Origin("other")


def subscriptions(group: str, *, networks: bool) -> list[tuple[str, int]]:
    """What a gateway of that group subscribes to: each message goes to one of the group. (filter, QoS)."""
    return [(f"$share/{group}/{topic}", 1) for topic in (*SENSORS, *(NETWORKS if networks else ()))]


def answers(device: str) -> str:
    return f"sensors/{device}/answers"


def config(device: str) -> str:
    return f"sensors/{device}/config"
