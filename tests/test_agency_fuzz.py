"""Mutated messages of each format; ``python -m tests.fuzz --agencies 1000000 --readers 1000000 --things 1000000`` runs more of them."""

from __future__ import annotations

import pytest
from fuzz.agencies import FORMATS, Agencies
from fuzz.readers import FORMATS as OF_READERS
from fuzz.readers import Readers
from fuzz.things import ThingsFuzz
from ingest_house import two_basins

from warning.region import Region


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return two_basins(tmp_path_factory.mktemp("region"))


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_messages_are_taken_refused_or_counted(region: Region, name: str) -> None:
    fuzz = Agencies(region, 1)
    for number in (0, 1):
        tally = fuzz.chunk(name, 150, number)
        assert tally["records"] == 150 and tally["ends"].get("accepted", 0) > 0 and sum(tally["ends"].values()) >= 150, tally


def test_mutated_sms_and_pdus() -> None:
    fuzz = Readers(1)
    for name in OF_READERS:
        tally = fuzz.chunk(name, 300)
        assert tally["records"] == 300 and tally["ends"]["accepted"] > 5 and tally["ends"]["refused"] > 50, tally


def test_mutated_sensorthings() -> None:
    answers = ThingsFuzz(1).chunk(0, 300)["answers"]
    assert sum(answers.values()) == 300 and answers["201"] > 10 and answers["mqtt taken"] > 3, answers
