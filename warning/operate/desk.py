"""What the routes of the API share: the region, the picture, the documents, and what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator

from warning.alerts import cap
from warning.alerts.display import phrases
from warning.config_units import factor, zero
from warning.deployment import Deployment
from warning.operate import schema
from warning.operate.basemap import BaseMap
from warning.operate.health import Health
from warning.operate.release import Gate
from warning.operate.sensor_watch import SensorWatch
from warning.operate.store import Store
from warning.operate.view import View
from warning.proof.signing import Signed
from warning.region import QUANTITIES, Region


class ProblemError(Exception):
    """Answered as an RFC 9457 problem document."""

    def __init__(
        self, status: int, title: str, detail: str, field: str | None = None, fix: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.problem = schema.Problem(title=title, status=status, detail=detail, field=field, fix=fix)


@dataclass(frozen=True, slots=True)
class Desk:
    """``clock`` is Unix seconds: a live deployment's "now"; a replay's is the clock in its log."""

    region: Region
    deployment: Deployment
    view: View
    store: Store
    health: Health
    basemap: BaseMap
    gate: Gate
    watch: SensorWatch
    signed: Signed
    clock: Callable[[], float] = field(default=time.time)

    @property
    def now_ms(self) -> int:
        if self.deployment.replay:
            return self.view.log_ms or 0
        return round(self.clock() * 1000)

    @property
    def judged_ms(self) -> int | None:
        """The clock that sensors are judged by: None before the first tick of a replay."""
        return self.view.log_ms if self.deployment.replay else self.now_ms

    @property
    def still_s(self) -> float | None:
        """How long the clock in the log has stood still; None for a replay, which may pause, and before the first tick."""
        if self.deployment.replay or self.view.log_ms is None:
            return None
        return max(0.0, self.clock() - self.view.log_ms / 1000)

    def units(self) -> dict[str, schema.Unit]:
        shown = {"stage": "m", "discharge": "m3/s", "rain": "mm", "temperature": "degC", "humidity": "%", "ratio": "%"} | dict(
            self.region.display_units
        )
        units = {}
        for quantity, unit in shown.items():
            one = factor(unit, quantity)
            names = {language: phrases(language, "heat").units.get(unit, unit) for language in cap.languages(self.region)}
            own = {language: name for language, name in names.items() if language != "en" and name != unit}
            units[quantity] = schema.Unit(unit=unit, names=own, per_si=1 / one, zero=-zero(unit) / one)
        return units | {name: units[quantity.shown] for name, quantity in QUANTITIES.items()}


def _instant(value: object) -> object:
    """pydantic takes "1756274400" for a time; here only what is written as one is one."""
    if isinstance(value, str) and len(value) > 10 and value[4:5] == "-" and value[10] in "Tt":
        return value.replace(" ", "+")  # a "+" in a query that nobody escaped arrives as a space
    raise ValueError("write a time as ISO 8601 with its zone, e.g. 2025-08-27T06:00:00Z")


Instant = Annotated[AwareDatetime, BeforeValidator(_instant), Query(json_schema_extra={"type": "string", "format": "date-time"})]


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970. Raises nothing: every aware datetime has one."""
    return (at - datetime.fromtimestamp(0, at.tzinfo)) // timedelta(milliseconds=1)
