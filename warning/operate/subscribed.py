"""What the routes of subscriptions take and answer, and how what is asked for is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from warning.config_contacts import EMAIL, REHEARSAL
from warning.deployment import Deployment
from warning.model import Level, Receipt, Status
from warning.operate.desk import ProblemError
from warning.operate.endpoints import refused
from warning.operate.present import utc
from warning.people.interest import Interest, wrong_ring, zones_of
from warning.people.subscriptions import Line, Subscription, Wanted
from warning.region import QUANTITIES, Region, Ring, nobodys_email

Class = Literal["LOW", "MEDIUM", "HIGH", "VERY_HIGH", "EXCEPTIONAL"]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], Field(max_length=1000)]
HAZARDS = tuple(sorted({one.hazard for one in QUANTITIES.values()}))


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Area(_Asked):
    """A GeoJSON polygon with one ring: [longitude, latitude]."""

    type: Literal["Polygon"]
    coordinates: Annotated[list[list[tuple[float, float]]], Field(min_length=1, max_length=1)]

    def ring(self) -> Ring:
        return tuple((lat, lon) for lon, lat in self.coordinates[0])


class Wish(_Asked):
    """Places: a zone counts if any of ``districts``, ``rivers``, ``zones`` or the ``area`` has it; none named: all. ``hazards``: none: all.

    One of ``url`` and ``email``. ``live``: gets warnings of the status Actual and nothing else; false: exercises and nothing else.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    url: Annotated[str, Field(max_length=1000)] | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    districts: Names = []
    rivers: Names = []
    zones: Names = []
    area: Area | None = None
    hazards: Names = []
    level: Class = "LOW"
    language: str = "en"
    role: Literal["agency", "official", "responder", "operator", "public"] = "agency"
    live: bool | None = None


class Change(_Asked):
    """What is left out stays."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    url: Annotated[str, Field(max_length=1000)] | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    districts: Names | None = None
    rivers: Names | None = None
    zones: Names | None = None
    area: Area | None = None
    hazards: Names | None = None
    level: Class | None = None
    language: str | None = None
    role: Literal["agency", "official", "responder", "operator", "public"] | None = None
    live: bool | None = None


class Rotation(_Asked):
    overlap_h: Annotated[float, Field(ge=0, le=720, description="so long the old secret signs beside the new one")] = 24.0


class Answer(BaseModel):
    """One subscription. ``matches``: the zones that it has as the region is now. ``secret``: only where it was just made."""

    id: str
    name: str
    state: str
    reason: str
    channel: str
    url: str | None
    email: str | None
    districts: list[str]
    rivers: list[str]
    zones: list[str]
    area: dict[str, Any] | None
    hazards: list[str]
    level: str
    language: str
    role: str
    live: bool
    matches: list[str]
    created: str
    changed: str
    secret: str | None = None
    former_secret_until: str | None = None


class Answers(BaseModel):
    subscriptions: list[Answer]


class Sent(BaseModel):
    """The newest state of an alert's delivery; or a challenge or test with its outcome."""

    at: str
    what: str
    state: str
    reason: str = ""
    attempt: int | None = None


class Deliveries(BaseModel):
    alerts: list[Sent]
    tests: list[Sent]


def answer(one: Subscription, region: Region, *, secret: bool = False) -> Answer:
    """As its owner sees it."""
    interest, webhook = one.interest, one.channel == "webhook"
    area = {"type": "Polygon", "coordinates": [[[lon, lat] for lat, lon in interest.area]]} if interest.area else None
    return Answer(
        id=one.id,
        name=one.name,
        state=one.state,
        reason=one.reason,
        channel=one.channel,
        url=one.address if webhook else None,
        email=None if webhook else one.address,
        districts=list(interest.districts),
        rivers=list(interest.rivers),
        zones=list(interest.zones),
        area=area,
        hazards=list(interest.hazards),
        level=one.level.value,
        language=one.language,
        role=one.role,
        live=one.live,
        matches=zones_of(interest, region),
        created=utc(one.created_ms),
        changed=utc(one.changed_ms),
        secret=one.secret if secret else None,
        former_secret_until=utc(one.former_until_ms) if one.former_secret else None,
    )


