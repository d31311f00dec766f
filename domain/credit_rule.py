"""Whether a customer has credit for an order: decided on Finance's own facts, read within the last minute, or not at
all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.calendar import local_date
from domain.credit_facts import CreditDecision, CreditFacts, CreditReason
from domain.credit_sentences import (
    EXCLUDED_IN_FINANCE,
    NO_CREDIT_MANAGEMENT,
    days_overdue,
    limit_expired,
    on_hold,
    over_limit,
    shared_expired,
    shared_over_limit,
)
from domain.money import arithmetic, minor_unit
from domain.phrases import Arg, amount, phrase
from domain.policy import CreditTerms, Policy
from domain.refusals import Refusal

# Why credit is given. Why it is not is a code of domain.refusals.
WITHIN_LIMIT: Final = "WITHIN_LIMIT"
UNLIMITED: Final = "UNLIMITED"
EXCLUDED: Final = "EXCLUDED"
RELEASED: Final = "RELEASED"

_HUNDRED: Final = Decimal(100)

CLOCK_SKEW: Final = timedelta(seconds=2)
"""How far the clock of a machine that reads Finance may be from the ledger's."""


class StaleFacts(ValueError):
    """Facts too old to decide credit on: read them again."""


class FutureFacts(ValueError):
    """Facts dated after now: the clock of the machine that read them is wrong."""


def decide_credit(
    facts: CreditFacts,
    *,
    this_order: Decimal,
    this_order_number: str,
    reservations: Decimal,
    policy: Policy | CreditTerms,
    now: datetime,
) -> CreditDecision:
    """The credit rule (lifecycle 4.2) for one order.

    exposure = open invoices + open orders other than this one + reservations + this order, compared unrounded with
    limit x threshold; equal passes: of 10,000 at 90 % and a balance of 5,000, an order of 4,000 does and one of 4,500
    does not (Microsoft Learn: credit holds for sales orders).

    Args:
        facts: What Finance says of the customer, in the customer's currency, incl. tax.
        this_order: Amount of the order, in the customer's currency, incl. tax and charges; not negative.
        this_order_number: Its number in Finance; should Finance list it already, it is not counted again.
        reservations: What other deals hold that Finance does not show yet.
        policy: The policy, or its terms for the customer.
        now: UTC.

    Returns:
        The decision with all reasons that refuse it, or the one that gives it.

    Raises:
        StaleFacts: the facts are older than the policy allows. FutureFacts: they are dated after now.
        ValueError: a negative amount.
    """
    terms = terms_of(policy, facts)
    _check_age(facts, terms, now)
    if min(this_order, reservations) < 0:
        raise ValueError("the order and the reservations must not be negative")
    with arithmetic():
        orders = sum((o.amount for o in facts.open_orders if o.order_number != this_order_number), Decimal(0))
        exposure = facts.open_ar + orders + reservations + this_order
        limit = facts.credit_limit * (threshold := _threshold(facts, terms)) / _HUNDRED
        unlimited = _is_unlimited(facts)
        over_by = max(exposure - limit, Decimal(0)) if _has_amount(facts, unlimited) else Decimal(0)
        refusals = (
            *_limit_refusals(facts, terms, unlimited, over_by, threshold, now),
            *_overdue_refusals(facts, terms, exposure),
            *_order_refusals(facts, terms, this_order),
        )
    return CreditDecision(
        passed=not refusals,
        reasons=refusals or (_pass_reason(facts, unlimited, exposure, limit),),
        exposure=exposure,
        limit=limit,
        over_by=over_by,
        open_ar=facts.open_ar,
        open_orders=orders,
        reservations=reservations,
        this_order=this_order,
        currency=facts.currency,
        as_of=facts.as_of,
        policy_version=terms.policy_version,
        ageing=facts.ageing,
    )


def _is_unlimited(facts: CreditFacts) -> bool:
    """Whether no amount limits the customer: by Finance's flags, or because 0.00 means so there."""
    means_none = not facts.credit_management and facts.credit_limit == 0 and not facts.group
    return facts.unlimited or facts.excluded or means_none


def _has_amount(facts: CreditFacts, unlimited: bool) -> bool:
    """Whether the limit is an amount; one of 0.00 that customers share is, one of a single customer is no credit."""
    return not unlimited and (facts.credit_limit != 0 or bool(facts.group))


def _threshold(facts: CreditFacts, terms: CreditTerms) -> Decimal:
    """How much of the limit may be used, in per cent."""
    return min(facts.threshold_pct, terms.limits.threshold_pct or _HUNDRED)


def _check_age(facts: CreditFacts, terms: CreditTerms, now: datetime) -> None:
    age = now - facts.as_of
    if age < -CLOCK_SKEW:
        raise FutureFacts(
            f"facts of customer {facts.customer_account} are dated {-age.total_seconds():.0f} s from now: the clock of "
            "the machine that read them is wrong"
        )
    if age > timedelta(seconds=terms.freshness_seconds):
        raise StaleFacts(
            f"facts of customer {facts.customer_account} are {age.total_seconds():.0f} s old, at most "
            f"{terms.freshness_seconds} s are allowed: read them again"
        )


