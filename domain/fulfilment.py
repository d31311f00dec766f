"""What became of an order in Finance: lines, packing slips, invoices and what is open on them.

All of it is Finance's word, read at one moment. A deal keeps documents and totals, never lines: however many lines an
order has, what the deal knows of them has the same size (``LineTotals``). Whoever needs the lines reads them again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from pydantic import Field

from domain.lines import LineLedger
from domain.money import plain
from domain.payments import MOST_PAYMENTS, Payment
from domain.record import Record
from domain.refusals import Refusal
from domain.views import LineView

MOST_LINES_SHOWN: Final = 100
"""Lines of an order that a deal shows; those that need somebody come first."""
MOST_DIFFERENCES: Final = 50
"""Lines named one by one that are not as ordered; of more, their number is said."""

_NONE: Final = Decimal(0)


class OrderedLine(Record):
    """A line of an order as Finance holds it."""

    line_no: int = Field(description="The deal's number of the quote's line; 0: of no line of the quote")
    item: str
    quantity: Decimal
    finished: bool = Field(False, description="Finance ships no more of it: delivered, invoiced or cancelled there")
    remaining: Decimal | None = Field(None, description="What Finance will still ship of it; None: it does not say")
    changed_by: str = Field("", description="Who changed the line last in Finance; empty: it does not say")


class Done(Record):
    """What Finance's documents say was done with one order line.

    Goods that came back and amounts that were credited are told apart from what was shipped and invoiced: they do not
    undo it. What Finance itself took back (a corrected packing slip, a cancelled invoice) was never shipped or
    invoiced.
    """

    shipped: Decimal = _NONE
    returned: Decimal = _NONE
    invoiced: Decimal = _NONE
    credited: Decimal = _NONE


class InvoicedLine(Record):
    """A line of a posted invoice. Money in the invoice's currency."""

    line_no: int = Field(description="The deal's number of the quote's line; 0: of no line of the quote")
    item: str
    quantity: Decimal
    price: Decimal
    net: Decimal
    tax: Decimal


class LineTotals(Record):
    """All lines of an order together, and those a person looks at first.

    Quantities are sums over lines in whatever unit each is sold.
    """

    count: int = 0
    ordered: Decimal = _NONE
    cancelled: Decimal = _NONE
    shipped: Decimal = _NONE
    returned: Decimal = _NONE
    invoiced: Decimal = _NONE
    credited: Decimal = _NONE
    to_ship: int = Field(0, description="Lines of which something is left to ship")
    to_invoice: int = Field(0, description="Lines of which something is left to invoice, shipped or not")
    to_credit: int = Field(0, description="Lines of which something came back that is invoiced and not credited")
    some_shipped: int = Field(0, description="Lines of which something was shipped")
    some_invoiced: int = Field(0, description="Lines of which something was invoiced")
    shown: tuple[LineView, ...] = Field((), max_length=MOST_LINES_SHOWN)
    changes: tuple[str, ...] = Field((), description="Quantities Finance holds otherwise than the quote, in words")
    differences: tuple[str, ...] = Field((), description="What is not as ordered, each with its code, in words")
    digest: str = Field("", description="SHA-256 of the lines as they are ordered in Finance")


class OrderLines(Record):
    """Lines of an order as Finance holds them, a page at a time, by the deal's numbers."""

    total_lines: int
    offset: int
    lines: tuple[LineView, ...]


class Invoice(Record):
    """A posted sales invoice or credit note and what is still open on it. Money in its currency, incl. tax where total.

    A credit note's amounts are negative, and so is what is open of it: the customer's credit that settles nothing yet.
    """

    invoice_number: str
    invoiced_on: datetime
    due_on: datetime | None
    currency: str
    net: Decimal
    tax: Decimal
    total: Decimal
    open_amount: Decimal
    settled_on: datetime | None = None
    lines_hash: str = Field("", description="SHA-256 of its lines: whoever needs them reads them, and compares")
    share: bool = Field(
        False, description="The order's part of an invoice over several orders: amounts are this part's"
    )
    correction: bool = Field(False, description="Finance took an invoice back with it, as if it had not been posted")
    record: int = Field(0, description="SysRecId of its customer transaction; 0: it was not seen")
    refunded: Decimal = Field(_NONE, description="Of a credit note: what was paid back of it; positive")
    from_deposit: Decimal = Field(_NONE, description="Of an invoice: what of it deposits of the order settled")

    @property
    def is_credit(self) -> bool:
        """A credit note."""
        return self.total < 0


