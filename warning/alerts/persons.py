"""Are two answers from two people? By the name that they gave, and by the key that they used."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Protocol, TypeVar


class Answer(Protocol):
    """What a person said: under which name, with which key of the API ("": none, by command)."""

    @property
    def by(self) -> str: ...

    @property
    def key(self) -> str: ...


A = TypeVar("A", bound=Answer)


def person(name: str) -> str:
    """A name as it is compared: "A. Khan", " a.  khan" and "Ａ. Khan" are one person; invisible characters do not make another.

    >>> person(" A.  KHAN") == person("a. khan") == person("A\u200b. Khan")
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(one for one in plain if unicodedata.category(one) not in ("Cf", "Cc", "Mn") or one.isspace()).split())


def different(answers: Iterable[A]) -> list[A]:
    """The answers of different people, the first of each. A second name on one key is nobody new, nor a second key of one name."""
    found: list[A] = []
    names: set[str] = set()
    keys: set[str] = set()
    for one in answers:
        name = person(one.by)
        if not name or name in names or (one.key and one.key in keys):
            continue
        names.add(name)
        keys.add(one.key)
        found.append(one)
    return found
