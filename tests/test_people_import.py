"""``warning contacts``: a file with everything wrong that may be, its report; and the commands about it, as one uses them."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest
import regions
from typer.testing import CliRunner

from warning import config
from warning.cli_contacts import contacts
from warning.people.intake import read_contacts

HEADER = (
    "id,name,role,language,districts,level,phone,webhook,secret,live,"
    "email,voice,office,rank,village,channels,quiet,control_room,lat,lon,consent"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return regions.write_region(tmp_path)


def write(tmp_path: Path, *rows: str, header: str = "id,name,role,language,districts,level,phone,live") -> Path:
    file = tmp_path / "villages.csv"
    file.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return file


def run(tmp_path: Path, *words: object, code: int = 0) -> str:
    done = CliRunner().invoke(contacts, [*map(str, words), "--directory", str(tmp_path)], catch_exceptions=True)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def report(tmp_path: Path, folder: Path, file: Path, *words: str, code: int = 0) -> dict:
    out = tmp_path / "report.json"
    run(tmp_path, "import", folder, file, "--by", "ayesha", "--json", out, *words, code=code)
    return json.loads(out.read_text(encoding="utf-8"))


GOOD = "w{0},Village {0},public,en,upper,LOW,+99910{0:04d},false"


def test_every_row_gets_a_word_and_the_good_ones_come_in(tmp_path: Path, folder: Path) -> None:
    file = write(
        tmp_path,
        GOOD.format(1),
        "w2,Two,public,en,uper,LOW,+999100002,false",  # district
        "w3,Three,public,en,upper,LOW,0300-1234567,false",  # no E.164
        "w4,Four,mayor,en,upper,LOW,+999100004,false",  # role
        GOOD.format(1),  # again
        "w6,Six,public,en,upper,LOW,+923001234567,false",  # a real number in an exercise
        "w7,Seven,public,en,upper,LOW,+923001234567,true",
        "w8,Eight,public,en,upper,LOW,+923001234567890,true",  # too long for Pakistan
        "w9,Nine,public,en,upper,LOW,+921111111111,true",  # long enough, but no number of Pakistan's plan
        "w10,Ten,public,en,upper,LOW,+923001234567,true",  # somebody else's
        "w11,Eleven,public,en,upper",
    )
    made = report(tmp_path, folder, file, code=1)
    rows = {row["line"]: row for row in made["rows"]}
    assert [rows[line]["outcome"] for line in range(2, 13)] == [
        *("accepted", "refused", "refused", "refused", "refused", "refused", "accepted", "refused", "accepted", "accepted", "refused")
    ]
    assert {line: row["problems"][0]["field"] for line, row in rows.items() if "problems" in row} == {
        3: "districts",
        4: "phone",
        5: "role",
        6: "id",
        7: "phone",
        9: "phone",
        10: "phone",
        12: "",
    }
    assert all(one["fix"] for row in rows.values() for one in row.get("problems", ()))
    assert rows[8]["same_phone_as"] == ["w10"] and rows[11]["same_phone_as"] == ["w7"]
    assert not rows[10]["problems"][0]["fatal"], "a plan may have grown: it is said, and taken"
    assert made["counts"] == {"accepted": 4, "changed": 0, "same": 0, "gone": 0, "stopped": 0, "refused": 7, "same_phone": 1}
    again = report(tmp_path, folder, file, code=1)
    assert again["counts"]["same"] == 4 and again["counts"]["accepted"] == 0


def test_who_stopped_stays_stopped_and_show_says_why(tmp_path: Path, folder: Path) -> None:
    file = write(tmp_path, GOOD.format(1), GOOD.format(2))
    assert report(tmp_path, folder, file)["counts"]["accepted"] == 2
    assert "wants no messages: w1" in run(tmp_path, "unsubscribe", folder, "+999100001", "--by", "ayesha")
    changed = write(tmp_path, GOOD.format(1).replace("Village", "Hamlet"), GOOD.format(2))
    made = report(tmp_path, folder, changed)
    assert made["counts"] | {"same": 1, "changed": 1, "stopped": 1} == made["counts"]
    assert made["rows"][0]["stopped"] is True
    shown = json.loads(run(tmp_path, "show", folder, "w1"))
    assert shown["stopped"] and not shown["consent"] and shown["name"] == "Hamlet 1"
    assert [(word["address"], word["given"], word["by"], word["how"]) for word in shown["said"]] == [
        ("+999100001", False, "ayesha", "person"),
        ("w1", False, "ayesha", "person"),
    ]
    assert run(tmp_path, "list", folder, "--stopped").splitlines()[0].endswith("villages  stopped")
    run(tmp_path, "consent", folder, "w1", "--by", "bilal")
    assert json.loads(run(tmp_path, "show", folder, "w1"))["consent"] is True
    run(tmp_path, "show", folder, "nobody", code=1)


def test_what_is_exported_comes_in_again_unchanged(tmp_path: Path, folder: Path) -> None:
    full = (
        'v1,"Office, upper",official,ur,upper|lower,HIGH,+999100001,rehearsal:agency,whsec_cmVoZWFyc2FsIG9ubHksIG5vdCBhIHNlY3JldA==,false,'
        "duty@example.org,true,ddma,3,الف,voice|email|sms|webhook,22:00-06:00,true,30.5,71.25,true"
    )
    file = write(tmp_path, full, "v2,Two,public,en,*,LOW,+999100002,,,false,,,,,,,,,,,false", header=HEADER)
    assert report(tmp_path, folder, file)["counts"]["accepted"] == 2
    out = tmp_path / "out.csv"
    run(tmp_path, "export", folder, out, "--secrets")
    assert out.stat().st_mode & 0o777 == 0o600
    assert report(tmp_path, folder, out, "--origin", "villages")["counts"]["same"] == 2
    run(tmp_path, "export", folder, out)
    with out.open(encoding="utf-8", newline="") as lines:
        assert {row["id"]: row["secret"] for row in csv.DictReader(lines)} == {"v1": "", "v2": ""}


def test_half_a_file_does_not_empty_the_directory(tmp_path: Path, folder: Path) -> None:
    report(tmp_path, folder, write(tmp_path, *(GOOD.format(number) for number in range(1, 101))))
    half = write(tmp_path, *(GOOD.format(number) for number in range(1, 51)))
    assert report(tmp_path, folder, half)["counts"] == report(tmp_path, folder, half)["counts"], "unless asked nobody leaves"
    run(tmp_path, "import", folder, half, "--by", "ayesha", "--whole", code=1)
    assert len(run(tmp_path, "list", folder, "--most", 1000).splitlines()) >= 100
    wrong = write(tmp_path, *(GOOD.format(number) for number in range(1, 100)), "w100,Broken,public,en,upper,LOW,12,false")
    run(tmp_path, "import", folder, wrong, "--by", "ayesha", "--whole", code=1)
    half = write(tmp_path, *(GOOD.format(number) for number in range(1, 51)))
    made = report(tmp_path, folder, half, "--whole", "--gone-up-to", "50")
    assert made["counts"]["gone"] == 50 and len(made["gone"]) == 50
    assert run(tmp_path, "remove", folder, "w1", "--by", "ayesha").startswith("1 removed")
    run(tmp_path, "remove", folder, "w1", "--by", "ayesha", code=1)


def test_what_is_no_table_changes_nothing(tmp_path: Path, folder: Path) -> None:
    for content in (b"", b"\xff\xfe\x00", b"id;name\n1;2\n", b'id,name\n"open'):
        file = tmp_path / "broken.csv"
        file.write_bytes(content)
        done = CliRunner().invoke(contacts, ["import", str(folder), str(file), "--by", "x", "--directory", str(tmp_path)])
        assert done.exit_code != 0 and "accepted" not in done.output.replace("0 accepted", "")
    for origin in ("config", "sms"):
        run(tmp_path, "import", folder, write(tmp_path, GOOD.format(1)), "--by", "ayesha", "--origin", origin, "--whole", code=1)


def test_one_quote_too_many_does_not_hide_the_rows_behind_it(tmp_path: Path, folder: Path) -> None:
    rows = [GOOD.format(number) for number in range(1, 50)]
    rows[9] = rows[9].replace("Village", '"Village')
    done = run(tmp_path, "import", folder, write(tmp_path, *rows), "--by", "ayesha", code=1)
    assert "accepted" not in done and run(tmp_path, "list", folder) == "the directory is empty\n"


def test_the_row_that_was_taken_is_the_one_that_is_named(tmp_path: Path, folder: Path) -> None:
    made = report(tmp_path, folder, write(tmp_path, GOOD.format(1).replace("LOW", "LOWER"), GOOD.format(1)), code=1)
    assert [(row["line"], row["outcome"]) for row in made["rows"]] == [(2, "refused"), (3, "accepted")]


def test_a_stop_is_entered_for_the_number_however_it_is_typed(tmp_path: Path, folder: Path) -> None:
    file = write(tmp_path, "w7,Seven,public,en,upper,LOW,+923001234567,true")
    report(tmp_path, folder, file)
    for typed in ("0300 1234567", "+92 (300) 123-4567", "0092-300-1234567", "923001234567"):
        assert "+923001234567 wants no messages: w7" in run(tmp_path, "unsubscribe", folder, typed, "--by", "ayesha"), typed
    run(tmp_path, "unsubscribe", folder, "w8", "--by", "ayesha", code=1)
    assert "wants no messages: w7" in run(tmp_path, "unsubscribe", folder, "w7", "--by", "ayesha")


def test_what_holds_numbers_is_nobody_elses(tmp_path: Path, folder: Path) -> None:
    for name in ("out.csv", "report.json"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644)
    report(tmp_path, folder, write(tmp_path, GOOD.format(1)))
    run(tmp_path, "export", folder, tmp_path / "out.csv")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("out.csv", "report.json")} == {0o600}


def test_a_large_file_is_judged_in_little_time(tmp_path: Path, folder: Path) -> None:
    """A tenth of a country, every number another one and real; ten times what was seen."""
    rows = [f"r{number},Village {number // 3},public,en,upper,LOW,+92300{1000000 + number},true" for number in range(9_000)]
    region, file = config.load(folder), write(tmp_path, *rows)
    began = time.process_time()
    read = read_contacts(file, region)
    spent_s = time.process_time() - began
    assert len(read.contacts) == 9_000 and not read.complaints
    assert spent_s < 30, spent_s


def test_numbers_come_in_as_clerks_and_spreadsheets_write_them(tmp_path: Path, folder: Path) -> None:
    typed = (
        "0300-1234501",
        "۰۳۰۰ ۱۲۳۴۵۰۲",
        "3001234503",
        "923001234504",
        "0092 300 1234505",
        "'03001234506",
        "+92 0300 1234507",
        "\u200e+923001234508",
    )
    rows = [f"w{number},V,public,en,upper,LOW,{text},true" for number, text in enumerate(typed, 1)]
    wrong = ("9.23E+11", "30012345", "۰۳۰۰", "+923001234501x", "3211234567")  # the last: a mobile without its 0, or one in Belgium
    rows += [f"x{number},V,public,en,upper,LOW,{text},true" for number, text in enumerate(wrong, 1)]
    file = write(tmp_path, *rows)
    made = report(tmp_path, folder, file, code=1)
    assert made["counts"]["accepted"] == len(typed) and made["counts"]["refused"] == len(wrong)
    assert {row["problems"][0]["field"] for row in made["rows"] if row["outcome"] == "refused"} == {"phone"}
    shown = run(tmp_path, "list", folder)
    assert all(f"+9230012345{number:02d}" in shown for number in range(1, 9))
    again = report(tmp_path, folder, file, code=1)
    assert again["counts"]["same"] == len(typed) and again["counts"]["changed"] == 0
    assert "+923001234502 wants no messages: w2" in run(tmp_path, "unsubscribe", folder, "۰۳۰۰۱۲۳۴۵۰۲", "--by", "ayesha")


def test_who_is_missing_is_offered_and_leaves_only_when_asked(tmp_path: Path, folder: Path) -> None:
    report(tmp_path, folder, write(tmp_path, *map(GOOD.format, range(1, 7))))
    fewer = write(tmp_path, *map(GOOD.format, range(1, 5)), "w5,Five,mayor,en,upper,LOW,+999100005,false")
    said = run(tmp_path, "import", folder, fewer, "--by", "ayesha", code=1)
    assert "1 of villages are not in the file and stay: w6; --remove takes them out" in said, "w5 stands there, though wrongly"
    assert "6" in run(tmp_path, "list", folder).splitlines()[-1]
    fewer = write(tmp_path, *map(GOOD.format, range(1, 5)))
    assert "would" not in run(tmp_path, "import", folder, fewer, "--by", "ayesha", "--remove", "--dry-run")
    assert "6" in run(tmp_path, "list", folder).splitlines()[-1], "on trial nobody leaves"
    made = report(tmp_path, folder, fewer, "--remove")
    assert sorted(made["gone"]) == ["w5", "w6"] and made["missing"] == []