class PackingSlip(Record):
    """A posted packing slip of the order, or of goods of it that came back."""

    slip: str
    quantity: Decimal = Field(description="Of all lines on it; negative: goods came back")


class Billing(Record):
    """All that Finance holds on an order after its confirmation, read at one moment."""

    status: str = Field(description="SalesOrderProcessingStatus symbol")
    lines: LineTotals
    slips: tuple[PackingSlip, ...]
    invoices: tuple[Invoice, ...]
    hold: str = Field(
        "", description="Entry of Finance's hold list that keeps the order from being posted; empty: none"
    )
    cancelled: bool = Field(False, description="The whole order is cancelled in Finance")
    changed_by: str = Field("", description="Who changed the order last in Finance; empty: it does not say")
    payments: tuple[Payment, ...] = Field((), max_length=MOST_PAYMENTS)
    payments_left_out: int = Field(0, description="How many more there are")
    discount: Decimal = Field(_NONE, description="Cash discount taken off the invoices")
    difference: Decimal = Field(_NONE, description="What Finance posted off the invoices, within its tolerance")


def digest_of(lines: Iterable[OrderedLine]) -> str:
    """SHA-256 (hex) of what is ordered by which line; what has become of it is left out."""
    content = sorted((line.line_no, line.item, plain(line.quantity)) for line in lines)
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def ledger_of(
    ordered: Iterable[OrderedLine],
    found: Iterable[OrderedLine],
    done: Mapping[int, Done] = MappingProxyType({}),
    *,
    over_delivery_pct: Decimal = _NONE,
) -> tuple[LineLedger, ...]:
    """The line ledger of an order: each line of the quote, as it is ordered in Finance now, with what became of it.

    What is ordered, and what of that is cancelled, is Finance's word: a line may be larger or smaller than in the
    quote. One that is not there any more was cancelled.

    Args:
        ordered: the lines of the quote.
        found: the lines Finance holds now, read before the documents of ``done``: what is posted in between is then
            missing from neither.
        done: what was done by line, over all documents.
        over_delivery_pct: how much more than ordered may be shipped, per cent.
    """
    now = _by_number(found)
    ledger = []
    for line in ordered:
        did, rows = done.get(line.line_no, Done()), now.get(line.line_no, [])
        held = sum((row.quantity for row in rows), _NONE) if rows else line.quantity
        ledger.append(
            LineLedger(
                line_no=line.line_no,
                item=line.item,
                ordered=held,
                cancelled=min(max(held - did.shipped - _left(rows, held), _NONE), held),
                over_delivery_pct=over_delivery_pct,
                **did.model_dump(),
            )
        )
    return tuple(ledger)


def _left(rows: Sequence[OrderedLine], held: Decimal) -> Decimal:
    """What Finance will still ship of a line."""
    said = [row.remaining for row in rows if row.remaining is not None]
    if rows and len(said) == len(rows):
        return sum(said, _NONE)
    return _NONE if all(row.finished for row in rows) else held


def changes_of(
    ordered: Iterable[OrderedLine], found: Iterable[OrderedLine], ledger: Iterable[LineLedger]
) -> tuple[str, ...]:
    """Quantities that somebody changed in Finance, in words: the deal goes on with them.

    Args:
        ordered: the lines of the quote.
        found: the lines Finance holds now.
        ledger: what has become of each of ``ordered``, in the same order (``ledger_of``).
    """
    now = _by_number(found)
    texts = []
    for line, kept in zip(ordered, ledger, strict=True):
        told = []
        if kept.ordered != line.quantity:
            told.append(f"{plain(kept.ordered)} ordered in Finance, {plain(line.quantity)} in the quote")
        if kept.cancelled:
            told.append(f"{plain(kept.cancelled)} of {plain(kept.ordered)} cancelled in Finance")
        if told:
            who = sorted({row.changed_by for row in now.get(line.line_no, []) if row.changed_by})
            by = f" (last changed there by {', '.join(who)})" if who else ""
            texts.append(f"line {line.line_no}: {', '.join(told)}{by}")
    return tuple(texts)


