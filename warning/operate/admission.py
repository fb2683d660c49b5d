"""Who may use which route of the API: a key's role, asked by the route itself (``Depends(admission.needs("operator"))``).

What is for everybody (zones, alerts, feeds, the page) asks for nothing. Where ``Deployment.api_closed`` is set, what is for those who
operate (deliveries, sensors) asks for the role viewer, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from warning.errors import AuthError, Unavailable
from warning.operate.desk import ProblemError
from warning.people.keys import ROLES, ApiKeys, Person


def _admitted(request: Request) -> Person:
    person: Person = request.state.person
    return person


Who = Annotated[Person, Depends(_admitted)]  # of a route that has ``dependencies=[Depends(admission.needs(...))]``: whom it admitted
EVERYBODY = Person("", "", frozenset(), 0)


class Admission:
    """``closed``: also what operators read needs a key."""

    def __init__(self, keys: ApiKeys, *, closed: bool = False) -> None:
        self.keys, self._closed = keys, closed

    def needs(self, *roles: str) -> Callable[[Request], Awaitable[Person]]:
        """A dependency: the person whose key it is, if it has one of these roles. 401 without a key, 403 without the role."""
        assert roles and set(roles) <= ROLES.keys(), roles

        async def admitted(request: Request) -> Person:
            person = await self._who(request)
            if not any(person.may(role) for role in roles):
                detail = f"{person.name} has {', '.join(sorted(person.roles))}; this needs {' or '.join(roles)}."
                raise ProblemError(403, "Not yours", detail, "role", "`warning access roles`, by who may")
            request.state.person = person
            return person

        return admitted

    def reads(self) -> Callable[[Request], Awaitable[Person]]:
        """A dependency of what is for operators: everybody's unless the deployment is closed."""
        viewer = self.needs("viewer")

        async def admitted(request: Request) -> Person:
            return await viewer(request) if self._closed else EVERYBODY

        return admitted

    async def _who(self, request: Request) -> Person:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise ProblemError(401, "Whose key?", "This needs a key.", "authorization", "Authorization: Bearer wk_...")
        try:
            return await self.keys.verify(text.strip())
        except AuthError as error:
            raise ProblemError(401, "No such key", str(error), "authorization", "`warning access new` makes one") from error
        except Unavailable as error:
            raise ProblemError(503, "Away", "The database of keys does not answer; try again.") from error
