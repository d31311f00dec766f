"""What Finance said of an order, in the words of the rules: its lines, documents and what is open. Pure; reads nothing.

Finance names a line by its lot or its creation number, a deal by the number it gave the quote's line: that is
translated here, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType

from activities.payments_view import paid_of
from domain.fulfilment import (
    Billing,
    Done,
    Invoice,
    InvoicedLine,
    LineTotals,
    OrderedLine,
    OrderLines,
    PackingSlip,
    changes_of,
    conflicts_of,
    digest_of,
    ledger_of,
    totals_of,
    views_of,
)
from domain.lines import LineLedger
from domain.money import plain
from domain.payments import MOST_PAYMENTS
from domain.quote import QuoteSnapshot
from domain.refusals import Refusal
from dynamics.finance import records as finance
from dynamics.finance.queries import same_text

_NOTHING_LEFT_TO_SHIP = (finance.SalesStatus.DELIVERED, finance.SalesStatus.INVOICED, finance.SalesStatus.CANCELED)
"""Status of an order line of which Finance ships no more, however much was shipped: its remainder is cancelled."""


def order_lines(
    rows: Iterable[finance.OrderLine], rests: Mapping[str, finance.LineRest] = MappingProxyType({})
) -> tuple[OrderedLine, ...]:
    """Lines of an order as the deal knows them, by its own numbers; 0: of no line of the quote.

    Args:
        rows: Finance's lines.
        rests: What is left of each, by its lot.
    """
    return tuple(_order_line(row, rests.get(row.lot)) for row in rows)


def _order_line(row: finance.OrderLine, rest: finance.LineRest | None) -> OrderedLine:
    return OrderedLine(
        line_no=row.line_number,
        item=row.item,
        quantity=row.quantity,
        finished=row.status in _NOTHING_LEFT_TO_SHIP,
        remaining=rest.to_deliver if rest else None,
        changed_by=rest.changed_by if rest else "",
    )


def approved_lines(snapshot: QuoteSnapshot) -> tuple[OrderedLine, ...]:
    """The lines of a quote as they were to be ordered."""
    return tuple(
        OrderedLine(line_no=line.line_no, item=line.item or "", quantity=line.quantity) for line in snapshot.lines
    )


def created_totals(rows: Iterable[finance.OrderLine]) -> LineTotals:
    """What a deal keeps of the lines of an order that was just made as it was wanted."""
    lines = order_lines(rows)
    ledger = ledger_of(lines, lines)
    return totals_of(ledger, digest=digest_of(lines))


def billing(
    read: finance.BillingRead,
    *,
    over_delivery_pct: Decimal = Decimal(0),
    approved: Sequence[OrderedLine] | None = None,
) -> Billing:
    """Packing slips and invoices of an order, and what has become of its lines, by the deal's numbers of them.

    Finance's slips name a line by its lot, its invoices by its creation number; the order's lines carry both, and the
    deal's number. What belongs to a line without one is nobody's line in the deal: it is told apart, in words.

    Args:
        read: Finance's rows, read together.
        over_delivery_pct: How much more than ordered may be shipped, per cent.
        approved: The lines of the quote, where somebody changed those of the order; None: they are as they were made.
    """
    found = order_lines(read.lines, read.rests)
    ordered = [line for line in found if line.line_no] if approved is None else approved
    ledger = line_ledger(read, found, ordered, over_delivery_pct=over_delivery_pct)
    known = [line for line in found if line.line_no]
    differences = [*conflicts_of(ordered, known), *_unknown(read)]
    if read.header.prices_include_tax:
        differences.append(
            f"{Refusal.LINE_CHANGED}: the order's prices include sales tax in Finance, the quote's do not"
        )
    slips: dict[str, Decimal] = {}
    for row in read.slips:
        slips[row.slip] = slips.get(row.slip, Decimal(0)) + row.shipped
    due = {t.invoice: t.due_on for t in read.transactions}
    paid = paid_of(read)
    return Billing(
        status=read.header.processing,
        lines=totals_of(
            ledger, digest=digest_of(found), differences=differences, changes=changes_of(ordered, known, ledger)
        ),
        slips=tuple(PackingSlip(slip=name, quantity=quantity) for name, quantity in slips.items()),
        invoices=tuple(
            _invoice(posted, read.open_amount(posted), due.get(posted.number)).model_copy(
                update={
                    "record": paid.records.get(posted.number, 0),
                    "refunded": paid.refunded(posted.number),
                    "from_deposit": paid.by_deposits(posted.number),
                }
            )
            for posted in read.invoices
        ),
        hold=(read.hold.hold_id or read.header.number) if read.hold is not None and read.hold.holds else "",
        cancelled=_is_cancelled(read),
        changed_by=read.hold.changed_by if read.hold else "",
        payments=paid.payments[:MOST_PAYMENTS],
        payments_left_out=max(len(paid.payments) - MOST_PAYMENTS, 0),
        discount=paid.discount,
        difference=paid.difference,
    )


def _is_cancelled(read: finance.BillingRead) -> bool:
    """Finance cancelled the whole order, and nothing of it was ever posted."""
    header = read.header
    cancelled = header.status is finance.SalesStatus.CANCELED or header.processing is finance.ProcessingStatus.CANCELED
    return cancelled and not any(row.shipped for row in read.slips) and not read.invoices


def line_ledger(
    read: finance.BillingRead,
    found: Iterable[OrderedLine],
    ordered: Iterable[OrderedLine],
    *,
    over_delivery_pct: Decimal = Decimal(0),
) -> tuple[LineLedger, ...]:
    """What has become of each of some lines of an order, in their order.

    Args:
        read: Finance's rows, read together.
        found: Its lines of the order (``order_lines``).
        ordered: Lines by the deal's numbers.
        over_delivery_pct: How much more than ordered may be shipped, per cent.
    """
    return ledger_of(ordered, found, _done(read), over_delivery_pct=over_delivery_pct)


def _done(read: finance.BillingRead) -> dict[int, Done]:
    """What was done with each line, by the deal's numbers: goods that came back on a return order and credits apart.

    A packing slip of the order itself that is negative, and a document that takes an invoice back, are corrections:
    what they take off was never shipped or invoiced.
    """
    by_lot, number_of = _numbers_by_lot(read), line_numbers(read)
    amounts: dict[int, dict[str, Decimal]] = {}

    def add(number: int, what: str, quantity: Decimal) -> None:
        of_line = amounts.setdefault(number, {})
        of_line[what] = of_line.get(what, Decimal(0)) + quantity

    for row in read.slips:
        if number := by_lot.get(row.lot):
            of_order = same_text(row.order_number, read.header.number)
            add(number, *(("shipped", row.shipped) if of_order else ("returned", -row.shipped)))
    for posted in read.invoices:
        for line in posted.lines:
            if number := number_of(line):
                credits_ = line.quantity < 0 and not posted.correction
                add(number, *(("credited", -line.quantity) if credits_ else ("invoiced", line.quantity)))
    return {number: Done(**of_line) for number, of_line in amounts.items()}


def lines_page(read: finance.BillingRead, *, offset: int, limit: int) -> OrderLines:
    """A page of an order's lines as Finance holds them, by the deal's numbers; those of no line of the quote come last.

    Args:
        read: Finance's rows, read together.
        offset: How many lines to leave out.
        limit: How many to show at most.
    """
    found = order_lines(read.lines, read.rests)
    known = sorted((line for line in found if line.line_no), key=lambda line: line.line_no)
    others = [LineLedger(line_no=0, item=line.item, ordered=line.quantity) for line in found if not line.line_no]
    ledger = [*line_ledger(read, found, known), *others]
    return OrderLines(total_lines=len(ledger), offset=offset, lines=views_of(ledger[offset : offset + limit]))


def _numbers_by_lot(read: finance.BillingRead) -> dict[str, int]:
    """The deal's number of each order line, by the lot that packing slips name it by."""
    return {line.lot: line.line_number for line in read.lines if line.line_number}


