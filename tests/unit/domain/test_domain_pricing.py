from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import is_money, round_money
from domain.pricing import FinancePrice, PriceMissing, price_hash, price_problems, price_quote
from tests.unit.domain.makers import PRICES, T0, discounted, line, priced, quote

D = Decimal


def two(number: Decimal) -> Decimal:
    return number.quantize(D("0.01"))


def test_s02_discount_and_margin_of_a_document() -> None:
    found = priced(discounted("P250", 100, 22))
    assert found.list_net == D("25000.00")
    assert found.net == D("19500.00")
    assert found.disc_pct == 22
    assert two(found.margin_pct) == D("23.08")


def test_s03_margin_of_a_deep_discount() -> None:
    found = priced(discounted("P250", 1000, 36))
    assert (found.net, found.disc_pct, two(found.margin_pct)) == (D("160000.00"), D(36), D("6.25"))


@pytest.mark.parametrize(("pct", "net", "margin"), [("18", "20500.00", "26.83"), ("22.5", "19375.00", "22.58")])
def test_s09_the_revisions(pct: str, net: str, margin: str) -> None:
    found = priced(discounted("P250", 100, pct))
    assert (found.net, found.disc_pct, two(found.margin_pct)) == (D(net), D(pct), D(margin))


def test_s04a_a_discount_is_compared_unrounded() -> None:
    exactly = priced(quote(line(quantity=10, off="100.00")))
    a_cent_more = priced(quote(line(quantity=10, off="100.01")))
    assert exactly.disc_pct == 10
    assert a_cent_more.disc_pct == D("10.001")


def test_s04b_what_was_entered_does_not_hide_behind_rounding() -> None:
    half_dollar = FinancePrice(item="P100", currency="USD", list_price=D("0.50"), cost=D("0.10"), unit="ea")
    asked = quote(line(price="0.50"), header_discount_pct="20.01")
    found = price_quote(asked, {"P100": half_dollar}, payment_days=30, on=T0.date())
    assert found.net == D("0.40")  # 20.00 % effective
    assert found.disc_pct == D("20.01")


def test_the_lifecycle_example_of_an_entered_discount() -> None:
    found = priced(quote(line(item="P099", quantity=8), header_discount_pct=20))
    assert found.net == D("639.94")  # 19.9995 % effective
    assert found.disc_pct == 20


def test_s37_a_higher_cost_lowers_the_margin_of_the_same_price() -> None:
    sold_at_92 = quote(line(price="92.00"))
    before = priced(sold_at_92)
    dearer = FinancePrice(item="P100", currency="USD", list_price=D("100.00"), cost=D("72.00"), unit="ea")
    assert two(before.margin_pct) == D("34.78")
    assert two(priced(sold_at_92, P100=dearer).margin_pct) == D("21.74")


def test_a_price_typed_below_list_is_a_discount() -> None:
    found = priced(quote(line(price="78.00")))
    assert found.disc_pct == 22
    assert found.lines[0].discount_pct == 22
    assert found.lines[0].price == 78


def test_a_price_above_list_is_no_discount_but_money_off_it_is() -> None:
    assert priced(quote(line(price="120.00"))).disc_pct == 0
    entered = priced(quote(line(price="125.00", off="25.00")))
    assert entered.disc_pct == 20
    assert entered.net == 100


def test_the_worst_line_counts() -> None:
    found = priced(quote(line(1, quantity=99), line(2, off="30.00")))
    assert found.disc_pct == 30
    assert two((found.list_net - found.net) * 100 / found.list_net) == D("0.30")


def test_a_header_discount_adds_to_that_of_a_line() -> None:
    found = priced(quote(line(1, quantity=1, off="20.00"), line(2), header_discount_pct=10))
    assert found.lines[0].discount_pct == 28  # 100 - 20 = 80, less 10 % = 72
    assert found.lines[1].discount_pct == 10
    assert found.disc_pct == 28
    assert [finding.net for finding in found.lines] == [D("72.00"), D("90.00")]


def test_a_header_discount_in_money_counts_the_same() -> None:
    assert priced(quote(line(1), line(2), header_discount="30.00")).disc_pct == 15


def test_freight_is_no_margin_and_hides_no_discount() -> None:
    found = priced(quote(line(off="10.00"), freight="500.00"))
    assert found.disc_pct == 10
    assert two(found.margin_pct) == D("33.33")
    assert found.net == D("590.00")


def test_a_rounding_difference_of_the_header_is_no_discount_of_a_line() -> None:
    sound = quote(line(1, quantity=10, off="100.00"))
    off_by_a_cent = sound.model_copy(update={"net": sound.net + D("0.01")})
    assert priced(off_by_a_cent).lines[0].discount_pct == 10


