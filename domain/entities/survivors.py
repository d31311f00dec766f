"""Which of several customers that are one should stay, and what is to be done with the others, by people.

Finance cannot merge customers, and what is open on one stays there until it is settled. So the customer with the most
hanging on it stays, the others are run down, and their accounts in Sales are merged there by the people who own them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from pydantic import Field

from domain.customers import Standing
from domain.money import format_money
from domain.record import Record


class Twin(Record):
    """One of several customers of a company that are one: what it is on both sides, and what hangs on it."""

    number: str = Field("", description="In Finance, or on the account alone; empty: none")
    name: str = ""
    in_finance: bool = False
    accounts: tuple[str, ...] = Field((), description="Ids of its rows in Sales")
    finance: Standing | None = Field(None, description="Open in Finance; None: was not read")
    sales: Standing | None = Field(None, description="Open in Sales; None: was not read")

    @property
    def called(self) -> str:
        """How people know it."""
        return self.number or f"the account {self.accounts[0]}" if self.number or self.accounts else self.name

    @property
    def receivables(self) -> Decimal:
        """What is open in Finance; 0 where it was not read."""
        return (self.finance and self.finance.open_receivables) or Decimal(0)

    @property
    def orders(self) -> int:
        """Open orders of both sides; those that are in both count twice, as they do for every twin."""
        return sum(standing.open_orders for standing in (self.finance, self.sales) if standing)


class SurvivorPlan(Record):
    """A proposal for the customers of one company that are one."""

    company: str
    survivor: Twin
    others: tuple[Twin, ...]
    why: str = Field(description="Why this one stays")
    steps: tuple[str, ...] = Field(description="For people, in their order")
    complete: bool = Field(description="What hangs on each was read; otherwise it is only where records are")


def survivor_plan(company: str, twins: Iterable[Twin]) -> SurvivorPlan:
    """What to do with customers of one company that are one.

    Args:
        company: legal entity.
        twins: two or more.
    """
    survivor, *others = sorted(twins, key=_rank)
    read = all(twin.finance is not None for twin in (survivor, *others) if twin.in_finance)
    complete = read and all(twin.sales is not None for twin in (survivor, *others) if twin.accounts)
    return SurvivorPlan(
        company=company,
        survivor=survivor,
        others=tuple(others),
        why=_why(survivor, others),
        steps=tuple(_steps(survivor, others)),
        complete=complete,
    )


def _rank(twin: Twin) -> tuple[bool, bool, Decimal, int, bool, str, tuple[str, ...]]:
    """The survivor comes first: in Finance, most receivables, most orders, with an account, the lowest number."""
    open_amount = abs(twin.receivables)
    return (
        not twin.in_finance,
        not open_amount,
        -open_amount,
        -twin.orders,
        not twin.accounts,
        twin.number,
        twin.accounts,
    )


def _why(survivor: Twin, others: list[Twin]) -> str:
    if not any(other.in_finance for other in others):
        return "it is the only one in Finance" if survivor.in_finance else "none is in Finance; it comes first"
    if survivor.receivables and abs(survivor.receivables) > max(abs(other.receivables) for other in others):
        return "most is open on it in Finance"
    if survivor.orders > max(other.orders for other in others):
        return "it has the most open orders"
    if survivor.accounts and not any(other.accounts for other in others):
        return "it is the only one with an account in Sales"
    return "it has the lowest number"


def _steps(survivor: Twin, others: list[Twin]) -> Iterator[str]:
    for extra in survivor.accounts[1:]:
        yield f"Sales: merge {extra} into {survivor.accounts[0]}."
    for other in others:
        if other.in_finance:
            yield f"Finance: {_first(other)}put {other.number} on hold for new orders."
        if survivor.accounts:
            for account in other.accounts:
                yield f"Sales: merge {account} into {survivor.accounts[0]}; its quotes and orders go with it."
        elif other.accounts and survivor.number:
            yield f"Sales: give {other.accounts[0]} the customer number {survivor.number}."


def _first(twin: Twin) -> str:
    """What is to be done with what is open on a twin in Finance, before it goes."""
    if twin.finance is None:
        return f"look at what is open on {twin.number}, then "
    said = []
    if twin.finance.open_receivables:
        said.append(f"settle {format_money(twin.finance.open_receivables, twin.finance.currency)} of open receivables")
    if count := twin.finance.open_orders:
        said.append(f"complete {'1 open order' if count == 1 else f'{count} open orders'}")
    return f"{' and '.join(said)} of {twin.number}, then " if said else ""
