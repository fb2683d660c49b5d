"""What a sender is told of an item that was not taken: at a gateway and at an edge node alike."""

from __future__ import annotations

import msgspec

from warning.errors import InputError


class Refused(msgspec.Struct, frozen=True):
    """``index`` counts from 0 in the request or message."""

    index: int
    reason: str
    field: str
    detail: str
    fix: str

    @staticmethod
    def of(index: int, error: InputError) -> Refused:
        return Refused(index, error.reason, error.field, str(error), error.fix)