def _unknown(read: finance.BillingRead) -> Iterator[str]:
    """What was shipped, invoiced or merely ordered on lines that no quote has, in words with their code."""
    by_lot, number_of = _numbers_by_lot(read), line_numbers(read)
    code, order, told = Refusal.UNKNOWN_LINE, read.header.number, set[object]()
    for row in read.slips:
        if row.lot not in by_lot:
            told.add(row.lot)
            yield (
                f"{code}: packing slip {row.slip}: {plain(row.shipped)} of {row.item} on a line of order {order} that "
                "is not in the quote"
            )
    for posted in read.invoices:
        for line in posted.lines:
            if not number_of(line):
                told.add(line.lot or line.sequence)
                yield (
                    f"{code}: invoice {posted.number}: {plain(line.quantity)} of {line.item} for {plain(line.net)} "
                    f"{posted.currency} on a line of order {order} that is not in the quote"
                )
    for added in read.lines:
        if not added.line_number and not told & {added.lot, added.sequence}:
            what = f"{plain(added.quantity)} of {added.item} ordered"
            yield f"{code}: {what} on a line of order {order} that is not in the quote"


def line_numbers(read: finance.BillingRead) -> Callable[[finance.InvoiceLine], int]:
    """Tells the deal's number of the order line that an invoice line bills: by its lot, or where that is not told by
    the order line's creation number; 0: of no line of the quote.
    """
    by_lot = _numbers_by_lot(read)
    by_sequence = {line.sequence: line.line_number for line in read.lines if line.line_number}

    def number_of(line: finance.InvoiceLine) -> int:
        return by_lot.get(line.lot, 0) if line.lot else by_sequence.get(line.sequence, 0)

    return number_of


def invoice_lines(
    invoice: finance.PostedInvoice, number_of: Callable[[finance.InvoiceLine], int]
) -> tuple[InvoicedLine, ...]:
    """The lines of a posted invoice, by the deal's numbers."""
    return tuple(
        InvoicedLine(
            line_no=number_of(line),
            item=line.item,
            quantity=line.quantity,
            price=line.price,
            net=line.net,
            tax=line.tax,
        )
        for line in invoice.lines
    )


def lines_hash(invoice: finance.PostedInvoice) -> str:
    """SHA-256 (hex) of the lines of a posted invoice, which cannot change."""
    rows = sorted(
        (line.sequence, line.item, plain(line.quantity), plain(line.price), plain(line.net), plain(line.tax))
        for line in invoice.lines
    )
    content = [invoice.company.lower(), invoice.number, invoice.order_number, rows]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _invoice(invoice: finance.PostedInvoice, open_amount: Decimal, due_on: date | None) -> Invoice:
    return Invoice(
        invoice_number=invoice.number,
        invoiced_on=invoice.invoiced_on,
        due_on=datetime.combine(due_on, time(12), UTC) if due_on else None,
        currency=invoice.currency,
        net=invoice.total - invoice.tax,
        tax=invoice.tax,
        total=invoice.total,
        open_amount=open_amount,
        lines_hash=lines_hash(invoice),
        share=bool(invoice.own),
        correction=invoice.correction,
    )
