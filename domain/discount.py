"""Which approvals a quote needs: the discount matrix applied to a priced quote.

Every rule that matches contributes its step (no first match wins); a step brings the lower levels of its chain with
it; the reasons are written with the numbers that made the rule match.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from domain.approvals import ApprovalPlan, BusinessHours, LineFinding, Reason, StepPlan
from domain.authority import asked_at_once, candidates
from domain.money import arithmetic, format_money, plain, told_apart
from domain.people import Person
from domain.phrases import Phrase, amount, listed, marked, money, number, percent, phrase, role
from domain.policy import Condition, DiscountPolicy, MatrixRule, Policy, Tested
from domain.pricing import PricedQuote
from domain.quorum import Asked
from domain.record import Record

_COMPARE: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_MOST_LINES_NAMED: Final = 5


class Figures(Protocol):
    """What the conditions of a matrix test of a quote; a ``PricedQuote`` has it. Money in its currency."""

    @property
    def disc_pct(self) -> Decimal:
        """Worst discount of header and lines, in per cent."""

    @property
    def margin_pct(self) -> Decimal:
        """Of the document, in per cent."""

    @property
    def currency(self) -> str:
        """ISO 4217."""

    @property
    def net(self) -> Decimal:
        """Of the document."""

    @property
    def payment_days(self) -> int:
        """Of its payment terms."""

    @property
    def below_floor(self) -> bool:
        """Whether a line is sold below its floor price."""


class RuleMatch(Record):
    """A rule of the matrix that matches, and why: one reason for each condition that holds."""

    rule: MatrixRule
    reasons: tuple[Reason, ...]


class AskedLevel(Record):
    """A level of a chain that a quote needs, and the rules that ask for it; none where a higher level implies it."""

    chain: str
    level: int
    matches: tuple[RuleMatch, ...] = ()

    @property
    def comment_required(self) -> bool:
        """Whether who decides it must comment."""
        return any(match.rule.comment_required for match in self.matches)


def holds(condition: Condition, figures: Figures) -> bool:
    """Whether a condition of the matrix holds for a quote.

    A test of ``net`` holds for every amount in a currency that it does not list.
    """
    if condition.value is Tested.BELOW_FLOOR:
        return figures.below_floor
    than = condition.than.get(figures.currency) if isinstance(condition.than, dict) else condition.than
    if than is None or condition.op is None:
        return condition.value is Tested.NET
    actual = {
        Tested.DISCOUNT_PCT: figures.disc_pct,
        Tested.MARGIN_PCT: figures.margin_pct,
        Tested.NET: figures.net,
        Tested.PAYMENT_DAYS: Decimal(figures.payment_days),
    }[condition.value]
    return _COMPARE[condition.op](actual, than)


def rules_for(priced: PricedQuote, policy: Policy) -> tuple[MatrixRule, ...]:
    """The rules for a quote of its company and its customer's group on its day, in the order of the policy."""
    where = (priced.company, priced.customer_group, priced.priced_on)
    return tuple(rule for rule in policy.discount.rules if rule.only.fits(*where))


def tested_by(rule: MatrixRule, priced: PricedQuote) -> PricedQuote | None:
    """What a rule tests of a quote: all of it, or the lines of its product groups; None: there are none."""
    groups = rule.only.product_groups
    return priced.only({group.casefold() for group in groups}) if groups else priced


def required_rules(priced: PricedQuote, policy: Policy) -> tuple[RuleMatch, ...]:
    """The rules a priced quote meets, in the order of the policy."""
    matches = []
    with arithmetic():
        for rule in rules_for(priced, policy):
            tested = tested_by(rule, priced)
            reasons = () if tested is None else _reasons(rule, tested, policy.discount)
            if reasons:
                matches.append(RuleMatch(rule=rule, reasons=reasons))
    return tuple(matches)


def _reasons(rule: MatrixRule, tested: PricedQuote, discount: DiscountPolicy) -> tuple[Reason, ...]:
    return tuple(_reason(rule, test, tested, _alone(discount, rule)) for test in rule.when if holds(test, tested))


