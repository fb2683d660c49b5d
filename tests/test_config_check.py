"""Each thing that can be wrong in a region's folder: found, with its place and a fix, and nothing else with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from regions import CONTACTS, LIMITS, REACHES, REGION, SERIES, STATIONS, edit, write_region

from warning import config
from warning.errors import ConfigError, Problem
from warning.region import Region

# (file, what stands there, what a hand writes instead, where the problem is, words of what, words of fix)
BROKEN = [
    # region.yaml
    ("region", "partitions: 2", "partitons: 2", "region.yaml:16 (partitons)", "unknown key 'partitons'", "did you mean partitions?"),
    ("region", "bounds: {south", "bounds: {sout", "region.yaml:8 (bounds.sout)", "unknown key 'sout'", "did you mean south?"),
    ("region", "namespace: ews.oak", "namespace: ews, oak", "region.yaml:3 (namespace)", "'ews, oak' is not right here", "no space, comma"),
    ("region", "languages: [en, ur]", "languages: [ur, en]", "region.yaml:5 (languages.0)", "'ur' is first", "English is first"),
    ("region", "partitions: 2\n", "partitions: 0\n", "region.yaml:16 (partitions)", "0: input should be greater than or equal to 1", ""),
    (
        "region",
        "{oak: 0}",
        "{oak: 2}",
        "region.yaml:17 (basins.oak)",
        "partition 2 does not exist: there are 2, counted from 0",
        "correct it",
    ),
    ("region", "{oak: 0}", "{ash: 0}", "stations.csv:2 (basin)", "basin 'oak' has no partition", "known: ash"),
    ("region", "  HIGH:", "  HIHG:", "region.yaml:13 (classes.HIHG)", "'HIHG' is not a class", "LOW, MEDIUM, HIGH"),
    ("region", "{en: High Flood, ", "{", "region.yaml:13 (classes.HIGH)", "HIGH has no name in 'en'", "write it"),
    ("region", "id: oak\n", "id: oak\nid: ash\n", "region.yaml:2 (id)", "the key stands twice", "remove one"),
    ("region", "country: PK\n", "country: PK: x\n", "region.yaml:7", "not YAML", "check indentation"),
    ("region", "width: 4 km", "width: 4", "region.yaml:19 (polygon.width)", "4 is not a number with its unit", ""),
    ("region", "width: 4 km", "width: 4 mils", "region.yaml:19 (polygon.width)", "unknown unit 'mils' for length", "known: m, cm"),
    (
        "region",
        "discharge: cusec",
        "discharge: cusek",
        "region.yaml:9 (display_units.discharge)",
        "unknown unit 'cusek'",
        "did you mean cusec?",
    ),
    ("region", '"+05:00"', "5", "region.yaml:6 (timezone.utc_offset)", "5 is not an offset from UTC", ""),
    ("region", "south: 29.0", "south: 34.0", "region.yaml:8 (bounds)", "the bounds are empty", "south below north"),
    # stations.csv
    ("stations", "A,Alder", "A B,Alder", "stations.csv:2 (id)", "'A B' is not right here", "no spaces"),
    ("stations", "31.5,72.0", "72.0,31.5", "stations.csv:3 (lat)", "lat 72.0 and lon 31.5 are swapped", "write lat 31.5, lon 72.0"),
    ("stations", "31.5,72.0", "31.5,172.0", "stations.csv:3 (lat)", "outside the region's bounds", "correct the position"),
    ("stations", "31.5,72.0", "131.5,72.0", "stations.csv:3 (lat)", "not a place on Earth", "WGS 84"),
    ("stations", "31.5,72.0", "31.5,", "stations.csv:3 (lon)", "half a position", "both"),
    ("stations", "31.5,72.0", "nan,72.0", "stations.csv:3 (lat)", "'nan'", ""),
    ("stations", "31.5,72.0", '"31,5",72.0', "stations.csv:3 (lat)", "'31,5' is not right here", "a number with a point"),
    ("stations", "B,Birch,ب,gauge", "B,Birch,ب,guage", "stations.csv:3 (kind)", "'guage' is not right here", "gauge"),
    ("stations", "B,Birch", "B,", "stations.csv:3 (name_en)", "no English name", "write name_en"),
    ("stations", "published,3\nB", "published,3,x\nB", "stations.csv:2", "11 cells under 10 columns", "quotes"),
    # series.csv
    ("series", "B,stage,m", "B,stage,mm2", "series.csv:3 (unit)", "unknown unit 'mm2' for stage", "did you mean mm?"),
    ("series", "B,stage,m", "B,stages,m", "series.csv:3 (parameter)", "'stages' is not a parameter", "stage, discharge"),
    ("series", "B,stage,m,-0.5,20", "B,stage,m,20,-0.5", "series.csv:3 (plausible_min)", "20 is not below plausible_max -0.5", "exchange"),
    ("series", "B,stage,m,-0.5,20", "B,stage,m,-0.5,5", "limits.csv:3 (very_high)", "limit VERY_HIGH is 5 m, outside", "series.csv:3"),
    # limits.csv
    ("limits", "B,stage,m,2,3,4,5,6", "B,stage,m,2,4,3,5,6", "limits.csv:3 (high)", "MEDIUM 4 is not below HIGH 3", "rise with the class"),
    ("limits", "B,stage,m,2,3,4,5,6", "B,stage,m,,,,,", "limits.csv:3 (low)", "no limit at all", "at least one"),
    (
        "limits",
        "D,discharge,cusec",
        "D,discharge,cuseks",
        "limits.csv:5 (unit)",
        "unknown unit 'cuseks' for discharge",
        "did you mean cusec?",
    ),
    ("limits", "B,stage,m", "B,discharge,m3/s", "limits.csv:3 (quantity)", "no series of B measures discharge", "correct quantity"),
    (
        "limits",
        "B,stage,m,2,3,4,5,6",
        "B,stage,cm,2,3,4,5,2500",
        "limits.csv:3 (exceptional)",
        "outside the plausible range",
        "check the units",
    ),
    # reaches.csv
    ("reaches", "B,C,4,6", "B,X,4,6", "reaches.csv:3 (downstream)", "'X' is not in stations.csv", "known: A, B, C, D"),
    ("reaches", "C,D,8,12", "C,A,8,12", "reaches.csv:2 (downstream)", "water flows in a loop: A -> B -> C -> A", "correct one"),
    ("reaches", "B,C,4,6", "B,B,4,6", "reaches.csv:3 (downstream)", "water flows in a loop: B -> B", "correct one"),
    ("reaches", "B,C,4,6", "B,C,6,4", "reaches.csv:3 (travel_low_h)", "travel time 6 h is longer than 4 h", "exchange"),
    ("reaches", "B,C,4,6", "B,C,4,", "reaches.csv:3 (travel_high_h)", "half a travel time", "both"),
    ("reaches", "upper|lower", "uper|lower", "reaches.csv:3 (districts)", "'uper' is not in districts.csv", "did you mean upper?"),
    ("reaches", "assumed,upper|lower", "assumed,", "reaches.csv:3 (districts)", "zone B has no district", "who is at risk"),
    ("reaches", "D,,,,,lower\n", "", "limits.csv:5 (station)", "zone D has no district", "add one"),
    # districts.csv, contacts.csv
    ("districts", "lower,Lower Oak", "lower,", "districts.csv:3 (name_en)", "no English name", "write name_en"),
    ("districts", "زیریں,PK-PB", "زیریں,Punjab", "districts.csv:3 (geocode)", "'Punjab' is not right here", "such as PK-PB"),
    ("contacts", "+9991000001", "0300-1234567", "contacts.csv:2 (phone)", "'0300-1234567' is not an E.164 number", "country code"),
    (
        "contacts",
        "+9991000001",
        "+923001234567",
        "contacts.csv:2 (phone)",
        "can be dialled, but the contact is for exercises",
        "begins with +999",
    ),
    (
        "contacts",
        "+9991000001,,,false",
        "+9991000001,,,true",
        "contacts.csv:2 (phone)",
        "cannot be dialled, but the contact is live",
        "real number",
    ),
    ("contacts", "+9991000001,,,false", "+9212,,,true", "contacts.csv:2 (phone)", "'+9212' is not an E.164 number", ""),
    ("contacts", "+9991000001,,,false", "+1202555,,,true", "contacts.csv:2 (phone)", "is not a possible number", "count the digits"),
    (
        "contacts",
        "+9991000001,,,false",
        ",,,false",
        "contacts.csv:2",
        "upper-officer cannot be reached",
        "write a phone, an email or a webhook",
    ),
    ("contacts", "en,upper,LOW", "en,upper,LOWEST", "contacts.csv:2 (level)", "'LOWEST' is not a class", "LOW, MEDIUM"),
    ("contacts", "en,upper,LOW", "fr,upper,LOW", "contacts.csv:2 (language)", "no document is written in 'fr'", "known: en, ur"),
    ("contacts", "en,upper,LOW", "en,uper,LOW", "contacts.csv:2 (districts)", "'uper' is not in districts.csv", "did you mean upper?"),
    ("contacts", "rehearsal:agency,", "http://127.0.0.1:80,", "contacts.csv:5 (webhook)", "is not an https:// address", "rehearsal:name"),
    ("contacts", "rehearsal:agency,", "https://u:p@example.invalid/,", "contacts.csv:5 (webhook)", "is not an https:// address", ""),
    ("contacts", "cmVoZWFyc2FsIG9ubHksIG5vdCBhIHNlY3JldA==", "cmVoZWFyc2Fs", "contacts.csv:5 (secret)", "is not a signing key", "24 to 64"),
    ("contacts", "+9991000001,,,false", "+9991000001,,,no way", "contacts.csv:2 (live)", "'no way' is not right here", "true or false"),
]


@pytest.mark.parametrize(("file", "old", "new", "where", "what", "fix"), BROKEN, ids=[f"{row[0]}-{row[2].strip()[:40]}" for row in BROKEN])
def test_one_mistake_gives_its_place_and_its_fix(tmp_path: Path, file: str, old: str, new: str, where: str, what: str, fix: str) -> None:
    folder = edit(write_region(tmp_path), file, old, new)
    problems = config.check(folder)
    assert f"{folder}/{where}" in [problem.where for problem in problems], problems
    found = next(problem for problem in problems if problem.where == f"{folder}/{where}")
    assert what in found.what
    assert fix in found.fix
    assert found.fatal
    with pytest.raises(ConfigError) as error:
        config.load(folder)
    assert found in error.value.problems


# One mistake, one line: what follows from it is not reported too. Where it is right that several lines are wrong, say how many.
SEVERAL = {"A B,Alder": 4, "{ash: 0}": 4, "  HIHG:": 2, "D,,,,,lower\n": 1, "B,stage,m,-0.5,5": 2, "B,stages,m": 1}


@pytest.mark.parametrize(("file", "old", "new"), [row[:3] for row in BROKEN], ids=[f"{row[0]}-{row[2].strip()[:40]}" for row in BROKEN])
def test_one_mistake_is_reported_once(tmp_path: Path, file: str, old: str, new: str) -> None:
    problems = config.check(edit(write_region(tmp_path), file, old, new))
    assert 1 <= len(problems) <= SEVERAL.get(new, 2), "\n".join(map(str, problems))


def test_a_valid_folder_has_no_problem(tmp_path: Path) -> None:
    assert config.check(write_region(tmp_path)) == []


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    folder = write_region(
        tmp_path,
        region=REGION.replace("partitions: 2", "partitions: 2\nwarn: LOW"),
        stations=STATIONS.replace("31.5,72.0", "72.0,31.5"),
        series=SERIES.replace("C,stage,m", "C,stage,mtr"),
        limits=LIMITS.replace("A,stage,m,2,3", "A,stage,m,3,2"),
        reaches=REACHES.replace("C,D", "C,Z"),
        contacts=CONTACTS.replace("+9991000001", "12"),
    )
    places = {problem.where.removeprefix(f"{folder}/") for problem in config.check(folder)}
    assert places == {
        "region.yaml:17 (warn)",
        "stations.csv:3 (lat)",
        "series.csv:4 (unit)",
        "limits.csv:2 (medium)",
        "reaches.csv:4 (downstream)",
        "contacts.csv:2 (phone)",
    }


@pytest.mark.parametrize("key", ["stations", "series", "limits", "reaches", "districts", "contacts"])
def test_a_missing_table_is_named(tmp_path: Path, key: str) -> None:
    folder = write_region(tmp_path, **{key: None})
    assert f"{folder}/{key}.csv: the file is missing" in str(config.check(folder)[0])


@pytest.mark.parametrize("key", ["stations", "series", "limits", "reaches", "districts", "contacts"])
def test_a_row_that_stands_twice_is_refused(tmp_path: Path, key: str) -> None:
    folder = write_region(tmp_path)
    path = folder / f"{key}.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    [problem] = [one for one in config.check(folder) if "stands twice" in one.what]
    assert problem.where == f"{path}:{len(lines) + 1}"
    assert problem.what.endswith("first in line 2")
    assert problem.fatal


def test_a_district_that_nobody_is_told_in_is_a_warning(tmp_path: Path) -> None:
    kept = [line for line in CONTACTS.splitlines() if not line.startswith(("lower-officer", "village", "agency"))]
    folder = write_region(tmp_path, contacts="\n".join(kept) + "\n")
    [problem] = config.check(folder)
    assert (problem.where, problem.what, problem.fatal) == (f"{folder}/districts.csv:3", "nobody is told in Lower Oak", False)
    assert config.load(folder).id == "oak"


def test_the_namespace_of_what_people_raise_is_theirs(tmp_path: Path) -> None:
    folder = write_region(tmp_path, region=REGION.replace("namespace: ews.oak", "namespace: ews.manual"))
    assert [(each.where, each.what) for each in config.check(folder)] == [
        (f"{folder}/region.yaml:3 (namespace)", "alerts that people raise have that name")
    ]


def test_a_reach_between_basins_is_refused(tmp_path: Path) -> None:
    folder = write_region(tmp_path, region=REGION.replace("{oak: 0}", "{oak: 0, ash: 1}"))
    edit(folder, "stations", "D,Dogwood,د,barrage,Oak,oak", "D,Dogwood,د,barrage,Oak,ash")
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/reaches.csv:4 (downstream)"
    assert problem.what == "the reach leads from basin oak into basin ash"


@pytest.mark.parametrize(
    ("rules", "where", "what"),
    [
        ("alert: {at_once: [HIGH, HUGE]}", "alert.at_once.1", "'HUGE' is not a class"),
        ("alert: {expires_after: 23 h}", "alert.expires_after", "may not live longer than 22.5 h"),
        ("alert: {expires_after: 1 h, renew_before: 2 h}", "alert.renew_before", "renewed before it is made"),
        ("alert: {clear_after: 60}", "alert.clear_after", "60 is not a number with its unit"),
        ("alert: {margin_discharge: 0.05}", "alert.margin_discharge", "0.05 is not a percentage"),
        ("alert: {warn_form: LOW}", "alert.warn_form", "unknown key 'warn_form'"),
        ("alert: {unanswered: wait}", "alert.unanswered", "'wait' is not right here"),
        (
            "forecast: {probability: 0.2, probability_keep: 0.4}",
            "forecast.probability_keep",
            "probability_keep 0.4 is above probability 0.2",
        ),
        ("forecast: {probability_keep: 0.6}", "forecast.probability_keep", "probability_keep 0.6 is above probability 0.5"),
        ("forecast: {probability: 50}", "forecast.probability", "50: input should be less than or equal to 1"),
    ],
)
def test_rules_that_cannot_be_meant(tmp_path: Path, rules: str, where: str, what: str) -> None:
    folder = write_region(tmp_path, region=REGION + rules + "\n")
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/region.yaml:20 ({where})"
    assert what in problem.what


def test_a_file_from_a_spreadsheet_is_understood_or_explained(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    path = folder / "limits.csv"
    good = config.load(folder).digest
    path.write_bytes(b"\xef\xbb\xbf" + b"# from FFD, verify\r\n\r\n" + LIMITS.replace("\n", "\r\n").encode())
    assert config.load(folder).digest == good
    path.write_text(LIMITS.replace(",", ";"))
    assert any(problem.what == "columns are separated by semicolons" for problem in config.check(folder))
    path.write_bytes("station\nØ\n".encode("latin-1"))
    assert "is not UTF-8" in str(config.check(folder))


def test_lines_are_counted_past_comments(tmp_path: Path) -> None:
    folder = write_region(tmp_path, limits="# one\n# two\n" + LIMITS.replace("B,stage,m,2", "B,stage,m,9"))
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/limits.csv:5 (medium)"


def test_actual_without_a_live_contact_is_refused(tmp_path: Path) -> None:
    folder = write_region(tmp_path, region=REGION + "status: Actual\n")
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/region.yaml:20 (status)"
    assert "no contact is live" in problem.what


def test_further_checks_are_run_on_a_region_that_can_be_built(tmp_path: Path) -> None:
    seen: list[str] = []

    def long_words(region: Region) -> list[Problem]:
        seen.append(region.id)
        return [Problem("message", "three parts", "shorten", False)]

    folder = write_region(tmp_path)
    assert config.check(folder, also=[long_words]) == [Problem("message", "three parts", "shorten", False)]
    edit(folder, "limits", "A,stage", "Q,stage")
    assert Problem("message", "three parts", "shorten", False) not in config.check(folder, also=[long_words])
    assert seen == ["oak"]
