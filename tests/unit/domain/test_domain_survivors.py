"""Which of several customers that are one should stay, and what people have to do with the others."""

from __future__ import annotations

from decimal import Decimal

from domain.customers import Standing
from domain.entities.survivors import Twin, survivor_plan

NOTHING = Standing(open_receivables=Decimal(0), currency="USD")


def owed(amount: str, orders: int = 0) -> Standing:
    return Standing(open_receivables=Decimal(amount), currency="USD", open_orders=orders)


def twin(number: str, finance: Standing | None = NOTHING, *accounts: str) -> Twin:
    sales = Standing() if accounts else None
    return Twin(number=number, name="Contoso", in_finance=True, accounts=accounts, finance=finance, sales=sales)


def test_the_one_with_most_open_stays_whatever_its_number() -> None:
    plan = survivor_plan("usmf", [twin("US-1", owed("10")), twin("US-2", owed("900", 2)), twin("US-3")])
    assert plan.survivor.number == "US-2"
    assert plan.why == "most is open on it in Finance"
    assert plan.steps == (
        "Finance: settle 10.00 USD of open receivables of US-1, then put US-1 on hold for new orders.",
        "Finance: put US-3 on hold for new orders.",
    )
    assert plan.complete


def test_money_that_is_owed_to_the_customer_is_open_as_well() -> None:
    plan = survivor_plan("usmf", [twin("US-1"), twin("US-2", owed("-500"))])
    assert (plan.survivor.number, plan.why) == ("US-2", "most is open on it in Finance")


def test_open_orders_decide_where_nothing_is_owed_and_the_number_last() -> None:
    busy, quiet = twin("US-2", owed("0", 3)), twin("US-1")
    assert survivor_plan("usmf", [quiet, busy]).why == "it has the most open orders"
    assert survivor_plan("usmf", [twin("US-2"), quiet]).why == "it has the lowest number"
    assert (
        survivor_plan("usmf", [twin("US-2", NOTHING, "a"), quiet]).why == "it is the only one with an account in Sales"
    )


def test_an_account_without_a_customer_gets_the_number_or_is_merged() -> None:
    unmapped = Twin(name="CONTOSO", accounts=("guid-2",), sales=Standing(open_orders=1))
    alone = survivor_plan("usmf", [unmapped, twin("US-1")])
    assert (alone.survivor.number, alone.why) == ("US-1", "it is the only one in Finance")
    assert alone.steps == ("Sales: give guid-2 the customer number US-1.",)
    mapped = survivor_plan("usmf", [unmapped, twin("US-1", NOTHING, "guid-1", "guid-3")])
    assert mapped.steps == (
        "Sales: merge guid-3 into guid-1.",
        "Sales: merge guid-2 into guid-1; its quotes and orders go with it.",
    )


def test_accounts_that_nobody_knows_in_finance_are_merged_into_the_first() -> None:
    one, other = (Twin(name="Contoso", accounts=(account,), sales=Standing()) for account in ("a", "b"))
    plan = survivor_plan("usmf", [other, one])
    assert (plan.survivor.called, plan.why) == ("the account a", "none is in Finance; it comes first")
    assert plan.steps == ("Sales: merge b into a; its quotes and orders go with it.",)


def test_what_was_not_read_is_looked_at_first() -> None:
    plan = survivor_plan("usmf", [twin("US-1", None), twin("US-2", None)])
    assert not plan.complete
    assert plan.steps == ("Finance: look at what is open on US-2, then put US-2 on hold for new orders.",)


def test_one_order_is_no_orders() -> None:
    plan = survivor_plan("usmf", [twin("US-1", owed("900")), twin("US-2", owed("10", 1))])
    assert plan.steps[0].startswith("Finance: settle 10.00 USD of open receivables and complete 1 open order of US-2")
