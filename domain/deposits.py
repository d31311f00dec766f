"""Deposits: which orders need money before they are released, how much, and what of it is there.

Finance has no column that says that a deposit is due, so the rule is data of this product (``deposits.yaml``); the
money is Finance's: a customer payment that names the order. Pure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pydantic import Field, model_validator

from domain.money import format_money, minor_unit, plain, round_money
from domain.record import Record
from domain.values import Company, Number

MOST_RULES: Final = 100
_HUNDRED: Final = Decimal(100)
_NONE: Final = Decimal(0)


class DepositRule(Record):
    """Which orders of a company need a deposit, and how large a one. What is left out fits every order."""

    id: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    terms: tuple[str, ...] = Field((), max_length=50, description="Names of Finance's payment terms")
    groups: tuple[str, ...] = Field((), max_length=50, description="Customer groups (CustomerGroupId)")
    customers: tuple[str, ...] = Field((), max_length=500, description="Accounts in Finance")
    currency: str = Field("", pattern=r"^([A-Z]{3})?$", description="Of the quote; empty: any")
    from_total: Number | None = Field(None, gt=0, description="Orders of this total or more, tax included")
    percent: Number | None = Field(None, gt=0, le=100, description="Of the order's total, tax included")
    amount: Number | None = Field(None, gt=0, description="So much, never more than the order's total")
    due_days: int = Field(14, ge=1, le=365, description="Calendar days after which somebody has to look")

    @model_validator(mode="after")
    def _whole(self) -> DepositRule:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("percent, amount: say one of them")
        if (self.amount is not None or self.from_total is not None) and not self.currency:
            raise ValueError("currency: amount and from_total need the currency that they are in")
        return self

    def fits(self, order: DepositFacts) -> bool:
        """Whether it is about an order. Texts are compared as Finance does, without regard to case."""
        return (
            _among(order.terms, self.terms)
            and _among(order.group, self.groups)
            and _among(order.account, self.customers)
            and self.currency in ("", order.currency)
            and (self.from_total is None or order.total >= self.from_total)
        )


class DepositPolicy(Record):
    """The deposits that are asked for, company by company; the first rule that fits an order decides."""

    version: str = Field(min_length=1)
    companies: dict[Company, tuple[DepositRule, ...]] = Field(
        default_factory=dict, description="Absent: its orders need no deposit"
    )

    @model_validator(mode="after")
    def _apart(self) -> DepositPolicy:
        for company, rules in self.companies.items():
            ids = [rule.id for rule in rules]
            if len(ids) > MOST_RULES:
                raise ValueError(f"companies.{company}: at most {MOST_RULES} rules")
            twice = next((id_ for id_ in ids if ids.count(id_) > 1), "")
            if twice:
                raise ValueError(f"companies.{company}: two rules are called {twice}")
        return self

    def due(self, company: str, order: DepositFacts, *, tolerance_units: int) -> DepositDue | None:
        """The deposit of an order; None: it needs none.

        Args:
            company: Legal entity, lower case.
            order: What the rules ask about.
            tolerance_units: Minor units that a deposit may be short of.
        """
        rule = next((rule for rule in self.companies.get(company, ()) if rule.fits(order)), None)
        if rule is None or order.total <= 0:
            return None
        asked = rule.amount if rule.amount is not None else order.total * (rule.percent or _NONE) / _HUNDRED
        amount = min(round_money(asked, order.currency), order.total)
        if amount <= 0:
            return None
        return DepositDue(
            rule=rule.id,
            policy=self.version,
            share=f"{plain(rule.percent)} %" if rule.percent is not None else "",
            amount=amount,
            currency=order.currency,
            due_days=rule.due_days,
            tolerance=minor_unit(order.currency) * tolerance_units,
        )


class DepositFacts(Record):
    """What the rules ask about an order."""

    account: str
    group: str = ""
    terms: str = Field("", description="Name of the payment terms that will apply")
    currency: str
    total: Decimal = Field(description="Tax included")


class DepositDue(Record):
    """The deposit that an order needs before it is released, pinned when its quote was assessed."""

    rule: str
    policy: str = Field(description="Version of deposits.yaml")
    share: str = Field("", description="Of the order's total, in words; empty: a fixed amount")
    amount: Decimal
    currency: str
    due_days: int
    tolerance: Decimal = Field(_NONE, description="How much less is enough")

    def missing(self, received: Decimal) -> Decimal:
        """What is still to come; zero where what was received is enough."""
        left = self.amount - received
        return left if left > self.tolerance else _NONE

    @property
    def words(self) -> str:
        """How large it is."""
        amount = format_money(self.amount, self.currency)
        return f"{amount} ({self.share})" if self.share else amount


def misfits(policy: DepositPolicy, companies: set[str]) -> list[tuple[str, str]]:
    """What of the rules belongs to no company that quotes come from: field and text. Empty: all fits."""
    unknown = sorted(set(policy.companies) - companies)
    return [(f"companies.{name}", "entity_map.yaml maps no business unit to this company") for name in unknown]


def _among(value: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or value.casefold() in {text.casefold() for text in wanted}
