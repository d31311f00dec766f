"""What `q2c import` does: lists what is open in Sales, asks the rules, and begins deals the way a submission does."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from cli import inputs
from cli.output import fail, note, result_as_json
from domain import event_ids, importing
from domain.assessing import QuotePreview
from domain.importing import ImportedQuote, OpenQuote, Taken
from domain.messages import SalesEvent, SalesEventKind
from domain.policy import Policy
from dynamics.core.budget import Budget
from dynamics.core.errors import DynamicsError
from dynamics.sales.changes import SalesChanges
from dynamics.sales.options import ApprovalChoice, QuoteState
from dynamics.sales.records import Changes, QuoteChange
from runs import names
from runs.calls import NoAnswer, RunError
from runs.deals import Deals
from runs.lookup import Lookup
from runs.reviews import Reviews
from workers import composition
from workers.settings import Settings, SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

AT_ONCE = 4
"""Quotes that the rules are asked about at a time: a worker's own work goes on beside it."""
TRIES = 3
SHOWN = 30
NOBODY = "No worker answers: start one, and say it again."
_STATES = {QuoteState.DRAFT: "draft", QuoteState.ACTIVE: "active"}
_APPROVALS: Mapping[int | None, str] = {
    None: "none",
    ApprovalChoice.NONE: "none",
    ApprovalChoice.REQUESTED: "requested",
}


@dataclass(frozen=True)
class Asked:
    """What is to be imported; ``company`` and ``only`` empty: all."""

    company: str
    only: frozenset[str]
    apply: bool
    most: int
    per_minute: int
    csv: Path | None


@dataclass(frozen=True)
class Listed:
    """An open quote, and the row it was read from; None: an order that was made before."""

    quote: OpenQuote
    row: QuoteChange | None = None


def run(asked: Asked, *, as_json: bool) -> int:
    """List, and where asked for begin; the exit code."""
    settings, policy = inputs.settings(), inputs.policy()
    companies = set(policy.entity_map.business_units.values())
    if asked.company and asked.company not in companies:
        fail(f"--company: {asked.company} is none of {', '.join(sorted(companies))}")
    try:
        found = asyncio.run(_imported(settings, policy, asked))
    except (RunError, SettingsError, TemporalUnusable, DynamicsError) as error:
        fail(str(error))
    if asked.csv is not None:
        _write(asked.csv, found)
    if as_json:
        result_as_json(
            {
                "applied": asked.apply,
                "counts": [
                    {"company": company, "taken": taken, "quotes": number}
                    for (company, taken), number in sorted(importing.counts(found).items())
                ],
                "quotes": [quote.model_dump(mode="json") for quote in found],
            }
        )
    else:
        _print(found, asked)
    return int(any(quote.taken in importing.FAILED for quote in found))


async def _imported(settings: Settings, policy: Policy, asked: Asked) -> list[ImportedQuote]:
    client = await connect(start_telemetry("q2c-import", environment={}), settings.codec)
    async with composition.dataverse(settings) as sales:
        units = await sales.business_units()
        listing = Listing(SalesChanges(sales.odata), units, policy, asked)
        desk = Desk(client, asked, policy.entity_map.shadow)
        listed = [each async for each in listing.all()]
    return await desk.take(listed)


class Listing:
    """The open quotes of Sales, page by page."""

    def __init__(self, changes: SalesChanges, units: dict[UUID, str], policy: Policy, asked: Asked) -> None:
        """Read ``changes``, and keep what was asked for."""
        self._changes, self._units, self._policy, self._asked = changes, units, policy, asked

    async def all(self) -> AsyncIterator[Listed]:
        """Every open quote, then every open order that was made before."""
        async for page in _pages(self._changes.open_quotes):
            for row in page.quotes:
                state = _STATES.get(row.state)
                if state is not None and (quote := self._quote(row, state)):
                    yield Listed(quote, row)
        async for page in _pages(self._changes.orders_under_way):
            orders = {order.quote_id: order.number for order in page.orders if order.quote_id}
            for row in (await self._changes.now("quote", list(orders))).quotes:
                if quote := self._quote(row, "won", orders[row.id]):
                    yield Listed(quote)

    def _quote(self, row: QuoteChange, state: str, order: str = "") -> OpenQuote | None:
        unit = self._units.get(row.business_unit_id, "") if row.business_unit_id else ""
        company = self._policy.entity_map.company_of(unit) or ""
        if self._asked.company not in ("", company) or (self._asked.only and row.number not in self._asked.only):
            return None
        return OpenQuote.model_validate(
            {
                "company": company,
                "quote": row.number,
                "revision": row.revision,
                "state": state,
                "approval": _APPROVALS.get(row.approval, "other"),
                "business_unit": unit,
                "order": order,
            }
        )


