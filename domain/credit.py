"""The book that keeps two deals from using the same credit of a customer.

Finance does not know a deal until its order is there; until then the book holds its amount, and a deal is counted
exactly once at every moment: by the book before its order is visible in Finance, by Finance afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Final

from pydantic import Field

from domain.credit_facts import CreditDecision, CreditFacts, CreditReason
from domain.credit_rule import CLOCK_SKEW, RELEASED, StaleFacts, decide_credit, terms_of
from domain.money import arithmetic
from domain.people import Person
from domain.phrases import amount, moment, phrase
from domain.policy import CreditTerms, Policy
from domain.record import Record

_HUNDRED: Final = Decimal(100)

OLDEST_FACTS: Final = timedelta(minutes=5)
"""The oldest facts any policy lets decide (domain.policy bounds freshness_seconds by it)."""
MOST_DEALS: Final = 2_000
"""Deals in one customer's book; more have to wait until one of them has its order, or ends."""


class BookFull(ValueError):
    """The book takes no further deal for now."""


_BEYOND_MONEY: Final = Decimal(10) ** 15


def most_released(ceiling: Decimal, deviation_pct: Decimal) -> Decimal:
    """The largest order that a release lets pass: its ceiling, and so many per cent more."""
    with arithmetic():
        return ceiling * (_HUNDRED + deviation_pct) / _HUNDRED


class ReleaseToken(Record):
    """A credit manager's release of one deal's hold, and how far it reaches.

    It covers an order up to its ceiling plus the deviation, until its end, and only the reasons the hold had when it
    was released: a customer blocked later, or a limit that expires, is a new hold.
    """

    deal_id: str
    ceiling: Decimal = Field(ge=0, description="In the customer's currency, incl. tax")
    deviation_pct: Decimal = Field(Decimal(0), ge=0, le=100)
    valid_until: datetime = Field(description="UTC")
    reasons: tuple[str, ...] = Field(description="Codes of the reasons it covers")
    released_by: Person
    also_by: Person | None = Field(None, description="The second person, where it takes two")
    comment: str = ""

    @property
    def most(self) -> Decimal:
        """The largest order it lets pass, in the customer's currency, incl. tax."""
        return most_released(self.ceiling, self.deviation_pct)

    def joined_by(self, second: ReleaseToken) -> ReleaseToken:
        """The release that two persons agree on: each of its terms the narrower one of theirs."""
        return self.model_copy(
            update={
                "ceiling": min(self.ceiling, second.ceiling),
                "deviation_pct": min(self.deviation_pct, second.deviation_pct),
                "valid_until": min(self.valid_until, second.valid_until),
                "reasons": tuple(code for code in self.reasons if code in second.reasons),
                "also_by": second.released_by,
                "comment": "; ".join(text for text in (self.comment, second.comment) if text),
            }
        )

    def covers(self, decision: CreditDecision, now: datetime) -> bool:
        """Whether the release still holds for a decision that refuses credit."""
        return (
            decision.this_order <= self.most
            and now <= self.valid_until
            and {reason.code for reason in decision.reasons} <= set(self.reasons)
        )


class EntryStatus(StrEnum):
    """Whether a deal holds credit or waits for it."""

    RESERVED = "reserved"
    HELD = "held"


class CreditEntry(Record):
    """A deal in a customer's book. Money in the customer's currency, incl. tax."""

    deal_id: str
    order_number: str
    amount: Decimal
    status: EntryStatus
    over_by: Decimal = Field(Decimal(0), description="Held: by how much the limit was exceeded; 0 for other reasons")
    in_doubt: Decimal = Field(
        Decimal(0), description="Held: how much of that were other deals' reservations, which Finance may count as well"
    )
    visible_at: datetime | None = Field(None, description="UTC: the order was seen in Finance at the latest then")
    released: bool = Field(False, description="Reserved by a person's release, whatever the limit")
    asked_at: datetime | None = Field(None, description="UTC: when its deal asked last")
    checked_at: datetime | None = Field(None, description="UTC: when its deal was last seen to run")


