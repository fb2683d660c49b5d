"""English for what is no river flood: flash flood, heat, heavy rain."""

from __future__ import annotations

from collections.abc import Mapping

from warning.alerts.phrases import HazardTexts
from warning.model import Level

_SILENT = "{level} warning for {place} stays: the station is silent ({time})."
_STATION = {
    "silent_since": ("no good reading from the station since {observed}", "there has never been a good reading from the station"),
    "never_spoke": ("there has never been a good reading from the station",),
}
_PARAMETERS = {
    "temperature": "air temperature",
    "humidity": "humidity",
    "heat_index": "heat index",
    "wet_bulb": "wet-bulb temperature",
    "rain_1h": "rain in 1 h",
    "rain_3h": "rain in 3 h",
    "rain_6h": "rain in 6 h",
    "rain_24h": "rain in 24 h",
    "rain_72h": "rain in 72 h",
    "flash_flood": "rain, of what makes the stream flood,",
}
_UNITS = {"degC": "C", "degF": "F", "%": "%", "ratio": "%"}

FLASH_FLOOD = HazardTexts(
    event="Flash flood",
    classes={
        Level.UNKNOWN: "Unknown",
        Level.NORMAL: "No flash flood risk",
        Level.LOW: "Low flash flood risk",
        Level.MEDIUM: "Medium flash flood risk",
        Level.HIGH: "High flash flood risk",
        Level.VERY_HIGH: "Very high flash flood risk",
        Level.EXCEPTIONAL: "Exceptional flash flood risk",
    },
    actions={
        Level.NORMAL: "The flash flood warning has ended.",
        Level.LOW: "Stay away from streams.",
        Level.MEDIUM: "Move animals and goods away from streams.",
        Level.HIGH: "Leave stream banks and low ground.",
        Level.VERY_HIGH: "Leave low ground near streams now.",
        Level.EXCEPTIONAL: "Go to high ground NOW.",
    },
    instructions={
        Level.NORMAL: "The warning has ended. Streams may still run high, and damaged roads and bridges stay dangerous.",
        Level.LOW: "Stay out of streams and dry stream beds. Do not camp or park there. Watch for further messages.",
        Level.MEDIUM: "Move people, animals and goods away from streams and dry stream beds. Be ready to leave: the water can come "
        "within an hour, also where it does not rain. Do not cross flooded roads.",
        Level.HIGH: "Leave the banks of streams, dry stream beds and low ground beside them. The water can come within an hour, also "
        "where it does not rain. Help children, the old and the sick to leave first. Do not walk or drive through flood water.",
        Level.VERY_HIGH: "Leave low ground near streams now, before the water cuts the roads. Help children, the old and the sick to "
        "leave first. Leave goods behind. Do not walk or drive through flood water. Follow the local authorities.",
        Level.EXCEPTIONAL: "Go to high ground now, on foot if that is quicker. Do not wait to save goods. Help children, the old and "
        "the sick to leave first. Do not walk or drive through flood water. Follow the local authorities.",
    },
    sentences={"silent": _SILENT, "clear": "Rain at {place} is back below what makes the stream flood ({time})."},
    reasons={
        **_STATION,
        "flash_flood": (
            "{rain} of rain in {duration} h, where {threshold} make the stream flood on ground that is {wetness} wet (antecedent rain "
            "{antecedent}); the rain is measured, the water is on its way",
        ),
    },
    parameters=_PARAMETERS,
    units=_UNITS,
    words={
        "value_flash_flood": "Rain is {value} of what makes it flood.",
        "area": "Streams at {place}: {districts}",
        "area_alone": "Streams at {place}",
        "area_distance": "within {km} km of the station",
    },
)

