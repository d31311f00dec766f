"""Which approvals a quote needs: the discount matrix applied to a priced quote.

Every rule that matches contributes its step (no first match wins); a step brings the lower levels of its chain with
it; the reasons are written with the numbers that made the rule match.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.approvals import ApprovalPlan, BusinessHours, LineFinding, Reason, StepPlan
from domain.authority import candidates
from domain.money import arithmetic, format_amount, format_money, plain, told_apart
from domain.people import Person
from domain.policy import Condition, DiscountPolicy, MatrixRule, Policy, Tested
from domain.pricing import PricedQuote
from domain.record import Record

_COMPARE: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_IN_WORDS: Final = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}
_MOST_LINES_NAMED: Final = 5


class RuleMatch(Record):
    """A rule of the matrix that matches, and why: one reason for each condition that holds."""

    rule: MatrixRule
    reasons: tuple[Reason, ...]


def required_rules(priced: PricedQuote, policy: Policy) -> tuple[RuleMatch, ...]:
    """The rules a priced quote meets, in the order of the policy."""
    matches = []
    with arithmetic():
        for rule in policy.discount.rules:
            alone = _alone(policy.discount, rule)
            reasons = [
                Reason(rule=rule.id, tested=test.value, text=text, sentence=_sentence(test, text, alone))
                for test in rule.when
                if (text := _why(test, priced))
            ]
            if reasons:
                matches.append(RuleMatch(rule=rule, reasons=tuple(reasons)))
    return tuple(matches)


def approval_plan(
    priced: PricedQuote,
    *,
    requester: Person,
    co_owner: Person | None,
    company: str,
    calendar: BusinessHours,
    policy: Policy,
) -> ApprovalPlan:
    """The steps a priced quote needs, none where nobody has to be asked.

    Args:
        priced: The quote held against Finance's prices.
        requester: Who asks; never among those who decide.
        co_owner: Who shares the quote with them; never among those who decide.
        company: Legal entity, lower case: its people decide.
        calendar: Its working time, with the holidays of the time the request can live.
        policy: The policy, pinned by its version.

    Returns:
        The steps chain by chain in the order of the policy, within a chain by level.

    Raises:
        NoApprover: nobody in the company may decide a step that is needed.
    """
    matches = required_rules(priced, policy)
    discount = policy.discount
    steps: list[StepPlan] = []
    for chain in discount.chains:
        of_chain = [match for match in matches if match.rule.chain == chain]
        highest = max((match.rule.level for match in of_chain), default=0)
        for level in range(1, highest + 1):
            of_level = [match for match in of_chain if match.rule.level == level]
            who = candidates(company, chain, level, requester=requester, co_owner=co_owner, policy=policy)
            steps.append(_step(len(steps) + 1, discount, chain, level, of_level, who))
    return ApprovalPlan(
        policy_version=policy.version,
        steps=tuple(steps),
        calendar=calendar,
        max_age_days=discount.max_age_days,
    )


def request_expires_at(requested_at: datetime, quote_expires_at: datetime | None, plan: ApprovalPlan) -> datetime:
    """When a request for approval dies: after its maximum age, and never later than its quote. All UTC."""
    oldest = requested_at + timedelta(days=plan.max_age_days)
    return oldest if quote_expires_at is None else min(oldest, quote_expires_at)


def _step(
    number: int,
    discount: DiscountPolicy,
    chain: str,
    level: int,
    matches: list[RuleMatch],
    who: tuple[Person, ...],
) -> StepPlan:
    accepted = discount.ladder(chain)[level - 1 :]
    return StepPlan(
        step=number,
        chain=chain,
        level=level,
        role=accepted[0],
        accepted_roles=accepted,
        reasons=tuple(reason for match in matches for reason in match.reasons),
        comment_required=any(match.rule.comment_required for match in matches),
        sla_business_hours=discount.sla_business_hours[level],
        on_timeout=discount.on_timeout[level],
        candidates=who,
    )


def _why(condition: Condition, priced: PricedQuote) -> str:
    """The condition in words with the quote's numbers; empty when it does not hold."""
    if condition.value is Tested.BELOW_FLOOR:
        return _below_floor(priced)
    if condition.value is Tested.NET:
        return _net(condition, priced)
    values = {
        Tested.DISCOUNT_PCT: priced.disc_pct,
        Tested.MARGIN_PCT: priced.margin_pct,
        Tested.PAYMENT_DAYS: Decimal(priced.payment_days),
    }
    actual, than = values[condition.value], condition.than
    if not isinstance(than, Decimal) or condition.op is None or not _COMPARE[condition.op](actual, than):
        return ""
    if condition.value is Tested.PAYMENT_DAYS:
        return f"payment {actual} days {condition.op} {plain(than)} days"
    name = "margin " if condition.value is Tested.MARGIN_PCT else ""
    return f"{name}{told_apart(actual, than)} % {condition.op} {plain(than)} %"


def _alone(discount: DiscountPolicy, rule: MatrixRule) -> str:
    """Who may do without the level of a rule: the level below it, or the rep."""
    return "a rep" if rule.level == 1 else f"a {discount.ladder(rule.chain)[rule.level - 2].replace('_', ' ')}"


def _sentence(condition: Condition, text: str, alone: str) -> str:
    """The reason of a condition as a sentence, made of its text."""
    actual, sign, than = text.partition(f" {condition.op} ")
    if not sign or condition.op is None:
        return text[:1].upper() + text[1:]
    if condition.value is Tested.DISCOUNT_PCT:
        actual = f"discount {actual}"
        than = f"the {than} {alone} may give alone" if condition.op in (">", ">=") else than
    return f"{actual[:1].upper()}{actual[1:]} is {_IN_WORDS[condition.op]} {than}"


def _net(condition: Condition, priced: PricedQuote) -> str:
    if not isinstance(condition.than, dict) or condition.op is None:
        return ""
    net = format_money(priced.net, priced.currency)
    than = condition.than.get(priced.currency)
    if than is None:
        return f"net {net}, a currency without an amount in the policy"
    if not _COMPARE[condition.op](priced.net, than):
        return ""
    return f"net {net} {condition.op} {format_money(than, priced.currency)}"


def _below_floor(priced: PricedQuote) -> str:
    below = [line for line in priced.lines if line.below_floor]
    if not below:
        return ""
    named = ", ".join(_floor_of(line, priced.currency) for line in below[:_MOST_LINES_NAMED])
    more = f" and {len(below) - _MOST_LINES_NAMED} more" if len(below) > _MOST_LINES_NAMED else ""
    return f"below floor price: {named}{more}"


def _floor_of(line: LineFinding, currency: str) -> str:
    price = format_amount(line.net / line.quantity, currency)
    return f"line {line.line_no} {line.item} at {price} < {format_amount(line.floor_price or Decimal(0), currency)}"
