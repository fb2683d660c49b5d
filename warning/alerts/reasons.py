"""A hazard's reasons in words: code and SI numbers in, a sentence in the reader's language and units out."""

from __future__ import annotations

import functools
import re

from warning.alerts import exposed, hand_words
from warning.alerts.display import amount, class_name, clean, decimal, hazard_of, local_time, phrases, place
from warning.alerts.phrases import Phrases
from warning.model import Level, Reason
from warning.region import Region

_AMOUNTS = ("value", "limit", "rate", "upstream_value", "share", "rain", "threshold", "antecedent")
_SUFFIXES = {"_m3s": "discharge", "_m3_s": "discharge", "_m": "stage", "_mm": "rain"}
RIGHT_TO_LEFT = ("ur", "ps", "sd", "fa")
_LAST_MS = 253_370_764_800_000  # year 9999
Value = float | int | str | None


def words(reason: Reason, region: Region, language: str, quantity: str = "") -> str:
    """One reason in words, without a full stop.

    ``quantity`` (stage, discharge) says what the numbers are where the reason has no ``parameter``; without it the quantity that all
    zones of the region share. An unknown code is shown as it is, with its numbers. Never raises.
    """
    quantity = quantity or _common_quantity(region)
    texts = phrases(language, hazard_of(quantity))
    fields = _fields(reason, region, language, texts, quantity)
    code = reason.code
    rate = reason.values.get("rate_per_h")
    if code == "trend" and isinstance(rate, int | float) and rate < 0:
        code = "trend_falling"
    if code == "exposure":
        fields |= exposed.fields(reason.values, region, texts)
    for template in (hand_words.said(texts.language),) if code == "manual" else texts.reasons.get(code, ()):
        if _names(template) <= fields.keys():
            return template.format_map(fields)
    plain = ", ".join(f"{clean(name)} {clean(str(value))}" for name, value in reason.values.items() if value is not None)
    return f"{clean(reason.code)} ({plain})" if plain else clean(reason.code)


@functools.cache  # a few dozen templates, each asked for at every reason
def _names(template: str) -> frozenset[str]:
    return frozenset(re.findall(r"{(\w+)}", template))


def _common_quantity(region: Region) -> str:
    quantities = {zone.limits.quantity for zone in region.zones}
    return quantities.pop() if len(quantities) == 1 else ""


def _fields(reason: Reason, region: Region, language: str, texts: Phrases, quantity: str) -> dict[str, str]:
    """What the templates may name, as texts; what is unknown is absent."""
    values = reason.values
    own = str(values.get("parameter") or values.get("quantity") or quantity)
    upstream = region.zone_by_id.get(str(values.get("upstream")))
    fields: dict[str, str] = {}
    if values.get("parameter") is None and own in texts.parameters:
        fields["parameter"] = texts.parameters[own]
    for name, value in values.items():
        if value is None:
            continue
        known = _field(name, value, region, language, texts, hazard_of(quantity))
        if known is not None:
            fields[known[0]] = known[1]
        elif isinstance(value, int | float):
            base, measured = _quantity(name, own)
            if base == "upstream_value" and upstream is not None and measured == own:
                measured = upstream.limits.quantity
            if base in _AMOUNTS or base == "rate_per_h":
                number = abs(value) if base == "rate_per_h" else value  # the template says rising or falling
                fields["rate" if base == "rate_per_h" else base] = amount(number, measured, region, language)
    return fields


def _quantity(name: str, own: str) -> tuple[str, str]:
    for suffix, quantity in _SUFFIXES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix), quantity
    return name, own


def _field(name: str, value: Value, region: Region, language: str, texts: Phrases, hazard: str) -> tuple[str, str] | None:
    """A value that is not an amount: (name in the template, text)."""
    if isinstance(value, str):
        return name, _word(name, value, region, language, texts, hazard)
    if value is None:
        return None
    if name.endswith("_ms"):
        return name.removesuffix("_ms"), local_time(int(value), region, language) if 0 <= value < _LAST_MS else "?"
    if name in ("probability", "wetness"):
        return name, f"{100 * value:.0f} %"
    if name in ("temperature", "humidity"):
        return name, amount(value, name, region, language)
    if name.endswith("_h") and name != "rate_per_h":
        return name.removesuffix("_h"), f"{value:.0f}" if abs(value) >= 10 else decimal(f"{value:.3g}", texts)
    return (name, f"{value:.0f}") if name == "points" else None


def _word(name: str, value: str, region: Region, language: str, texts: Phrases, hazard: str) -> str:
    if name in ("level", "upstream_level") and value in Level.__members__:
        return class_name(Level[value], region, language, hazard)
    if name == "upstream":
        return place(region.zone_by_id.get(value), clean(value), language)
    if name == "parameter":
        return texts.parameters.get(value, clean(value))
    if name == "source" and texts.language in RIGHT_TO_LEFT:
        return f"\u2068{clean(value)}\u2069"  # isolated: a date in it would fall apart
    if name == "likelihood":
        return texts.likelihoods.get(value, clean(value))
    if name == "cause":
        return texts.causes.get(value, clean(value))
    return clean(value)