class CreditBook(Record):
    """A customer's reservations and the deals that wait for credit, in the order they came."""

    entries: tuple[CreditEntry, ...] = ()

    def entry(self, deal_id: str) -> CreditEntry | None:
        """The entry of a deal; None where it has none."""
        return next((entry for entry in self.entries if entry.deal_id == deal_id), None)

    @property
    def held(self) -> tuple[str, ...]:
        """The deals that wait for credit, the one that came first in front."""
        return tuple(entry.deal_id for entry in self.entries if entry.status is EntryStatus.HELD)

    def reserved(self, facts: CreditFacts, *, without: str, skew: timedelta = CLOCK_SKEW) -> Decimal:
        """What other deals hold that Finance's figures do not show.

        An entry is left out when its order is among Finance's open orders, or was seen in Finance before the facts
        were read (by more than clocks may differ): then Finance counts it, as open order or as invoice. A deal that
        waits for credit holds none, unless its order is in Finance already.
        """
        listed = {order.order_number for order in facts.open_orders}
        return sum(
            (
                entry.amount
                for entry in self.entries
                if entry.deal_id != without
                and (entry.status is EntryStatus.RESERVED or entry.visible_at is not None)
                and entry.order_number not in listed
                and (entry.visible_at is None or entry.visible_at + skew >= facts.as_of)
            ),
            Decimal(0),
        )


def reserve(
    book: CreditBook,
    deal_id: str,
    order_number: str,
    amount: Decimal,
    facts: CreditFacts,
    policy: Policy | CreditTerms,
    now: datetime,
    released: ReleaseToken | None = None,
) -> tuple[CreditBook, CreditDecision]:
    """Reserve credit for a deal's order, or put the deal in the queue. Asking again replaces the deal's entry.

    Args:
        book: The customer's book.
        deal_id: Workflow id of the deal.
        order_number: Number its order has, or will have, in Finance.
        amount: Order total incl. tax and charges, in the customer's currency.
        facts: Finance's facts of the customer.
        policy: The policy, or its terms for this customer.
        now: UTC.
        released: A release of this deal's hold by a credit manager, if there is one.

    Returns:
        The book as it is now, and the decision; passed by release where the rule refuses and the release covers it.

    Raises:
        StaleFacts: the facts are older than the policy allows, or were read so shortly after another deal's order was
            seen that it may be counted twice, and that alone refuses credit; the book stays as it was.
        FutureFacts: the facts are dated after now.
        BookFull: the deal is not in the book, and the book takes no further one.
        ValueError: a negative amount, or a release of another deal.
    """
    before = book.entry(deal_id)
    if before is None and len(book.entries) >= MOST_DEALS:
        raise BookFull(f"{MOST_DEALS:,} deals of this customer hold or wait for credit; one of them has to end first")
    if released is not None and released.deal_id != deal_id:
        raise ValueError(f"the release is for {released.deal_id}, not for {deal_id}")
    terms = terms_of(policy, facts)
    decide = partial(decide_credit, facts, this_order=amount, this_order_number=order_number, policy=terms, now=now)
    decision = decide(reservations=book.reserved(facts, without=deal_id))
    if not decision.passed and decide(reservations=book.reserved(facts, without=deal_id, skew=timedelta(0))).passed:
        raise StaleFacts("another deal's order may be counted twice for a moment: read the facts again")
    by_release = not decision.passed and released is not None and released.covers(decision, now)
    if by_release and released is not None:
        decision = _released(decision, released)
    entry = CreditEntry(
        deal_id=deal_id,
        order_number=order_number,
        amount=amount,
        status=EntryStatus.RESERVED if decision.passed else EntryStatus.HELD,
        over_by=Decimal(0) if decision.passed else decision.over_by,
        in_doubt=Decimal(0) if decision.passed else decision.reservations,
        visible_at=before.visible_at if before is not None and before.order_number == order_number else None,
        released=by_release,
        asked_at=now,
    )
    return _pruned(_noted(_put(book, entry), facts, now), now), decision


def mark_visible(book: CreditBook, seen: Mapping[str, datetime]) -> CreditBook:
    """Note that deals' orders are in Finance; from then on Finance counts them. An earlier note stays.

    Args:
        book: The customer's book.
        seen: When, by workflow id of the deal. UTC, not before the order was in Finance; a moment before the deal asked
            counts as when it asked. A deal without an entry changes nothing.
    """
    entries: list[CreditEntry] = []
    for entry in book.entries:
        at = seen.get(entry.deal_id)
        if at is not None and entry.visible_at is None:
            entry = entry.model_copy(update={"visible_at": max(at, entry.asked_at or at)})
        entries.append(entry)
    return CreditBook(entries=tuple(entries))