def test_what_is_given_away_earns_less_than_nothing() -> None:
    free = priced(quote(line(price=0, free_goods_reason="Trade fair")))
    assert free.margin_pct == -100
    assert free.disc_pct == 100
    assert free.lines[0].margin_pct == -100


def test_what_lists_at_nothing_has_no_discount() -> None:
    service = FinancePrice(item="P100", currency="USD", list_price=D(0), cost=D(0), unit="ea")
    assert priced(quote(line(price="50.00")), P100=service).disc_pct == 0


@pytest.mark.parametrize(("off", "below"), [("0", False), ("20.00", False), ("20.01", True)])
def test_a_line_below_its_floor_price_is_found(off: str, below: bool) -> None:
    with_floor = PRICES["P100"].model_copy(update={"floor_price": D("80.00")})
    found = priced(quote(line(off=off), line(2, "P250")), P100=with_floor)
    assert found.below_floor is below
    assert [finding.below_floor for finding in found.lines] == [below, False]


def test_a_floor_of_fractions_is_compared_in_minor_units() -> None:
    with_floor = PRICES["P100"].model_copy(update={"floor_price": D("79.9949")})
    found = priced(quote(line(price="79.99")), P100=with_floor)
    assert not found.below_floor


def test_the_header_discount_counts_towards_the_floor() -> None:
    with_floor = PRICES["P100"].model_copy(update={"floor_price": D("95.00")})
    assert priced(quote(line(), header_discount_pct=6), P100=with_floor).below_floor


def test_lines_are_listed_by_number_and_the_order_read_changes_nothing() -> None:
    forth, back = quote(line(1), line(2, "P250")), quote(line(2, "P250"), line(1))
    assert priced(forth) == priced(back)
    assert [finding.line_no for finding in priced(back).lines] == [1, 2]


def test_an_item_without_a_price_stops_the_pricing_and_names_itself() -> None:
    with pytest.raises(PriceMissing, match="P777"):
        priced(quote(line(item="P777", price=10)))
    (problem,) = price_problems(quote(line(item="P777", price=10)), PRICES)
    assert (problem.code, problem.field) == ("NO_PRICE", "line 1: price")
    assert "P777" in problem.message


def test_another_unit_and_a_stopped_item_are_the_reps_business() -> None:
    stopped = PRICES | {"P100": PRICES["P100"].model_copy(update={"blocked": True})}
    assert [p.code for p in price_problems(quote(line()), stopped)] == ["ITEM_NOT_RELEASED"]
    assert [p.code for p in price_problems(quote(line(unit="box")), PRICES)] == ["UNIT_MISMATCH"]
    assert price_problems(quote(line(unit="EA")), PRICES) == ()


def test_the_price_hash_is_of_numbers_not_of_their_writing() -> None:
    written = {"P100": PRICES["P100"].model_copy(update={"list_price": D("100"), "cost": D("60.000")})}
    assert price_hash(written) == price_hash({"P100": PRICES["P100"]})
    assert price_hash({"P250": PRICES["P250"], "P100": PRICES["P100"]}) == price_hash(
        {"P100": PRICES["P100"], "P250": PRICES["P250"]}
    )


@pytest.mark.parametrize(
    "change", [{"list_price": D(101)}, {"cost": D(61)}, {"floor_price": D(0)}, {"blocked": True}, {"unit": "box"}]
)
def test_whatever_changes_of_a_price_changes_the_hash(change: dict[str, object]) -> None:
    assert price_hash({"P100": PRICES["P100"].model_copy(update=change)}) != price_hash({"P100": PRICES["P100"]})


def test_only_items_of_the_quote_are_hashed() -> None:
    assert priced(quote(line())).price_hash == price_hash({"P100": PRICES["P100"]})


LINES = st.lists(
    st.tuples(st.sampled_from(sorted(PRICES)), st.integers(1, 500), st.integers(0, 60)), min_size=1, max_size=25
)


@given(lines=LINES, header=st.decimals(0, 50, places=2))
def test_i19_line_nets_add_up_to_the_document_in_minor_units(
    lines: list[tuple[str, int, int]], header: Decimal
) -> None:
    snapshot = quote(
        *(
            line(no, item, quantity, off=round_money(PRICES[item].list_price * quantity * pct / 100, "USD"))
            for no, (item, quantity, pct) in enumerate(lines, 1)
        ),
        header_discount_pct=header,
    )
    found = priced(snapshot)
    assert sum(finding.net for finding in found.lines) == snapshot.net
    assert all(is_money(finding.net, "USD") for finding in found.lines)
    assert found.disc_pct >= max(header, *(finding.discount_pct for finding in found.lines))
    assert found.disc_pct * found.list_net >= (found.list_net - found.net) * 100 - D("1e-6")
