"""``warning bench qc``: faults put into real records, found or not; what is good and flagged all the same; the same by ``ioos_qc``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from warning.model import Parameter
from warning.region import Region
from warning.rehearsal import qc_observable, qc_records, qc_reference, qc_trial
from warning.rehearsal.qc_faults import KINDS, Limits
from warning.rehearsal.qc_records import Records

SEED = 20_251_128
BEHIND_H = (3.0, 6.0, 12.0, 18.0)  # a wave's way from the neighbours, as if it took so much longer
RATE = 5.0  # m/h: the fastest that is taken without waiting for the next reading
_BELOW, _ABOVE = 2.0, 5.0  # m below the lowest and above the highest that is known, where nobody configured what is plausible
SETS: dict[str, Callable[[Path], Records]] = {
    "ditwah-2025": qc_records.ditwah,
    "texas-2026": qc_records.texas,
    "france-2020": qc_records.france,
}
Say = Callable[[str], None]


def limits_of(records: Records, configured: Region | None) -> dict[str, Limits]:
    """The region's where it has any."""
    if configured is None:
        return {
            name: Limits(float(value.min()) - _BELOW, float(value.max()) + _ABOVE, RATE, RATE)
            for name, (_, value) in records.series.items()
        }
    found = {}
    for station in records.series:
        one = next(each for each in configured.station_by_id[station].series if each.parameter is Parameter.STAGE)
        assert None not in (one.plausible_min, one.plausible_max, one.rise_per_hour, one.fall_per_hour)
        found[station] = Limits(*(float(v or 0) for v in (one.plausible_min, one.plausible_max, one.rise_per_hour, one.fall_per_hour)))
    return found


def measure(
    folder: Path,
    many: int,
    by_reference: int,
    configured: Region,
    say: Say,
    only: Sequence[str] = tuple(SETS),
    kinds: Sequence[str] = tuple(KINDS),
    behind_h: Sequence[float] = BEHIND_H,
) -> dict[str, Any]:
    """``kinds`` in the sets ``only``: the document of ``--json``. ``by_reference``: so many of each by ``ioos_qc`` too. ``behind_h``:
    hours by which each series is late behind its neighbours, to see what of its rises has to wait."""
    rows: list[dict[str, Any]] = []
    for name in only:
        records = SETS[name](folder)
        limits = limits_of(records, configured if name == "ditwah-2025" else None)
        clean = qc_trial.as_received(records, limits)
        rows.append(_as_received(records, limits, clean, behind_h))
        say(sentence(rows[-1]))
        for kind in kinds:
            row = _row(kind, records, limits, clean, many, by_reference)
            rows.append(row)
            say(sentence(row))
    return {"faults": many, "seed": SEED, "rows": rows, "figures": _figures(rows)}


def _as_received(records: Records, limits: dict[str, Limits], clean: qc_trial.AsReceived, behind_h: Sequence[float]) -> dict[str, Any]:
    good = clean.readings - clean.faulty
    row: dict[str, Any] = {
        "set": records.name,
        "kind": "as received",
        "readings": good,
        "good_flagged": clean.flagged / good,
        "on_arrival": clean.on_arrival / good,
        "listed_faulty": clean.faulty,
        "listed_flagged": clean.faulty_flagged,
        "rises_failed": clean.failed,
        "causes": clean.causes,
        "rise_readings": clean.rises.readings,
        "rises_waited": clean.rises.waited,
        "rises_longest_wait_h": round(clean.rises.longest_h, 2),
        "behind": [_behind(records, limits, hours) for hours in behind_h],
    }
    try:
        by = [
            int((qc_reference.flagged(time, value, time, limits[name]) & ~qc_trial.listed(records, name)).sum())
            for name, (time, value) in records.series.items()
        ]
    except ImportError:
        return row
    return row | {"reference_good_flagged": sum(by) / good}


def _behind(records: Records, limits: dict[str, Limits], hours: float) -> dict[str, Any]:
    found = qc_trial.behind(records, limits, hours)
    return {"hours": hours, "rise_readings": found.readings, "waited": found.waited, "longest_wait_h": round(found.longest_h, 2)}


def _row(
    kind: str, records: Records, limits: dict[str, Limits], clean: qc_trial.AsReceived, many: int, by_reference: int
) -> dict[str, Any]:
    drawn = qc_observable.draw(kind, many, SEED, records, limits)
    one = qc_trial.find(kind, drawn.faults, records, limits, clean, SEED)
    sizes = [each.size for each in drawn.faults if each.size > 0.0]
    row: dict[str, Any] = {
        "set": records.name,
        "kind": kind,
        "faults": one.faults,
        "left_out": drawn.left_out,
        "detection": one.found / max(one.faults, 1),
        "on_arrival": one.on_arrival / max(one.faults, 1),
        "good_flagged": one.good_flagged / max(one.good, 1),
        "size_m": [round(float(each), 2) for each in np.percentile(sizes, (5, 50, 95))] if sizes else [],
        "causes": dict(sorted(one.causes.items())),
    }
    each = [limits[name] for name in records.series]
    some = drawn.faults[:by_reference]
    clean_of = [records.series[name] for name in records.series]
    try:
        found = qc_reference.find(some, each, clean_of, KINDS[kind].causes)
    except ImportError:
        return row
    return row | {"reference_detection": found / max(len(some), 1)}


def sentence(row: dict[str, Any]) -> str:
    """One row as a line."""

    def part(name: str) -> str:
        return f"{100 * row[name]:6.2f} %" if row.get(name) is not None else "       -"

    causes = ", ".join(f"{cause} {number}" for cause, number in row["causes"].items())
    if row["kind"] == "as received":
        return (
            f"{row['set']}: {row['readings']} good readings as received, flagged {part('good_flagged')} ({causes}), by ioos_qc "
            f"{part('reference_good_flagged')}; listed as faulty {row['listed_faulty']}, of them flagged {row['listed_flagged']}; "
            f"readings of rises that FAIL {row['rises_failed']}; that do not count at once {row['rises_waited']} "
            f"of {row['rise_readings']}, {row['rises_longest_wait_h']} h at most"
            + "".join(f"; with the wave {one['hours']:g} h later {one['waited']} of {one['rise_readings']}" for one in row["behind"])
        )
    words = f"{row['set']:12} {row['kind']:13}{row['faults']:6} faults (left out {row['left_out']}): found {part('detection')}, at once "
    return words + f"{part('on_arrival')}, good flagged {part('good_flagged')}, ioos_qc {part('reference_detection')}; {causes}"


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over all sets, by faults and by readings."""
    found: dict[str, float] = {}
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        faults = sum(row["faults"] for row in mine)
        if faults:
            found[f"detection_{kind}"] = sum(row["detection"] * row["faults"] for row in mine) / faults
    received = [row for row in rows if row["kind"] == "as received"]
    readings = sum(row["readings"] for row in received)
    found["good_flagged"] = sum(row["good_flagged"] * row["readings"] for row in received) / readings
    found["rises_failed"] = float(sum(row["rises_failed"] for row in received))
    return found
