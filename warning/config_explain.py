"""What is wrong with a key or a cell, in our words, and how to mend it: pydantic's errors for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from warning.config_schema import PATTERNS, RegionFile


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest known word, or the known words, or nothing."""
    words = sorted(known)
    folded = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]}?"
    return f"known: {', '.join(words)}" if 0 < len(words) <= 20 else ""


def explain(error: Any, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and the fix."""
    kind, loc = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}", did_you_mean(str(loc[-1]), _keys_at(model, loc[:-1])) or "remove it"
    if kind == "missing":
        return f"{loc[-1]!r} is missing", "write it"
    if kind == "value_error":
        what, _, fix = str(error["ctx"]["error"]).partition("; ")
        return what, fix
    if kind in ("string_pattern_mismatch", "literal_error", "bool_parsing", "float_parsing", "int_parsing"):
        return f"{error['input']!r} is not right here", _fix_of(error)
    return f"{error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}", _fix_of(error)


def _fix_of(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return f"write {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"write {PATTERNS.get(context['pattern'], 'what matches ' + context['pattern'])}"
    return {
        "bool_parsing": "write true or false",
        "float_parsing": "write a number with a point, without unit and without commas",
        "int_parsing": "write a whole number",
        "string_type": "put it in quotes",
        "int_type": "write a whole number",
        "float_type": "write a number",
    }.get(kind, "")


def _keys_at(model: type[BaseModel], loc: tuple[Any, ...]) -> set[str]:
    """The keys that are known at that place of the model."""
    for part in loc:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        inner = next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if inner is None:
            return set()
        model = inner
    keys = set(model.model_fields)
    return (keys - {"names"}) | {"name_en"} if "names" in keys and model is not RegionFile else keys
