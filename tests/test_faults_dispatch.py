"""A short selection of ``python -m tests.faults --dispatch``: two dispatchers killed while SMS centre, PostgreSQL and clock fail."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import channel_postgres
import services
from faults import dispatch_verdict, dispatching
from faults.dispatch_verdict import Verdict
from faults.results import dispatch_figures


@dataclass
class Region:
    """One contact, as far as the judge looks."""

    phone: str
    id: str = "c1"

    @property
    def contacts(self) -> tuple[Region, ...]:
        return (self,)


async def test_two_dispatchers_killed_while_all_around_them_fails_miss_nobody_and_mark_what_went_twice() -> None:
    folder = Path(tempfile.mkdtemp(prefix="faults-dispatch-"))
    try:
        with channel_postgres.cluster() as database, services.embedded() as broker:
            plan = dispatching.Plan(seed=7, kills=3, gap_s=0.8, outage_s=1.5, contacts=24, alert_every_s=1.0, slowness=0.2, folder=folder)
            result = await dispatching.once(plan, broker.bootstrap, database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert not result.wrong
    assert (result.kills, result.missed, result.doubled_unmarked) == (3, 0, 0)
    assert result.deliveries == 24 * result.alerts > 0 and result.counts.get("delivered", 0) > 0
    figures = dispatch_figures([result])
    assert (figures["kills"], figures["missed"], figures["doubled_unmarked"], figures["not_passed"]) == (3, 0, 0, 0)


def test_the_judge_sees_what_was_missed_and_what_went_twice_without_a_mark() -> None:
    row = {"id": 1, "alert": "ews.oak.A.1.1", "contact": "c1", "channel": "sms", "state": "delivered", "revision": 1, "parts": 2}
    row |= {"doubled": False, "reason": ""}
    parts = [{"message_id": name, "delivery": 1, "number": number} for name, number in (("a", 1), ("b", 2), ("c", 1), ("d", 2))]
    region = Region(phone := "+9992000001")

    def judged(ids: str, **changes) -> Verdict:
        verdict, rows = Verdict(), [{**row, **changes}]
        got = [{"message_id": name, "destination": phone.lstrip("+")} for name in ids]
        copies, strangers = dispatch_verdict._attributed(rows, parts, got)
        arrived = {1: dispatch_verdict._whole(rows[0], copies[1])}
        dispatch_verdict._missed(verdict, region, [], rows, arrived)
        dispatch_verdict._doubled(verdict, region, rows, copies, arrived, Counter(), strangers)
        return verdict

    assert (judged("ab").missed, judged("ab").doubled) == ([], [])
    assert judged("a").missed and judged("").missed and judged("", state="failed").missed
    assert judged("abcd").doubled and not judged("abcd", doubled=True).doubled
    assert judged("abx").doubled, "a part that no answer names, and no outcome is unknown"
