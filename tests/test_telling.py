"""What goes to the topic without a noun in between is what the noun would be."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pipeline_story import START_MS, Story
from regions import write_region
from test_pipeline import random_log

from warning import config
from warning.model import Hazard, Level, to_json
from warning.pipeline import Outputs
from warning.pipeline.beat import Hazards
from warning.pipeline.reasons import reasons
from warning.pipeline.score import score
from warning.pipeline.state import Journal
from warning.pipeline.telling import rows


def played(tmp_path: Path, beats: int = 60) -> tuple[Story, list[Outputs]]:
    story, out = Story(config.load(write_region(tmp_path))), []
    for minute, readings in random_log(3, beats):
        for station, when, value, parameter in readings:
            story.push(station, when, value, parameter, received=minute)
        out.append(story.tick(minute))
    return story, out


def test_a_record_is_the_json_of_its_noun(tmp_path: Path) -> None:
    _, out = played(tmp_path)
    told = [outputs.hazards.numbered(beat) for beat, outputs in enumerate(out)]
    assert {len(one.reasons) for hazards in told for one in hazards} > {1, 2}  # quiet ones and others
    assert {one.level for hazards in told for one in hazards} > {Level.NORMAL, Level.HIGH}
    for n, hazards in enumerate(told):
        assert hazards.records() == [(one.zone.encode(), to_json(one)) for one in hazards]
        assert {one.n for one in hazards} <= {n}
        everyone = [(one.zone, one.level.value, one.silent_since_ms) for one in hazards]
        assert hazards.other_than({}) == everyone
        before = {one.zone: one.level.value for one in told[n - 1]}
        assert hazards.other_than(before) == [each for each in everyone if before.get(each[0]) != each[1]]
        assert Hazards.of(tuple(hazards)).numbered(n) == hazards


def test_nouns_survive_being_numbered_twice(tmp_path: Path) -> None:
    """A beat that is read again, from the same outputs, under another number."""
    _, out = played(tmp_path, 5)
    hazards = next(outputs.hazards for outputs in out if outputs.hazards)
    first, second = hazards.numbered(7), hazards.numbered(9)
    assert [one.n for one in first] == [7] * len(first)
    assert [one.n for one in second] == [9] * len(second)
    assert msgspec.json.decode(first.records()[0][1])["n"] == 7
    assert hazards[:1].numbered(3)[0].n == 3


def test_a_quiet_zone_says_what_its_reasons_say(tmp_path: Path) -> None:
    """The short way that most zones take, against the long way, for every zone at every tenth beat of a restless log."""
    story, quiet, others = Story(config.load(write_region(tmp_path))), 0, 0
    for beat, (minute, readings) in enumerate(random_log(5)):
        for station, when, value, parameter in readings:
            story.push(station, when, value, parameter, received=minute)
        story.tick(minute)
        if beat % 10:
            continue
        plan, state, now_s = story.plan, story.state, (START_MS + int(minute * 60_000)) // 1000
        journal = Journal(state)
        scores = score(plan, state, journal, plan.downwards, now_s)
        for place, row in enumerate(rows(plan, state, scores, np.arange(len(plan.zones)), now_s)):
            one, why = scores.one(place), reasons(plan, state, scores.one(place), now_s)
            hazard = msgspec.json.decode(msgspec.json.encode(row), type=Hazard)
            assert hazard.reasons == why
            short = [reason.code for reason in why] == ["observed_below"]
            assert (hazard.words == ()) is short
            quiet, others = quiet + short, others + (not short)
            assert hazard.value == (None if math.isnan(one.value) else one.value)
            assert (hazard.level.rank, hazard.level_expected.rank) == (one.level, one.expected)
            assert (hazard.peak_value, hazard.peak_ms) == (one.peak or (None, None))
            assert hazard.probability == pytest.approx(round(one.probability, 3), abs=0)
        journal.roll_back()
    assert quiet >= 5 and others >= 5
