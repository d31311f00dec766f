"""What the rules ask of one quote, and the largest discounts that would ask less: searched for, and right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import what_if
from domain.discount import asked_levels
from domain.policy import DiscountPolicy, Policy
from domain.what_if import Explained
from policies.quote_files import AskedQuote
from policies.what_if import as_text
from tests.unit.domain.makers import POLICY

D = Decimal


def quote(*lines: dict[str, Any], **more: Any) -> AskedQuote:
    header = {"quote": "Q-1", "company": "usmf", "currency": "USD", "payment_days": 30, "lines": lines}
    return AskedQuote.model_validate(header | more)


def explain(asked: AskedQuote) -> Explained:
    return what_if.explain(asked.proposal(POLICY), POLICY)


def line(
    item: str = "P250", quantity: int = 100, list_price: int = 250, cost: int = 150, **more: Any
) -> dict[str, Any]:
    return {"item": item, "quantity": quantity, "list_price": list_price, "cost": cost, **more}


def test_s02_names_rule_numbers_people_and_what_would_be_cheaper() -> None:
    found = explain(quote(line(discount_pct=22)))
    assert found.people == "Mona Meyer, then Dirk Dorn"
    assert [(step.chain, step.level, step.asked) for step in found.steps] == [
        ("sales", 1, "Mona Meyer"),
        ("sales", 2, "Dirk Dorn"),
    ]
    assert [reason.text for reason in found.steps[1].reasons] == ["22 % > 20 %", "margin 23.08 % < 25 %"]
    assert found.figures.net == D(19500)
    assert found.largest_discount_for_nobody == D(10)
    assert [(offer.discount_pct, offer.people, offer.net) for offer in found.cheaper] == [
        (D(10), "nobody", D(22500)),
        (D(20), "Mona Meyer", D(20000)),
    ]


def test_the_text_says_the_same_and_fits_a_person() -> None:
    text = as_text(explain(quote(line(discount_pct=22)))).splitlines()
    assert text[0] == "Q-1: discount 22 %, margin 23.08 %, net 19,500.00 USD, payment 30 days"
    assert text[1] == "As it is: Mona Meyer, then Dirk Dorn, about 3 working days."
    assert "    D2: Margin 23.08 % is below 25 %" in text
    assert text[-2:] == [
        "At 10 % on every line and no other discount: nobody.",
        "At 20 %, net 20,000.00 USD: Mona Meyer, about 1 working day.",
    ]


def test_a_margin_decides_before_the_discount_where_goods_are_dear() -> None:
    # Cost 70 of 100: margin 25 % at a discount of 6.67 %, 15 % at 17.65 %.
    found = explain(quote(line(list_price=100, cost=70, quantity=1000, discount_pct=30)))
    assert found.people == "Mona Meyer, then Dirk Dorn, then Cora Chen"
    assert found.largest_discount_for_nobody == D("6.66")
    assert [(offer.discount_pct, offer.people) for offer in found.cheaper] == [
        (D("6.66"), "nobody"),
        (D("17.64"), "Mona Meyer, then Dirk Dorn"),
    ]


def test_where_payment_terms_ask_no_discount_needs_nobody() -> None:
    found = explain(quote(line(discount_pct=15), payment_days=90))
    assert found.people == "Mona Meyer; at the same time Leo Lind"
    assert found.largest_discount_for_nobody is None
    assert [(offer.discount_pct, offer.people) for offer in found.cheaper] == [(D(10), "Leo Lind")]
    assert "There is no discount that would need nobody." in as_text(found)


def test_a_quote_that_needs_nobody_says_how_far_it_could_go() -> None:
    found = explain(quote(line(discount_pct=5)))
    assert (found.people, found.steps, found.cheaper, found.largest_discount_for_nobody) == ("nobody", (), (), D(10))


def test_a_larger_discount_may_need_less_where_an_amount_is_tested() -> None:
    # At list price the net is 260,000: the CFO is asked. 4 % off, it is below 250,000: nobody is.
    found = explain(quote(line(quantity=1040)))
    assert found.people == "Mona Meyer, then Dirk Dorn, then Cora Chen"
    assert found.largest_discount_for_nobody == D(10)
    assert what_if.largest_discounts(quote(line(quantity=1040)).proposal(POLICY), POLICY)[frozenset()] == D(10)


def test_who_asks_is_not_asked_and_a_level_that_nobody_decides_says_so() -> None:
    found = explain(quote(line(discount_pct=15), requester="MONA@contoso.example"))
    assert found.people == "Dirk Dorn"
    found = explain(quote(line(discount_pct=40), company="demf"))
    assert found.people == "Dora Dietz, then a cfo, whom there is not"
    assert "add a holder of cfo to approvers.yaml" in found.steps[2].problem
    with pytest.raises(ValueError, match="company: 'xxxx' is not in approvers.yaml; there are demf, jpmf"):
        explain(quote(line(), company="xxxx"))


def test_header_discount_freight_and_typed_prices_count_as_they_do_in_a_deal() -> None:
    found = explain(
        quote(line(price=200, discount="500"), line("P100", 10, 100, 60), header_discount_pct=5, freight="12.50")
    )
    # 100 x 200 - 500 = 19,500; and 1,000; less 5 %; and freight.
    assert found.figures.net == D("19487.50")
    assert found.figures.list_net == D(26000)
    assert found.figures.disc_pct == D("25.9"), "the first line: 19,500 less 5 % of 25,000"


@st.composite
def matrices(draw: st.DrawFn) -> Policy:
    def condition() -> dict[str, Any]:
        value = draw(st.sampled_from(["disc_pct", "margin_pct", "net", "below_floor", "payment_days"]))
        if value == "below_floor":
            return {"value": value}
        numbers = {"net": st.integers(0, 700), "margin_pct": st.integers(-150, 100)}
        than = draw(numbers.get(value, st.integers(0, 60)))
        op = draw(st.sampled_from([">", ">=", "<", "<="]))
        return {"value": value, "op": op, "than": {"USD": than} if value == "net" else than}

    rules = [
        {"id": f"R{level}", "when": [condition() for _ in range(draw(st.integers(1, 2)))], "chain": "sales",
         "level": level, "role": ("sales_manager", "sales_director", "cfo")[level - 1]}
        for level in (1, 2, 3)
    ]  # fmt: skip
    discount = DiscountPolicy.model_validate(POLICY.discount.model_dump() | {"rules": rules})
    return POLICY.model_copy(update={"discount": discount})


LINES = st.fixed_dictionaries(
    {
        "item": st.just("P"),
        "quantity": st.integers(1, 7),
        "list_price": st.sampled_from([0, 1, "0.01", "9.99", 33, 100]),
        "cost": st.sampled_from([0, "0.01", 20, 60, 300]),
        "floor_price": st.none() | st.sampled_from([1, 25, 90]),
    }
)


@given(st.lists(LINES, min_size=1, max_size=3), st.sampled_from([0, 5, "12.34"]), matrices())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_search_finds_what_trying_every_discount_finds(
    monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]], freight: Any, policy: Policy
) -> None:
    monkeypatch.setattr(what_if, "_FINENESS", 2)
    monkeypatch.setattr(what_if, "_ALL", 200)
    asked = quote(*lines, freight=freight).proposal(policy)
    tried: dict[what_if.Demands, Decimal] = {}
    for step in range(201):
        priced = asked.discounted(D(step) / 2).priced()
        tried[frozenset((level.chain, level.level) for level in asked_levels(priced, policy))] = D(step) / 2
    assert what_if.largest_discounts(asked, policy) == tried
