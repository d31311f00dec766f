"""Shadow mode: what the product would have done with a quote, beside what people did. Pure.

A company in shadow mode has no deals. What its people do with a quote is looked at as it happens: what was decided then
is kept with it, one look for each moment of a revision, and a report puts both side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from domain.assessment import QuoteAssessment
from domain.credit_facts import CreditDecision
from domain.messages import SalesEvent, SalesEventKind
from domain.money import plain
from domain.record import Record


class Moment(StrEnum):
    """What people did with a quote, in the order of its life."""

    SUBMITTED = "submitted"
    ACTIVATED = "activated"
    ACCEPTED = "accepted"
    LOST = "lost"
    CANCELLED = "cancelled"


OF_EVENT: Final[Mapping[SalesEventKind, Moment]] = {
    SalesEventKind.SUBMITTED: Moment.SUBMITTED,
    SalesEventKind.ACTIVATED: Moment.ACTIVATED,
    SalesEventKind.ACCEPTED: Moment.ACCEPTED,
    SalesEventKind.LOST: Moment.LOST,
    SalesEventKind.CANCELLED: Moment.CANCELLED,
}
"""What is looked at; whatever else happens to a quote in shadow mode is nobody's business."""
ENDED: Final = frozenset({Moment.LOST, Moment.CANCELLED})
"""Moments at which nothing is left to decide."""
_TOLD: Final = 10
"""Problems, steps and differences that are kept of one look."""
_LONGEST: Final = 500


class Decision(StrEnum):
    """What the product would have decided."""

    PASSED = "no approval needed"
    ASKED = "approval needed"
    RETURNED = "returned to the rep"
    NOTHING = "nothing to decide"
    UNKNOWN = "could not be decided"


class SoldLine(Record):
    """An item of an order: how much of it, for how much before tax."""

    item: str
    quantity: Decimal
    net: Decimal


class PeoplesOrder(Record):
    """An order that people entered in Finance for a quote, compared with the one the product would have made."""

    number: str
    net: Decimal
    currency: str
    differences: tuple[str, ...] = ()


class ShadowLook(Record):
    """What would have been decided about a quote at one moment of its life."""

    company: str
    quote: str
    revision: int
    moment: Moment
    at: AwareDatetime = Field(description="UTC; when people did it")
    looked_at: AwareDatetime = Field(description="UTC; when it was decided about")
    policy_version: str = ""
    state: str = Field("", description="draft, active or won: the quote in Sales when it was decided about")
    decision: Decision
    reasons: tuple[str, ...] = Field((), description="Problems, or who would have been asked; at most ten")
    discount_pct: Decimal | None = None
    margin_pct: Decimal | None = None
    net: Decimal | None = None
    total: Decimal | None = None
    currency: str = ""
    credit: str = Field("", description="passed, or held and why; empty: not looked at")
    held: bool = Field(False, description="Credit would have held the order")
    would_write: tuple[str, ...] = Field((), description="What would have been written, where")
    order: PeoplesOrder | None = Field(None, description="What people entered in Finance, as soon as it was found")


def ended(event: SalesEvent, now: AwareDatetime) -> ShadowLook:
    """A quote that people lost or called off: kept with what was decided before."""
    return _look(event, now, Decision.NOTHING)


def undecided(event: SalesEvent, now: AwareDatetime, why: str) -> ShadowLook:
    """A quote about which nothing could be decided, and why."""
    return _look(event, now, Decision.UNKNOWN).model_copy(update={"reasons": (why[:_LONGEST],)})


def decided(event: SalesEvent, now: AwareDatetime, found: QuoteAssessment) -> ShadowLook:
    """What a submitted quote would have come to."""
    if found.stale:
        return undecided(event, now, found.stale)
    if found.problems:
        reasons = [f"{each.code} {each.field}: {each.message}"[:_LONGEST] for each in found.problems[:_TOLD]]
        status = ("Sales: quote, approval returned, with these reasons",)
        return _filled(_look(event, now, Decision.RETURNED), found, reasons, status)
    steps = found.plan.steps if found.plan is not None else ()
    reasons = [
        f"level {step.level} {step.role}: {step.candidates[0].name}, {'; '.join(each.text for each in step.reasons)}"
        for step in steps[:_TOLD]
        if step.candidates
    ]
    would = [f"Sales: quote, approval {'pending, then as decided' if steps else 'approved'}"]
    if event.kind is SalesEventKind.ACCEPTED:
        would += [
            f"Finance: sales order of {found.customer_account}, {found.line_count} lines, net {found.net} "
            f"{found.currency}, confirmed",
            "Sales: order, number of Finance; opportunity won",
        ]
    kind = Decision.ASKED if steps else Decision.PASSED
    return _filled(_look(event, now, kind), found, reasons, would)


