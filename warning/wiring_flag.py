"""What an operator says about a sensor, into the log: one record under its basin, acknowledged before it is called said."""

from __future__ import annotations

from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.model import ManualFlag, to_json
from warning.region import Region
from warning.wiring import readings_log

PATIENCE_S = 20.0


async def say(region: Region, deployment: Deployment, flag: ManualFlag) -> None:
    """Returns when the log has it; raises Unavailable otherwise: then it may be said again, for twice is as once."""
    log = readings_log(region, deployment, "ingest")
    await log.start()
    try:
        if not await log.until_up(PATIENCE_S):
            raise Unavailable(f"nothing was said: {log.why}")
        basin = region.station_by_id[flag.station].basin
        await log.append({(deployment.readings, region.basins[basin]): [(basin.encode(), to_json(flag))]})
    finally:
        await log.stop()
