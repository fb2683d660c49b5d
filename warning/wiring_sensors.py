"""A sensor taken out of service, or into service again: a flag in the log, so that the decision sees it, then the registry, for people.

In this order: killed in between, the log knows it and the registry does not; said again, the log has it twice, which is as once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from warning import wiring_flag
from warning.deployment import Deployment
from warning.errors import ConfigError, Problem
from warning.model import ManualFlag, Parameter
from warning.operate.registry import Registry, Service, address
from warning.region import Region
from warning.wiring import clock_ms


async def say(
    region: Region, deployment: Deployment, out: bool, station: str, parameter: Parameter | None, since_ms: int | None, who: str, why: str
) -> list[Service]:
    """What was said, a sensor each. ``parameter`` None: all that the station measures. Raises ConfigError, Unavailable."""
    now_ms = clock_ms()
    since_ms = now_ms if since_ms is None else since_ms
    which = _which(region, station, parameter, since_ms, now_ms, who, why)
    registry = Registry(address(deployment))
    said = []
    try:
        await registry.open()  # before anything stands in the log
        action: Literal["fail", "withdraw"] = "fail" if out else "withdraw"
        for each in which:
            flag = ManualFlag(
                flag_ms=now_ms, station=station, parameter=each, action=action, who=who, because=why, from_ms=since_ms, to_ms=None
            )
            await wiring_flag.say(region, deployment, flag)
            service = Service(station, each, out, since_ms, now_ms, who, why)
            await registry.say(service)
            said.append(service)
    finally:
        await registry.close()
    return said


def _which(region: Region, station: str, parameter: Parameter | None, since_ms: int, now_ms: int, who: str, why: str) -> list[Parameter]:
    problems = []
    found = region.station_by_id.get(station)
    known = [] if found is None else [series.parameter for series in found.series]
    if found is None:
        problems.append(Problem(station, f"region {region.id} has no such station", "its stations are in stations.csv"))
    elif parameter is not None and parameter not in known:
        has = ", ".join(each.value for each in known)
        problems.append(Problem(parameter.value, f"{station} does not measure it", f"it measures {has}"))
    if not who.strip() or not why.strip():
        problems.append(Problem("--who, --why", "are empty", "say who you are and why: it stands in the log for ever"))
    if since_ms < 0:
        problems.append(Problem("--from", "lies before 1970", "write the time from which on its readings are wrong"))
    if since_ms > now_ms:  # until then its silence would raise no alarm
        problems.append(Problem("--from", "lies ahead", "say it when the time has come"))
    if problems:
        raise ConfigError(problems)
    return known if parameter is None else [parameter]


def at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
