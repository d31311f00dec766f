"""The eight tools: what each may be asked, and what it answers to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field, ValidationError

from assistant import answers
from assistant.caller import Caller, Callers, refusal
from assistant.deals import Site
from assistant.maps import described, path_of
from assistant.stored import Stored, stored
from domain.entities.model import DataMap
from domain.entities.quality import Score
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action
from ledger.comparison_runs import Coverage, DifferenceFilter, DifferencePage
from ledger.data_reading import DataReading
from ledger.opening import LedgerAway
from web.access import Access
from web.addresses import COMPANY_LENGTH, QUOTE_LENGTH, Deal
from web.api.bodies import DealDetail
from web.problems import Problem

T = TypeVar("T", bound=Record)

MOST_LISTED: Final = 20
MOST_READ: Final = 10
"""Deals that are read one by one for one answer."""
MOST_TIMELINE: Final = 15
MOST_DOCUMENTS: Final = 30

Company = Annotated[str, Field(max_length=COMPANY_LENGTH, description="Legal entity of Finance, e.g. usmf")]
Quote = Annotated[str, Field(min_length=1, max_length=QUOTE_LENGTH, description="Quote number in Sales")]
Entity = Annotated[str, Field(max_length=40, description="Entity of the map, e.g. customer")]


class _Row(Record):
    """A deal as the site's list has it."""

    company: str
    quote: str
    name: str = ""
    customer: str = ""
    customer_name: str = ""
    stage: str = ""
    waiting_for: str = ""
    error: str = ""
    order: str = ""
    amount: str | None = None
    currency: str = ""
    status: str
    deadline: datetime | None = None


class _Page(Record):
    items: tuple[_Row, ...] = ()
    next_cursor: str | None = None


class _ScoredRun(Record):
    at: datetime
    scores: tuple[Score, ...]


