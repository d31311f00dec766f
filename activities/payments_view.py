"""What Finance's settlements say of a deal's money, in the words of the rules. Pure; reads nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal

from domain.event_ids import payment_number
from domain.payments import Payment
from dynamics.finance.queries import same_text
from dynamics.finance.records import BillingRead, Transaction
from dynamics.finance.settlements import Settlement
from dynamics.finance.settling import DIFFERENCES, DISCOUNT, PAYMENT

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Paid:
    """What became of a deal's invoices and credit notes. Money in their currency."""

    records: Mapping[str, int]
    """SysRecId of each document's customer transaction, by number."""
    payments: tuple[Payment, ...]
    """Those with something unapplied first, then by record."""
    discount: Decimal
    difference: Decimal
    _refunded: Mapping[int, Decimal] = field(default_factory=dict)
    _by_deposits: Mapping[int, Decimal] = field(default_factory=dict)

    def refunded(self, number: str) -> Decimal:
        """What was paid back of a credit note."""
        return self._refunded.get(self.records.get(number, 0), _NONE)

    def by_deposits(self, number: str) -> Decimal:
        """What of an invoice was settled with deposits of its order."""
        return self._by_deposits.get(self.records.get(number, 0), _NONE)


def paid_of(read: BillingRead) -> Paid:
    """What settled the documents of an order, and with which payments.

    What Finance took back of a settlement has a row of its own with the opposite sign, so that the two come to nothing.

    Args:
        read: Finance's rows, read together.
    """
    documents = {t.record: posted for posted in read.invoices if (t := read.transaction(posted)) is not None}
    kinds = {row.record: row.kind for row in read.settlements} | {found.record: found.kind for found in read.payments}
    net = _both_sides(_net(read.settlements), {found.record for found in read.payments})
    bounced = {found.record for found in read.payments if found.cancelled}
    taken: dict[str, Decimal] = {}
    by_document: dict[tuple[int, int], Decimal] = {}
    applied: dict[int, Decimal] = {}
    refunded: dict[int, Decimal] = {}
    for (record, other), amount in net.items():
        kind = kinds[record]
        if other in documents and amount <= 0:
            share = documents[other].share_of(-amount)
            if kind == DISCOUNT or kind in DIFFERENCES:
                taken[kind] = taken.get(kind, _NONE) + share
            else:
                applied[record] = applied.get(record, _NONE) + share
                by_document[record, other] = share
        elif kind == PAYMENT and amount > 0 and other not in bounced:
            refunded[other] = refunded.get(other, _NONE) + amount
    payments = [
        told
        for found in read.payments
        if (told := _payment(found, applied, refunded, meant=_is_meant(found, read), deposit=_is_deposit(found, read)))
        is not None
    ]
    deposits = {found.record for found in read.payments if _is_deposit(found, read)}
    return Paid(
        records={posted.number: record for record, posted in documents.items()},
        payments=tuple(sorted(payments, key=lambda p: (not p.unapplied, p.record))),
        discount=taken.pop(DISCOUNT, _NONE),
        difference=sum(taken.values(), _NONE),
        _refunded=refunded,
        _by_deposits=_sums((other, share) for (record, other), share in by_document.items() if record in deposits),
    )


def _net(rows: Iterable[Settlement]) -> dict[tuple[int, int], Decimal]:
    """What each transaction settled of each other one, with its sign."""
    net: dict[tuple[int, int], Decimal] = {}
    for row in rows:
        net[row.record, row.other] = net.get((row.record, row.other), _NONE) + row.amount
    return net


def _both_sides(net: dict[tuple[int, int], Decimal], payments: Collection[int]) -> dict[tuple[int, int], Decimal]:
    """The same with the side of each payment whose own was not read.

    A deposit is known before its invoice: where Finance settled it as it posted the invoice, what was read is the
    invoice's side alone.
    """
    of_payments = {(other, record): -amount for (record, other), amount in net.items() if other in payments}
    return of_payments | net


def _sums(rows: Iterable[tuple[int, Decimal]]) -> dict[int, Decimal]:
    sums: dict[int, Decimal] = {}
    for key, amount in rows:
        sums[key] = sums.get(key, _NONE) + amount
    return sums


def _is_meant(found: Transaction, read: BillingRead) -> bool:
    """Whether a payment names an invoice of the order, applied to it or not."""
    named = found.invoice.casefold()
    return bool(named) and any(named == posted.number.casefold() for posted in read.invoices if posted.total > 0)


def _is_deposit(found: Transaction, read: BillingRead) -> bool:
    """Whether it is a payment in the order's currency that names the order itself: a deposit of it."""
    of_order = bool(found.reference) and same_text(found.reference, read.header.number)
    return of_order and found.kind == PAYMENT and found.currency == read.header.currency


def _payment(
    found: Transaction, applied: Mapping[int, Decimal], refunded: Mapping[int, Decimal], *, meant: bool, deposit: bool
) -> Payment | None:
    """A payment as the deal keeps it; None for one that has nothing to do with it."""
    here, back = applied.get(found.record, _NONE), refunded.get(found.record, _NONE)
    if not here and not (meant or deposit or found.record in applied):
        return None
    return Payment(
        record=found.record,
        number=payment_number(found.payment_id, found.voucher) or found.invoice,
        paid_on=datetime.combine(found.posted_on, time(12), UTC) if found.posted_on else None,
        amount=-found.amount,
        applied=here,
        unapplied=_NONE if found.cancelled else -found.open_amount,
        refunded=back,
        deposit=deposit,
        reversed=found.cancelled,
    )
