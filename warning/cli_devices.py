"""``warning devices``: which device is which station, what a payload says, and what devices are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warning.cli_options import Mqtt, Prefix, RegionName, deployment_of
from warning.errors import ConfigError, InputError, Problem

if TYPE_CHECKING:
    from warning.config_devices import Device, Measured

devices = typer.Typer(name="devices", help="Sensors that send by MQTT or LoRaWAN: devices.csv.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(help="device ids; default: all that send by MQTT")]


@devices.command("list")
def list_devices(region: RegionName) -> None:
    """Print each device of devices.csv: how it sends, and what of it is which series."""
    from warning import config, config_devices
    from warning.cli_shown import show
    from warning.rehearsal.summary import Table

    found = config.load(region)
    rows = [row for device in config_devices.load(Path(found.folder), found) for row in _rows(device)]
    show([Table(f"Devices of {found.id}", ("device", "by", "station", "parameter", "is"), tuple(rows))])


def _rows(device: Device) -> list[tuple[str, ...]]:
    if not device.measures:
        return [(device.id, "MQTT", ", ".join(sorted(device.stations)) or "any", "as sent", "JSON")]
    return [(device.id, f"LoRaWAN {device.eui}", one.station, one.parameter.value, _words(one)) for one in device.measures]


def _words(one: Measured) -> str:
    scaled = f"{one.field} in {one.unit}" if one.scale == 1.0 else f"{one.scale:g} x {one.field}, in {one.unit}"
    if one.mount_height_m is not None:
        return f"{one.mount_height_m:g} m - {scaled}"
    return f"{one.offset_m:g} m + {scaled}" if one.offset_m else scaled


@devices.command()
def decode(
    codec: Annotated[str, typer.Argument(help="name of a codec, such as milesight-em500-swl")],
    payload: Annotated[str, typer.Argument(help="the frame in hexadecimal digits")],
    port: Annotated[int, typer.Option("--port", help="fPort", min=0, max=255)] = 85,
    region: Annotated[Path | None, typer.Option("--folder", help="folder of a region with codecs of its own", file_okay=False)] = None,
) -> None:
    """Print what a LoRaWAN frame says by a codec."""
    from warning import config_codecs
    from warning.ingest.codecs import decode as decoded

    path = config_codecs.find(codec, region)
    if path is None:
        raise ConfigError([Problem(codec, "no such codec", f"known: {', '.join(config_codecs.known(region))}")])
    problems: list[Problem] = []
    layout = config_codecs.read_layout(path, problems)
    if layout is None:
        raise ConfigError(problems)
    try:
        data = bytes.fromhex(payload)
    except ValueError as error:
        raise InputError(f"{payload[:40]!r}: {error}", reason="payload", field="PAYLOAD", fix="pairs of hexadecimal digits") from None
    found = decoded(layout, port, data)
    for record in found.records:
        print("now" if record.time_s is None else f"kept at {record.time_s} s since 1970 UTC")
        for name, value in record.values.items():
            print(f"  {name}: {'missing' if value is None else value}")
    if found.wrong is not None:
        raise found.wrong


@devices.command()
def configure(region: RegionName, names: Names = None, mqtt: Mqtt = None, prefix: Prefix = None) -> None:
    """Tell MQTT devices their interval and stations (sensors/DEVICE/config, retained)."""
    from warning import config, config_devices, wiring
    from warning.ingest import mqtt_config

    found = config.load(region)
    known = {device.id: device for device in config_devices.load(Path(found.folder), found) if not device.eui}
    if unknown := [name for name in names or () if name not in known]:
        raise ConfigError([Problem(name, "is no MQTT device of devices.csv", f"known: {', '.join(known)}") for name in unknown])
    deployment = deployment_of(found, mqtt_url=mqtt, prefix=prefix).as_process("ingest")
    chosen = [known[name] for name in names or known]
    asyncio.run(mqtt_config.publish(deployment, chosen, wiring.clock_ms()))
    print(f"{len(chosen)} devices are told")
