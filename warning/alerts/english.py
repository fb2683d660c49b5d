"""English."""

from __future__ import annotations

from warning.alerts.phrases import Phrases
from warning.model import Level

ENGLISH = Phrases(
    language="en",
    draft=False,
    event="Flood",
    exercise="EXERCISE. ",
    test="TEST. ",
    exercise_note="This is an exercise. Nothing that it says is happening; only the designated participants act on it.",
    classes={
        Level.UNKNOWN: "Unknown",
        Level.NORMAL: "Below flood level",
        Level.LOW: "Low flood",
        Level.MEDIUM: "Medium flood",
        Level.HIGH: "High flood",
        Level.VERY_HIGH: "Very high flood",
        Level.EXCEPTIONAL: "Exceptionally high flood",
    },
    actions={
        Level.NORMAL: "The flood warning has ended.",
        Level.LOW: "Stay away from the river.",
        Level.MEDIUM: "Move animals and goods off the river bank.",
        Level.HIGH: "Leave the river bank and low ground.",
        Level.VERY_HIGH: "Leave low ground near the river now.",
        Level.EXCEPTIONAL: "Go to high ground NOW.",
    },
    instructions={
        Level.NORMAL: "The warning has ended. Damaged roads, bridges and embankments "
        "stay dangerous; return only when the local authorities say so.",
        Level.LOW: "Stay out of the river and off its bars and islands. Watch for further messages.",
        Level.MEDIUM: "Move people, animals and goods off the river bank and the islands. Be ready to leave. Do not cross flooded roads.",
        Level.HIGH: "Leave the river bank and low ground beside it. Help children, "
        "the old and the sick to leave first. Take papers, medicine and "
        "drinking water. Do not walk or drive through flood water. Follow the local authorities.",
        Level.VERY_HIGH: "Leave low ground near the river now, before the water cuts the "
        "roads. Help children, the old and the sick to leave first. "
        "Switch off electricity. Do not walk or drive through flood water. Follow the local authorities.",
        Level.EXCEPTIONAL: "Go to high ground now. Do not wait to save goods. Help "
        "children, the old and the sick to leave first. Stay away from "
        "embankments: they may fail. Do not walk or drive through flood water. Follow the local authorities.",
    },
    sentences={
        "expected": "{level} expected at {place} about {time}.",
        "expected_untimed": "{level} expected at {place}.",
        "observed": "{level} at {place} ({time}).",
        "upgrade_expected": "Raised: {level} expected at {place} about {time}.",
        "upgrade_expected_untimed": "Raised: {level} expected at {place}.",
        "upgrade_observed": "Raised: {level} at {place} ({time}).",
        "downgrade_expected": "Lowered: {level} expected at {place} about {time}.",
        "downgrade_expected_untimed": "Lowered: {level} expected at {place}.",
        "downgrade_observed": "Lowered: {level} at {place} ({time}).",
        "arrival": "New time: {level} expected at {place} about {time}.",
        "arrived": "{level} has reached {place} ({time}).",
        "silent": "{level} warning for {place} stays: the gauge is silent ({time}).",
        "stands": "{level} warning for {place} stays ({time}).",
        "in_force": "{level} warning for {place} ({time}).",
        "clear": "Water at {place} is back below the warning level ({time}).",
    },
    reasons={
        "observed_above": (
            "{parameter} {value} at {observed}: at or above the limit of {limit} for {level}",
            "{parameter} {value} at {observed}: at or above {limit}",
            "{parameter} {value}: at or above {limit}",
            "the reading is above a limit",
        ),
        "observed_below": (
            "{parameter} {value} at {observed}: below {limit}",
            "{parameter} {value} at {observed}: below every limit",
            "{parameter} {value}: below every limit",
            "the reading is below every limit",
        ),
        "unconfirmed": ("one reading of {value} would mean {level}; it is not confirmed yet", "one reading is not confirmed yet"),
        "suspect": (
            "a doubtful reading of {value} at {observed} was not used ({cause})",
            "a doubtful reading was not used ({cause})",
            "a doubtful reading was not used",
        ),
        "silent_since": ("no good reading from the gauge since {observed}", "there has never been a good reading from the gauge"),
        "never_spoke": ("there has never been a good reading from the gauge",),
        "trend": (
            "rising by {rate} an hour over the last {points} readings, carried on for {horizon} h",
            "rising by {rate} an hour",
            "rising",
        ),
        "trend_falling": ("falling by {rate} an hour over the last {points} readings", "falling by {rate} an hour", "falling"),
        "wave": (
            "a wave from {upstream} ({upstream_value}, {upstream_level}) takes {travel_low} to {travel_high} h and arrives about {arrival}",
            "a wave from {upstream} ({upstream_value}, {upstream_level}) takes {travel_low} to {travel_high} h",
            "a wave from {upstream} ({upstream_level}) is on its way",
            "a wave from {upstream} is on its way",
            "a wave from upstream is on its way",
        ),
        "expected": (
            "{level} (from {limit}) expected about {arrival}, probability {probability}",
            "{level} (from {limit}) expected, probability {probability}",
            "{level} expected, probability {probability}",
            "{level} expected",
        ),
        "neighbour_confirms": ("the gauge at {upstream} confirms the reading", "a neighbouring gauge confirms the reading"),
        "second_reading_confirms": ("a second reading confirms it",),
        "peak": ("peak of about {value} expected about {peak}", "peak of about {value} expected"),
        "out_of_service": (
            "the {parameter} sensor is out of service ({cause})",
            "the {parameter} sensor is out of service",
            "a sensor is out of service",
        ),
        "stale_reading": ("the newest reading is {age} h old", "the newest reading is old"),
        "end_unconfirmed": ("no reading confirms the end, so the warning stays",),
    },
    parameters={"stage": "water level", "discharge": "flow", "inflow": "inflow", "outflow": "outflow", "rain": "rain"},
    causes={
        "none": "no cause given",
        "missing": "missing",
        "sentinel": "the sensor's sign for missing",
        "future": "its time lies ahead",
        "stale": "too old",
        "gross_range": "out of range",
        "duplicate": "repeated",
        "revision": "revised",
        "spike": "spike",
        "rate_of_rise": "rose too fast",
        "rate_of_fall": "fell too fast",
        "flat_line": "stuck",
        "manual": "set by an operator",
        "internal": "internal error",
    },
    units={"m": "m", "ft": "ft", "m3/s": "m3/s", "cusec": "cusec", "mm": "mm"},
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    words={
        "value_stage": "Water level {value}.",
        "value_discharge": "Flow {value}.",
        "code": "Code {code}",
        "limits": "Limits at {place}: {limits} ({source}).",
        "districts": "Districts: {districts}.",
        "age": "Newest good reading: {age} old when this was issued.",
        "minutes": "{number} min",
        "hours": "{number} h",
        "days": "{number} days",
        "before": "Before: {level}.",
        "area": "River {river} below {place}: {districts}",
        "area_alone": "River {river} below {place}",
        "comma": ", ",
        "stop": ".",
    },
)
