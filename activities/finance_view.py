"""What Finance said, in the words of the rules: prices, payment days, credit facts, billing. Pure; reads nothing.

Here the two systems' ways of naming things meet, and nowhere else: rows without a currency of their own get the
company's, items and accounts are matched as Finance matches them, and Finance's lines get the deal's numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

from domain.assessing import CustomerFacts, FinanceFacts
from domain.assessment import Problem
from domain.credit_facts import CreditFacts, OpenOrder
from domain.exchange import Exchange, NoRate
from domain.fulfilment import (
    Billing,
    Invoice,
    InvoicedLine,
    LineTotals,
    OrderedLine,
    OrderLines,
    PackingSlip,
    changes_of,
    digest_of,
    ledger_of,
    totals_of,
    views_of,
)
from domain.lines import LineLedger
from domain.money import Money, minor_unit, plain
from domain.order_key import is_order_key
from domain.policy import Policy
from domain.pricing import FinancePrice
from domain.quote import QuoteLine, QuoteSnapshot
from domain.refusals import Refusal
from domain.tax import TaxUnknown, before_tax, ordered_nets
from dynamics.finance import records as finance
from dynamics.finance.prices import finance_terms, floor_price, list_price

FLOOR_PRICE_GROUP = "FLOOR"
"""Price group in Finance whose agreements hold the floor prices of items, where a company keeps any."""

DAYS_A_MONTH = 30
"""Days a month counts for where payment terms are compared with a number of days."""

_NOTHING_LEFT_TO_SHIP = (finance.SalesStatus.DELIVERED, finance.SalesStatus.INVOICED, finance.SalesStatus.CANCELED)
"""Status of an order line of which Finance ships no more, however much was shipped: its remainder is cancelled."""

NOT_BLOCKED = "No"
"""OnHoldStatus of a customer without a hold."""


def finance_facts(snapshot: QuoteSnapshot, read: finance.CreditRead, policy: Policy, *, today: date) -> FinanceFacts:
    """All that Finance says of a quote, as assessing takes it.

    Args:
        snapshot: The quote.
        read: Finance's rows, with prices.
        policy: For the credit facts.
        today: The day in the company's time zone.

    Raises:
        ValueError: the rows were read without prices.
    """
    pricing = read.pricing
    if pricing is None:
        raise ValueError("a quote is assessed with its prices")
    unpriced, credit = None, None
    prices: dict[str, FinancePrice] = {}
    try:
        credit = credit_facts(read, policy, today=today)
        prices = finance_prices(snapshot, pricing, today=today)
    except NoRate as missing:
        unpriced = Problem(code=Refusal.NO_EXCHANGE_RATE, field="currency", message=str(missing))
    except TaxUnknown as unknown:
        unpriced = Problem(code=Refusal.PRICES_INCLUDE_TAX, field="customer_account", message=str(unknown))
    return FinanceFacts(
        customer=_customer(read),
        exchange=read.exchange,
        released={
            line.item: line.item.casefold() not in pricing.stopped
            for line in snapshot.lines
            if line.item and pricing.product(line.item)
        },
        prices=prices,
        unpriced=unpriced,
        payment_days={name: _days(term) for name, term in pricing.payment_terms.items()},
        credit=credit,
        tax=read.tax,
    )


def _customer(read: finance.CreditRead) -> CustomerFacts | None:
    customer = read.customer
    if customer is None:
        return None
    return CustomerFacts(
        account=customer.account,
        currency=customer.currency,
        on_hold=_on_hold(customer, read.payer),
        payment_terms=customer.payment_terms,
        payer=read.payer.account if read.payer else customer.account,
        group=customer.group,
    )


def _on_hold(customer: finance.Customer, payer: finance.Customer | None) -> str:
    """The hold of the customer itself; where it has none, that of whoever is billed for it."""
    if customer.on_hold != NOT_BLOCKED or payer is None:
        return customer.on_hold
    return payer.on_hold


def finance_prices(snapshot: QuoteSnapshot, pricing: finance.Pricing, *, today: date) -> dict[str, FinancePrice]:
    """Finance's price of each item of a quote, per unit before tax in the quote's currency; without one it is missing.

    An item on several lines is priced at its smallest quantity: the dearest break, so that splitting a line does not
    make a discount look smaller.

    Args:
        snapshot: The quote.
        pricing: What Finance holds.
        today: The day in the company's time zone.

    Returns:
        Prices by item, each as the quote writes it.

    Raises:
        NoRate: a price or cost is in another currency, and Finance has no rate for it.
        TaxUnknown: the customer's prices include a sales tax that cannot be taken out of them.
    """
    found: dict[str, FinancePrice] = {}
    for line in sorted(snapshot.lines, key=lambda line: line.quantity):
        item = (line.item or "").casefold()
        if item and item not in found:
            price = _price(line, snapshot.currency, pricing, today)
            if price is not None:
                found[item] = price
    spelled = {line.item for line in snapshot.lines if line.item}
    return {item: found[item.casefold()] for item in spelled if item.casefold() in found}


def _price(line: QuoteLine, currency: str, pricing: finance.Pricing, today: date) -> FinancePrice | None:
    customer, product, exchange = pricing.customer, pricing.product(line.item or ""), pricing.exchange
    if customer is None or product is None:
        return None
    price = list_price(
        product,
        pricing.agreements,
        customer=customer,
        currency=currency,
        exchange=exchange,
        unit=product.sales_unit,
        quantity=line.quantity,
        on=today,
    )
    if price is None:
        return None
    floor = floor_price(
        pricing.agreements, product.item, group=FLOOR_PRICE_GROUP, currency=currency, exchange=exchange, on=today
    )

    def untaxed(found: Money) -> Money:
        return before_tax(found, product.item, pricing.tax) if customer.prices_include_tax else found

    return FinancePrice(
        item=product.item,
        currency=currency,
        list_price=untaxed(price.money).within(currency),
        floor_price=untaxed(floor).within(currency) if floor else None,
        cost=exchange.convert(exchange.accounting(product.unit_cost), currency).within(currency),
        unit=product.sales_unit,
        group=product.group,
        blocked=product.item.casefold() in pricing.stopped,
    )


def payment_days(snapshot: QuoteSnapshot, pricing: finance.Pricing) -> int:
    """Days of the payment terms that will apply: the quote's, else the customer's; 0 where Finance knows none."""
    name = snapshot.payment_terms or (pricing.customer.payment_terms if pricing.customer else "")
    term = pricing.payment_terms.get(name.casefold())
    return _days(term) if term else 0


def _days(term: finance.PaymentTerm) -> int:
    return term.days + DAYS_A_MONTH * term.months


def credit_facts(read: finance.CreditRead, policy: Policy, *, today: date) -> CreditFacts | None:
    """What Finance says of the credit an order takes; None where it does not know the customer.

    Credit is that of the account that is billed, in the company's accounting currency. An open order counts once it is
    confirmed, with what is neither invoiced nor cancelled of it, tax included, at Finance's rate of the day. Where
    Finance has not calculated its totals (they read 0 until a batch job has run), tax is estimated at the policy's
    rate. An order of a deal is named by its key, whoever numbered it: so its reservation knows it.

    Args:
        read: Finance's rows, read together.
        policy: For the tax rate of estimates, and which companies run no credit management.
        today: The day in the company's time zone, for what is overdue.

    Raises:
        NoRate: an open order is in a currency Finance has no rate for.
    """
    customer, payer, exchange = read.customer, read.payer, read.exchange
    if customer is None or payer is None:
        return None
    company = customer.company.lower()
    owed = [exchange.accounting(t.amount_company) for t in read.open_transactions]
    late = [t for t in read.open_transactions if t.amount_company > 0 and t.due_on and t.due_on < today]
    rate = policy.credit.tax_rate_pct.get(company, Decimal(0))
    counted = [order for order in read.open_orders if order.processing is not finance.ProcessingStatus.ACTIVE]
    currency = exchange.accounting_currency
    return CreditFacts(
        company=company,
        customer_account=payer.account,
        customer_group=payer.group,
        currency=currency,
        as_of=read.read_at,
        credit_limit=exchange.accounting(payer.credit_limit).within(currency),
        unlimited=payer.unlimited,
        credit_management=company not in policy.credit.without_credit_management,
        limit_expires_on=payer.limit_expires_on,
        on_hold=_on_hold(customer, payer),
        open_ar=sum(owed, Money.zero(currency)).within(currency),
        overdue_amount=sum((exchange.accounting(t.amount_company) for t in late), Money.zero(currency)).amount,
        oldest_overdue_days=max(((today - t.due_on).days for t in late if t.due_on), default=0),
        open_orders=tuple(_open_order(order, exchange, rate) for order in counted),
    )


def _open_order(order: finance.OpenOrder, exchange: Exchange, tax_rate: Decimal) -> OpenOrder:
    left, net = order.net_left, order.net
    if order.totals_calculated and left == net:
        amount = order.total
    else:
        amount = left * _gross_of_net(order, net, tax_rate)
    left_money = Money(amount=max(amount, Decimal(0)), currency=order.currency).rounded()
    company = exchange.accounting_currency
    return OpenOrder(
        order_number=order.requisition if is_order_key(order.requisition) else order.number,
        amount=exchange.convert(left_money, company).rounded().within(company),
        estimated=not order.totals_calculated,
    )


def _gross_of_net(order: finance.OpenOrder, net: Decimal, tax_rate: Decimal) -> Decimal:
    """What tax and charges make of an order's net amount, as a factor.

    Of Finance's totals, where it has calculated them, the higher of two ways to read them: it is not documented whether
    a total still holds what was cancelled.
    """
    taxed = Decimal(1) if order.prices_include_tax else 1 + tax_rate / 100
    untaxed = order.total if order.prices_include_tax else order.total - order.tax
    if not order.totals_calculated or net <= 0 or untaxed <= 0:
        return taxed
    return max(order.total / net, order.total / untaxed)


def wanted_order(snapshot: QuoteSnapshot, key: str, account: str) -> finance.NewOrder:
    """The order that a quote becomes: Finance's lines come to exactly the quote's net.

    Header discount and freight are spread over the lines by value, largest remainder; a line's own discount is put as
    one per unit, and what division loses as a charge on the line.

    Args:
        snapshot: The approved quote.
        key: Our key of the order.
        account: Customer account as Finance writes it.
    """
    unit = minor_unit(snapshot.currency)
    new_lines = []
    for line, net in ordered_nets(snapshot):
        price = line.price or Decimal(0)
        terms = finance_terms(line.quantity, price, net, unit)
        new_lines.append(
            finance.NewOrderLine(
                line_no=line.line_no,
                item=line.item or "",
                description=line.description,
                unit=line.unit,
                quantity=line.quantity,
                price=price,
                discount_per_unit=terms.discount_per_unit,
                charges=terms.charges,
                amount=net,
            )
        )
    return finance.NewOrder(
        company=snapshot.company,
        key=key,
        account=account,
        currency=snapshot.currency,
        quote_number=snapshot.quote_number,
        name=snapshot.name,
        payment_terms=snapshot.payment_terms,
        cash_discount=snapshot.cash_discount,
        delivery=snapshot.delivery,
        requested_receipt=snapshot.requested_delivery,
        customer_reference=snapshot.customer_reference,
        lines=tuple(new_lines),
    )


def order_lines(rows: Iterable[finance.OrderLine]) -> tuple[OrderedLine, ...]:
    """Lines of an order as the deal knows them, by its own numbers; 0: of no line of the quote."""
    return tuple(
        OrderedLine(
            line_no=row.line_number, item=row.item, quantity=row.quantity, finished=row.status in _NOTHING_LEFT_TO_SHIP
        )
        for row in rows
    )


def approved_lines(snapshot: QuoteSnapshot) -> tuple[OrderedLine, ...]:
    """The lines of a quote as they were to be ordered."""
    return tuple(
        OrderedLine(line_no=line.line_no, item=line.item or "", quantity=line.quantity) for line in snapshot.lines
    )


def created_totals(rows: Iterable[finance.OrderLine]) -> LineTotals:
    """What a deal keeps of the lines of an order that was just made as it was wanted."""
    lines = order_lines(rows)
    ledger = ledger_of(lines, lines, shipped={}, invoiced={}, over_delivery_pct=Decimal(0))
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
    found = order_lines(read.lines)
    ordered = [line for line in found if line.line_no] if approved is None else approved
    ledger = line_ledger(read, found, ordered, over_delivery_pct=over_delivery_pct)
    known = [line for line in found if line.line_no]
    differences = [*changes_of(ordered, known, ledger), *_unknown(read)]
    if read.header.prices_include_tax:
        differences.append(
            f"{Refusal.LINE_CHANGED}: the order's prices include sales tax in Finance, the quote's do not"
        )
    slips: dict[str, Decimal] = {}
    for row in read.slips:
        slips[row.slip] = slips.get(row.slip, Decimal(0)) + row.shipped
    due = {t.invoice: t.due_on for t in read.transactions}
    return Billing(
        status=read.header.processing,
        lines=totals_of(ledger, digest=digest_of(found), differences=differences),
        slips=tuple(PackingSlip(slip=name, quantity=quantity) for name, quantity in slips.items()),
        invoices=tuple(_invoice(posted, read.open_amount(posted), due.get(posted.number)) for posted in read.invoices),
        hold=(read.hold.hold_id or read.header.number) if read.hold is not None and read.hold.holds else "",
    )


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
    by_lot, numbers = _numbers_by_lot(read), numbers_by_sequence(read)
    shipped: dict[int, Decimal] = {}
    for row in read.slips:
        if number := by_lot.get(row.lot):
            shipped[number] = shipped.get(number, Decimal(0)) + row.shipped
    invoiced: dict[int, Decimal] = {}
    for posted in read.invoices:
        for line in posted.lines:
            if number := numbers.get(line.sequence):
                invoiced[number] = invoiced.get(number, Decimal(0)) + line.quantity
    return ledger_of(ordered, found, shipped=shipped, invoiced=invoiced, over_delivery_pct=over_delivery_pct)


def lines_page(read: finance.BillingRead, *, offset: int, limit: int) -> OrderLines:
    """A page of an order's lines as Finance holds them, by the deal's numbers; those of no line of the quote come last.

    Args:
        read: Finance's rows, read together.
        offset: How many lines to leave out.
        limit: How many to show at most.
    """
    found = order_lines(read.lines)
    known = sorted((line for line in found if line.line_no), key=lambda line: line.line_no)
    others = [LineLedger(line_no=0, item=line.item, ordered=line.quantity) for line in found if not line.line_no]
    ledger = [*line_ledger(read, found, known), *others]
    return OrderLines(total_lines=len(ledger), offset=offset, lines=views_of(ledger[offset : offset + limit]))


def _numbers_by_lot(read: finance.BillingRead) -> dict[str, int]:
    """The deal's number of each order line, by the lot that packing slips name it by."""
    return {line.lot: line.line_number for line in read.lines if line.line_number}