def compared(wanted: Iterable[SoldLine], found: Iterable[SoldLine]) -> tuple[str, ...]:
    """In what an order that people entered differs from the one that would have been made, at most ten of it."""
    ours, theirs = _by_item(wanted), _by_item(found)
    told: list[str] = []
    for item in sorted(ours.keys() | theirs.keys()):
        (quantity, net), (their_quantity, their_net) = ours.get(item, _NONE), theirs.get(item, _NONE)
        if quantity != their_quantity:
            told.append(f"{item}: quantity {plain(their_quantity)}, quoted {plain(quantity)}")
        elif net != their_net:
            told.append(f"{item}: net {their_net:.2f}, quoted {net:.2f}")
    return tuple(told[:_TOLD])


class Difference(StrEnum):
    """In what people went another way than the product would have."""

    NOT_ASKED = "NOT_ASKED"
    """It went to the customer though somebody should have approved it."""
    NOT_RETURNED = "NOT_RETURNED"
    """It went to the customer though the rules would have returned it."""
    NOT_HELD = "NOT_HELD"
    """It was won and ordered though credit would have held it."""
    ORDER_DIFFERS = "ORDER_DIFFERS"
    """The order in Finance is not the quote."""
    NO_ORDER = "NO_ORDER"
    """It was won, and no order in Finance names it."""


class ShadowQuote(Record):
    """A quote in the report: the last thing decided about it, what people did, and where both differ."""

    company: str
    quote: str
    revision: int
    decided: ShadowLook
    people: tuple[str, ...] = Field(description="What people did and when, oldest first")
    differences: tuple[Difference, ...]
    details: tuple[str, ...] = ()


ORDER_EXPECTED_DAYS: Final = 7
"""So long after a quote was won, people's order is looked for."""


def report(looks: Sequence[ShadowLook], now: AwareDatetime) -> list[ShadowQuote]:
    """The quotes of a company, each with its latest revision."""
    quotes: dict[tuple[str, str], list[ShadowLook]] = {}
    for look in looks:
        quotes.setdefault((look.company, look.quote), []).append(look)
    return [_reported(of, now) for of in quotes.values()]


def _reported(looks: list[ShadowLook], now: AwareDatetime) -> ShadowQuote:
    latest = max(look.revision for look in looks)
    # A moment can come twice, e.g. submitted again: the later look counts.
    of = sorted((look for look in looks if look.revision == latest), key=lambda look: (look.at, look.looked_at))
    deciding = [look for look in of if look.moment not in ENDED] or of
    decided_last = deciding[-1]
    accepted = next((look for look in of if look.moment is Moment.ACCEPTED), None)
    sent = any(look.moment in (Moment.ACTIVATED, Moment.ACCEPTED) or look.state in ("active", "won") for look in of)
    found: list[Difference] = []
    if sent and decided_last.decision is Decision.ASKED:
        found.append(Difference.NOT_ASKED)
    if sent and decided_last.decision is Decision.RETURNED:
        found.append(Difference.NOT_RETURNED)
    details: tuple[str, ...] = ()
    if accepted is not None:
        if accepted.held:
            found.append(Difference.NOT_HELD)
        if accepted.order is not None and accepted.order.differences:
            found.append(Difference.ORDER_DIFFERS)
            details = accepted.order.differences
        elif accepted.order is None and (now - accepted.at).days >= ORDER_EXPECTED_DAYS:
            found.append(Difference.NO_ORDER)
    return ShadowQuote(
        company=decided_last.company,
        quote=decided_last.quote,
        revision=latest,
        decided=decided_last,
        people=tuple(f"{look.moment} {look.at:%Y-%m-%d %H:%M}" for look in of),
        differences=tuple(found),
        details=details,
    )


_NONE: Final = (Decimal(0), Decimal(0))


def _by_item(lines: Iterable[SoldLine]) -> dict[str, tuple[Decimal, Decimal]]:
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for line in lines:
        quantity, net = found.get(line.item, _NONE)
        found[line.item] = quantity + line.quantity, net + line.net
    return found


def _look(event: SalesEvent, now: AwareDatetime, decision: Decision) -> ShadowLook:
    return ShadowLook(
        company=event.company,
        quote=event.quote_number,
        revision=event.revision,
        moment=OF_EVENT[event.kind],
        at=event.occurred_at,
        looked_at=now,
        decision=decision,
    )


def _filled(look: ShadowLook, found: QuoteAssessment, reasons: Sequence[str], would_write: Sequence[str]) -> ShadowLook:
    soft = found.soft_credit
    return look.model_copy(
        update={
            "revision": found.revision,
            "state": found.state,
            "policy_version": found.deal_policy.version,
            "reasons": tuple(reasons),
            "discount_pct": found.discount_pct if found.price_hash else None,
            "margin_pct": found.margin_pct if found.price_hash else None,
            "net": found.net,
            "total": found.total,
            "currency": found.currency,
            "credit": "" if soft is None else "passed" if soft.passed else f"held: {_why(soft)}"[:_LONGEST],
            "held": soft is not None and not soft.passed,
            "would_write": tuple(would_write),
        }
    )


def _why(credit: CreditDecision) -> str:
    return "; ".join(reason.text for reason in credit.reasons)
