"""``warning cash``: what anticipatory cash has come to, and what people decide about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warning.cli_options import Database, Directory, Prefix, RegionName, deployment_of
from warning.errors import ConfigError, InputError, Problem

if TYPE_CHECKING:
    from warning.config_cash import Cash
    from warning.proof.cash_ledger import CashLedger

cash = typer.Typer(help="Anticipatory cash: cases, approvals, orders.", no_args_is_help=True, rich_markup_mode=None)

CaseId = Annotated[str, typer.Argument(help="id of a case, as warning cash list shows it")]
By = Annotated[str, typer.Option("--by", help="your name: it stands in the ledger")]
Reason = Annotated[str, typer.Option("--reason", help="why; stands in the ledger")]


def _with_book(region: str, work: Callable[[CashLedger, Cash], Awaitable[None]], **given: Any) -> None:
    from warning import config, config_cash
    from warning.proof.cash_ledger import CashLedger

    found = config.load(region)
    rules = config_cash.load(found)
    if rules is None:
        raise ConfigError([Problem(f"{found.folder}/{config_cash.FILE}", "is not there", "config/README.md shows what it holds")])

    async def run() -> None:
        book = CashLedger(deployment_of(found, **given).database, found)
        try:
            await work(book, rules)
        finally:
            await book.close()

    asyncio.run(run())


def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cash.command("list")
def listed(region: RegionName, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """List the cases, the newest first."""

    async def work(book: CashLedger, _: Cash) -> None:
        if await book.halted():
            print("everything is stopped: warning cash approve '*' --by NAME lets it go on")
        for case in await book.cases():
            orders = ", ".join(f"{order['phase']} {order['state']}" for order in await book.orders(case["id"]))
            print(f"{case['id']}  {case['state']}  since {_at(case['changed_ms'])}  {case['why']}  [{orders}]")

    _with_book(region, work, prefix=prefix, directory=directory, database_url=database)


@cash.command()
def show(region: RegionName, case: CaseId, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """Show a case: its orders as they are sent, and every change of state."""

    async def work(book: CashLedger, _: Cash) -> None:
        orders = await book.orders(case)
        for order in orders:
            print(f"{order['key']}  {order['state']}  {order['attempts']} attempts  {order['why']}")
            print(f"  {bytes(order['body']).decode()}")
        moves = await book.moves([case, *(order["key"] for order in orders)])
        if not moves:
            raise InputError(f"there is no case {case!r}", reason="case", field="case", fix="warning cash list")
        for move in moves:
            print(_line(move))

    _with_book(region, work, prefix=prefix, directory=directory, database_url=database)


def _line(move: Mapping[Any, Any]) -> str:
    by = f" by {move['by']}" if move["by"] else ""
    return f"{_at(move['at_ms'])}  {move['subject']}  {move['state']}{by}  {move['why']}".rstrip()


def _answer(case: str, by: str, granted: bool, reason: str) -> Callable[[CashLedger, Cash], Awaitable[None]]:
    from warning.wiring import clock_ms

    async def work(book: CashLedger, _: Cash) -> None:
        await book.answer(case, by, granted, reason, clock_ms())
        print(f"{case}: {'approved' if granted else 'refused'} by {by}")

    return work


@cash.command()
def approve(
    region: RegionName,
    case: CaseId,
    by: By,
    reason: Reason = "",
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Approve a case, now or before its activation: it pays when the trigger holds and enough persons have approved."""
    _with_book(region, _answer(case, by, True, reason), prefix=prefix, directory=directory, database_url=database)


@cash.command()
def refuse(
    region: RegionName, case: CaseId, by: By, reason: Reason, prefix: Prefix = None, directory: Directory = None, database: Database = None
) -> None:
    """Refuse a case: it ends, and the payment system stands down."""
    _with_book(region, _answer(case, by, False, reason), prefix=prefix, directory=directory, database_url=database)


@cash.command()
def stop(
    region: RegionName, case: CaseId, by: By, reason: Reason, prefix: Prefix = None, directory: Directory = None, database: Database = None
) -> None:
    """End a case: no district more is paid; '*' stops everything until it is approved again. Nothing is taken back."""
    from warning.proof.cash_ledger import ALL
    from warning.wiring import clock_ms

    async def work(book: CashLedger, rules: Cash) -> None:
        if case == ALL:
            gone: tuple[str, ...] = ()
            await book.answer(ALL, by, False, reason, clock_ms())
        else:
            gone = await book.stop(rules, case, by, reason, clock_ms())
        print(f"{case}: stopped by {by}" + (f"; on its way, not taken back: {', '.join(gone)}" if gone else ""))

    _with_book(region, work, prefix=prefix, directory=directory, database_url=database)