def _reason(rule: MatrixRule, test: Condition, tested: PricedQuote, alone: str) -> Reason:
    groups, text, said = rule.only.product_groups, _why(test, tested), _sentence(test, tested, alone)
    if groups:
        text = f"{text} (product group {', '.join(groups)})"
        said = phrase("{reason} (product group {groups})", reason=listed((said,)), groups=", ".join(groups))
    return Reason(rule=rule.id, tested=test.value, text=text, sentence=str(said), product_groups=groups, said=said)


def asked_levels(priced: PricedQuote, policy: Policy) -> tuple[AskedLevel, ...]:
    """What a priced quote needs, whoever may decide it: chain by chain in the policy's order, then by level."""
    matches = required_rules(priced, policy)
    found: list[AskedLevel] = []
    for chain in policy.discount.chains:
        of_chain = [match for match in matches if match.rule.chain == chain]
        highest = max((match.rule.level for match in of_chain), default=0)
        found += [
            AskedLevel(chain=chain, level=level, matches=tuple(m for m in of_chain if m.rule.level == level))
            for level in range(1, highest + 1)
        ]
    return tuple(found)


def approval_plan(
    priced: PricedQuote,
    *,
    requester: Person,
    makers: Collection[Person],
    company: str,
    calendar: BusinessHours,
    policy: Policy,
) -> ApprovalPlan:
    """The steps a priced quote needs, none where nobody has to be asked.

    Args:
        priced: The quote held against Finance's prices.
        requester: Who asks; never among those who decide.
        makers: Who else made the quote; never among those who decide.
        company: Legal entity, lower case: its people decide.
        calendar: Its working time, with the holidays of the time the request can live.
        policy: The policy, pinned by its version.

    Returns:
        The steps chain by chain in the order of the policy, within a chain by level.

    Raises:
        NoApprover: too few people in the company may decide a step that is needed.
    """
    discount = policy.discount
    steps = []
    for place, level in enumerate(asked_levels(priced, policy), start=1):
        who = candidates(company, level.chain, level.level, requester=requester, makers=makers, policy=policy)
        asked = asked_at_once(company, level.chain, level.level, who, policy)
        steps.append(_step(place, discount, level, who, asked))
    return ApprovalPlan(
        policy_version=policy.version,
        steps=tuple(steps),
        calendar=calendar,
        max_age_days=discount.max_age_days,
        reminders_pct=discount.reminders_pct,
    )


def request_expires_at(requested_at: datetime, quote_expires_at: datetime | None, plan: ApprovalPlan) -> datetime:
    """When a request for approval dies: after its maximum age, and never later than its quote. All UTC."""
    oldest = requested_at + timedelta(days=plan.max_age_days)
    return oldest if quote_expires_at is None else min(oldest, quote_expires_at)


def _step(number: int, discount: DiscountPolicy, level: AskedLevel, who: tuple[Person, ...], asked: Asked) -> StepPlan:
    accepted = discount.ladder(level.chain)[level.level - 1 :]
    return StepPlan(
        step=number,
        chain=level.chain,
        level=level.level,
        role=accepted[0],
        accepted_roles=accepted,
        reasons=tuple(reason for match in level.matches for reason in match.reasons),
        comment_required=level.comment_required,
        at_once=asked.at_once,
        needed=asked.needed,
        sla_business_hours=discount.sla_business_hours[level.level],
        on_timeout=discount.on_timeout[level.level],
        candidates=who,
    )


def _why(condition: Condition, priced: PricedQuote) -> str:
    """A condition that holds, in words with the quote's numbers."""
    if condition.value is Tested.BELOW_FLOOR:
        text = str(_below_floor(priced))
        return text[:1].lower() + text[1:]
    if isinstance(condition.than, dict):
        net, than = format_money(priced.net, priced.currency), condition.than.get(priced.currency)
        if than is None:
            return f"net {net}, a currency without an amount in the policy"
        return f"net {net} {condition.op} {format_money(than, priced.currency)}"
    limit = condition.than or Decimal(0)
    if condition.value is Tested.PAYMENT_DAYS:
        return f"payment {priced.payment_days} days {condition.op} {plain(limit)} days"
    is_margin = condition.value is Tested.MARGIN_PCT
    name, actual = ("margin ", priced.margin_pct) if is_margin else ("", priced.disc_pct)
    return f"{name}{told_apart(actual, limit)} % {condition.op} {plain(limit)} %"