HEAT = HazardTexts(
    event="Heat",
    classes={
        Level.UNKNOWN: "Unknown",
        Level.NORMAL: "No heat risk",
        Level.LOW: "Low heat risk",
        Level.MEDIUM: "Medium heat risk",
        Level.HIGH: "High heat risk",
        Level.VERY_HIGH: "Very high heat risk",
        Level.EXCEPTIONAL: "Exceptional heat risk",
    },
    actions={
        Level.NORMAL: "The heat warning has ended.",
        Level.LOW: "Drink water often.",
        Level.MEDIUM: "Rest in the shade and drink water often.",
        Level.HIGH: "Stay out of the sun and drink water often.",
        Level.VERY_HIGH: "Stop work outside. Stay in a cool place.",
        Level.EXCEPTIONAL: "Stay in a cool place NOW. Cool with water.",
    },
    instructions={
        Level.NORMAL: "The warning has ended. Rooms stay hot for hours: go on drinking, and look after the old and the sick tonight.",
        Level.LOW: "Drink water often, also without thirst. Rest in the shade. Never leave children or animals in a parked car.",
        Level.MEDIUM: "Drink water often, also without thirst. Do heavy work in the morning and evening only, with breaks in the shade. "
        "Look after children, the old and the sick. Never leave children or animals in a parked car.",
        Level.HIGH: "Stay out of the sun from 11 to 17 h. Stop heavy work outside. Drink water often, wear loose light clothes, wet "
        "skin and clothes. Look after children, pregnant women, the old and the sick. Confusion, fainting or hot skin are heat "
        "stroke: cool with water at once and call for medical help.",
        Level.VERY_HIGH: "Stop work outside. Stay in the coolest room, in shade or in a cooling centre. Drink water often, wet skin and "
        "clothes. Visit the old, the sick and those who live alone, by night too. Confusion, fainting or hot skin are heat stroke: "
        "cool with water at once and call for medical help.",
        Level.EXCEPTIONAL: "This heat kills, also the healthy, and a fan alone does not help. Stay in a cooled room or in water, in "
        "shade. No work outside. Drink water often. Visit the old, the sick and those who live alone, by night too. Confusion, "
        "fainting or hot skin are heat stroke: cool with water at once and call for medical help.",
    },
    sentences={"silent": _SILENT, "clear": "Heat at {place} is back below the warning level ({time})."},
    reasons={
        **_STATION,
        "heat_of": ("made of an air temperature of {temperature} ({temperature_at}) and a humidity of {humidity} ({humidity_at})",),
    },
    parameters=_PARAMETERS,
    units=_UNITS,
    words={
        "value_heat_index": "Heat index {value}.",
        "value_wet_bulb": "Wet bulb {value}.",
        "area": "{place}: {districts}",
        "area_alone": "{place}",
        "area_distance": "within {km} km of the station",
    },
)

HEAVY_RAIN = HazardTexts(
    event="Heavy rain",
    classes={
        Level.UNKNOWN: "Unknown",
        Level.NORMAL: "No heavy rain",
        Level.LOW: "Fairly heavy rain",
        Level.MEDIUM: "Heavy rain",
        Level.HIGH: "Very heavy rain",
        Level.VERY_HIGH: "Extremely heavy rain",
        Level.EXCEPTIONAL: "Exceptional rain",
    },
    actions={
        Level.NORMAL: "The rain warning has ended.",
        Level.LOW: "Expect water on roads.",
        Level.MEDIUM: "Stay off low ground and underpasses.",
        Level.HIGH: "Stay off low ground and steep slopes.",
        Level.VERY_HIGH: "Leave low ground and steep slopes.",
        Level.EXCEPTIONAL: "Go to a safe house on high ground NOW.",
    },
    instructions={
        Level.NORMAL: "The warning has ended. Rivers may still rise and soaked slopes may slide.",
        Level.LOW: "Expect water on roads and in cellars. Keep drains clear. Stay away from fallen wires. Watch for further messages.",
        Level.MEDIUM: "Stay out of underpasses, cellars and stream beds. Move goods and animals off low ground. Stay away from fallen "
        "wires and weak walls. Do not walk or drive through flood water.",
        Level.HIGH: "Stay indoors, away from low ground, streams and steep slopes. Be ready to leave. Switch off electricity where "
        "water comes in. Stay away from fallen wires and weak walls. Do not walk or drive through flood water.",
        Level.VERY_HIGH: "Leave low ground, stream banks and steep slopes. Help children, the old and the sick to leave first. Switch "
        "off electricity where water comes in. Do not walk or drive through flood water. Follow the local authorities.",
        Level.EXCEPTIONAL: "Go to a strong building on high ground now, away from streams and steep slopes. Do not wait to save goods. "
        "Help children, the old and the sick first. Do not walk or drive through flood water. Follow the local authorities.",
    },
    sentences={"silent": _SILENT, "clear": "Rain at {place} is back below the warning level ({time})."},
    reasons={**_STATION, "rain_fell": ("{rain} fell in {duration} h; that is measured, not forecast: streams answer to it within hours",)},
    parameters=_PARAMETERS,
    units=_UNITS,
    words={
        **{f"value_rain_{hours}h": f"{{value}} in {hours} h." for hours in (1, 3, 6, 24, 72)},
        "area": "{place}: {districts}",
        "area_alone": "{place}",
        "area_distance": "within {km} km of the station",
    },
)

ENGLISH_WEATHER: Mapping[str, HazardTexts] = {"flash_flood": FLASH_FLOOD, "heat": HEAT, "heavy_rain": HEAVY_RAIN}