async def _pages(read: Callable[[str | None], Awaitable[Changes]]) -> AsyncIterator[Changes]:
    link: str | None = None
    while True:
        page = await read(link)
        for row_id, why in page.unreadable.items():
            note(f"left out: {row_id}: {why}")
        yield page
        link = page.next_link
        if link is None:
            return


class Desk:
    """Asks the rules about quotes, and begins deals."""

    def __init__(self, client: Client, asked: Asked, shadow: Collection[str]) -> None:
        """Do as asked, through a connected client; in companies in shadow mode quotes are looked at only."""
        self._asked = asked
        self._deals, self._lookup, self._reviews = Deals(client, shadow=shadow), Lookup(client), Reviews(client)
        self._pace = Budget(asked.per_minute / 60)

    async def take(self, listed: list[Listed]) -> list[ImportedQuote]:
        """What becomes of each, in the order of the list. A few at a time; beyond the bound they are left."""
        found: list[ImportedQuote] = []
        begun, away = 0, False
        for start in range(0, len(listed), AT_ONCE):
            some = listed[start : start + AT_ONCE]
            if away or begun >= self._asked.most:
                done = [importing.of_sales(each.quote) or importing.left(each.quote) for each in some]
            else:
                room = self._asked.most - begun
                done = list(await asyncio.gather(*(self._one(each) for each in some[:room])))
                done += [importing.of_sales(each.quote) or importing.left(each.quote) for each in some[room:]]
            begun += sum(each.taken is Taken.BEGINS for each in done)
            if not away and all(each.text == NOBODY for each in done):
                away = True
                note(NOBODY)
            found += done
        return found

    async def _one(self, listed: Listed) -> ImportedQuote:
        quote, row = listed.quote, listed.row
        decided = importing.of_sales(quote)
        if decided is not None or row is None:
            return decided or importing.left(quote)
        try:
            if await self._lookup.last_run(names.deal_id(quote.company, quote.quote)) is not None:
                return importing.known(importing.left(quote))
            seen = importing.of_rules(quote, await self._preview(quote))
            if seen.taken is not Taken.BEGINS or not self._asked.apply:
                return seen
            await self._pace.take()
            return seen if await self._deals.begin(_submission(quote, row)) else importing.known(seen)
        except NoAnswer:
            return importing.unread(quote, NOBODY)
        except RunError as error:
            return importing.unread(quote, str(error))

    async def _preview(self, quote: OpenQuote) -> QuotePreview:
        """What the rules say of it. No person waits: a worker that is busy is asked again."""
        for _ in range(TRIES - 1):
            try:
                return await self._reviews.preview(quote.company, quote.quote)
            except NoAnswer:
                continue
        return await self._reviews.preview(quote.company, quote.quote)


def _submission(quote: OpenQuote, row: QuoteChange) -> SalesEvent:
    """The event that a submission of the quote as it is would be."""
    return SalesEvent(
        event_id=event_ids.quote_fact(row.id, SalesEventKind.SUBMITTED, row.version),
        kind=SalesEventKind.SUBMITTED,
        company=quote.company,
        quote_number=quote.quote,
        quote_id=str(row.id),
        revision=row.revision,
        version=row.version,
        occurred_at=row.modified_on or datetime.now(UTC),
        actor=str(row.modified_by_id or ""),
        source="import",
    )


def _write(file: Path, found: list[ImportedQuote]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(ImportedQuote.model_fields))
        writer.writeheader()
        for quote in found:
            row = quote.model_dump(mode="json")
            # A spreadsheet takes what begins with these for a formula.
            writer.writerow({name: f"'{text}" if str(text)[:1] in "=+-@" else text for name, text in row.items()})


def _print(found: list[ImportedQuote], asked: Asked) -> None:
    console = Console(file=sys.stdout, highlight=False, markup=False)
    counted = Table("Company", "Quotes", "What becomes of them", box=None)
    for (company, taken), number in sorted(importing.counts(found).items()):
        done = "begun" if taken is Taken.BEGINS and asked.apply else str(taken)
        counted.add_row(company.upper() or "–", f"{number:,}", done)
    console.print(counted)
    telling = [quote for quote in found if quote.taken in {Taken.BEGINS, *importing.FAILED}]
    if telling:
        rows = Table("Company", "Quote", "State", "Becomes", "Why, or who is asked", box=None)
        for quote in telling[:SHOWN]:
            rows.add_row(quote.company.upper(), quote.quote, quote.state, str(quote.taken), quote.text)
        console.print(rows)
    if len(telling) > SHOWN:
        note(f"and {len(telling) - SHOWN:,} more: --csv FILE writes all")
    if not asked.apply and any(quote.taken is Taken.BEGINS for quote in found):
        note("Nothing was begun: --apply begins these deals.")
