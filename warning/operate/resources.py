"""The JSON resources under ``/v1``: region, zones, deliveries, sensors, base map."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from warning import __version__
from warning.alerts.display import class_name
from warning.errors import Unavailable
from warning.model import CLASSES, DeliveryState, Level
from warning.operate import audit, present, schema
from warning.operate.admission import Admission
from warning.operate.desk import Desk, Instant, ProblemError, to_ms

_HOUR_MS = 3_600_000
_SPAN_MS = 240 * _HOUR_MS  # ten days of a hydrograph unless the caller says otherwise
_AHEAD_MS = 24 * _HOUR_MS
_FIXED = {"Cache-Control": "public, max-age=3600"}


def router(desk: Desk, admission: Admission) -> APIRouter:
    """Routes of one desk."""
    routes, watched = APIRouter(prefix="/v1"), APIRouter(prefix="/v1", dependencies=[Depends(admission.reads())])
    _fixed(routes, desk)
    _maps(routes, desk)
    _zones(routes, desk)
    _watch(watched, desk)
    routes.routes += watched.routes
    return routes


def _fixed(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/region", tags=["region"], summary="The region, and how fresh what is shown here is")
    async def region() -> schema.RegionAnswer:
        own = desk.region
        log = desk.health.ready()[1]["parts"].get("log", {"ready": True})
        return schema.RegionAnswer(
            id=own.id,
            names=dict(own.names),
            status=own.status.value,
            replay=desk.deployment.replay,
            languages=list(own.languages),
            timezone=own.timezone_name,
            utc_offset_s=own.utc_offset_s,
            units=desk.units(),
            class_names={level.value: dict(names) for level, names in own.class_names.items()},
            hazard_class_names={
                hazard: {
                    level.value: {each: class_name(level, own, each, hazard) for each in own.languages}
                    for level in (Level.NORMAL, *CLASSES)
                }
                for hazard in sorted({zone.hazard for zone in own.zones} - {"flood"})
            },
            config=own.digest,
            version=__version__,
            maps=desk.basemap.names,
            log_time=present.maybe(desk.view.log_ms),
            still_s=desk.still_s,
            reading=None if log["ready"] else log["why"],
        )


def _maps(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/areas", tags=["zones"], summary="The areas of the zones, GeoJSON (zones without a river line have none)")
    async def areas() -> Response:
        features = [
            {
                "type": "Feature",
                "id": zone.id,
                "geometry": {"type": "Polygon", "coordinates": [[[lon, lat] for lat, lon in zone.polygon]]},
                "properties": {"names": dict(zone.names), "river": zone.river},
            }
            for zone in desk.region.zones
            if zone.polygon is not None
        ]
        body = msgspec.json.encode({"type": "FeatureCollection", "features": features})
        return Response(body, media_type="application/geo+json", headers=_FIXED)

    @routes.get("/map/{layer}", tags=["region"], summary="A layer of the base map, GeoJSON", responses=schema.NOT_FOUND)
    async def layer(layer: str) -> Response:
        body = desk.basemap.layer(layer)
        if body is None:
            raise ProblemError(404, "No such layer", f"This region has no layer {layer!r}.", "layer", f"one of {desk.basemap.names}")
        return Response(body, media_type="application/geo+json", headers=_FIXED)


def _zones(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/zones", tags=["zones"], summary="All zones with what is known about them now, GeoJSON")
    async def zones() -> schema.Zones:
        return present.zones(desk.region, desk.view, await desk.gate.active(desk.view, desk.now_ms))

    @routes.get("/zones/{zone}", tags=["zones"], summary="Readings, limits, forecast", responses=schema.NOT_FOUND | schema.PROBLEMS)
    async def zone(zone: str, since: Instant | None = None, until: Instant | None = None) -> schema.Hydrograph:
        if zone not in desk.region.zone_by_id:
            raise ProblemError(404, "No such zone", f"{desk.region.id} has no zone {zone!r}.", "zone", "an id of /v1/zones")
        until_ms = to_ms(until) if until else desk.now_ms + _AHEAD_MS
        since_ms = to_ms(since) if since else until_ms - _SPAN_MS
        if since_ms > until_ms:
            raise ProblemError(422, "Wrong parameter", "since is after until.", "since", "a time before until")
        return present.hydrograph(desk.region, desk.view, zone, await desk.gate.active(desk.view, desk.now_ms), since_ms, until_ms)


def _watch(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/deliveries", tags=["operation"], summary="Deliveries by their newest state, newest first", responses=schema.PROBLEMS)
    async def deliveries(
        alert: Annotated[str | None, Query(max_length=255)] = None,
        state: DeliveryState | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> schema.Deliveries:
        counts: dict[str, dict[str, int]] = {}
        found: list[schema.DeliveryAnswer] = []
        for receipt in reversed(desk.view.receipts.values()):
            states = counts.setdefault(receipt.channel, {})
            states[receipt.state.value] = states.get(receipt.state.value, 0) + 1
            if len(found) < limit and alert in (None, receipt.alert) and state in (None, receipt.state):
                found.append(present.delivery(receipt))
        return schema.Deliveries(counts=counts, deliveries=found)

    @routes.get("/sensors", tags=["operation"], summary="Which sensors need a person: silent, out of service, rejected, flagged; devices")
    async def sensors() -> schema.Sensors:
        await desk.watch.look()
        return audit.sensors(desk.region, desk.view, desk.judged_ms, desk.watch.service, desk.watch.devices)

    @routes.get("/sensors/{station}", tags=["operation"], summary="All about one station's sensors", responses=schema.NOT_FOUND)
    async def sensors_of(station: str) -> schema.StationSensors:
        if station not in desk.region.station_by_id:
            raise ProblemError(404, "No such station", f"{desk.region.id} has no station {station!r}.", "station", "an id of stations.csv")
        await desk.watch.look()
        try:
            history = await desk.watch.history(station)
        except Unavailable as error:
            raise ProblemError(503, "Away", "The registry of sensors does not answer; try again.") from error  # why is in the log
        return audit.of_station(desk.region, desk.view, desk.judged_ms, station, desk.watch.service, desk.watch.devices, history)
