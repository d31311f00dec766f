"""Quotes, people and facts in the words of the tests: only what a test is about has to be said."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import policies
from domain.approvals import (
    ApprovalPlan,
    ApprovalRequest,
    ApprovalState,
    ApprovalStatus,
    BusinessHours,
    StepPlan,
    StepState,
    StepStatus,
)
from domain.credit_facts import CreditFacts, OpenOrder
from domain.discount import approval_plan
from domain.money import round_money
from domain.people import Person
from domain.pricing import FinancePrice, PricedQuote, price_quote
from domain.quote import QuoteLine, QuoteSnapshot

POLICY = policies.load()
T0 = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
ROLES = {
    "rita": "sales_rep",
    "ravi": "sales_rep",
    "mona": "sales_manager",
    "dirk": "sales_director",
    "dina": "sales_director",
    "drew": "sales_director",
    "cora": "cfo",
    "leo": "legal",
    "carl": "credit_manager",
}


def person(name: str) -> Person:
    upn = f"{name}@contoso.example"
    return Person(oid=str(uuid.uuid5(uuid.NAMESPACE_DNS, upn)), name=name, upn=upn)


def names(people: tuple[Person, ...]) -> list[str]:
    """Sign-in names, in order."""
    return [someone.upn.partition("@")[0] for someone in people]


def actor(name: str, *roles: str) -> Person:
    """A person with the roles of their token; by default the role of the sample company."""
    return Person(oid=person(name).oid, name=name, roles=roles or (f"{ROLES[name]}.usmf",))


PRICES = {
    "P100": FinancePrice(item="P100", currency="USD", list_price=Decimal("100.00"), cost=Decimal("60.00"), unit="ea"),
    "P250": FinancePrice(item="P250", currency="USD", list_price=Decimal("250.00"), cost=Decimal("150.00"), unit="ea"),
    "P099": FinancePrice(item="P099", currency="USD", list_price=Decimal("99.99"), cost=Decimal("60.00"), unit="ea"),
}


def line(
    line_no: int = 1,
    item: str | None = "P100",
    quantity: object = 1,
    *,
    off: object = 0,
    price: object = "list",
    **more: Any,
) -> QuoteLine:
    """A line at list price with so much money off; ``price`` overrides the list price."""
    listed = PRICES[item].list_price if item in PRICES else Decimal(0)
    unit_price = listed if price == "list" else None if price is None else Decimal(str(price))
    amount = Decimal(str(quantity)) * (unit_price or Decimal(0)) - Decimal(str(off))
    fields: dict[str, Any] = {"net": round_money(amount, more.pop("currency", "USD"))} | more
    return QuoteLine(
        line_no=line_no,
        item=item,
        quantity=Decimal(str(quantity)),
        price=unit_price,
        discount=Decimal(str(off)),
        **fields,
    )


def quote(*lines: QuoteLine, tax_pct: int = 10, **more: Any) -> QuoteSnapshot:
    """A quote of the sample company whose totals add up."""
    currency = more.get("currency", "USD")
    gross = sum((each.net for each in lines), Decimal(0))
    pct = Decimal(str(more.pop("header_discount_pct", 0)))
    header = Decimal(str(more.pop("header_discount", 0)))
    freight = Decimal(str(more.pop("freight", 0)))
    net = round_money(gross * (100 - pct) / 100 - header, currency) + freight
    tax = round_money(net * tax_pct / 100, currency)
    fields: dict[str, Any] = {
        "company": "usmf",
        "quote_id": "11111111-1111-1111-1111-111111111111",
        "quote_number": "Q-1001",
        "revision": 0,
        "customer_account": "US-001",
        "currency": currency,
        "price_list_currency": currency,
        "expires_on": date(2026, 11, 30),
        "net": net,
        "tax": tax,
        "total": net + tax,
        "owner": person("rita"),
        "header_discount_pct": pct,
        "header_discount": header,
        "freight": freight,
    }
    return QuoteSnapshot(lines=lines, **fields | more)


def discounted(item: str, quantity: int, pct: object) -> QuoteSnapshot:
    """A quote of one line with so many per cent off its list price."""
    listed = PRICES[item].list_price * quantity
    return quote(line(item=item, quantity=quantity, off=round_money(listed * Decimal(str(pct)) / 100, "USD")))


def priced(snapshot: QuoteSnapshot, *, payment_days: int = 30, **prices: FinancePrice) -> PricedQuote:
    """The quote at list prices; a price counts in the quote's own currency."""
    listed = {
        item: price.model_copy(update={"currency": snapshot.currency}) for item, price in (PRICES | prices).items()
    }
    return price_quote(snapshot, listed, payment_days=payment_days, on=T0.date())


