"""The small region of ``tests/regions.py`` with a town that is hot, rainy and has a small stream. All limits are made up.

Stations: W1 and W2 (weather: temperature, humidity), R1 and R2 (rain). Zones: HEAT-UPPER (heat index, W1 and W2), WET-UPPER (wet bulb, W1),
RAIN-UPPER (24 h, R1 and R2), SHOWER-UPPER (1 h, R1), FLASH-UPPER (R1).
"""

from __future__ import annotations

from pathlib import Path

from tests.regions import REGION, SERIES, STATIONS, write_region

WEATHER = """\
W1,Oak Town,اوک ٹاؤن,weather,Oak,oak,32.0,72.1,published,3
W2,Oak Field,اوک فیلڈ,weather,Oak,oak,32.0,72.2,published,3
R1,Oak Hill,اوک ہل,rain,Oak Brook,oak,32.1,72.1,published,3
R2,Oak Ridge,اوک رج,rain,Oak Brook,oak,32.1,72.2,published,3
"""
WEATHER_SERIES = """\
W1,temperature,degC,-20,60,,,,,
W1,humidity,%,0,100,,,,,
W2,temperature,degC,-20,60,,,,,
W2,humidity,%,0,100,,,,,
R1,rain,mm,0,200,,,,,
R2,rain,mm,0,200,,,,,
"""
HAZARDS = """\
zone,name_en,name_ur,quantity,unit,low,medium,high,very_high,exceptional,stations,districts,curve_number,runoff_1h,runoff_3h,runoff_6h,source,date,version
HEAT-UPPER,Upper Oak,بالائی اوک,heat_index,degC,32,38,41,47,54,W1|W2,upper,,,,,made up for tests,2025,1
WET-UPPER,Oak Town,اوک ٹاؤن,wet_bulb,degC,28,30,31,33,35,W1,upper,,,,,made up for tests,2025,1
RAIN-UPPER,Upper Oak,بالائی اوک,rain_24h,mm,30,50,100,150,250,R1|R2,upper,,,,,made up for tests,2025,1
SHOWER-UPPER,Oak Hill,اوک ہل,rain_1h,mm,,20,40,60,,R1,upper,,,,,made up for tests,2025,1
FLASH-UPPER,Oak Brook,اوک نالہ,flash_flood,%,75,100,150,200,300,R1,upper,80,10,15,20,made up for tests,2025,1
"""


def write_hazards(tmp_path: Path, hazards: str | None = HAZARDS, at_once: str = "") -> Path:
    """The folder ``tmp_path/oak`` with ``hazards.csv``; ``at_once``: YAML of the alert rules."""
    folder = write_region(
        tmp_path, stations=STATIONS + WEATHER, series=SERIES + WEATHER_SERIES, region=REGION + (f"alert: {at_once}\n" if at_once else "")
    )
    if hazards is not None:
        (folder / "hazards.csv").write_text(hazards, "utf-8")
    return folder