def sent(receipt: Receipt) -> Sent:
    return Sent(at=utc(receipt.at_ms), what=receipt.alert, state=receipt.state.value, reason=receipt.reason, attempt=receipt.attempt)


def tried(line: Line) -> Sent:
    return Sent(at=utc(line.at_ms), what=line.what, state=line.outcome, reason=line.detail)


def wish_of(one: Subscription, change: Change) -> Wish:
    """What stands, with what is to change."""
    given = {name: getattr(change, name) for name in change.model_fields_set}
    stands: dict[str, Any] = {
        "name": one.name,
        "url": one.address if one.channel == "webhook" else None,
        "email": one.address if one.channel == "email" else None,
        "level": one.level.value,
        "language": one.language,
        "role": one.role,
        "live": one.live,
    }
    if given.get("url") or given.get("email"):
        stands |= {"url": None, "email": None}
    for name in ("districts", "rivers", "zones", "hazards"):
        stands[name] = list(getattr(one.interest, name))
    if one.interest.area:
        stands["area"] = {"type": "Polygon", "coordinates": [[(lon, lat) for lat, lon in one.interest.area]]}
    merged = stands | {name: value for name, value in given.items() if value is not None or name == "area"}
    return Wish.model_validate({name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in merged.items()})


async def judged(wish: Wish, region: Region, deployment: Deployment) -> Wanted:
    """Raises ProblemError (422) naming field and fix."""
    _known("districts", wish.districts, region.district_by_id)
    _known("zones", wish.zones, region.zone_by_id)
    _known("rivers", wish.rivers, {zone.river: zone for zone in region.zones if zone.river})
    _known("hazards", wish.hazards, dict.fromkeys(HAZARDS))
    _known("language", [wish.language], dict.fromkeys(region.languages))
    ring = wish.area.ring() if wish.area else ()
    if wish.area and (wrong := wrong_ring(ring)):
        raise _wrong("area", wrong, "one closed ring of [longitude, latitude]")
    interest = Interest(tuple(wish.districts), tuple(wish.rivers), tuple(wish.zones), tuple(wish.hazards), ring)
    if not zones_of(interest, region):
        raise _wrong("area" if ring else "hazards", "no zone of the region is in it", "see GET /v1/zones and /v1/areas")
    actual = region.status is Status.ACTUAL and not deployment.replay
    live = actual if wish.live is None else wish.live
    channel, address = await _address(wish, deployment, live=live)
    return Wanted(wish.name, channel, address, wish.language, Level(wish.level), live, interest, wish.role)


async def _address(wish: Wish, deployment: Deployment, *, live: bool) -> tuple[str, str]:
    if (wish.url is None) == (wish.email is None):
        raise _wrong("url", "one of url and email is needed", "an https:// address, or an e-mail address")
    if wish.email is not None:
        if not EMAIL.fullmatch(wish.email):
            raise _wrong("email", "is not an e-mail address", "name@host.country")
        if live == nobodys_email(wish.email):
            raise _wrong("email", "exercises go to addresses at example.org alone, warnings to real ones", "set live, or another address")
        return "email", wish.email
    url = wish.url or ""
    if url.startswith(REHEARSAL) and deployment.rehearsal_url and not live:
        return "webhook", url
    if why := await refused(url):
        raise _wrong("url", why, "a public https:// address of yours")
    return "webhook", url


def _known(field: str, given: list[str], known: Any) -> None:
    for name in given:
        if name not in known:
            some = ", ".join(sorted(known)[:20])
            raise _wrong(field, f"{name!r} is not known here", f"known: {some}" + (" ..." if len(known) > 20 else ""))


def _wrong(field: str, what: str, fix: str) -> ProblemError:
    return ProblemError(422, "Not so", f"{field}: {what}.", field, fix)
