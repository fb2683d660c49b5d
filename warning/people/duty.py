"""Who has others to warn: he may want no message, but then his office must hear in his place, and those who run the system must know.

A person of the public who said stop has chosen for himself and is left alone: he stands in no list. An official, a responder, an operator,
a control room, or anybody of an office has a duty that does not end with a stop.
"""

from __future__ import annotations

import sqlalchemy as sql

from warning.people.tables import contacts
from warning.region import Contact

ROLES = ("official", "responder", "operator")

ON_DUTY = sql.or_(contacts.c.office != "", contacts.c.control_room, contacts.c.role.in_(ROLES))


def on_duty(contact: Contact) -> bool:
    """The same of one."""
    return bool(contact.office) or contact.control_room or contact.role in ROLES
