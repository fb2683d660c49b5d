"""What identifies a region's content: a digest over all that decides."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from warning.region import AlertRules, Region

# Contacts: a telephone number that changes in the middle of a flood must not look like other rules to the workers, and nothing that
# ``pipeline`` decides depends on one. Catchments: their rain comes as readings. Of the alert rules: what dispatch alone asks.
NOT_DECIDING = frozenset({"digest", "folder", "contacts", "catchments", "reviewed_languages", "sms"})
RULES_NOT_DECIDING = frozenset({"approve_persons", "escalate_after_s", "call_off_for_s"})
AT_ONCE = 1000  # nouns: as JSON all of a continent would be gigabytes


def digest(region: Region) -> str:
    """sha256 over what decides, as JSON: every field of ``Region`` but NOT_DECIDING by its name, nouns with their fields in declared order.

    Mappings of the region itself are sorted; those of its nouns stand as ``config`` builds them: names by language, limits by class.
    """
    hashed = hashlib.sha256()
    for name in sorted({field.name for field in dataclasses.fields(region)} - NOT_DECIDING):
        value = getattr(region, name)
        hashed.update(b"\n" + name.encode() + b":")
        if not isinstance(value, tuple):
            hashed.update(msgspec.json.encode(_deciding(value) if isinstance(value, AlertRules) else _sorted(value)))
            continue
        for first in range(0, len(value), AT_ONCE):
            hashed.update(b"," + msgspec.json.encode(value[first : first + AT_ONCE])[1:-1])
    return hashed.hexdigest()


def _deciding(rules: AlertRules) -> dict[str, Any]:
    """Its fields in declared order, as JSON writes the noun itself."""
    return {field.name: getattr(rules, field.name) for field in dataclasses.fields(rules) if field.name not in RULES_NOT_DECIDING}


def _sorted(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    named = {getattr(key, "name", key): _sorted(one) for key, one in value.items()}
    return dict(sorted(named.items()))
