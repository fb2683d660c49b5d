"""What the routes of people's decisions take and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from warning.alerts.cap import replaces_automatic
from warning.model import Alert, Level
from warning.operate.present import utc
from warning.people.keys import Person
from warning.proof.decisions import Act

Class = Literal["LOW", "MEDIUM", "HIGH", "VERY_HIGH", "EXCEPTIONAL"]
Why = Annotated[str, Field(min_length=1, max_length=300)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(_Asked):
    """May this chain go out up to this class? A higher one is asked again."""

    level: Class
    granted: bool = True


class Wish(_Asked):
    """Quiet about a zone, up to a class, for so many hours."""

    zone: Annotated[str, Field(max_length=255)]
    level: Class
    hours: Annotated[float, Field(gt=0, le=24)]
    reason: Why
    contact: Annotated[str, Field(max_length=255)] = ""


class Word(_Asked):
    """An alert by hand. ``observed``: the person saw it; else it is expected, at ``arrival`` if that is known."""

    level: Class
    reason: Why
    expires_h: Annotated[float, Field(gt=0, le=22.5)]
    arrival: AwareDatetime | None = None
    observed: bool = False


class NewAlert(Word):
    zone: Annotated[str, Field(max_length=255)]


class Ground(_Asked):
    reason: Why


class Again(_Asked):
    """Whom an alert is sent again to: who meets all that is named. ``undelivered``: whom no receipt and no answer came from."""

    reason: Why
    contact: Annotated[str, Field(max_length=255)] = ""
    district: Annotated[str, Field(max_length=255)] = ""
    channel: Annotated[str, Field(max_length=20)] = ""
    undelivered: bool = False


class NewKey(_Asked):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    roles: Annotated[list[str], Field(min_length=1, max_length=10)]
    note: Annotated[str, Field(max_length=500)] = ""


class Roles(_Asked):
    roles: Annotated[list[str], Field(min_length=1, max_length=10)]


class ActAnswer(BaseModel):
    """One decision. ``by``: a person's name, or ``rule:NAME`` where a rule decided."""

    id: int
    kind: str
    by: str
    key: str
    at: str
    subject: str
    what: dict[str, Any]


class Acts(BaseModel):
    decisions: list[ActAnswer]
    next: int | None  # ``before`` of the next page


class SilenceAnswer(BaseModel):
    id: int
    zone: str
    level: str
    since: str
    until: str
    by: str
    reason: str
    contact: str


class Silences(BaseModel):
    silences: list[SilenceAnswer]


class Held(BaseModel):
    """An alert in force that waits. ``until``: when ``unanswered`` decides; ``answers``: who has said what of its chain."""

    identifier: str
    zone: str
    level: str
    sent: str
    until: str
    reason: str
    words: str
    answers: list[ActAnswer]


class Approvals(BaseModel):
    persons: int
    unanswered: str
    waiting: list[Held]


class Decided(BaseModel):
    """``identifier``: of the alert that was made; the dispatcher publishes it within seconds."""

    identifier: str
    by: str


class InPlace(Decided):
    """``silent_until``: the automatic chain in whose place it stands. If that holds still it is told again then; at once if it rises."""

    silent_until: str | None


class Resent(BaseModel):
    """``identifier``: of the revision that goes again, within seconds; ``decision``: its number, which stands at each delivery's change."""

    identifier: str
    decision: int
    by: str


class KeyAnswer(BaseModel):
    id: str
    name: str
    roles: list[str]
    created: str
    revoked: str | None
    note: str


class Keys(BaseModel):
    keys: list[KeyAnswer]


class MadeKey(KeyAnswer):
    """``key`` is shown this once."""

    key: str


def act(one: Act) -> ActAnswer:
    said = {name: value for name, value in one.what.items() if name not in ("event", "once")}
    return ActAnswer(id=one.id, kind=one.kind, by=one.by, key=one.key, at=utc(one.at_ms), subject=one.subject, what=said)


def key(person: Person) -> KeyAnswer:
    revoked = None if person.revoked_ms is None else utc(person.revoked_ms)
    roles = sorted(person.roles)
    return KeyAnswer(id=person.id, name=person.name, roles=roles, created=utc(person.created_ms), revoked=revoked, note=person.note)


def made(alert: Alert, by: str) -> InPlace:
    """What a person said in the place of another alert."""
    silent = utc(alert.expires_ms) if replaces_automatic(alert.zone, alert.references) else None
    return InPlace(identifier=alert.identifier, by=by, silent_until=silent)


def level(name: str) -> Level:
    return Level(name)
