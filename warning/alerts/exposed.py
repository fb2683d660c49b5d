"""Who and what is exposed, in few words: "7 towns with 1.2 million people, 2 bridges, Guddu thermal power station"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from warning.alerts.display import clean, decimal, figure, name_of
from warning.alerts.phrases import Phrases
from warning.model import Reason
from warning.region import Exposure, Region

Value = float | int | str | None


def reason(exposure: Exposure) -> Reason:
    """The exposure as a ground of a hazard; ids and names are joined by ``|``."""
    values: dict[str, Value] = {
        "basis": exposure.basis,
        "within_km": exposure.within_m / 1000.0,
        "towns": exposure.towns,
        "people": exposure.people,
        "unsized": exposure.unsized,
        "largest": "|".join(town.name for town in exposure.largest),
        "assets": "|".join(exposure.assets),
    }
    return Reason(code="exposure", values=values)


def fields(values: Mapping[str, Value], region: Region, texts: Phrases) -> dict[str, str]:
    """``area`` and ``exposed`` of the template, from the values of ``reason``."""
    area = texts.words.get(f"area_{values.get('basis')}")
    if area is None:
        return {}
    counts = [_count(values.get(name)) for name in ("towns", "people", "unsized")]
    what = [] if values.get("basis") == "districts" else [_towns(counts[0], counts[1], counts[2], texts)]
    what += _grouped(ids(values), region, texts)
    within = values.get("within_km")
    km = f"{within:g}" if isinstance(within, int | float) else "?"
    return {"area": area.format(km=km), "exposed": texts.words["comma"].join(filter(None, what))}


def ids(values: Mapping[str, Value]) -> Sequence[str]:
    """The ids of the assets in the values of a reason."""
    return [one for one in str(values.get("assets") or "").split("|") if one]


def _count(value: Value) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _towns(towns: int, people: int, unsized: int, texts: Phrases) -> str:
    if not towns:
        return texts.words["no_town"]
    sized = towns - unsized
    said = texts.words["one_town" if sized == 1 else "towns"].format(number=sized, people=number(people, texts)) if sized else ""
    unknown = texts.words["unsized"].format(number=unsized) if unsized else ""
    return texts.words["comma"].join(filter(None, (said, unknown)))


def _grouped(assets: Iterable[str], region: Region, texts: Phrases) -> list[str]:
    """One of a kind by its name, several as a number; one that the region no longer has by its id."""
    kinds: dict[str, list[str]] = {}
    for one in assets:
        asset = region.asset_by_id.get(one)
        kinds.setdefault(asset.kind if asset else one, []).append(one)
    return [
        texts.assets[kind].format(number=len(found)) if len(found) > 1 and kind in texts.assets else name(found[0], region, texts)
        for kind, found in kinds.items()
    ]


def name(asset: str, region: Region, texts: Phrases) -> str:
    """An asset's name in the language of the texts; its id if the region has no such asset."""
    known = region.asset_by_id.get(asset)
    return name_of(known.names, texts) if known else clean(asset)


def number(people: int, texts: Phrases) -> str:
    """To two digits, for nobody counted them yesterday: 1.2 million, 740,000, 12 lakh, 950."""
    shown = people
    if people >= 100:
        digits = 10 ** (len(str(people)) - 2)
        shown = (people + digits // 2) // digits * digits
    for unit, template in texts.counts:
        if shown >= unit:
            return template.format(number=decimal(f"{shown / unit:.1f}".removesuffix(".0"), texts))
    return figure(shown, 0, texts)
