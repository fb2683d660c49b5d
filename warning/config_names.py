"""Names as a region keeps them: frozen, and a sixth of what a dict takes, for a continent has a million stations."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import msgspec


def names(of: Mapping[str, str]) -> Mapping[str, str]:
    """language -> name, in the order given: equal to a dict that says the same, JSON to msgspec, can be pickled, has a hash."""
    made: Mapping[str, str] = _kind(tuple(of))(*of.values())
    return made


class _Names(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One for each combination of languages (``_kind``), with a field each."""

    get, items, keys, values = (getattr(Mapping, name) for name in ("get", "items", "keys", "values"))

    def __getitem__(self, language: str) -> Any:
        if language not in self.__struct_encode_fields__:
            raise KeyError(language)
        return getattr(self, self.__struct_fields__[self.__struct_encode_fields__.index(language)])

    def __contains__(self, language: object) -> bool:
        return language in self.__struct_encode_fields__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__struct_encode_fields__)

    def __len__(self) -> int:
        return len(self.__struct_fields__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and _plain(self) == dict(other)

    def __hash__(self) -> int:
        return hash(frozenset(_plain(self).items()))

    def __repr__(self) -> str:
        return repr(_plain(self))

    def __reduce__(self) -> tuple[Any, tuple[dict[str, str]]]:
        return names, (_plain(self),)

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a region is frozen; edit its folder and load it again")

    __setitem__ = __delitem__ = __ior__ = _refuse


Mapping.register(_Names)


def _plain(one: _Names) -> dict[str, str]:
    return {language: one[language] for language in one}


@functools.cache
def _kind(languages: tuple[str, ...]) -> Any:
    fields = [f"name_{number}" for number in range(len(languages))]
    named = dict(zip(fields, languages, strict=True))
    return msgspec.defstruct("Names", [(field, str) for field in fields], bases=(_Names,), rename=named, frozen=True, eq=False, gc=False)