def terms_of(policy: Policy | CreditTerms, facts: CreditFacts) -> CreditTerms:
    """The policy's terms for the customer of the facts."""
    if isinstance(policy, CreditTerms):
        return policy
    return policy.credit_terms(facts.company, facts.customer_account, facts.customer_group)


def _limit_refusals(
    facts: CreditFacts, terms: CreditTerms, unlimited: bool, over_by: Decimal, threshold: Decimal, now: datetime
) -> tuple[CreditReason, ...]:
    if facts.group:
        return _group_refusals(facts, terms, over_by, now)
    if unlimited:
        return ()
    if facts.credit_limit == 0:
        limit = _amount(facts.credit_limit, facts)
        return (
            CreditReason.of(
                Refusal.NO_CREDIT, phrase("no credit: the limit is {limit} and not unlimited", limit=limit)
            ),
        )
    refusals = []
    if over_by > 0:
        said = over_limit(_excess(over_by, facts.currency), _amount(facts.credit_limit, facts), threshold)
        refusals.append(CreditReason.of(Refusal.OVER_LIMIT, said))
    if (expires := facts.limit_expires_on) and (days := _days_expired(facts, terms, now)):
        refusals.append(CreditReason.of(Refusal.LIMIT_EXPIRED, limit_expired(expires, days, terms.limit_grace_days)))
    return tuple(refusals)


def _group_refusals(
    facts: CreditFacts, terms: CreditTerms, over_by: Decimal, now: datetime
) -> tuple[CreditReason, ...]:
    refusals = []
    if over_by > 0:
        said = shared_over_limit(facts.group, _excess(over_by, facts.currency), _amount(facts.credit_limit, facts))
        refusals.append(CreditReason.of(Refusal.GROUP_OVER_LIMIT, said))
    if (expires := facts.limit_expires_on) and _days_expired(facts, terms, now):
        refusals.append(CreditReason.of(Refusal.GROUP_LIMIT_EXPIRED, shared_expired(facts.group, expires)))
    return tuple(refusals)


def _days_expired(facts: CreditFacts, terms: CreditTerms, now: datetime) -> int:
    """Days since the limit ended, where they are more than the policy bears; else zero."""
    if facts.limit_expires_on is None:
        return 0
    days = (local_date(now, terms.timezone) - facts.limit_expires_on).days
    return days if days > terms.limit_grace_days else 0


def _overdue_refusals(facts: CreditFacts, terms: CreditTerms, exposure: Decimal) -> tuple[CreditReason, ...]:
    refusals = []
    limits = terms.limits
    if facts.excluded:
        return ()
    if limits.overdue_days is not None and facts.oldest_overdue_days > limits.overdue_days:
        refusals.append(CreditReason.of(Refusal.OVERDUE, days_overdue(facts.oldest_overdue_days, limits.overdue_days)))
    if limits.overdue_amount is not None and facts.overdue_amount > limits.overdue_amount:
        share = limits.overdue_amount_threshold_pct or Decimal(0)
        if exposure > facts.credit_limit * share / _HUNDRED:
            both = {"overdue": _amount(facts.overdue_amount, facts), "allowed": _amount(limits.overdue_amount, facts)}
            refusals.append(
                CreditReason.of(Refusal.OVERDUE_AMOUNT, phrase("{overdue} overdue, {allowed} are allowed", **both))
            )
    return tuple(refusals)


def _order_refusals(facts: CreditFacts, terms: CreditTerms, this_order: Decimal) -> tuple[CreditReason, ...]:
    refusals = (
        [CreditReason(code=Refusal.CUSTOMER_BLOCKED, text=facts.collections_hold)] if facts.collections_hold else []
    )
    if facts.on_hold in terms.blocking_statuses:
        refusals.append(CreditReason.of(Refusal.CUSTOMER_BLOCKED, on_hold(facts.customer_account, facts.on_hold)))
    single = terms.limits.single_order
    if single is not None and not facts.excluded and this_order > single:
        both = {"order": _amount(this_order, facts), "most": _amount(single, facts)}
        said = phrase("the order of {order} is above the {most} of a single order", **both)
        refusals.append(CreditReason.of(Refusal.ORDER_TOO_LARGE, said))
    return (*refusals, *terms.raised)


def _pass_reason(facts: CreditFacts, unlimited: bool, exposure: Decimal, limit: Decimal) -> CreditReason:
    if facts.excluded:
        return CreditReason.of(EXCLUDED, EXCLUDED_IN_FINANCE)
    if facts.unlimited:
        return CreditReason.of(UNLIMITED, phrase("unlimited credit"))
    if unlimited:
        return CreditReason.of(UNLIMITED, NO_CREDIT_MANAGEMENT)
    both = {"exposure": _amount(exposure, facts), "limit": _amount(limit, facts)}
    return CreditReason.of(WITHIN_LIMIT, phrase("exposure {exposure} within {limit}", **both))


def _amount(value: Decimal, facts: CreditFacts) -> Arg:
    return amount(value, facts.currency)


def _excess(over_by: Decimal, currency: str) -> Arg:
    """An amount above zero never shows as zero, however small."""
    return amount(max(over_by, minor_unit(currency)), currency)
