"""``cash.yaml`` of a region's folder: when a payment system is told to get ready and to pay, how much, and up to what. Absent: never.

No part of the Region nor of its digest: nothing behind the log depends on it. The key stands in the environment or in a file, never here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from warning.config_agency import Strict
from warning.config_sources import Seconds
from warning.config_yaml import Key, read_yaml, table_of, yaml_where
from warning.errors import ConfigError, Problem
from warning.model import CLASSES, Level
from warning.region import Region

FILE = "cash.yaml"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Condition:
    """All of it must hold. Lead: from now until the water arrives at the limit; water that is there has a lead of 0."""

    level: Level
    probability: float
    lead_at_least_s: float
    lead_at_most_s: float | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """``amounts``: district -> whole units of the currency for one activation. ``most``: activations in one period."""

    id: str
    amounts: Mapping[str, int]
    readiness: Condition
    activation: Condition
    readiness_for_s: float
    approvals: int
    approval_for_s: float
    most: int
    cap: int


@dataclass(frozen=True, slots=True)
class Cash:
    """``status_url`` has ``{key}`` where the idempotency key stands. Caps are of one period, in whole units."""

    url: str
    status_url: str
    currency: str
    period_s: float
    cap: int
    cap_per_district: int
    valid_s: float  # an order that the payment system certainly did not take is given up after so long
    triggers: tuple[Trigger, ...]


def _level(value: object) -> Level:
    found = next((level for level in CLASSES if level.value == value), None)
    if found is None:
        raise ValueError(f"{value!r} is no class; write one of {', '.join(level.value for level in CLASSES)}")
    return found


Amount = Annotated[int, Field(gt=0, le=10**15)]


class ConditionModel(Strict):
    level: Annotated[Level, BeforeValidator(_level), Field(alias="class")]
    probability: Annotated[float, Field(gt=0, le=1)]
    lead_at_least: Seconds | None = None
    lead_at_most: Seconds | None = None

    def noun(self) -> Condition:
        return Condition(self.level, self.probability, self.lead_at_least or 0.0, self.lead_at_most)


class TriggerModel(Strict):
    """The keys of one trigger."""

    amounts: Annotated[dict[str, Amount], Field(min_length=1)]
    readiness: ConditionModel
    activation: ConditionModel
    readiness_for: Seconds = 72 * 3600.0
    approvals: Annotated[int, Field(ge=0, le=2)] = 2
    approval_for: Seconds = 12 * 3600.0
    most_activations: Annotated[int, Field(ge=1, le=100)] = 1
    cap: Amount
    about: str = ""

    def noun(self, id: str) -> Trigger:
        return Trigger(
            id,
            dict(sorted(self.amounts.items())),
            self.readiness.noun(),
            self.activation.noun(),
            self.readiness_for,
            self.approvals,
            self.approval_for,
            self.most_activations,
            self.cap,
        )


class CashModel(Strict):
    """The whole file."""

    url: str
    status_url: str
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    period: Seconds
    cap: Amount
    cap_per_district: Amount
    valid: Seconds = 24 * 3600.0
    triggers: Annotated[dict[str, TriggerModel], Field(min_length=1)]


def load(region: Region) -> Cash | None:
    """What stands in the region's folder; None without the file. Raises ConfigError with all problems."""
    found, problems = read(Path(region.folder), region)
    if fatal := [problem for problem in problems if problem.fatal]:
        raise ConfigError(fatal)
    return found


def check(region: Region) -> list[Problem]:
    """Every problem of the file in the region's folder."""
    return read(Path(region.folder), region)[1]


def read(folder: Path, region: Region) -> tuple[Cash | None, list[Problem]]:
    """The noun if nothing is wrong, and what is."""
    path = folder / FILE
    if not path.exists():
        return None, []
    problems: list[Problem] = []
    _, lines = table_of(path, [], "config/README.md shows what it holds")
    model = read_yaml(path, CashModel, problems)
    if model is None:
        return None, problems
    problems += [Problem(yaml_where(path, lines, key), words, fix) for key, words, fix in _wrong(model, region)]
    triggers = tuple(one.noun(id) for id, one in sorted(model.triggers.items()))
    caps = (model.cap, model.cap_per_district)
    return Cash(model.url, model.status_url, model.currency, model.period, *caps, model.valid, triggers), problems


def _wrong(model: CashModel, region: Region) -> Iterator[tuple[Key, str, str]]:
    """(key, words, fix) of what is wrong between the keys."""
    for name, url in (("url", model.url), ("status_url", model.status_url)):
        place = urlsplit(url)
        if not place.hostname or place.scheme not in ("http", "https") or place.username or (place.query and name == "url"):
            yield (name,), "is no plain URL", "write https://host/path, without a key in it"
        elif place.scheme == "http" and place.hostname not in LOOPBACK:
            yield (name,), "money does not travel unencrypted", "write https://"
    if "{key}" not in model.status_url:
        yield ("status_url",), "does not say whose status", "write {key} where the idempotency key stands"
    for id, one in model.triggers.items():
        here = ("triggers", id)
        if not _ID.fullmatch(id):
            yield here, f"{id!r} is no id of a trigger", "small letters, digits and hyphens"
        for district, amount in one.amounts.items():
            if district not in region.district_by_id:
                yield (*here, "amounts", district), f"{district!r} is no district of {region.id}", "an id of districts.csv"
            elif amount > min(model.cap, model.cap_per_district, one.cap):
                yield (*here, "amounts", district), f"{amount} is above a cap, so it is never paid", "raise the cap, or lower the amount"
        served = {district for zone in region.zones for district in zone.districts}
        if one.amounts.keys() <= region.district_by_id.keys() and not served & one.amounts.keys():
            yield (*here, "amounts"), "no zone has any of these districts, so it never triggers", "districts of zones"
        weaker = one.activation.level < one.readiness.level or one.activation.probability < one.readiness.probability
        if weaker:
            yield (*here, "activation"), "is weaker than readiness, which it presupposes", "at least its class and probability"
        for phase in ("readiness", "activation"):
            lead = getattr(one, phase)
            if lead.lead_at_most is not None and lead.lead_at_most <= (lead.lead_at_least or 0.0):
                yield (*here, phase), "no lead is between lead_at_least and lead_at_most", "a larger lead_at_most"