def conflicts_of(ordered: Iterable[OrderedLine], found: Iterable[OrderedLine]) -> tuple[str, ...]:
    """What was ordered in Finance that nobody sold, each with its code, in words: a person has to settle it.

    Args:
        ordered: the lines of the quote.
        found: the lines Finance holds now.
    """
    now = _by_number(found)
    texts = []
    for line in ordered:
        others = {row.item for row in now.pop(line.line_no, []) if row.item.casefold() != line.item.casefold()}
        texts += [
            f"{Refusal.LINE_CHANGED}: line {line.line_no}: item {item} in Finance, {line.item} in the quote"
            for item in sorted(others)
        ]
    texts += [
        f"{Refusal.UNKNOWN_LINE}: {plain(row.quantity)} of {row.item} ordered in Finance on a line that is not in the "
        "quote"
        for rows in now.values()
        for row in rows
    ]
    return tuple(texts)


def totals_of(
    ledger: Sequence[LineLedger], *, digest: str, differences: Iterable[str] = (), changes: Sequence[str] = ()
) -> LineTotals:
    """What a deal keeps of its order's lines.

    Args:
        ledger: all lines.
        digest: of the lines as they are ordered in Finance now (``digest_of``).
        changes: quantities that Finance holds otherwise than the quote, in words (``changes_of``).
        differences: what else is not as ordered, each with its code; what the ledger itself shows is added.
    """
    beyond = [f"{found.code}: {found}" for line in ledger for found in line.violations]
    return LineTotals(
        count=len(ledger),
        ordered=sum((line.ordered for line in ledger), _NONE),
        cancelled=sum((line.cancelled for line in ledger), _NONE),
        shipped=sum((line.shipped for line in ledger), _NONE),
        returned=sum((line.returned for line in ledger), _NONE),
        invoiced=sum((line.invoiced for line in ledger), _NONE),
        credited=sum((line.credited for line in ledger), _NONE),
        to_ship=sum(line.open_to_ship > 0 for line in ledger),
        to_invoice=sum(line.open_to_invoice > 0 for line in ledger),
        to_credit=sum(line.open_to_credit > 0 for line in ledger),
        some_shipped=sum(line.shipped != 0 for line in ledger),
        some_invoiced=sum(line.invoiced != 0 for line in ledger),
        shown=_shown(ledger),
        changes=_told(changes),
        differences=_bounded([*beyond, *differences]),
        digest=digest,
    )


def _shown(ledger: Sequence[LineLedger]) -> tuple[LineView, ...]:
    """The lines a deal shows, by number; of too many, what is wrong comes first, then what is left."""

    def rank(line: LineLedger) -> tuple[int, int]:
        left = line.open_to_ship > 0 or line.open_to_invoice > 0 or line.open_to_credit > 0
        return 0 if line.violations else 1 if left else 2, line.line_no

    first = sorted(ledger, key=rank)[:MOST_LINES_SHOWN] if len(ledger) > MOST_LINES_SHOWN else ledger
    return views_of(sorted(first, key=lambda line: line.line_no))


def views_of(ledger: Iterable[LineLedger]) -> tuple[LineView, ...]:
    """Lines as they are shown."""
    return tuple(LineView.model_validate(line.model_dump(include=set(LineView.model_fields))) for line in ledger)


def _bounded(differences: Sequence[str]) -> tuple[str, ...]:
    more = len(differences) - MOST_DIFFERENCES
    if more <= 0:
        return tuple(differences)
    code = differences[MOST_DIFFERENCES].partition(":")[0]
    told = f"{code}: {more} more of the order's lines differ from what Finance posted"
    return (*differences[:MOST_DIFFERENCES], told)


def _told(changes: Sequence[str]) -> tuple[str, ...]:
    more = len(changes) - MOST_DIFFERENCES
    return tuple(changes) if more <= 0 else (*changes[:MOST_DIFFERENCES], f"{more} more lines")


def _by_number(lines: Iterable[OrderedLine]) -> dict[int, list[OrderedLine]]:
    rows: dict[int, list[OrderedLine]] = {}
    for line in lines:
        rows.setdefault(line.line_no, []).append(line)
    return rows
