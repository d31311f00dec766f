"""What the rules ask of a quote, and what they would ask of the same goods at another discount.

The discounts at which the answer changes are searched for by asking the rules themselves. A condition tests one figure,
and each figure only ever falls or only ever rises with the discount; so where all conditions answer the same at two
discounts they do so at every discount between, and only where they differ has to be looked at more closely.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Final

from pydantic import Field

from domain import quorum
from domain.approvals import Reason
from domain.authority import NoApprover, asked_at_once, candidates
from domain.discount import AskedLevel, asked_levels, holds, rules_for, tested_by
from domain.money import arithmetic, round_money, whole
from domain.people import Person
from domain.policy import Policy
from domain.pricing import FinancePrice, PricedQuote, price_quote
from domain.quote import QuoteLine, QuoteSnapshot
from domain.record import Record

_FINENESS: Final = 100
"""Steps of one per cent: discounts are looked at to 0.01 %."""
_ALL: Final = 100 * _FINENESS
MOST_LINES: Final = 10_000
"""Lines of a quote for which other discounts are tried."""


@dataclass(frozen=True)
class Proposal:
    """A quote to ask the rules about.

    Attributes:
        snapshot: the quote; its lines can be priced.
        prices: Finance's, by item as the quote writes it.
        payment_days: of its payment terms.
        on: the day, in the company's time zone.
        requester: who asks; never among those who decide.
        makers: who else made it; never among those who decide.
        customer_group: the customer's, in Finance.
    """

    snapshot: QuoteSnapshot
    prices: Mapping[str, FinancePrice]
    payment_days: int
    on: date
    requester: Person
    makers: tuple[Person, ...] = ()
    customer_group: str = ""

    @property
    def company(self) -> str:
        """Legal entity, lower case."""
        return self.snapshot.company

    def priced(self) -> PricedQuote:
        """With what the rules test."""
        return price_quote(
            self.snapshot,
            self.prices,
            payment_days=self.payment_days,
            on=self.on,
            customer_group=self.customer_group,
        )

    def discounted(self, pct: Decimal) -> Proposal:
        """The same goods at list price less so many per cent on every line, without any other discount."""
        with arithmetic():
            lines = tuple(self._discounted(line, pct) for line in self.snapshot.lines)
            net = sum((line.net for line in lines), Decimal(0)) + self.snapshot.freight
        nothing = {"header_discount_pct": Decimal(0), "header_discount": Decimal(0)}
        changed = {"lines": lines, "net": net, "tax": Decimal(0), "total": net}
        return replace(self, snapshot=self.snapshot.model_copy(update=nothing | changed))

    def _discounted(self, line: QuoteLine, pct: Decimal) -> QuoteLine:
        price = self.prices[line.item or ""].list_price
        base = line.quantity * price
        off = base * pct / 100
        return line.model_copy(
            update={"price": price, "discount": off, "net": round_money(base - off, self.snapshot.currency)}
        )


class Step(Record):
    """A level that is asked, and whom."""

    chain: str
    level: int
    role: str
    comment_required: bool
    asked: str = Field(description="Who is asked first, e.g. Mona Meyer, or 2 of A, B and C; empty: too few may decide")
    then: tuple[str, ...] = Field((), description="Who else may decide it, in the order they are asked")
    problem: str = Field("", description="Why nobody may decide it, and what to do")
    reasons: tuple[Reason, ...] = Field((), description="Empty where a higher level brings it")


class Figures(Record):
    """What the rules test. Money in the quote's currency."""

    disc_pct: Decimal
    margin_pct: Decimal
    net: Decimal
    list_net: Decimal
    payment_days: int
    below_floor: bool


class Offer(Record):
    """The same goods at list price less one discount on every line."""

    discount_pct: Decimal = Field(description="The largest at which exactly these steps are asked, to 0.01 %")
    net: Decimal
    people: str
    working_days: Decimal = Field(description="At most, to half a day, unless somebody lets a deadline pass")
    steps: tuple[Step, ...]


