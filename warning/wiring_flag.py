"""What an operator says about a sensor, into the log: one record under its basin, acknowledged before it is called said."""

from __future__ import annotations

from functools import partial

from warning import access, access_check
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.ingest.gateway import Gateway
from warning.ingest.log import KafkaLog
from warning.model import ManualFlag, to_json
from warning.region import Region

PATIENCE_S = 20.0


async def say(region: Region, deployment: Deployment, flag: ManualFlag) -> None:
    """Returns when the log has it; raises Unavailable otherwise: then it may be said again, for twice is as once."""
    log = KafkaLog(
        deployment.bootstrap,
        Gateway.topics(region, deployment),
        idempotent=not deployment.embedded,
        security=partial(access.security, deployment),
        check=partial(access_check.check, deployment, "ingest"),
    )
    await log.start()
    try:
        if not await log.until_up(PATIENCE_S):
            raise Unavailable(f"nothing was said: {log.why}")
        basin = region.station_by_id[flag.station].basin
        await log.append({(deployment.readings, region.basins[basin]): [(basin.encode(), to_json(flag))]})
    finally:
        await log.stop()
