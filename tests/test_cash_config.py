"""cash.yaml: every wrong key is named with its line and mend, and the commands of people work on the ledger."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cash_world import SECRET, Payments
from typer.testing import CliRunner

from warning import config, config_cash
from warning.cli import app
from warning.deployment import Deployment
from warning.dispatch.cash_book import Book
from warning.dispatch.cash_payer import Payer, secret
from warning.dispatch.cash_rules import Finding, Ground
from warning.errors import ConfigError, InputError
from warning.model import Level
from warning.region import Region

ROOT = Path(__file__).parent.parent
GOOD: dict[str, Any] = {
    "url": "https://pay.example/v1/orders",
    "status_url": "https://pay.example/v1/orders/{key}",
    "currency": "PKR",
    "period": "90 d",
    "cap": 100_000_000,
    "cap_per_district": 20_000_000,
    "triggers": {
        "chenab-high": {
            "amounts": {"sialkot": 12_000_000, "gujrat": 8_000_000},
            "readiness": {"class": "HIGH", "probability": 0.5},
            "activation": {"class": "HIGH", "probability": 0.7, "lead_at_least": "12 h", "lead_at_most": "72 h"},
            "approvals": 2,
            "cap": 20_000_000,
        }
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config" / "indus", tmp_path / "indus", ignore=shutil.ignore_patterns("replays"))
    return tmp_path / "indus"


def write(folder: Path, content: Any) -> None:
    (folder / "cash.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def changed(*path: str, to: Any) -> dict[str, Any]:
    made = yaml.safe_load(yaml.safe_dump(GOOD))
    place = made
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return made


def test_what_it_says(folder: Path) -> None:
    region = config.load(folder)
    assert config_cash.load(region) is None and config_cash.check(region) == []
    digest = region.digest
    write(folder, GOOD)
    region = config.load(folder)
    assert region.digest == digest
    found = config_cash.load(region)
    assert found is not None and (found.currency, found.period_s, found.valid_s) == ("PKR", 90 * 86_400.0, 86_400.0)
    (one,) = found.triggers
    assert one.amounts == {"gujrat": 8_000_000, "sialkot": 12_000_000} and one.most == 1 and one.readiness_for_s == 72 * 3600
    assert one.activation == config_cash.Condition(Level.HIGH, 0.7, 12 * 3600.0, 72 * 3600.0)


WRONG = [
    (("url",), "http://pay.example/x", "money does not travel unencrypted"),
    (("url",), "https://user:pw@pay.example/x", "is no plain URL"),
    (("url",), "pay.example", "is no plain URL"),
    (("status_url",), "https://pay.example/status", "does not say whose status"),
    (("currency",), "rupees", ""),
    (("cap",), None, ""),
    (("cap_per_district",), 5_000_000, "is above a cap, so it is never paid"),
    (("triggers", "chenab-high", "amounts", "atlantis"), 5, "'atlantis' is no district of indus"),
    (("triggers", "chenab-high", "amounts", "gujrat"), 1.5, ""),
    (("triggers", "chenab-high", "approvals"), 3, ""),
    (("triggers", "chenab-high", "readiness", "class"), "NORMAL", "'NORMAL' is no class"),
    (("triggers", "chenab-high", "readiness", "probability"), 0.9, "is weaker than readiness"),
    (("triggers", "chenab-high", "readiness", "chance"), 0.9, ""),
    (("triggers", "chenab-high", "activation", "lead_at_most"), "6 h", "no lead is between"),
    (("triggers", "Chenab High"), GOOD["triggers"]["chenab-high"], "is no id of a trigger"),
    (("triggers",), {}, ""),
]


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load(ROOT / "config" / "indus")


@pytest.mark.parametrize(("path", "to", "words"), WRONG)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, indus: Region, path: tuple[str, ...], to: Any, words: str) -> None:
    write(tmp_path, changed(*path, to=to))
    region = replace(indus, folder=str(tmp_path))
    problems = config_cash.check(region)
    assert problems and all(problem.fatal and "cash.yaml:" in problem.where for problem in problems), problems
    assert any(words in problem.what and (problem.fix or not words) for problem in problems), problems
    with pytest.raises(ConfigError):
        config_cash.load(region)


def test_warning_check_reads_it(folder: Path) -> None:
    write(folder, changed("triggers", "chenab-high", "amounts", "atlantis", to=5))
    told = CliRunner().invoke(app, ["check", str(folder)])
    assert told.exit_code != 0 and "no district of indus" in told.stdout


def test_people_decide_by_command_and_the_ledger_says_who(folder: Path, tmp_path: Path) -> None:
    write(folder, GOOD)
    region = config.load(folder)
    cash = config_cash.load(region)
    assert cash is not None
    where = Deployment(directory=tmp_path, prefix="indus.")
    ground = (Ground("ews.indus.X.1.0", "HIGH", 0.8, 86_400.0, ("gujrat",)),)

    async def step(now_ms: int) -> None:
        book = Book(where.database, region)
        try:
            await book.advance(cash, cash.triggers[0], Finding(ground, ground, True), now_ms)
        finally:
            await book.close()

    run, given = CliRunner(), ["--region", str(folder), "--directory", str(tmp_path)]
    for number in range(2):
        asyncio.run(step(1_800_000_000_000 + number))
    listed = run.invoke(app, ["cash", "list", *given])
    case = "chenab-high:ews.indus.X.1.0"
    assert (
        listed.exit_code == 0 and listed.stdout.startswith(f"{case}  approval  since 2027-01-15") and "readiness waiting" in listed.stdout
    )
    assert run.invoke(app, ["cash", "approve", case, "--by", "Amna", *given]).exit_code == 0
    unnamed = run.invoke(app, ["cash", "approve", case, "--by", " ", *given])
    assert isinstance(unnamed.exception, InputError) and unnamed.exception.field == "by"
    assert run.invoke(app, ["cash", "stop", case, "--by", "Bilal", "--reason", "wrong gauge", *given]).exit_code == 0
    shown = run.invoke(app, ["cash", "show", case, *given]).stdout
    assert f"{case}  approved by Amna" in shown and f"{case}  stopped by Bilal  wrong gauge" in shown and '"total": 8000000' in shown
    assert isinstance(run.invoke(app, ["cash", "show", "none", *given]).exception, InputError)
    assert isinstance(run.invoke(app, ["cash", "refuse", case, "--by", "A", "--reason", "x", *given]).exception, InputError)
    assert run.invoke(app, ["cash", "stop", "*", "--by", "Bilal", "--reason", "drill", *given]).exit_code == 0
    assert "everything is stopped" in run.invoke(app, ["cash", "list", *given]).stdout


async def test_a_secret_that_is_missing_sends_nothing_and_none_is_ever_shown(tmp_path: Path, folder: Path) -> None:
    write(folder, GOOD)
    async with Payments() as payments:
        write(
            folder,
            {**GOOD, "url": f"http://127.0.0.1:{payments.port}/orders", "status_url": f"http://127.0.0.1:{payments.port}/orders/{{key}}"},
        )
        cash = config_cash.load(config.load(folder))
        assert cash is not None
        payer = Payer(cash, Deployment(directory=tmp_path))
        result = await payer.send("key", b"{}")
        assert result.state == "waiting" and "cash_secret" in result.why and not payments.posts
        await payer.close()
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    where = Deployment(cash_secret_file=str(path))
    assert secret(where) == SECRET and SECRET not in repr(Deployment(cash_secret=SECRET))
