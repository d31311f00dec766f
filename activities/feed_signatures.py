"""What sweeps of both systems may ask for: names, queues, inputs and results, as ``activities.signatures``."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.feeds import Became, DocumentKind, Look, SalesTable, Unrouted
from domain.messages import FinanceEvent
from domain.record import Record


class SweepFinance(Record):
    """Find what was posted in Finance since the last sweep, and pass it on."""

    company: str
    marks: dict[DocumentKind, date] = Field(description="Documents of each kind were read up to this day; absent: none")
    told: str = Field(description="Digest of the documents since those days that were passed on")
    waiting: str = Field(description="Digest of the reports that wait in the feed")
    room: int = Field(ge=0, description="How many reports the feed can still keep")


class SweptFinance(Record):
    """What a sweep of Finance found, and what became of it."""

    marks: dict[DocumentKind, date]
    told: str
    unresolved: tuple[FinanceEvent, ...] = Field(description="Of orders of ours whose deal is not to be seen yet")
    unrouted: tuple[Unrouted, ...] = ()
    counts: dict[str, int] = Field(description="How many new documents became what (domain.feeds.Became)")
    more: bool = Field(False, description="There was more than one activity should pass on: sweep again at once")
    key_numbered: bool = Field(description="Orders of deals carry our key as their number in this company")


class RouteFinance(Record):
    """Events whose deal was not known when they came."""

    company: str
    events: tuple[FinanceEvent, ...]


class RoutedFinance(Record):
    """What became of each event, in the order asked; those handed out are in ``unrouted``, by the event's place."""

    became: tuple[Became, ...]
    unrouted: dict[int, Unrouted] = Field(default_factory=dict)


class ReadSales(Record):
    """Read one page of what changed in a table of Sales, and pass it on."""

    table: SalesTable
    link: str | None = Field(description="The page, or the delta link of the last sweep; None: start anew")
    anew: bool = Field(description="The page is of a fresh start: it shows all records, not changes")


class ReadPage(Record):
    """A page that was passed on; exactly one link is set, or none and why the table must be read anew."""

    next_link: str | None = None
    delta_link: str | None = None
    expired: str = Field("", description="Sales does not take the link any more, and what it said")
    unrouted: tuple[Unrouted, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict, description="How many reports became what")


class LookAtSales(Record):
    """Read records of Sales of which something was reported that could not be understood or mapped."""

    table: SalesTable
    looks: tuple[Look, ...]


class LookedAt(Record):
    """What became of the events the records stand for."""

    unrouted: tuple[Unrouted, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)


@declares_activities
class SalesFeedActivities(Protocol):
    """Sweeps of Sales for what webhooks missed (task queue q2c-dataverse).

    They heartbeat; what an earlier try passed on is not passed on again.
    """

    async def read_sales(self, ask: ReadSales) -> ReadPage:
        """Read one page of changes by change tracking and tell the deals."""

    async def look_at_sales(self, ask: LookAtSales) -> LookedAt:
        """Read records as they stand, and tell the deals what that means."""


@declares_activities
class FinanceFeedActivities(Protocol):
    """Sweeps of Finance for what business events missed (task queue q2c-finance).

    They heartbeat; what an earlier try passed on is not passed on again.
    """

    async def sweep_finance(self, sweep: SweepFinance) -> SweptFinance:
        """Read packing slips, invoices and settlements posted since, and tell the deals."""

    async def route_finance(self, route: RouteFinance) -> RoutedFinance:
        """Find the deals of events and tell them."""