def plan(
    quote_priced: PricedQuote, requester: str = "rita", co_owner: str | None = None, company: str = "usmf"
) -> ApprovalPlan:
    return approval_plan(
        quote_priced,
        requester=person(requester),
        makers=() if co_owner is None else (person(co_owner),),
        company=company,
        calendar=working_time(company),
        policy=POLICY,
    )


def working_time(company: str, asked_on: date = date(2026, 11, 23)) -> BusinessHours:
    """The shipped working time of a company, as a request made on that day takes it along."""
    return policies.business_hours(POLICY, company, asked_on)


def asked(the_plan: ApprovalPlan) -> list[tuple[str, int, str]]:
    """Chain, level and who is asked first, step by step."""
    return [(step.chain, step.level, names(step.candidates)[0]) for step in the_plan.steps]


def request(the_plan: ApprovalPlan, requester: str = "rita", **more: Any) -> ApprovalRequest:
    fields: dict[str, Any] = {
        "company": "usmf",
        "quote_number": "Q-1001",
        "quote_id": "11111111-1111-1111-1111-111111111111",
        "n": 1,
        "revision": 0,
        "customer_account": "US-001",
        "requester": person(requester),
        "currency": "USD",
        "net": Decimal("19500.00"),
        "tax": Decimal("1950.00"),
        "total": Decimal("21450.00"),
        "list_net": Decimal("25000.00"),
        "discount_pct": Decimal(22),
        "margin_pct": Decimal("23.08"),
        "line_count": 1,
        "snapshot_hash": "hash-of-revision-1",
        "expires_at": T0 + timedelta(days=14),
        "plan": the_plan,
    }
    return ApprovalRequest(**fields | more)


def step(plan_of_step: StepPlan, *assignees: str, status: StepStatus = StepStatus.PENDING) -> StepState:
    return StepState(plan=plan_of_step, status=status, assignees=tuple(person(name) for name in assignees))


def state(
    the_request: ApprovalRequest, *steps: StepState, status: ApprovalStatus = ApprovalStatus.PENDING
) -> ApprovalState:
    return ApprovalState(request=the_request, status=status, steps=steps)


def facts(account: str = "US-001", **more: Any) -> CreditFacts:
    """Finance's facts of a sample customer, read this moment; amounts may be given as text."""
    samples: dict[str, dict[str, Any]] = {
        "US-001": {"credit_limit": "100000.00", "open_ar": "40000.00", "open_orders": {"SO-1": "15000.00"}},
        "US-002": {"credit_limit": "10000.00", "open_ar": "5000.00"},
        "US-003": {"credit_limit": "0.00", "open_ar": "0.00"},
        "US-004": {"credit_limit": "0.00", "unlimited": True, "open_ar": "900000.00"},
        "US-005": {
            "credit_limit": "50000.00",
            "open_ar": "20000.00",
            "overdue_amount": "12000.00",
            "oldest_overdue_days": 62,
        },
    }
    fields = samples[account] | more
    orders = fields.pop("open_orders", {})
    defaults: dict[str, Any] = {"unlimited": False, "credit_management": True, "as_of": T0, "company": "usmf"}
    return CreditFacts(
        customer_account=account,
        currency="USD",
        open_orders=tuple(OpenOrder(order_number=n, amount=Decimal(a)) for n, a in orders.items()),
        **defaults | fields,
    )