class Tools:
    """What assistants may ask."""

    def __init__(
        self,
        callers: Callers,
        access: Access,
        site: Site,
        ledger: DataReading | None,
        maps: Mapping[str, DataMap],
        scores: Path | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is asked yet.

        Args:
            callers: who asks.
            access: the table of rights.
            site: where deals are read.
            ledger: where comparisons are kept; None: nowhere.
            maps: by entity.
            scores: file with the scores of data quality; None: there is none.
            now: UTC.
        """
        self._callers, self._access, self._site = callers, access, site
        self._ledger, self._maps, self._scores, self._now = ledger, maps, scores, now

    @property
    def all(self) -> tuple[Callable[..., Awaitable[answers.Answer]], ...]:
        """Every tool there is."""
        return (
            self.find_deal,
            self.explain_deal,
            self.holds,
            self.differences,
            self.customer_context,
            self.map_describe,
            self.quality_score,
            self.lineage,
        )

    # --- deals -------------------------------------------------------------------------------------------------------

    async def find_deal(
        self,
        text: Annotated[str, Field(max_length=100, description="Words of a number or name; empty: the newest")] = "",
        company: Company = "",
        status: Literal["running", "closed", "any"] = "any",
    ) -> answers.Deals:
        """Find deals by quote, order or customer number, name, or the customer's reference."""
        caller = await self._covered(company)
        page = await self._listed(caller, q=text, company=company.lower(), status="" if status == "any" else status)
        return answers.Deals(as_of=self._now(), deals=_rows(page), more=bool(page.next_cursor))

    async def explain_deal(self, company: Company, quote: Quote) -> answers.Explained:
        """Say where a deal stands, why it waits, who can act, and what happened last."""
        caller = await self._callers.current()
        return _explained(await self._deal(caller, company, quote), self._now())

    async def holds(self, company: Company = "") -> answers.Holds:
        """List deals on credit hold, and deals with a step that failed for good, with what would move them."""
        caller = await self._covered(company)
        asked = {"company": company.lower(), "status": "running"}
        credit = await self._listed(caller, **asked, waiting_for="credit")
        parked = await self._listed(caller, **asked, waiting_for="operator")
        held, failed = await self._held(caller, credit), await self._held(caller, parked)
        more = any((page.next_cursor or len(page.items) > MOST_READ) for page in (credit, parked))
        return answers.Holds(as_of=self._now(), credit=held, parked=failed, more=bool(more))

    async def customer_context(
        self,
        company: Company,
        account: Annotated[str, Field(min_length=1, max_length=20, description="Customer account in Finance")],
    ) -> answers.Customer:
        """Show a customer's deals and, for who may see collections, what is overdue of its account."""
        caller = await self._covered(company)
        page = await self._listed(caller, company=company.lower(), customer=account)
        owed: dict[str, Any] = {}
        if self._access.may(caller.person, Action.READ_COLLECTIONS, company.lower()):
            found = await self._site.get(caller, "/collections", company=company.lower(), account=account, limit=20)
            owed = next((each for each in found["items"] if each["account"].casefold() == account.casefold()), {})
        return answers.Customer(
            as_of=self._now(),
            company=company.lower(),
            account=account,
            deals=_rows(page),
            more=bool(page.next_cursor),
            overdue=owed.get("overdue"),
            currency=str(owed.get("currency") or ""),
            level=str(owed.get("level") or ""),
        )

    # --- data --------------------------------------------------------------------------------------------------------

    async def differences(
        self,
        entity: Entity,
        company: Company,
        field: Annotated[str, Field(max_length=60, description="One field of the map; empty: all")] = "",
    ) -> answers.Differences:
        """Show where Finance and Sales differ about an entity of a company. Personal data is left out."""
        caller = await self._callers.current()
        self._check_data(caller, company)
        page, coverage = await self._page(entity, company.lower(), field)
        return answers.Differences(
            as_of=self._now(),
            entity=entity,
            company=company.lower(),
            compared_at=coverage.last.ended_at if coverage else None,
            open={count.kind: count.total for count in page.counts},
            differences=tuple(
                answers.Difference(
                    record=stored(row.key),
                    kind=row.kind.value,
                    field=row.field,
                    owner=row.owner.value,
                    finance=None if row.pii else stored(row.finance_value),
                    sales=None if row.pii else stored(row.sales_value),
                    first_seen_at=row.first_seen_at,
                )
                for row in page.rows
            ),
            more=bool(page.next),
        )

    async def map_describe(self, entity: Entity) -> answers.Described:
        """Say what the map says of an entity: systems, key, pattern, and the owner of each field."""
        await self._covered()
        data = self._map(entity)
        return described(data, self._now())

    async def quality_score(self, entity: Entity = "", company: Company = "") -> answers.Quality:
        """Show the scores of the last check of data quality, for companies whose data you may see."""
        caller = await self._callers.current()
        if company:
            self._check_data(caller, company)
        run = await asyncio.to_thread(self._last_scores)
        wanted = [
            answers.Scored(**score.model_dump(include=set(answers.Scored.model_fields)))
            for score in (run.scores if run else ())
            if entity in ("", score.entity)
            and company.lower() in ("", score.company)
            and self._access.may(caller.person, Action.READ_DATA, score.company)
        ]
        return answers.Quality(as_of=self._now(), checked_at=run.at if run else None, scores=tuple(wanted))

    async def lineage(
        self,
        entity: Entity,
        field: Annotated[str, Field(min_length=1, max_length=60, description="A field of the map")],
        company: Company = "",
    ) -> answers.Lineage:
        """Say where a field is owned, how it travels, and how often both systems differ about it in a company."""
        caller = await self._covered()
        data = self._map(entity)
        if field not in data.fields:
            raise refusal(Refusal.NOT_FOUND, f"The map of {entity} has no field {field!r}.")
        compared, differ = None, None
        if company and self._ledger and self._access.may(caller.person, Action.READ_DATA, company.lower()):
            page, coverage = await self._page(entity, company.lower(), field)
            compared = coverage.last.ended_at if coverage else None
            differ = len(page.rows) if coverage else None
        return path_of(data, field, self._now()).model_copy(
            update={"compared_at": compared, "open_differences": differ}
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _covered(self, company: str = "") -> Caller:
        """Who asks, if they may read deals of the company; empty: of any."""
        caller = await self._callers.current()
        try:
            self._access.readable(caller.person)
            if company:
                self._access.check_readable(caller.person, company.lower())
        except Problem as problem:
            raise refusal(problem.code, problem.detail) from problem
        return caller

    def _check_data(self, caller: Caller, company: str) -> None:
        if not self._access.may(caller.person, Action.READ_DATA, company.lower()):
            raise refusal(Refusal.NO_AUTHORITY)

    def _map(self, entity: str) -> DataMap:
        found = self._maps.get(entity)
        if found is None:
            raise refusal(Refusal.NOT_FOUND, f"There is no map of {entity!r}; there are {', '.join(self._maps)}.")
        return found

    async def _page(self, entity: str, company: str, field: str) -> tuple[DifferencePage, Coverage | None]:
        self._map(entity)
        if self._ledger is None:
            raise refusal(Refusal.LEDGER_UNAVAILABLE, "This installation keeps no comparisons.")
        wanted = DifferenceFilter(companies=(company,), entity=entity, company=company, field=field)
        try:
            page = await self._ledger.differences(wanted, now=self._now(), rows=MOST_LISTED)
        except LedgerAway as error:
            raise refusal(Refusal.LEDGER_UNAVAILABLE) from error
        return page, page.coverage.get(f"{entity}/{company}")

    def _last_scores(self) -> _ScoredRun | None:
        """The last line of the file; none where it is not there or is not of ours."""
        try:
            lines = self._scores.read_text(encoding="utf-8").splitlines() if self._scores else []
            return _ScoredRun.model_validate_json(lines[-1]) if lines else None
        except (OSError, ValueError, ValidationError):
            return None

    async def _listed(self, caller: Caller, **query: str) -> _Page:
        return _read(_Page, await self._site.get(caller, "/cases", **query, limit=MOST_LISTED))

    async def _deal(self, caller: Caller, company: str, quote: str) -> DealDetail:
        try:
            path = Deal.of(company, quote).path()
        except Problem as problem:
            raise refusal(problem.code, problem.detail) from problem
        return _read(DealDetail, await self._site.get(caller, path))

    async def _held(self, caller: Caller, page: _Page) -> tuple[answers.Hold, ...]:
        return tuple([await self._hold(caller, row) for row in page.items[:MOST_READ]])

    async def _hold(self, caller: Caller, row: _Row) -> answers.Hold:
        """Why a deal does not go on; one that cannot be read says so, and takes no others down."""
        try:
            deal = await self._deal(caller, row.company, row.quote)
        except ToolError as error:
            return answers.Hold(deal=_row(row), why=stored(error), unblock=stored(""), credit_reasons=())
        return answers.Hold(
            deal=_row(row),
            why=stored(deal.explanation.text),
            unblock=stored(deal.explanation.unblock),
            credit_reasons=tuple(str(reason.code) for reason in (deal.credit.reasons if deal.credit else ())),
        )


def _read(kind: type[T], body: object) -> T:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise refusal(Refusal.QUERY_FAILED, "The approvals site is of another version than this process.") from error


def _rows(page: _Page) -> tuple[answers.DealRow, ...]:
    return tuple(_row(row) for row in page.items)


def _row(row: _Row) -> answers.DealRow:
    shown = row.model_dump(exclude={"name", "customer_name", "error"})
    return answers.DealRow(
        **shown,
        name=stored(row.name),
        customer_name=stored(row.customer_name),
        parked_because=row.error,
    )


def _texts(texts: Iterable[object]) -> tuple[Stored, ...]:
    return tuple(stored(text) for text in texts)


def _explained(deal: DealDetail, at: datetime) -> answers.Explained:
    why = deal.explanation
    return answers.Explained(
        as_of=at,
        company=deal.company,
        quote=deal.quote_number,
        stage=deal.stage,
        ending=deal.ending,
        waiting_for=why.waiting_for,
        since=why.since,
        why=stored(why.text),
        unblock=stored(why.unblock),
        who_can_act=_texts(why.who),
        deadline=why.deadline,
        problems=tuple(str(problem.code) for problem in deal.problems),
        exceptions=_texts(deal.exceptions),
        credit_status=deal.credit_status,
        order=deal.order_number,
        total=deal.total,
        open_amount=deal.open_amount,
        currency=deal.currency,
        approvals=_texts(f"{each.n}: {each.status} {each.text}" for each in deal.approvals),
        documents=tuple(
            answers.Document(
                **each.model_dump(include={"kind", "system", "number", "amount", "open_amount", "due_on"}),
                status=stored(each.status),
            )
            for each in deal.documents[:MOST_DOCUMENTS]
        ),
        timeline=tuple(
            answers.Happened(
                at=each.at,
                who=stored(each.actor.label),
                event=each.event,
                text=stored(each.text),
                accepted=each.accepted,
                code=each.code,
            )
            for each in deal.timeline[-MOST_TIMELINE:]
        ),
    )
