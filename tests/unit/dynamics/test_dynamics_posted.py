"""Documents put together: shares of an invoice over several orders, returns by what was sold."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from dynamics.finance.posted import InvoiceOrigin, Origins, ReturnedLine, slips_of, sold_lots
from dynamics.finance.records import InvoiceLine, LineRest, PostedInvoice, SlipLine

D = Decimal
NONE = D(0)
DAY = datetime(2026, 11, 24, 12, tzinfo=UTC)
cents = st.integers(-99_999, 99_999).map(lambda n: D(n) / 100)
amounts = st.integers(1, 9_999_999).map(lambda n: D(n) / 100)


def invoice(
    lines: list[tuple[Decimal, Decimal]], *, order: str = "", extra: Decimal = NONE, tax: Decimal = NONE
) -> PostedInvoice:
    """An invoice whose total is so much more, and whose tax so much other, than its lines come to."""
    rows = tuple(
        InvoiceLine(sequence=n, item="P", quantity=D(1), net=net, tax=line_tax)
        for n, (net, line_tax) in enumerate(lines, start=1)
    )
    taxes = sum((row.tax for row in rows), tax)
    return PostedInvoice(
        number="CIV-1",
        order_number=order,
        invoiced_on=DAY,
        currency="USD",
        total=sum((row.net for row in rows), taxes + extra),
        tax=taxes,
        lines=rows,
    )


def origin(sequence: int, order: str, lot: str = "") -> InvoiceOrigin:
    return InvoiceOrigin(
        invoice="civ-1", invoiced_on=DAY, sequence=sequence, order_number=order, lot=lot or f"L{sequence}"
    )


@given(
    lines=st.lists(st.tuples(amounts, amounts), min_size=2, max_size=8),
    owners=st.lists(st.sampled_from(["SO-1", "SO-2", "SO-3"]), min_size=8, max_size=8),
    extra=cents,
    tax=cents,
    part=st.integers(0, 100),
)
def test_the_shares_of_all_orders_come_to_the_invoice_and_to_what_is_open(
    lines: list[tuple[Decimal, Decimal]], owners: list[str], extra: Decimal, tax: Decimal, part: int
) -> None:
    """Whatever header charges and roundings are on it, and however it is paid: no cent is lost or told twice (I19)."""
    whole = invoice(lines, extra=extra, tax=tax)
    rows = [origin(n, owner) for n, owner in enumerate(owners[: len(lines)], start=1)]
    orders = {row.order_number for row in rows}
    assume(len(orders) > 1)
    shares = [Origins(order, rows, {}).of(whole, ()) for order in orders]
    found = [share for share in shares if share is not None]
    assert len(found) == len(orders)
    assert sum(share.total for share in found) == whole.total
    assert sum(share.tax for share in found) == whole.tax
    assert all(sum(line.net + line.tax for line in share.lines) == share.total for share in found)
    left = (whole.total * part / 100).quantize(D("0.01"))
    assert sum(share.share_of(left) for share in found) == left


def test_what_no_line_has_is_on_the_largest_line_and_on_no_other() -> None:
    whole = invoice([(D(100), D(10)), (D(300), D(30)), (D(50), D(5))], extra=D("10.01"), tax=D("0.01"))
    rows = [origin(1, "SO-1"), origin(2, "SO-2"), origin(3, "SO-1")]
    first, second = (Origins(order, rows, {}).of(whole, ()) for order in ("so-1", "SO-2"))
    assert first is not None and second is not None
    assert (first.total, second.total) == (D(165), D("340.02"))
    assert (second.lines[0].net, second.lines[0].tax) == (D("310.01"), D("30.01"))


def test_an_invoice_of_another_order_is_none_of_ours_and_one_of_ours_is_whole() -> None:
    other = Origins("SO-9", [origin(1, "SO-1")], {})
    assert other.of(invoice([(D(1), D(0))]), ()) is None
    own = Origins("SO-1", [origin(1, "SO-1")], {}).of(invoice([(D(1), D(0))], order="so-1"), {"civ-1"})
    assert own is not None and (own.own, own.correction, own.lines[0].lot) == ((), True, "L1")


def test_a_credit_note_of_a_return_order_over_goods_of_two_orders_is_a_share() -> None:
    returned = [
        ReturnedLine(return_number="RO-1", lot="R1", sold_lot="L1", order_number="SO-1"),
        ReturnedLine(return_number="RO-1", lot="R2", sold_lot="L7", order_number="SO-2"),
    ]
    sold = sold_lots((line for line in returned if line.order_number == "SO-1"), ())
    rows = [origin(1, "RO-1", "R1"), origin(2, "RO-1", "R2")]
    note = Origins("SO-1", rows, sold).of(invoice([(D(-190), D(-19)), (D(-50), D(-5))], order="RO-1"), ())
    assert note is not None and (note.total, [line.lot for line in note.lines]) == (D(-209), ["L1"])
    slips = [
        SlipLine(slip="PS-1", order_number="SO-1", lot="L1", shipped=D(10)),
        SlipLine(slip="PS-2", order_number="RO-1", lot="R1", shipped=D(-2)),
        SlipLine(slip="PS-2", order_number="RO-1", lot="R2", shipped=D(-1)),
    ]
    assert [(s.slip, s.lot, s.shipped) for s in slips_of("SO-1", slips, sold)] == [
        ("PS-1", "L1", D(10)),
        ("PS-2", "L1", D(-2)),
    ]


def test_a_credit_note_without_a_return_order_is_on_lines_of_its_own_which_name_what_was_sold() -> None:
    rests = [
        LineRest(order_number="SO-1", lot="L1"),
        LineRest(order_number="SO-1", lot="L9", sold_lot="L1"),
    ]
    sold = sold_lots((), rests)
    note = Origins("SO-1", [origin(1, "SO-1", "L9")], sold).of(invoice([(D(-190), D(-19))], order="SO-1"), ())
    assert note is not None and (note.total, [line.lot for line in note.lines]) == (D(-209), ["L1"])
    slips = [
        SlipLine(slip="PS-1", order_number="SO-1", lot="L1", shipped=D(10)),
        SlipLine(slip="PS-2", order_number="SO-1", lot="L9", shipped=D(-2)),
    ]
    assert [(s.lot, s.shipped) for s in slips_of("SO-1", slips, sold)] == [("L1", D(10)), ("L1", D(-2))]
