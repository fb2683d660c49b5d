"""The ways in of sensors that are listed in ``devices.csv``, beside HTTP in ``warning ingest``: MQTT, and LoRaWAN networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warning.deployment import Deployment
from warning.facts import Listener
from warning.region import Region

if TYPE_CHECKING:
    from warning.ingest.gateway import Clock, Gateway
    from warning.ingest.keys import KeyStore
    from warning.ingest.mqtt import Mqtt
    from warning.ingest.rate import Limits


def sensors(
    add_routes: Callable[[Any], object],
    region: Region,
    deployment: Deployment,
    gateway: Gateway,
    keys: KeyStore,
    clock: Clock,
    listen: Listener,
    limits: Limits,
) -> tuple[Mqtt, ...]:
    """Adds the routes of LoRaWAN networks; the reader of MQTT, to be run, where the deployment names a broker.

    Raises ConfigError with all that is wrong with ``devices.csv``, or with the fields ``mqtt_*``.
    """
    from warning import config_datastreams, config_devices
    from warning.ingest import lorawan_http
    from warning.ingest.lorawan import Uplinks

    devices = config_devices.load(Path(region.folder), region)
    uplinks = Uplinks(devices, clock)
    add_routes(lorawan_http.routes(gateway, keys, uplinks, listen, limits))
    if not deployment.mqtt_url or deployment.replay:  # what is sent meanwhile is of today
        return ()
    from warning.ingest.mqtt import Mqtt
    from warning.ingest.mqtt_link import arguments
    from warning.ingest.sensorthings import Things

    arguments(deployment)  # what is wrong with it is said at the start, not once a connection
    things = Things.of(region, config_datastreams.load(region.folder, region))
    return (Mqtt(deployment, gateway, devices, uplinks, clock, listen, things),)
