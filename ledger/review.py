"""What an auditor asks of a company and a period, read from the audit within bounds.

Each report looks at the records it needs and at no more than ``MOST_READ`` of them; where there are more it says so, so
that an empty table never passes for a clean one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from domain.audit import STEP_DECIDED
from domain.record import Record
from domain.rights import ConflictFound
from ledger import reports
from ledger.reads import AuditReader, AuditRow
from ledger.reports import CREDIT_RELEASED, RELEASE_ASKED, Anomaly, Document, Grant, Limits, RoleReview

MOST_READ: Final = 5_000
"""Decisions, orders, or documents of a period that a report looks at."""
_TOGETHER: Final = 200
"""Deals whose records are read in one query."""
_OF_A_DEAL: Final = 50
"""Requests and decisions of a deal that are looked at, on average."""


class Period(Record):
    """A company and the time in which records of it were written down."""

    company: str = Field(description="Legal entity, lower case")
    since: datetime = Field(description="Recorded at or after, UTC")
    until: datetime = Field(description="Recorded before, UTC")


class Review(Record):
    """The five reports of a period."""

    period: Period
    conflicts: tuple[ConflictFound, ...]
    above_limit: tuple[Anomaly, ...]
    unsigned_orders: tuple[Anomaly, ...]
    documents: tuple[Document, ...] = Field(description="Slips and invoices that deals recorded")
    unknown_documents: tuple[Anomaly, ...]
    compared: tuple[str, ...] = Field(description="Kinds of documents that were compared with Finance's list")
    access: tuple[RoleReview, ...]
    cut: tuple[str, ...] = Field((), description="What there is more of than was looked at, in words")


async def review(
    reader: AuditReader,
    period: Period,
    *,
    grants: Sequence[Grant],
    conflicts: Sequence[ConflictFound],
    limits: Limits,
    release_limits: Limits,
    known: Mapping[str, Collection[str]],
) -> Review:
    """Make the five reports.

    Args:
        reader: of the audit.
        period: company and time.
        grants: who holds which role, in the company or in all.
        conflicts: who holds roles that should be two people's.
        limits: of approvals: by role and currency, the amount up to which the role decides.
        release_limits: of credit releases, the same.
        known: the numbers that Finance has, by kind of document; a kind that is left out is not compared.
    """
    decisions = await _of_period(reader, period, (STEP_DECIDED, CREDIT_RELEASED, RELEASE_ASKED))
    orders = await _of_period(reader, period, ("OrderCreated",))
    written = await _of_period(reader, period, ("ShipmentRecorded", "InvoicesRecorded"))
    before, all_before = await _what_led_to(reader, orders[:MOST_READ])
    documents = tuple(reports.documents_of(written[:MOST_READ]))
    in_order = sorted((*before, *orders[:MOST_READ]), key=lambda row: row.seq)
    cut = [
        name
        for name, rows in (("decisions", decisions), ("orders", orders), ("slips and invoices", written))
        if len(rows) > MOST_READ
    ]
    return Review(
        period=period,
        conflicts=tuple(conflicts),
        above_limit=tuple(reports.above_limit(decisions[:MOST_READ], grants, limits, release_limits)),
        unsigned_orders=tuple(reports.unsigned_orders(in_order)),
        documents=documents,
        unknown_documents=tuple(_unknown(documents, known)),
        compared=tuple(known),
        access=tuple(reports.access_review(grants, decisions[:MOST_READ])),
        cut=(*cut, *(() if all_before else ("decisions before an order",))),
    )


def _unknown(documents: Sequence[Document], known: Mapping[str, Collection[str]]) -> list[Anomaly]:
    there = [
        Document(company=document.company, kind=document.kind, number=document.number)
        for document in documents
        if document.number in known.get(document.kind, ())
    ]
    return reports.unknown_to_finance((document for document in documents if document.kind in known), there)


async def _of_period(reader: AuditReader, period: Period, events: Collection[str]) -> list[AuditRow]:
    """Records of some events, one more than is looked at where there are more."""
    return await reader.about(period.company, events, since=period.since, until=period.until, limit=MOST_READ + 1)


async def _what_led_to(reader: AuditReader, orders: Sequence[AuditRow]) -> tuple[list[AuditRow], bool]:
    """What was asked and decided of the orders' deals, whenever that was; and whether it is all of it."""
    deals = sorted({order.deal_id for order in orders})
    found: list[AuditRow] = []
    whole = True
    for place in range(0, len(deals), _TOGETHER):
        some = deals[place : place + _TOGETHER]
        most = len(some) * _OF_A_DEAL
        rows = await reader.about(orders[0].company, ("ApprovalAsked", STEP_DECIDED), deal_ids=some, limit=most + 1)
        whole = whole and len(rows) <= most
        found += rows[:most]
    return found, whole
