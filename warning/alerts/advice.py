"""Which sentences the instruction of each class is made of, in all languages that are tables: an operator reviews each sentence once."""

from __future__ import annotations

from collections.abc import Mapping

from warning.model import Level

ADVICE: Mapping[str, Mapping[Level, str]] = {  # hazard -> class -> names of sentences, in their order
    "flood": {
        Level.NORMAL: "ended damaged",
        Level.LOW: "river watch",
        Level.MEDIUM: "off_bank be_ready flooded_roads",
        Level.HIGH: "leave_bank weak_first take flood_water follow",
        Level.VERY_HIGH: "leave_low weak_first electricity flood_water follow",
        Level.EXCEPTIONAL: "high_ground no_goods weak_first embankments flood_water follow",
    },
    "flash_flood": {
        Level.NORMAL: "ended streams_high",
        Level.LOW: "streams watch",
        Level.MEDIUM: "off_streams be_ready within_hour flooded_roads",
        Level.HIGH: "leave_streams within_hour weak_first flood_water",
        Level.VERY_HIGH: "leave_streams_now weak_first no_goods flood_water follow",
        Level.EXCEPTIONAL: "high_ground no_goods weak_first flood_water follow",
    },
    "heat": {
        Level.NORMAL: "ended rooms_hot",
        Level.LOW: "drink shade no_car",
        Level.MEDIUM: "drink heavy_work weak_look no_car",
        Level.HIGH: "sun drink clothes weak_look heat_stroke",
        Level.VERY_HIGH: "stop_work coolest drink visit heat_stroke",
        Level.EXCEPTIONAL: "heat_kills coolest stop_work drink visit heat_stroke",
    },
    "heavy_rain": {
        Level.NORMAL: "ended slopes",
        Level.LOW: "water_roads wires watch",
        Level.MEDIUM: "underpasses off_low wires flood_water",
        Level.HIGH: "indoors be_ready electricity wires flood_water",
        Level.VERY_HIGH: "leave_slopes weak_first electricity flood_water follow",
        Level.EXCEPTIONAL: "strong_building no_goods weak_first flood_water follow",
    },
}
