"""A policy in words, for the people who answer for it and those it decides about (`q2c policy explain`).

Only what the product does is said: a sentence here is a promise.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from domain.deposits import DepositRule
from domain.policy import Condition, CreditLimits, Policy, Tested, WorkingCalendar
from domain.quorum import in_words
from domain.scope import Scope
from policies.public_holidays import days_off

WIDTH: Final = 79
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_YEAR: Final = timedelta(days=365)
_TESTED: Final = {
    Tested.DISCOUNT_PCT: "discount {op} {than} %",
    Tested.MARGIN_PCT: "margin {op} {than} %",
    Tested.NET: "net {op} {than}",
    Tested.PAYMENT_DAYS: "payment {op} {than} days",
    Tested.BELOW_FLOOR: "a line below its floor price",
}


@dataclass(frozen=True)
class Section:
    """What one file says.

    Attributes:
        title: its subject.
        file: its name.
        version: its version.
        says: sentences; a sentence that belongs to the one before begins with two blanks.
    """

    title: str
    file: str
    version: str
    says: tuple[str, ...]


def as_text(policy: Policy, today: date) -> str:
    """What a policy says, as plain text of at most 79 columns.

    Args:
        policy: the rules.
        today: public holidays are listed for the year from this day on.
    """
    parts = [f"Policy {policy.version}\nSHA-256 {policy.hash}"]
    for section in sections(policy, today):
        lines = [f"{section.title} ({section.file} {section.version})"]
        for sentence in section.says:
            margin = " " * (2 + len(sentence) - len(sentence.lstrip()))
            lines += textwrap.wrap(
                sentence.lstrip(),
                WIDTH,
                initial_indent=margin,
                subsequent_indent=f"{margin}    ",
                break_long_words=False,
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def as_data(policy: Policy, today: date) -> dict[str, Any]:
    """The same as JSON types: the sentences, and beside them the policy itself."""
    return {
        "version": policy.version,
        "hash": policy.hash,
        "sections": [
            {"title": s.title, "file": s.file, "version": s.version, "says": [text.strip() for text in s.says]}
            for s in sections(policy, today)
        ],
        "policy": policy.model_dump(mode="json", exclude={"version", "hash"}),
    }


def sections(policy: Policy, today: date) -> tuple[Section, ...]:
    """What a policy says, file by file. `today` as in `as_text`."""
    return (
        Section("Who approves a quote", "discount.yaml", policy.discount.version, tuple(_discount(policy))),
        Section("When credit is refused", "credit.yaml", policy.credit.version, tuple(_credit(policy))),
        Section("Who holds which authority", "approvers.yaml", policy.authority.version, tuple(_authority(policy))),
        Section("Who may do what", "rights.yaml", policy.rights.version, tuple(_rights(policy))),
        Section("Business hours", "calendars.yaml", policy.calendars.version, tuple(_calendars(policy, today))),
        Section("How the systems' records meet", "entity_map.yaml", policy.entity_map.version, tuple(_mapping(policy))),
        Section("How far they may differ", "tolerances.yaml", policy.tolerances.version, tuple(_tolerances(policy))),
        Section("Unknown customers", "customers.yaml", policy.customers.version, tuple(_customers(policy))),
        Section("Deposits before an order", "deposits.yaml", policy.deposits.version, tuple(_deposits(policy))),
    )


def _discount(policy: Policy) -> Iterator[str]:
    discount = policy.discount
    for rule in discount.rules:
        yield f"{rule.id}: {' or '.join(_condition(condition) for condition in rule.when)}{_scope(rule.only)}"
        comment = ", who must comment" if rule.comment_required else ""
        yield f"  asks {rule.role} (chain {rule.chain}, level {rule.level}){comment}"
    for chain in discount.chains:
        for level, role in enumerate(discount.ladder(chain), start=1):
            if words := in_words(discount.quorum_of(chain, level), role):
                yield f"Level {level} of {chain}: {words}."
    yield "A level brings the lower levels of its chain with it; chains are asked side by side."
    yield "Where no rule matches, nobody is asked."
    for level, hours in sorted(discount.sla_business_hours.items()):
        escalates = discount.on_timeout.get(level) == "escalate"
        next_holder = "the next holder is asked; where there is none, the request expires"
        outcome = next_holder if escalates else "the request expires"
        yield f"Level {level}: {hours} business hours, then {outcome}."
    if discount.reminders_pct:
        shares = " and ".join(f"{pct} %" for pct in discount.reminders_pct)
        yield f"Who is asked is reminded when {shares} of these hours are over."
    yield f"A request lives {discount.max_age_days} days at most, and never longer than its quote."
    yield "Nobody decides their own request or one they co-own. Nothing is approved by a timeout."
    yield "Who approved a lower level is asked again only if too few others may decide; then the approval counts once."


def _scope(only: Scope) -> str:
    parts = [
        f"{name} {', '.join(values)}"
        for name, values in (
            ("in", only.companies),
            ("for customers of group", only.customer_groups),
            ("of products of group", only.product_groups),
        )
        if values
    ]
    parts += [
        f"{name} {day.isoformat()}" for name, day in (("from", only.valid_from), ("until", only.valid_until)) if day
    ]
    return f"; only {', '.join(parts)}" if parts else ""


def _condition(condition: Condition) -> str:
    if isinstance(condition.than, dict):
        than = ", ".join(f"{amount:,f} {currency}" for currency, amount in condition.than.items())
        than += " (any amount in another currency)"
    else:
        than = "" if condition.than is None else f"{condition.than:f}"
    return _TESTED[condition.value].format(op=condition.op, than=than)


def _credit(policy: Policy) -> Iterator[str]:
    credit = policy.credit
    yield "exposure = open invoices + open orders + accepted deals not yet in Finance + this order, incl. tax"
    yield f"Every customer: {_limits(credit.default)}"
    for group, limits in credit.groups.items():
        yield f"Customer group {group}: {_limits(limits)}"
    for company, customers in credit.customers.items():
        for account, limits in customers.items():
            yield f"Customer {account} of {company}: {_limits(limits)}"
    yield f"Refused while Finance has the customer on hold for: {', '.join(credit.blocking_statuses)}"
    if credit.without_credit_management:
        yield f"A limit of 0.00 means unlimited in: {', '.join(credit.without_credit_management)}"
    yield f"An expired limit counts {credit.limit_grace_days} days longer."
    yield f"Facts are at most {credit.freshness_seconds} seconds old, or nothing is decided."
    yield f"Tax assumed on open orders that Finance has not totalled yet: {_pairs(credit.tax_rate_pct, ' %')}"
    release = credit.release
    yield (
        f"A release holds {release.valid_days} days and for up to {release.deviation_pct} % more, unless the credit "
        "manager says otherwise; it never covers a new reason."
    )


def _limits(limits: CreditLimits) -> str:
    parts = []
    if limits.threshold_pct is not None:
        parts.append(f"exposure above {limits.threshold_pct} % of the limit")
    if limits.overdue_days is not None:
        parts.append(f"an invoice more than {limits.overdue_days} days overdue")
    if limits.overdue_amount is not None:
        also = ""
        if limits.overdue_amount_threshold_pct is not None:
            also = f" while exposure is above {limits.overdue_amount_threshold_pct} % of the limit"
        parts.append(f"more than {limits.overdue_amount:,f} overdue{also}")
    if limits.single_order is not None:
        parts.append(f"a single order above {limits.single_order:,f}")
    return "; ".join(parts) or "as above"


def _authority(policy: Policy) -> Iterator[str]:
    authority = policy.authority
    for company, roles in authority.companies.items():
        yield f"{company}: nobody" if not roles else f"{company}:"
        for role, keys in roles.items():
            named = ", ".join(f"{authority.people[key].name} ({key})" for key in keys)
            yield f"  {role}: {named or 'nobody'}"


def _rights(policy: Policy) -> Iterator[str]:
    rights = policy.rights
    yield f"Counts for every company without one in its name: {', '.join(rights.every_company) or 'no role'}"
    for right in rights.rights:
        own = " of their own deals" if right.of == "own" else ""
        named = ", where approvers.yaml names the person for it" if right.named else ""
        yield f"{right.role}: {', '.join(right.may)}{own}{named}"
        if right.up_to is not None:
            limits = ", ".join(f"{amount:,f} {currency}" for currency, amount in right.up_to.items())
            above = "two persons who may" if right.above == "two_persons" else "nobody"
            yield f"  up to {limits}; above, and in other currencies: {above}"
    yield "A role that is not listed grants nothing."
    fresh = rights.fresh_sign_in
    for entry in fresh.actions:
        amounts = ", ".join(f"{amount:,f} {currency}" for currency, amount in (entry.from_amount or {}).items())
        of = f" from {amounts} (any amount in another currency)" if amounts else ""
        yield f"{entry.action}{of} asks for a sign-in at most {fresh.within_minutes} minutes before."
    for conflict in rights.conflicts:
        yield f"{' or '.join(conflict.one)} should not also be {' or '.join(conflict.other)}: {conflict.why}"


def _calendars(policy: Policy, today: date) -> Iterator[str]:
    for company, calendar in policy.calendars.companies.items():
        days = ", ".join(_DAYS[day] for day in calendar.workdays)
        yield f"{company}: {days} {calendar.opens}-{calendar.closes} {calendar.timezone}; {_free(calendar)}"
        off = ", ".join(day.isoformat() for day in days_off(calendar, today, today + _YEAR))
        yield f"  days off in the year to come: {off or 'none'}"


def _free(calendar: WorkingCalendar) -> str:
    parts = []
    if calendar.country:
        where = "-".join(part for part in (calendar.country, calendar.subdivision) if part)
        parts.append(f"free on public holidays of {where}")
    if calendar.closed:
        parts.append(f"closed on {', '.join(day.isoformat() for day in calendar.closed)}")
    if calendar.open:
        parts.append(f"working on {', '.join(day.isoformat() for day in calendar.open)}")
    return "; ".join(parts) or "no holidays"


def _mapping(policy: Policy) -> Iterator[str]:
    entity_map = policy.entity_map
    yield "Business unit → company: " + ", ".join(f"{k} → {v}" for k, v in entity_map.business_units.items())
    yield "Payment terms: " + ", ".join(f"{k} → {v}" for k, v in entity_map.payment_terms.items())
    discounts = ", ".join(f"{k} → {v}" for k, v in entity_map.cash_discounts.items())
    yield "Cash discounts: " + (discounts or "the customer's own")
    yield "Countries: " + ", ".join(f"{k} → {v}" for k, v in entity_map.countries.items())
    yield "Order numbers: " + ", ".join(f"{k} {v}" for k, v in entity_map.order_numbers.items())


def _tolerances(policy: Policy) -> Iterator[str]:
    money = policy.tolerances.money
    yield (
        f"Amounts of Finance's order and the quote: a line by {money.line_units} minor unit(s), a document by the root "
        f"of its number of lines, at most {money.document_cap_units}."
    )
    yield f"Over-delivery: {_pairs(policy.tolerances.over_delivery_pct, ' %')}"


def _customers(policy: Policy) -> Iterator[str]:
    customers, likeness = policy.customers, policy.customers.likeness
    for company, each in customers.companies.items():
        number = "under a number of ours" if each.account_numbers == "ours" else "numbered by Finance"
        terms, tax = each.payment_terms or "the group's terms", each.tax_group or "its tax group"
        yield f"{company}: created {number}, in group {each.group}, with {terms} and {tax}."
    yield f"The rep is asked for: name, currency{''.join(f', {name}' for name in customers.required)}."
    yield (
        f"From a score of {likeness.threshold} a person says first whether it is a customer Finance has: how alike the "
        f"names are, {likeness.same_tax_number} at least for one tax number, {likeness.same_email_domain} more for one "
        f"mail domain, {likeness.same_address} for one address, {likeness.other_tax_number} less for other tax numbers."
    )
    yield "Who asked for the quote never creates its customer. Nothing is merged."


def _deposits(policy: Policy) -> Iterator[str]:
    for company, rules in policy.deposits.companies.items():
        for rule in rules:
            only = [f"{what} {', '.join(of)}" for what, of in _narrowed(rule) if of]
            size = f"{rule.percent} % of the total" if rule.percent is not None else f"{rule.amount} {rule.currency}"
            about = f" with {' and '.join(only)}" if only else ""
            yield f"{company}: {rule.id}: orders{about} need {size}, within {rule.due_days} days."
    if not any(policy.deposits.companies.values()):
        yield "No order needs a deposit."
    yield "The first rule of a company that fits decides. An order is confirmed in Finance when its deposit is there."


def _narrowed(rule: DepositRule) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a rule of deposits is about, each with its values; none: it is about all."""
    total = (f"{rule.from_total} or more",) if rule.from_total is not None else ()
    currency = (rule.currency,) if rule.currency else ()
    named = (("terms", rule.terms), ("group", rule.groups), ("account", rule.customers))
    return (*named, ("currency", currency), ("a total of", total))


def _pairs(values: dict[str, Decimal], unit: str) -> str:
    return ", ".join(f"{company} {value}{unit}" for company, value in values.items()) or "none"
