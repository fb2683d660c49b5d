"""The lint: one good document, and for each rule a change that breaks exactly that rule."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from alert_region import REGION, T0, ZONE, H, M, hazard, raised
from hypothesis import given, settings
from hypothesis import strategies as st

from warning import cli
from warning.alerts import cap
from warning.alerts.lifecycle import transition
from warning.alerts.lint import RULES, Finding, lint
from warning.alerts.parsed import parse
from warning.model import Level

SAMPLES = Path(__file__).parent / "cap"

FIRST = raised(expected=Level.HIGH, arrival_ms=T0 + 9 * H)
SECOND = transition(FIRST, hazard(T0 + M, observed=Level.VERY_HIGH), ZONE, REGION, T0 + M).event
THIRD = transition(SECOND, hazard(T0 + 2 * M, observed=Level.EXCEPTIONAL), ZONE, REGION, T0 + 2 * M).event
ALERT, UPDATE, LATEST = (cap.document(one, REGION) for one in (FIRST, SECOND, THIRD))
KNOWN = [parse(ALERT), parse(UPDATE)]
RING = "32.6000,74.4000 32.6000,74.5000 32.4000,74.1000 32.3500,73.9500 32.4500,73.9500 32.6000,74.4000"


def rules(findings: list[Finding]) -> set[str]:
    assert all(finding.rule in RULES and finding.where and finding.what for finding in findings)
    return {finding.rule for finding in findings}


def test_the_good_documents_are_good():
    assert lint(ALERT, REGION) == lint(UPDATE, REGION, KNOWN[:1]) == lint(LATEST, REGION, KNOWN) == []
    assert RING in ALERT


def with_ring(ring: str):
    return lambda xml: xml.replace(RING, ring)


def cut(pattern: str, with_: str = "", count: int = 0):
    """The document with what matches replaced; all of it, or the first ``count``."""

    def change(xml: str) -> str:
        changed = re.sub(pattern, with_, xml, count=count)
        assert changed != xml
        return changed

    return change


def circle(text: str):
    return cut("</polygon>", f"</polygon><circle>{text}</circle>")


def polygon(points: str):
    return with_ring(points)


NEEDED = ("status", "msgType", "scope", "urgency", "severity", "certainty", "event", "areaDesc")
NO_POLYGONS = ("32.6;74.4 32.6;74.5", "32.6,74.4,0 32.6,74.5,0", "99.0,199.0 99.0,198.0 98.0,199.0 99.0,199.0", "nan,nan nan,nan")
NO_CIRCLES = ("32.6 74.4 10", "32.6,74.4", "32.6,74.4 -1", "95,74.4 10", "32.6,74.4 ten", "nan,74 1")

# rule -> changes of the good Update, each of which breaks exactly that rule
BREAKS = {
    "xml": [cut("</alert>"), cut("<alert", '<!DOCTYPE alert [<!ENTITY x "y">]><alert')],
    "namespace": [cut("cap:1.2", "cap:1.1"), cut("(?s)^.*$", "<html/>")],
    "mandatory": [cut(f"<{name}>[^<]*</{name}>") for name in NEEDED],
    "empty-element": [cut("<web>[^<]*</web>", "<web></web>"), cut("<web>[^<]*</web>", "<web> \n</web>"), cut("<web>[^<]*</web>", "<web/>")],
    "identifier-characters": [cut("<identifier>", f"<identifier>a{bad}b") for bad in (" ", ",", "&lt;", "&amp;")],
    "sender-characters": [cut("<sender>", f"<sender>a{bad}b") for bad in (" ", ",", "&lt;", "&amp;")],
    "identifier-reuse": [cut("<identifier>[^<]*<", f"<identifier>{FIRST.identifier}<")],
    "references-missing": [cut("<references>[^<]*</references>")],
    "references-format": [
        cut("(<references>)[^<]*<", rf"\1{FIRST.identifier}<"),
        cut("(<references>[^<]*),[^,<]*<", r"\1,2025-08-27T02:00:00Z<"),
        cut("(<references>)[^,<]*,", r"\1,"),
    ],
    "scope": [cut("<restriction>[^<]*</restriction>")],
    "exercise-note": [cut("<note>[^<]*</note>")],
    "info-missing": [cut("(?s)<info>.*</info>")],
    "language-repeated": [cut("<language>ur<", "<language>en<"), cut("<language>ur<", "<language>EN<")],
    "category-differs": [cut("<category>Met<", "<category>Safety<", 1)],
    "event-code-differs": [cut("OET-081", "OET-079", 1)],
    "headline-long": [cut("<headline>", "<headline>" + "x" * 100)],
    "time-format": [
        cut("<effective>[^<]*<", "<effective>2025-08-27T02:01:00Z<"),
        cut("(<onset>[^<]*)[+]05:00<", r"\1.5+05:00<"),
        cut("(<onset>[^<]*)[+]05:00<", r"\1<"),
        cut("<onset>[^<]*<", "<onset>2025-13-27T15:00:00+05:00<"),
        cut("<onset>[^<]*<", "<onset>tomorrow<"),
    ],
    "time-order": [
        cut("<effective>[^<]*<", "<effective>2025-08-27T07:00:59+05:00<"),
        cut("<onset>[^<]*<", "<onset>2025-08-27T07:00:59+05:00<"),
        cut("<expires>[^<]*<", "<expires>2025-08-27T07:01:00+05:00<"),  # the same as sent: it never was valid
        cut("<expires>[^<]*<", "<expires>2025-08-26T07:01:00+05:00<"),
    ],
    "expires-missing": [cut("<expires>[^<]*</expires>")],
    "expires-late": [cut("<expires>[^<]*<", "<expires>2025-08-28T05:31:01+05:00<")],
    "area-missing": [cut("(?s)<area>.*?</area>")],
    "polygon-format": [polygon(text) for text in NO_POLYGONS],
    "polygon-points": [polygon("32.6,74.4 32.6,74.4"), polygon("32.6,74.4 32.5,74.4 32.6,74.4")],
    "polygon-open": [polygon("32.6,74.4 32.6,74.5 32.4,74.1 32.35,73.95")],
    "polygon-crossing": [
        polygon("32.6,74.4 32.4,74.5 32.6,74.5 32.4,74.4 32.6,74.4"),  # a bow tie
        polygon("32.6,74.4 32.5,74.4 32.6,74.4 32.5,74.4 32.6,74.4"),  # there and back
    ],
    "polygon-axes": [polygon("74.4,32.6 74.5,32.6 74.1,32.4 74.4,32.6"), polygon("-100.0,32.6 -100.1,32.6 -100.0,32.4 -100.0,32.6")],
    "polygon-outside": [polygon("52.6,4.4 52.6,4.5 52.4,4.1 52.6,4.4")],
    "circle-format": [circle(text) for text in NO_CIRCLES],
    "circle-outside": [circle("52.6,4.4 10")],
}
CASES = [(rule, number, change) for rule, changes in BREAKS.items() for number, change in enumerate(changes)]


@pytest.mark.parametrize(("rule", "number", "change"), CASES, ids=[f"{rule}-{number}" for rule, number, _ in CASES])
def test_each_rule_is_broken_alone(rule, number, change):
    assert rules(lint(change(UPDATE), REGION, KNOWN[:1])) == {rule}


def test_an_unexpired_predecessor_left_out():
    """Breaks references-incomplete and nothing else: the chain is known through the reference that is left."""
    first = f"{REGION.sender},{FIRST.identifier},{KNOWN[0].sent}"
    second = f"{REGION.sender},{SECOND.identifier},{KNOWN[1].sent}"
    assert f"{first} {second}" in LATEST
    for kept in (first, second):
        assert rules(lint(LATEST.replace(f"{first} {second}", kept), REGION, KNOWN)) == {"references-incomplete"}
    expired = [replace(KNOWN[0], infos=tuple(replace(info, expires="2025-08-27T07:00:30+05:00") for info in KNOWN[0].infos)), KNOWN[1]]
    assert lint(LATEST.replace(f"{first} {second}", second), REGION, expired) == []


def test_every_rule_has_a_test():
    assert set(BREAKS) | {"references-incomplete"} == set(RULES)


def test_all_findings_are_reported_not_only_the_first():
    broken = UPDATE
    for change in (
        cut("<headline>", "<headline>" + "x" * 150),
        cut("<references>[^<]*</references>"),
        with_ring("52.6,4.4 52.6,4.5 52.4,4.1"),
    ):
        broken = change(broken)
    findings = lint(broken, REGION)
    assert rules(findings) == {"headline-long", "references-missing", "polygon-points", "polygon-open", "polygon-outside"}
    assert [finding.where for finding in findings if finding.rule == "headline-long"] == ["info 1", "info 2", "info 3"]


def test_the_longest_validity_is_configurable():
    assert rules(lint(ALERT, REGION, longest_s=3600)) == {"expires-late"}


def test_without_a_region_shapes_far_away_are_fine():
    assert lint(with_ring("52.6,4.4 52.6,4.5 52.4,4.1 52.6,4.4")(ALERT)) == []


def test_a_region_without_bounds_is_a_degree_around_its_gauges():
    assert rules(lint(circle("32.6,75.4")(ALERT).replace("32.6,75.4", "32.6,75.6 1"), REGION)) == {"circle-outside"}
    assert lint(circle("32.6,75.4 1")(ALERT), REGION) == []
    assert lint(circle("32.6,75.6 1")(ALERT), replace(REGION, bounds=(30.0, 70.0, 36.0, 76.0))) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nws_flash_flood_watch_2010.cap", {"namespace", "empty-element"}),  # CAP 1.1; two parameters without a value
        ("nws_small_craft_2024.xml", set()),
    ],
)
def test_alerts_of_other_senders(name, found):
    assert rules(lint((SAMPLES / name).read_bytes())) == found


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary()))
def test_it_never_raises_on_anything(junk):
    assert rules(lint(junk, REGION)) <= {"xml", "namespace"}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_it_never_raises_on_a_damaged_document(data):
    """Any text of the good document replaced by any other."""
    texts = re.findall(">([^<>]+)<", UPDATE)
    old = data.draw(st.sampled_from(texts))
    new = data.draw(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="<&>\ufffe\uffff"), max_size=60))
    lint(UPDATE.replace(f">{old}<", f">{new}<"), REGION, KNOWN)


def test_the_command_holds_documents_against_each_other_and_against_a_region(tmp_path, capsys):
    written = [tmp_path / name for name in ("1.cap", "2.cap", "3.cap")]
    for file, document in zip(written, (ALERT, UPDATE, LATEST), strict=True):
        file.write_text(document, encoding="utf-8")

    def command(*words: object) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as left:
            cli.app(["lint", *map(str, words)])
        return int(left.value.code or 0), capsys.readouterr().out.splitlines()

    assert command(*reversed(written)) == (0, ["3 documents, 0 with something wrong"]), "in any order"
    first = FIRST.identifier
    written[2].write_text(cut(f"[^ >]+,{re.escape(first)},[^ <]+ ")(LATEST), encoding="utf-8")
    assert command(written[2])[0] == 0, "nobody can know, by this one alone"
    code, lines = command(*written)
    said = f"{written[2]}: references: {first} had not expired and is not named [references-incomplete]"
    assert (code, lines) == (1, [said, "3 documents, 1 with something wrong"])
    (tmp_path / "junk").write_bytes(b"\xff")
    code, lines = command(tmp_path / "junk", written[0], "--region", "sri-lanka")
    assert code == 1 and lines[0].endswith("[xml]") and lines[-1] == "2 documents, 2 with something wrong"
    outside = "a point lies outside of the region [polygon-outside]"  # a document of the Punjab, in three languages
    assert lines[1:-1] == [f"{written[0]}: info {number}, area 1: {outside}" for number in (1, 2, 3)]
