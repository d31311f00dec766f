"""A policy in words, for the people who answer for it and those it decides about (``q2c policy explain``)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from domain.approvals import BusinessHours
from domain.policy import Condition, CreditLimits, Policy, Tested

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TESTED: Final = {
    Tested.DISCOUNT_PCT: "discount {op} {than} %",
    Tested.MARGIN_PCT: "margin {op} {than} %",
    Tested.NET: "net {op} {than}",
    Tested.PAYMENT_DAYS: "payment {op} {than} days",
    Tested.BELOW_FLOOR: "a line below its floor price",
}


def explain(policy: Policy) -> str:
    """What a policy says, as plain text of at most 120 columns a line, ending in a line break."""
    sections = (_discount(policy), _credit(policy), _authority(policy), _calendars(policy), _mapping(policy))
    text = "\n\n".join("\n".join(section) for section in sections)
    return f"Policy {policy.version}\nSHA-256 {policy.hash}\n\n{text}\n"


def _discount(policy: Policy) -> Iterator[str]:
    discount = policy.discount
    yield f"Who approves a quote (discount.yaml {discount.version})"
    for rule in discount.rules:
        when = " or ".join(_condition(condition) for condition in rule.when)
        comment = ", who must comment" if rule.comment_required else ""
        yield f"  {rule.id}: {when}\n      asks {rule.role} (chain {rule.chain}, level {rule.level}){comment}"
    yield "  A level brings the lower levels of its chain with it; chains are asked side by side."
    yield "  Where no rule matches, nobody is asked."
    for level, hours in sorted(discount.sla_business_hours.items()):
        after = discount.on_timeout.get(level, "expire")
        outcome = "the next holder is asked" if after == "escalate" else "the request expires"
        yield f"  Level {level}: {hours} business hours, then {outcome}."
    if discount.reminders_pct:
        yield f"  Reminders at {', '.join(f'{pct} %' for pct in discount.reminders_pct)} of that time."
    yield f"  A request lives {discount.max_age_days} days at most, and never longer than its quote."
    yield "  Nobody decides their own request or one they co-own. Nothing is approved by a timeout."
    yield "  Who approved a lower level is asked again only if nobody else may decide; then the approval counts once."


def _condition(condition: Condition) -> str:
    if isinstance(condition.than, dict):
        than = ", ".join(f"{amount:,f} {currency}" for currency, amount in condition.than.items())
        than += " (any amount in another currency)"
    else:
        than = "" if condition.than is None else f"{condition.than:f}"
    return _TESTED[condition.value].format(op=condition.op, than=than)


def _credit(policy: Policy) -> Iterator[str]:
    credit = policy.credit
    yield f"When credit is refused (credit.yaml {credit.version})"
    yield "  exposure = open invoices + open orders + accepted deals not yet in Finance + this order, incl. tax"
    yield f"  Every customer: {_limits(credit.default)}"
    for group, limits in credit.groups.items():
        yield f"  Customer group {group}: {_limits(limits)}"
    for company, customers in credit.customers.items():
        for account, limits in customers.items():
            yield f"  Customer {account} of {company}: {_limits(limits)}"
    yield f"  Refused while Finance has the customer on hold for: {', '.join(credit.blocking_statuses)}"
    yield f"  An expired limit counts {credit.limit_grace_days} days longer; facts are at most "
    yield f"  {credit.freshness_seconds} seconds old, or nothing is decided."
    yield "  Tax assumed on open orders Finance has not totalled: " + _pairs(credit.tax_rate_pct, " %")
    yield f"  A release is good for {credit.release.valid_days} days and up to {credit.release.deviation_pct} % more, "
    yield "  and never covers a new reason."


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
    yield f"Who holds which authority (approvers.yaml {authority.version})"
    for company, roles in authority.companies.items():
        yield f"  {company}: nobody" if not roles else f"  {company}:"
        for role, keys in roles.items():
            yield f"    {role}: {', '.join(f'{authority.people[key].name} ({key})' for key in keys)}"


def _calendars(policy: Policy) -> Iterator[str]:
    yield "Business hours (calendars.yaml)"
    for company, hours in policy.calendars.items():
        yield f"  {company}: {_hours(hours)}"


def _hours(hours: BusinessHours) -> str:
    days = ", ".join(_DAYS[day] for day in hours.workdays)
    closed = f"; closed on {', '.join(hours.holidays)}" if hours.holidays else ""
    return f"{days} {hours.opens}-{hours.closes} {hours.timezone}{closed}"


def _mapping(policy: Policy) -> Iterator[str]:
    entity_map, tolerances = policy.entity_map, policy.tolerances
    yield f"How the systems' records meet (entity_map.yaml {entity_map.version})"
    yield "  Business unit → company: " + ", ".join(f"{k} → {v}" for k, v in entity_map.business_units.items())
    yield "  Payment terms: " + ", ".join(f"{k} → {v}" for k, v in entity_map.payment_terms.items())
    yield "  Order numbers: " + ", ".join(f"{k} {v}" for k, v in entity_map.order_numbers.items())
    yield ""
    yield f"How far they may differ (tolerances.yaml {tolerances.version})"
    money = tolerances.money
    yield f"  A line by {money.line_units} minor unit(s); a document by the root of its lines, at most "
    yield f"  {money.document_cap_units}. Over-delivery: " + _pairs(tolerances.over_delivery_pct, " %")


def _pairs(values: dict[str, Decimal], unit: str) -> str:
    return ", ".join(f"{company} {value}{unit}" for company, value in values.items()) or "none"
