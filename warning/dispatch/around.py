"""Who stands around contacts that a warning has not reached, and what the next step is for each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from warning.dispatch import steps
from warning.dispatch.audience import Ways
from warning.dispatch.steps import Others, Step
from warning.dispatch.trail import Row
from warning.people.directory import stand_ins
from warning.people.duty import on_duty
from warning.people.unreached import MACHINES
from warning.region import Contact

To = Callable[[Sequence[Contact], Sequence[Contact]], Step]  # office, rooms -> the step


@dataclass
class Around:
    """``contacts``: who was not reached, as they are now; ``offices``: whose there are; ``rooms``: every control room; ``districts``: of
    the alert's zone."""

    contacts: Mapping[str, Contact]
    offices: Mapping[str, list[Contact]]
    rooms: Sequence[Contact]
    districts: Sequence[str]
    asleep: Callable[[Contact], bool] = lambda contact: False  # in his quiet hours, which hold this warning back
    people: dict[str, Contact] = field(init=False)
    _rooms_of: dict[tuple[str, ...], list[Contact]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        every = (self.contacts.values(), *self.offices.values(), self.rooms)
        self.people = {one.id: one for some in every for one in some}

    def step(self, row: Row, others: Others, tried: Mapping[str, set[str]], ways: Ways) -> Step:
        """Because of one delivery. Who was removed meanwhile has no office that we know; his district's control room hears of it.

        Who sleeps is left out as long as somebody is awake, and waited for where nobody is.
        """
        contact = self.contacts.get(row["contact"])
        if contact is None:
            return self._to_awake(lambda some, rooms: steps.to_room(rooms, others, ways), (), self._near(()), others)
        if not contact.consent and not on_duty(contact):
            return Step(steps.CHOSE)
        if row["channel"] in MACHINES and steps.in_person(contact, ways):
            return Step(steps.OWN)
        office = stand_ins(contact, self.offices.get(contact.office, ()))
        mine = tried.get(contact.id, ())
        rooms = self._near(contact.districts)
        return self._to_awake(lambda some, awake: steps.step(contact, mine, some, awake, others, ways), office, rooms, others)

    def _to_awake(self, step: To, office: Sequence[Contact], rooms: Sequence[Contact], others: Others) -> Step:
        sleeping = {one.id for one in (*office, *rooms) if one.id not in others.told and self.asleep(one)}
        if not sleeping:
            return step(office, rooms)
        found = step(*([one for one in some if one.id not in sleeping] for some in (office, rooms)))
        return Step(steps.WAIT) if found.step == steps.NOBODY else found

    def _near(self, districts: Sequence[str]) -> list[Contact]:
        """The control rooms that answer for who lives there: of the districts that the alert is about, else of all of his."""
        near = tuple(one for one in districts if one in self.districts) or tuple(districts) or tuple(self.districts)
        if near not in self._rooms_of:
            wanted = set(near)
            found = [one for one in self.rooms if not wanted or not one.districts or not wanted.isdisjoint(one.districts)]
            self._rooms_of[near] = found
        return self._rooms_of[near]