class Explained(Record):
    """What the rules say of a quote."""

    policy_version: str
    quote: str
    company: str
    currency: str
    figures: Figures
    people: str = Field(description='Who is asked, e.g. "Mona Meyer, then Dirk Dorn"; "nobody"')
    working_days: Decimal = Field(description="At most, to half a day, unless somebody lets a deadline pass")
    steps: tuple[Step, ...]
    largest_discount_for_nobody: Decimal | None = Field(description="In per cent; null: every discount needs somebody")
    cheaper: tuple[Offer, ...] = Field(description="What would need fewer levels than now, nobody first")
    tried: bool = Field(True, description="False: it has too many lines to try other discounts")


def explain(proposal: Proposal, policy: Policy) -> Explained:
    """What the rules say of a quote, and the largest discounts that would need nobody or fewer people.

    Raises:
        ValueError: the policy knows no such company; the text names the field.
    """
    require_company(proposal.company, policy)
    priced = proposal.priced()
    levels = asked_levels(priced, policy)
    now = _demands(levels)
    tried = len(priced.lines) <= MOST_LINES
    offers = largest_discounts(proposal, policy) if tried else {}
    fewer = {demands: pct for demands, pct in offers.items() if demands < now}
    asked = steps(proposal, levels, policy)
    return Explained(
        policy_version=policy.version,
        quote=proposal.snapshot.quote_number,
        company=proposal.company,
        currency=priced.currency,
        figures=_figures(priced),
        people=in_words(asked),
        working_days=working_days(proposal.company, levels, policy),
        steps=asked,
        largest_discount_for_nobody=offers.get(frozenset()),
        cheaper=tuple(
            _offer(proposal, pct, policy)
            for _, pct in sorted(fewer.items(), key=lambda entry: (len(entry[0]), -entry[1]))
        ),
        tried=tried,
    )


def require_company(company: str, policy: Policy) -> None:
    """Refuse a company the rules do not know: of its quotes they would say nothing.

    Raises:
        ValueError: the text names the field.
    """
    if company not in policy.authority.companies:
        known = ", ".join(sorted(policy.authority.companies))
        raise ValueError(f"company: {company!r} is not in approvers.yaml; there are {known}")


Demands = frozenset[tuple[str, int]]
"""Chains and levels that are asked."""


def largest_discounts(proposal: Proposal, policy: Policy) -> dict[Demands, Decimal]:
    """By what is asked: the largest discount on every line, in per cent, at which exactly that is.

    Discounts are those of ``Proposal.discounted`` in steps of 0.01 %.
    """
    found: dict[Demands, Decimal] = {}
    with arithmetic():
        for at, demands in _ends(proposal, policy):
            found[demands] = Decimal(at) / _FINENESS
    return found


def working_days(company: str, levels: tuple[AskedLevel, ...], policy: Policy) -> Decimal:
    """How many working days of a company its people have to decide, where each takes all of their time.

    Chains are asked side by side, the levels of a chain one after another.
    """
    hours: dict[str, Decimal] = {}
    for level in levels:
        hours[level.chain] = hours.get(level.chain, Decimal(0)) + policy.discount.sla_business_hours[level.level]
    calendar = policy.calendar(company)
    opens, closes = (datetime.strptime(at, "%H:%M") for at in (calendar.opens, calendar.closes))
    a_day = Decimal(int((closes - opens).total_seconds())) / 3600
    return whole(max(hours.values(), default=Decimal(0)) / a_day * 2) / 2


