"""Which earlier approvals cover what is asked for now, so that only what got worse is asked again (lifecycle 4.4).

An approval of a step was given to a quote as it then stood. It counts for a later content of the same quote where that
is no worse on every value for which the step is asked now, is no larger, and was priced and judged under the same
rules. What is compared is kept by the deal: the figures of each request, and the discount of every item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final

from pydantic import Field

from domain.approvals import ApprovalPlan, ApprovalStatus, AskedTerms, Change, Coverage, ItemTerms, Reason, StepPlan
from domain.discount import rules_for
from domain.money import format_money, plain, told_apart
from domain.people import Person
from domain.policy import Policy, Tested
from domain.pricing import PricedQuote
from domain.record import Record
from domain.rights import Granted, Subject, judge, weak_sign_in
from domain.sign_in import SignIn

MOST_ITEMS: Final = 100
"""Items whose discounts are kept; of a quote with more, no approval that rests on a discount covers a later content."""
MOST_REQUESTS: Final = 3
"""Requests of which the figures and approvals are kept."""
_MOST_CHANGES: Final = 40


class GivenApproval(Record):
    """A step that a person approved, the signature checked by the deal."""

    chain: str
    level: int
    person: Person
    at: datetime = Field(description="UTC")
    granted: Granted
    sign_in: SignIn
    signed_at: datetime | None


class PastRequest(Record):
    """A request for approval as it is remembered: what it was about, and who approved which step."""

    n: int
    revision: int
    terms: AskedTerms
    given: tuple[GivenApproval, ...] = ()


def terms_of(priced: PricedQuote, policy: Policy, *, customer_account: str) -> AskedTerms:
    """What is asked for with a priced quote under some rules."""
    lines = sorted(priced.lines, key=lambda line: line.item)
    items = tuple(
        ItemTerms(
            item=item,
            quantity=sum((line.quantity for line in of_item), Decimal(0)),
            discount_pct=max(line.discount_pct for line in of_item),
        )
        for item, group in groupby(lines, key=lambda line: line.item)
        for of_item in (tuple(group),)
    )
    return AskedTerms(
        policy_version=policy.version,
        rules=tuple(rule.id for rule in rules_for(priced, policy)),
        company=priced.company,
        customer_account=customer_account,
        currency=priced.currency,
        list_net=priced.list_net,
        net=priced.net,
        disc_pct=priced.disc_pct,
        margin_pct=priced.margin_pct,
        payment_days=priced.payment_days,
        below_floor=priced.below_floor,
        price_hash=priced.price_hash,
        items=items if len(items) <= MOST_ITEMS else None,
    )


def remembered(past: Sequence[PastRequest], asked: PastRequest) -> tuple[PastRequest, ...]:
    """The requests that are kept, with another one."""
    return (*past, asked)[-MOST_REQUESTS:]


def answered(
    past: Sequence[PastRequest], n: int, status: ApprovalStatus, given: Sequence[GivenApproval]
) -> tuple[PastRequest, ...]:
    """The requests that are kept, one of them ended.

    A rejection ends what was given before it as well: who said no to a quote is not passed by on its next revision.
    """
    if status is ApprovalStatus.REJECTED:
        return tuple(request.model_copy(update={"given": ()}) for request in past)
    return tuple(request.model_copy(update={"given": tuple(given)}) if request.n == n else request for request in past)


def with_coverage(
    plan: ApprovalPlan, terms: AskedTerms, past: Sequence[PastRequest], *, total: Decimal, now: datetime
) -> ApprovalPlan:
    """A plan whose steps say which earlier approval covers them.

    Args:
        plan: The steps that are needed.
        terms: What is asked for.
        past: Earlier requests of the deal, oldest first.
        total: Of the quote incl. tax, in its currency: what the limits of authority are about.
        now: UTC; an approval is no longer good than a request (``max_age_days``).
    """
    subject = Subject(amount=total, currency=terms.currency)
    oldest = now - timedelta(days=plan.max_age_days)

    def covered(step: StepPlan) -> StepPlan:
        for request in reversed(past):
            if _worse(terms, request.terms, _reasons(step, plan)):
                continue
            counting = {
                given.person.oid.lower(): given
                for given in request.given
                if (given.chain, given.level) == (step.chain, step.level)
                and given.at >= oldest
                and any(given.person.is_same(candidate) for candidate in step.candidates)
                and _has_authority(given, step, subject)
            }
            if len(counting) >= step.needed:
                *others, last = sorted(counting.values(), key=_at)
                found = Coverage(
                    n=request.n,
                    revision=request.revision,
                    person=last.person,
                    others=tuple(other.person for other in others),
                    at=last.at,
                )
                return step.model_copy(update={"covered_by": found})
        return step

    return plan.model_copy(update={"steps": tuple(map(covered, plan.steps))})


def _at(given: GivenApproval) -> datetime:
    return given.at


def _has_authority(given: GivenApproval, step: StepPlan, subject: Subject) -> bool:
    """Whether the right by which it was given, and the sign-in behind it, are enough for what is asked now."""
    allowed = judge(given.granted, subject, roles=step.deciding_roles).allowed
    return allowed and not weak_sign_in(given.granted, subject, sign_in=given.sign_in, said_at=given.signed_at)


def _reasons(step: StepPlan, plan: ApprovalPlan) -> tuple[Reason, ...]:
    """Why a step is asked; of one that a higher level implies, why that is."""
    of_chain = [other for other in plan.steps if other.chain == step.chain and other.level >= step.level]
    return next((other.reasons for other in sorted(of_chain, key=_level) if other.reasons), ())


def _level(step: StepPlan) -> int:
    return step.level


def _worse(now: AskedTerms, then: AskedTerms, reasons: Sequence[Reason]) -> bool:
    """Whether an approval of ``then`` says nothing about ``now``: another deal, a larger one, or a worse value."""
    same = ("policy_version", "rules", "company", "customer_account", "currency")
    if not reasons or any(getattr(now, name) != getattr(then, name) for name in same) or now.list_net > then.list_net:
        return True
    return any(_worse_on(reason, now, then) for reason in reasons)


def _worse_on(reason: Reason, now: AskedTerms, then: AskedTerms) -> bool:
    value = Tested(reason.tested)
    if reason.product_groups and value in (Tested.MARGIN_PCT, Tested.NET):
        return True  # of some of the products these are not kept
    match value:
        case Tested.DISCOUNT_PCT:
            return now.disc_pct > then.disc_pct or _an_item_is_worse(now, then)
        case Tested.MARGIN_PCT:
            return now.margin_pct < then.margin_pct
        case Tested.NET:
            return now.net > then.net
        case Tested.PAYMENT_DAYS:
            return now.payment_days > then.payment_days
        case Tested.BELOW_FLOOR:
            return not then.below_floor or now.price_hash != then.price_hash or _an_item_is_worse(now, then)


def _an_item_is_worse(now: AskedTerms, then: AskedTerms) -> bool:
    """Whether an item is discounted more than it was, or one that is new is discounted at all."""
    if now.items is None or then.items is None:
        return True
    before = {entry.item: entry.discount_pct for entry in then.items}
    return any(entry.discount_pct > max(before.get(entry.item, Decimal(0)), Decimal(0)) for entry in now.items)


def changes(now: AskedTerms, then: AskedTerms) -> tuple[Change, ...]:
    """What differs between two contents that were asked for: the figures, then item by item."""
    found = [Change(tested=tested, text=text) for tested, text in (*_figures(now, then), *_items(now, then))]
    if len(found) <= _MOST_CHANGES:
        return tuple(found)
    return (*found[:_MOST_CHANGES], Change(text=f"and {len(found) - _MOST_CHANGES} more"))


def _figures(now: AskedTerms, then: AskedTerms) -> Iterator[tuple[str, str]]:
    if now.customer_account != then.customer_account:
        yield "", f"Customer {then.customer_account} → {now.customer_account}"
    if now.disc_pct != then.disc_pct:
        yield Tested.DISCOUNT_PCT, f"Discount {_moved(then.disc_pct, now.disc_pct)}"
    if now.margin_pct != then.margin_pct:
        yield Tested.MARGIN_PCT, f"Margin {_moved(then.margin_pct, now.margin_pct)}"
    if (now.net, now.currency) != (then.net, then.currency):
        yield Tested.NET, f"Net {format_money(then.net, then.currency)} → {format_money(now.net, now.currency)}"
    if now.payment_days != then.payment_days:
        yield Tested.PAYMENT_DAYS, f"Payment {then.payment_days} days → {now.payment_days} days"
    if now.below_floor != then.below_floor:
        yield Tested.BELOW_FLOOR, "Now below a floor price" if now.below_floor else "No longer below a floor price"


def _items(now: AskedTerms, then: AskedTerms) -> Iterator[tuple[str, str]]:
    if now.items is None or then.items is None:
        if now.items != then.items or now.list_net != then.list_net:
            yield "", f"More than {MOST_ITEMS} items: compare them in Sales"
        return
    before, after = ({entry.item: entry for entry in terms.items or ()} for terms in (then, now))
    for item in sorted(before.keys() | after.keys()):
        old, new = before.get(item), after.get(item)
        if new is None:
            yield "", f"{item} removed"
        elif old is None:
            pct = told_apart(new.discount_pct, Decimal(0))
            yield Tested.DISCOUNT_PCT, f"{item} added: {plain(new.quantity)} at {pct} % discount"
        else:
            if old.quantity != new.quantity:
                yield "", f"{item}: quantity {plain(old.quantity)} → {plain(new.quantity)}"
            if old.discount_pct != new.discount_pct:
                yield Tested.DISCOUNT_PCT, f"{item}: discount {_moved(old.discount_pct, new.discount_pct)}"


def _moved(then: Decimal, now: Decimal) -> str:
    return f"{told_apart(then, now)} % → {told_apart(now, then)} %"


def in_words(plan: ApprovalPlan) -> str:
    """Which steps are not asked, and why; empty where all are."""
    covered = [(step, step.covered_by) for step in plan.steps if step.covered_by is not None]
    return "; ".join(f"level {step.level} of {step.chain} is {given.words}" for step, given in covered)
