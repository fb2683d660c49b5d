"""A small valid region for tests: gauges A -> B -> C (stage, m) on the river Oak, and the barrage D (discharge, cusec) below C.

``write_region(tmp_path)`` writes its folder; a keyword replaces one file as a whole (``limits="..."``), or deletes it (``limits=None``);
``edit`` changes a file that is there. Load it with ``warning.config.load``.
"""

from __future__ import annotations

from pathlib import Path

REGION = """\
id: oak
names: {en: Oak valley, ur: وادی}
namespace: ews.oak
sender: flood-warning@oak.example
languages: [en, ur]
timezone: {name: PKT, utc_offset: "+05:00"}
country: PK
bounds: {south: 29.0, west: 70.0, north: 33.0, east: 74.0}
display_units: {discharge: cusec, stage: m}
classes:
  LOW: {en: Low Flood, ur: نچلے درجے کا سیلاب}
  MEDIUM: {en: Medium Flood, ur: درمیانے درجے کا سیلاب}
  HIGH: {en: High Flood, ur: اونچے درجے کا سیلاب}
  VERY_HIGH: {en: Very High Flood, ur: بہت اونچے درجے کا سیلاب}
  EXCEPTIONAL: {en: Exceptionally High Flood, ur: انتہائی اونچے درجے کا سیلاب}
partitions: 2
basins: {oak: 0}
exercise_numbers: "+999"
polygon: {width: 4 km, snap_within: 8 km}
"""

STATIONS = """\
id,name_en,name_ur,kind,river,basin,lat,lon,position,silent_after_h
A,Alder,الف,gauge,Oak,oak,32.0,72.0,published,3
B,Birch,ب,gauge,Oak,oak,31.5,72.0,published,3
C,Cedar,ج,gauge,Oak,oak,31.0,72.0,published,3
D,Dogwood,د,barrage,Oak,oak,30.5,72.0,published,36
"""

SERIES = """\
station,parameter,unit,plausible_min,plausible_max,rise_per_hour,fall_per_hour,spike,flat_after_h,flat_within
A,stage,m,-0.5,20,3,3,1.5,48,0
B,stage,m,-0.5,20,3,3,1.5,48,0
C,stage,m,-0.5,20,3,3,1.5,48,0
D,inflow,cusec,0,2000000,,,,,
D,outflow,cusec,0,2000000,,,,,
"""

LIMITS = """\
station,quantity,unit,low,medium,high,very_high,exceptional,source,date,version
A,stage,m,2,3,4,5,6,test,2025,1
B,stage,m,2,3,4,5,6,test,2025,1
C,stage,m,2,3,4,5,6,test,2025,1
D,discharge,cusec,200000,350000,500000,700000,900000,test,2025,1
"""

REACHES = """\
upstream,downstream,travel_low_h,travel_high_h,basis,districts
A,B,4,6,assumed,upper
B,C,4,6,assumed,upper|lower
C,D,8,12,published,lower
D,,,,,lower
"""

DISTRICTS = """\
id,name_en,name_ur,geocode
upper,Upper Oak,بالائی,PK-PB
lower,Lower Oak,زیریں,PK-PB
"""

CONTACTS = """\
id,name,role,language,districts,level,phone,webhook,secret,live
upper-officer,Officer of Upper Oak,official,en,upper,LOW,+9991000001,,,false
lower-officer,Officer of Lower Oak,official,ur,lower,LOW,+9991000002,,,false
village,Village committees,public,ur,upper|lower,HIGH,+9991000003,,,false
agency,The agency,responder,en,*,LOW,,rehearsal:agency,whsec_cmVoZWFyc2FsIG9ubHksIG5vdCBhIHNlY3JldA==,false
duty,Duty officer,operator,en,*,LOW,+9991000004,,,false
"""

RIVERS = """\
{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"name": "Oak"}, "geometry":
{"type": "LineString", "coordinates": [[72.0, 32.2], [72.01, 31.8], [72.0, 31.4], [71.98, 31.0], [72.0, 30.6], [72.0, 30.2]]}}]}
"""

FILES = {
    "region": ("region.yaml", REGION),
    "stations": ("stations.csv", STATIONS),
    "series": ("series.csv", SERIES),
    "limits": ("limits.csv", LIMITS),
    "reaches": ("reaches.csv", REACHES),
    "districts": ("districts.csv", DISTRICTS),
    "contacts": ("contacts.csv", CONTACTS),
    "rivers": ("rivers.geojson", RIVERS),
}


def write_region(tmp_path: Path, **changes: str | None) -> Path:
    """The folder ``tmp_path/oak``; each keyword names a file of ``FILES`` and gives its whole text, or None to leave it out."""
    unknown = set(changes) - set(FILES)
    if unknown:
        raise TypeError(f"no such file of a region: {', '.join(sorted(unknown))}; known: {', '.join(FILES)}")
    folder = tmp_path / "oak"
    folder.mkdir(parents=True, exist_ok=True)
    for key, (name, text) in FILES.items():
        content = changes.get(key, text)
        if content is not None:
            (folder / name).write_text(content, "utf-8")
    return folder


def edit(folder: Path, key: str, old: str, new: str) -> Path:
    """Replace the one occurrence of ``old`` in that file; AssertionError if it is not there exactly once."""
    path = folder / FILES[key][0]
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), "utf-8")
    return folder