def _ends(proposal: Proposal, policy: Policy) -> Iterator[tuple[int, Demands]]:
    """Each discount at which the answer of a condition may change with the next, in rising order, and the last."""
    rules = rules_for(proposal.priced(), policy)
    freight = proposal.snapshot.freight

    @cache
    def at(step: int) -> tuple[tuple[bool, ...], Demands, tuple[bool, ...]]:
        priced = proposal.discounted(Decimal(step) / _FINENESS).priced()
        parts = [(rule, part) for rule in rules if (part := tested_by(rule, priced)) is not None]
        answers = tuple(holds(condition, part) for rule, part in parts for condition in rule.when)
        goods = (priced.net - freight, *(part.net for rule, part in parts if rule.only.product_groups))
        return answers, _demands(asked_levels(priced, policy)), tuple(net == 0 for net in goods)

    def between(low: int, high: int) -> Iterator[tuple[int, Demands]]:
        if at(low)[0] == at(high)[0]:
            return
        if high - low == 1:
            yield low, at(low)[1]
            return
        middle = (low + high) // 2
        yield from between(low, middle)
        yield from between(middle, high)

    # What is given away has a margin of its own, which does not continue the others (domain.pricing.NOTHING_EARNED).
    def is_free(part: int) -> Callable[[int], bool]:
        return lambda step: at(step)[2][part]

    given_away = {bisect_left(range(_ALL), True, key=is_free(part)) for part in range(len(at(_ALL)[2]))}
    starts = sorted({0, *given_away})
    for first, last in zip(starts, [start - 1 for start in starts[1:]] + [_ALL], strict=True):
        yield from between(first, last)
        yield last, at(last)[1]


def steps(proposal: Proposal, levels: tuple[AskedLevel, ...], policy: Policy) -> tuple[Step, ...]:
    """Whom the levels of a quote are asked of: two levels of a chain are two people where there are two."""
    found: list[Step] = []
    asked_before: dict[str, list[Person]] = {}
    for level in levels:
        who: tuple[Person, ...] = ()
        problem = ""
        try:
            who = candidates(
                proposal.company,
                level.chain,
                level.level,
                requester=proposal.requester,
                makers=proposal.makers,
                policy=policy,
            )
        except NoApprover as error:
            problem = str(error)
        before = asked_before.setdefault(level.chain, [])
        many = asked_at_once(proposal.company, level.chain, level.level, who, policy)
        first = [person for person in who if not _is_among(person, before)][: many.at_once]
        again = [person for person in who if _is_among(person, before)][: max(many.needed - len(first), 0)]
        first += again
        before += [person for person in first if not _is_among(person, before)]
        found.append(
            Step(
                chain=level.chain,
                level=level.level,
                role=policy.discount.ladder(level.chain)[level.level - 1],
                comment_required=level.comment_required,
                asked=quorum.of_names(tuple(person.label for person in first), many.needed),
                then=tuple(person.label for person in who if not _is_among(person, first)),
                problem=problem,
                reasons=tuple(reason for match in level.matches for reason in match.reasons),
            )
        )
    return tuple(found)


def _is_among(person: Person, people: Collection[Person]) -> bool:
    return any(person.is_same(other) for other in people)


def in_words(asked: tuple[Step, ...]) -> str:
    """Who is asked, e.g. "Mona Meyer, then Dirk Dorn; at the same time Leo Lind"; "nobody" for no step."""
    chains: dict[str, list[str]] = {}
    for step in asked:
        chains.setdefault(step.chain, []).append(step.asked or f"a {step.role.replace('_', ' ')}, whom there is not")
    return "; at the same time ".join(", then ".join(dict.fromkeys(names)) for names in chains.values()) or "nobody"


def _offer(proposal: Proposal, pct: Decimal, policy: Policy) -> Offer:
    offered = proposal.discounted(pct)
    priced = offered.priced()
    levels = asked_levels(priced, policy)
    asked = steps(offered, levels, policy)
    return Offer(
        discount_pct=pct,
        net=priced.net,
        people=in_words(asked),
        working_days=working_days(proposal.company, levels, policy),
        steps=asked,
    )


def _demands(levels: tuple[AskedLevel, ...]) -> Demands:
    return frozenset((level.chain, level.level) for level in levels)


def _figures(priced: PricedQuote) -> Figures:
    return Figures(
        disc_pct=priced.disc_pct,
        margin_pct=priced.margin_pct,
        net=priced.net,
        list_net=priced.list_net,
        payment_days=priced.payment_days,
        below_floor=priced.below_floor,
    )