def _alone(discount: DiscountPolicy, rule: MatrixRule) -> str:
    """The role that may do without the level of a rule: that of the level below it; empty: the rep."""
    return "" if rule.level == 1 else discount.ladder(rule.chain)[rule.level - 2]


_SENTENCES: Final = {
    (Tested.DISCOUNT_PCT, "<"): marked("Discount {actual} is below {limit}"),
    (Tested.DISCOUNT_PCT, "<="): marked("Discount {actual} is at or below {limit}"),
    (Tested.MARGIN_PCT, ">"): marked("Margin {actual} is above {limit}"),
    (Tested.MARGIN_PCT, ">="): marked("Margin {actual} is at or above {limit}"),
    (Tested.MARGIN_PCT, "<"): marked("Margin {actual} is below {limit}"),
    (Tested.MARGIN_PCT, "<="): marked("Margin {actual} is at or below {limit}"),
    (Tested.NET, ">"): marked("Net {actual} is above {limit}"),
    (Tested.NET, ">="): marked("Net {actual} is at or above {limit}"),
    (Tested.NET, "<"): marked("Net {actual} is below {limit}"),
    (Tested.NET, "<="): marked("Net {actual} is at or below {limit}"),
    (Tested.PAYMENT_DAYS, ">"): marked("Payment {actual} days is above {limit} days"),
    (Tested.PAYMENT_DAYS, ">="): marked("Payment {actual} days is at or above {limit} days"),
    (Tested.PAYMENT_DAYS, "<"): marked("Payment {actual} days is below {limit} days"),
    (Tested.PAYMENT_DAYS, "<="): marked("Payment {actual} days is at or below {limit} days"),
}
_BEYOND_REP: Final = {
    ">": marked("Discount {actual} is above the {limit} a rep may give alone"),
    ">=": marked("Discount {actual} is at or above the {limit} a rep may give alone"),
}
_BEYOND_ROLE: Final = {
    ">": marked("Discount {actual} is above the {limit} a {role} may give alone"),
    ">=": marked("Discount {actual} is at or above the {limit} a {role} may give alone"),
}


def _sentence(condition: Condition, priced: PricedQuote, alone: str) -> Phrase:
    """The reason of a condition that holds, as a sentence."""
    tested, op = condition.value, condition.op or ""
    if tested is Tested.BELOW_FLOOR:
        return _below_floor(priced)
    if isinstance(condition.than, dict):
        net, than = money(priced.net, priced.currency), condition.than.get(priced.currency)
        if than is None:
            return phrase("Net {net}, a currency without an amount in the policy", net=net)
        return phrase(_SENTENCES[tested, op], actual=net, limit=money(than, priced.currency))
    limit = condition.than or Decimal(0)
    if tested is Tested.PAYMENT_DAYS:
        return phrase(_SENTENCES[tested, op], actual=priced.payment_days, limit=number(limit))
    figure = priced.margin_pct if tested is Tested.MARGIN_PCT else priced.disc_pct
    both = {"actual": percent(told_apart(figure, limit)), "limit": percent(limit)}
    if tested is Tested.MARGIN_PCT or op not in _BEYOND_REP:
        return phrase(_SENTENCES[tested, op], **both)
    return phrase(_BEYOND_ROLE[op], role=role(alone), **both) if alone else phrase(_BEYOND_REP[op], **both)


def _below_floor(priced: PricedQuote) -> Phrase:
    below = [line for line in priced.lines if line.below_floor]
    named = listed(tuple(_floor_of(line, priced.currency) for line in below[:_MOST_LINES_NAMED]), ", ")
    if len(below) > _MOST_LINES_NAMED:
        more = len(below) - _MOST_LINES_NAMED
        return phrase("Below floor price: {lines} and {more} more", lines=named, more=more)
    return phrase("Below floor price: {lines}", lines=named)


def _floor_of(line: LineFinding, currency: str) -> Phrase:
    return phrase(
        "line {line} {item} at {price} < {floor}",
        line=str(line.line_no),
        item=line.item,
        price=amount(line.net / line.quantity, currency),
        floor=amount(line.floor_price or Decimal(0), currency),
    )