def _unknown(read: finance.BillingRead) -> Iterator[str]:
    """What was shipped, invoiced or merely ordered on lines that no quote has, in words with their code."""
    by_lot, numbers = _numbers_by_lot(read), numbers_by_sequence(read)
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
            if line.sequence not in numbers:
                told.add(line.sequence)
                yield (
                    f"{code}: invoice {posted.number}: {plain(line.quantity)} of {line.item} for {plain(line.net)} "
                    f"{posted.currency} on a line of order {order} that is not in the quote"
                )
    for added in read.lines:
        if not added.line_number and not told & {added.lot, added.sequence}:
            what = f"{plain(added.quantity)} of {added.item} ordered"
            yield f"{code}: {what} on a line of order {order} that is not in the quote"


def numbers_by_sequence(read: finance.BillingRead) -> dict[int, int]:
    """The deal's number of each order line, by the creation number that invoices name it by."""
    return {line.sequence: line.line_number for line in read.lines if line.line_number}


def invoice_lines(invoice: finance.PostedInvoice, numbers: Mapping[int, int]) -> tuple[InvoicedLine, ...]:
    """The lines of a posted invoice, by the deal's numbers."""
    return tuple(
        InvoicedLine(
            line_no=numbers.get(line.sequence, 0),
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
    )