def release(book: CreditBook, deals: Collection[str]) -> tuple[CreditBook, tuple[str, ...]]:
    """Give back what deals hold, because they ended or were withdrawn; one without an entry changes nothing.

    An entry whose order was seen in Finance leaves the queue but stays in the book until it is too old to matter:
    facts read before the order was there may still decide another deal, and would miss it.

    Args:
        book: The customer's book.
        deals: Their workflow ids.

    Returns:
        The book as it is now, and the held deals that may now have credit.
    """
    left: list[CreditEntry] = []
    freed: list[Decimal] = []
    for entry in book.entries:
        if entry.deal_id not in deals:
            left.append(entry)
        elif entry.visible_at is not None:
            left.append(entry.model_copy(update={"status": EntryStatus.RESERVED, "over_by": Decimal(0)}))
            freed.append(entry.amount)
        elif entry.status is EntryStatus.RESERVED:
            freed.append(entry.amount)
    after = CreditBook(entries=tuple(left))
    return customer_changed(after, sum(freed, Decimal(0))) if freed else (after, ())


def customer_changed(book: CreditBook, freed: Decimal | None) -> tuple[CreditBook, tuple[str, ...]]:
    """Whom to wake when a customer's credit changed: those whose excess what was freed may cover.

    Those held for another reason than the limit are always woken: a payment may have cured an overdue invoice. What
    other deals had reserved may have been in Finance already, and counted twice; so much less may be enough.

    Args:
        book: The customer's book.
        freed: By how much the exposure fell, in the customer's currency; None where it is not known: all are woken. An
            amount no customer can owe says nothing either.

    Returns:
        The book with each excess less what was freed, and the deals to wake, the one that came first in front.
    """
    fall = None if freed is None or freed >= _BEYOND_MONEY else max(freed, Decimal(0))
    entries: list[CreditEntry] = []
    woken: list[str] = []
    for entry in book.entries:
        if entry.status is EntryStatus.HELD:
            rest = Decimal(0) if fall is None else max(entry.over_by - fall, Decimal(0))
            if rest == 0 or (fall and rest <= entry.in_doubt):
                woken.append(entry.deal_id)
            entry = entry.model_copy(update={"over_by": rest})
        entries.append(entry)
    return CreditBook(entries=tuple(entries)), tuple(woken)


def _released(decision: CreditDecision, token: ReleaseToken) -> CreditDecision:
    who, most = token.released_by.name or token.released_by.oid, amount(token.ceiling, decision.currency)
    said = phrase("released by {who} up to {most} until {until}", who=who, most=most, until=moment(token.valid_until))
    reason = CreditReason.of(RELEASED, said)
    return decision.model_copy(update={"passed": True, "reasons": (reason, *decision.reasons)})


def _put(book: CreditBook, entry: CreditEntry) -> CreditBook:
    """The book with the entry in the place its deal had, or at the end."""
    if book.entry(entry.deal_id) is None:
        return CreditBook(entries=(*book.entries, entry))
    return CreditBook(entries=tuple(entry if e.deal_id == entry.deal_id else e for e in book.entries))


def _noted(book: CreditBook, facts: CreditFacts, now: datetime) -> CreditBook:
    """The book with every order among Finance's open orders marked as seen."""
    listed = {order.order_number for order in facts.open_orders}
    return CreditBook(
        entries=tuple(
            entry.model_copy(update={"visible_at": now})
            if entry.visible_at is None and entry.order_number in listed
            else entry
            for entry in book.entries
        )
    )


def _pruned(book: CreditBook, now: datetime) -> CreditBook:
    """The book without reservations that no facts still fresh enough to be used could miss.

    The freshness of the policy of one question is not enough: the next question may come under another policy.
    """
    oldest_facts = now - OLDEST_FACTS - CLOCK_SKEW
    return CreditBook(
        entries=tuple(
            entry
            for entry in book.entries
            if not (
                entry.status is EntryStatus.RESERVED
                and entry.visible_at is not None
                and entry.visible_at < oldest_facts
            )
        )
    )
