"""What the rules ask of a quote, and what they would ask of the same goods at another discount.

The discounts at which the answer changes are searched for by asking the rules themselves. A condition tests one figure,
and each figure only ever falls or only ever rises with the discount; so where all conditions answer the same at two
discounts they do so at every discount between, and only where they differ has to be looked at more closely.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Final

from pydantic import Field

from domain.approvals import Reason
from domain.authority import NoApprover, candidates
from domain.discount import AskedLevel, asked_levels, holds, rules_for, tested_by
from domain.money import arithmetic, format_money, plain, told_apart
from domain.people import Person
from domain.policy import Policy
from domain.pricing import PricedQuote
from domain.record import Record
from policies.plain_text import one_line
from policies.quote_files import AskedQuote

_FINENESS: Final = 100
"""Steps of one per cent: discounts are looked at to 0.01 %."""
_ALL: Final = 100 * _FINENESS


class Step(Record):
    """A level that is asked, and whom."""

    chain: str
    level: int
    role: str
    comment_required: bool
    asked: str = Field(description="Name of who is asked first; empty: nobody may decide it")
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
    steps: tuple[Step, ...]


class Explained(Record):
    """What the rules say of a quote."""

    policy_version: str
    quote: str
    company: str
    currency: str
    figures: Figures
    people: str = Field(description='Who is asked, e.g. "Mona Meyer, then Dirk Dorn"; "nobody"')
    steps: tuple[Step, ...]
    largest_discount_for_nobody: Decimal | None = Field(description="In per cent; null: every discount needs somebody")
    cheaper: tuple[Offer, ...] = Field(description="What would need fewer levels than now, nobody first")


def explain(quote: AskedQuote, policy: Policy) -> Explained:
    """What the rules say of a quote, and the largest discounts that would need nobody or fewer people.

    Raises:
        ValueError: the policy knows no such company; the text names the field.
    """
    if quote.company not in policy.authority.companies:
        known = ", ".join(sorted(policy.authority.companies))
        raise ValueError(f"company: {quote.company!r} is not in approvers.yaml; there are {known}")
    priced = quote.priced()
    levels = asked_levels(priced, policy)
    now = _demands(levels)
    offers = largest_discounts(quote, policy)
    nobody = offers.get(frozenset())
    fewer = {demands: pct for demands, pct in offers.items() if demands < now}
    return Explained(
        policy_version=policy.version,
        quote=quote.quote,
        company=quote.company,
        currency=quote.currency,
        figures=_figures(priced),
        people=in_words(steps(quote, levels, policy)),
        steps=steps(quote, levels, policy),
        largest_discount_for_nobody=nobody,
        cheaper=tuple(
            _offer(quote, pct, policy) for _, pct in sorted(fewer.items(), key=lambda entry: (len(entry[0]), -entry[1]))
        ),
    )


Demands = frozenset[tuple[str, int]]
"""Chains and levels that are asked."""


def largest_discounts(quote: AskedQuote, policy: Policy) -> dict[Demands, Decimal]:
    """By what is asked: the largest discount on every line, in per cent, at which exactly that is.

    Discounts are those of ``AskedQuote.discounted`` in steps of 0.01 %.
    """
    found: dict[Demands, Decimal] = {}
    with arithmetic():
        for at, demands in _ends(quote, policy):
            found[demands] = Decimal(at) / _FINENESS
    return found


def _ends(quote: AskedQuote, policy: Policy) -> Iterator[tuple[int, Demands]]:
    """Each discount at which the answer of a condition may change with the next, in rising order, and the last."""
    prices = quote.prices()
    rules = rules_for(quote.priced(prices), policy)

    @cache
    def at(step: int) -> tuple[tuple[bool, ...], Demands, tuple[bool, ...]]:
        priced = quote.discounted(Decimal(step) / _FINENESS).priced(prices)
        parts = [(rule, part) for rule in rules if (part := tested_by(rule, priced)) is not None]
        answers = tuple(holds(condition, part) for rule, part in parts for condition in rule.when)
        goods = (priced.net - quote.freight, *(part.net for rule, part in parts if rule.only.product_groups))
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


def steps(quote: AskedQuote, levels: tuple[AskedLevel, ...], policy: Policy) -> tuple[Step, ...]:
    """Whom the levels of a quote are asked of: two levels of a chain are two people where there are two."""
    requester = quote.asked_by(policy)
    found: list[Step] = []
    asked: dict[str, list[Person]] = {}
    for level in levels:
        who: tuple[Person, ...] = ()
        problem = ""
        try:
            who = candidates(quote.company, level.chain, level.level, requester=requester, makers=(), policy=policy)
        except NoApprover as error:
            problem = str(error)
        before = asked.setdefault(level.chain, [])
        first = next((person for person in who if not any(person.is_same(other) for other in before)), None)
        first = first or next(iter(who), None)
        before += [first] if first else []
        found.append(
            Step(
                chain=level.chain,
                level=level.level,
                role=policy.discount.ladder(level.chain)[level.level - 1],
                comment_required=level.comment_required,
                asked=first.label if first else "",
                then=tuple(person.label for person in who if not person.is_same(first)),
                problem=problem,
                reasons=tuple(reason for match in level.matches for reason in match.reasons),
            )
        )
    return tuple(found)


def in_words(asked: tuple[Step, ...]) -> str:
    """Who is asked, e.g. "Mona Meyer, then Dirk Dorn; at the same time Leo Lind"; "nobody" for no step."""
    chains: dict[str, list[str]] = {}
    for step in asked:
        chains.setdefault(step.chain, []).append(step.asked or f"a {step.role.replace('_', ' ')}, whom there is not")
    return "; at the same time ".join(", then ".join(dict.fromkeys(names)) for names in chains.values()) or "nobody"


def as_text(found: Explained) -> str:
    """What the rules say of a quote, in words."""
    figures = found.figures
    net = format_money(figures.net, found.currency)
    lines = [
        f"{found.quote or 'The quote'}: discount {_pct(figures.disc_pct)} %, margin {_pct(figures.margin_pct)} %, "
        f"net {net}, payment {figures.payment_days} days",
        f"As it is: {found.people}.",
    ]
    for step in found.steps:
        comment = ", who must comment" if step.comment_required else ""
        then = f", or in turn {', '.join(step.then)}" if step.then else ""
        who = f"{step.asked}{then}{comment}" if step.asked else step.problem
        lines.append(f"  {step.chain} {step.level} ({step.role}): {who}")
        lines += [f"    {reason.rule}: {reason.sentence or reason.text}" for reason in step.reasons]
        if not step.reasons:
            lines.append("    because a higher level of the chain is asked")
    largest = found.largest_discount_for_nobody
    if largest is None:
        lines.append("There is no discount that would need nobody.")
    else:
        lines.append(f"At {plain(largest)} % on every line and no other discount: nobody.")
    lines += [
        f"At {plain(offer.discount_pct)} %, net {format_money(offer.net, found.currency)}: {offer.people}."
        for offer in found.cheaper
        if offer.steps
    ]
    return "\n".join(" " * (len(line) - len(line.lstrip())) + one_line(line) for line in lines)


def _pct(number: Decimal) -> str:
    return told_apart(number, number)


def _offer(quote: AskedQuote, pct: Decimal, policy: Policy) -> Offer:
    offered = quote.discounted(pct)
    priced = offered.priced()
    asked = steps(offered, asked_levels(priced, policy), policy)
    return Offer(discount_pct=pct, net=priced.net, people=in_words(asked), steps=asked)


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
