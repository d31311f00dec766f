"""What Finance said, in the words of the rules: prices, payment days, credit facts, billing. Pure; reads nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

from activities.failures import refused
from activities.signatures import FailureType
from domain.credit_facts import CreditFacts, OpenOrder
from domain.fulfilment import Billing, Invoice, InvoicedLine, PackingSlip, ShippedTotal
from domain.money import minor_unit, round_money, spread
from domain.policy import Policy
from domain.pricing import FinancePrice
from domain.quote import QuoteSnapshot
from dynamics.finance import records as finance
from dynamics.finance.prices import finance_terms, floor_price, list_price

FLOOR_PRICE_GROUP = "FLOOR"
"""Price group in Finance whose agreements hold the floor prices of items, where a company keeps any."""

DAYS_A_MONTH = 30
"""Days a month counts for where payment terms are compared with a number of days."""


def finance_prices(snapshot: QuoteSnapshot, pricing: finance.Pricing, *, today: date) -> dict[str, FinancePrice]:
    """Finance's price of each item of a quote, per unit in the quote's currency; items without one are missing.

    An item on several lines is priced at its smallest quantity: the dearest break, so that splitting a line does not
    make a discount look smaller.

    Args:
        snapshot: The quote, in its customer's sales currency.
        pricing: What Finance holds.
        today: The day in the company's time zone.
    """
    customer = pricing.customer
    if customer is None:
        return {}
    found: dict[str, FinancePrice] = {}
    for line in sorted(snapshot.lines, key=lambda line: line.quantity):
        product = pricing.products.get(line.item or "")
        if product is None or product.item in found:
            continue
        price = list_price(
            product,
            pricing.agreements,
            customer=customer,
            currency=snapshot.currency,
            company_currency=customer.currency,
            unit=product.sales_unit,
            quantity=line.quantity,
            on=today,
        )
        if price is not None:
            found[product.item] = FinancePrice(
                item=product.item,
                list_price=price.amount,
                floor_price=floor_price(
                    pricing.agreements, product.item, group=FLOOR_PRICE_GROUP, currency=snapshot.currency, on=today
                ),
                cost=product.unit_cost,
                unit=product.sales_unit,
            )
    return found


def payment_days(snapshot: QuoteSnapshot, pricing: finance.Pricing) -> int:
    """Days of the payment terms that will apply: the quote's, else the customer's; 0 where Finance knows none."""
    name = snapshot.payment_terms or (pricing.customer.payment_terms if pricing.customer else "")
    term = pricing.payment_terms.get(name)
    return term.days + DAYS_A_MONTH * term.months if term else 0


def credit_facts(read: finance.CreditRead, policy: Policy, *, today: date) -> CreditFacts | None:
    """What Finance says of a customer's credit, in the company's currency; None where it does not know the customer.

    An open order counts once it is confirmed, with its total less what is invoiced of it. Where Finance has not
    calculated its totals (they read 0 until a batch job has run), tax is estimated at the policy's rate.

    Args:
        read: Finance's rows, read together.
        policy: For the tax rate of estimates, and which companies run no credit management.
        today: The day in the company's time zone, for what is overdue.

    Raises:
        ApplicationError: an open order is in a currency the limit cannot be compared with.
    """
    customer = read.customer
    if customer is None:
        return None
    overdue = [t for t in read.open_transactions if t.amount_company > 0 and t.due_on and t.due_on < today]
    rate = policy.credit.tax_rate_pct.get(customer.company.lower(), Decimal(0))
    counted = [order for order in read.open_orders if order.processing is not finance.ProcessingStatus.ACTIVE]
    return CreditFacts(
        company=customer.company.lower(),
        customer_account=customer.account,
        customer_group=customer.group,
        currency=customer.currency,
        as_of=read.read_at,
        credit_limit=customer.credit_limit,
        unlimited=customer.unlimited,
        credit_management=customer.company.lower() not in policy.credit.without_credit_management,
        limit_expires_on=customer.limit_expires_on,
        on_hold=customer.on_hold,
        open_ar=sum((t.amount_company for t in read.open_transactions), Decimal(0)),
        overdue_amount=sum((t.amount_company for t in overdue), Decimal(0)),
        oldest_overdue_days=max(((today - t.due_on).days for t in overdue if t.due_on), default=0),
        open_orders=tuple(_open_order(order, customer, rate) for order in counted),
    )


def _open_order(order: finance.OpenOrder, customer: finance.Customer, tax_rate: Decimal) -> OpenOrder:
    if order.currency != customer.currency:
        raise refused(
            FailureType.REFUSED,
            f"open order {order.number} of customer {customer.account} is in {order.currency}, its credit limit in "
            f"{customer.currency}: the exposure cannot be added up",
        )
    if order.totals_calculated:
        amount = order.total
    else:
        amount = round_money(order.net * (1 + tax_rate / 100), order.currency)
    left = max(amount - order.invoiced, Decimal(0))
    return OpenOrder(order_number=order.number, amount=left, estimated=not order.totals_calculated)


def wanted_order(snapshot: QuoteSnapshot, key: str) -> finance.NewOrder:
    """The order that a quote becomes: Finance's lines come to exactly the quote's net.

    Header discount and freight are spread over the lines by value, largest remainder; a line's own discount is put as
    one per unit, and what division loses as a charge on the line.
    """
    lines = sorted(snapshot.lines, key=lambda line: line.line_no)
    nets = tuple(line.net for line in lines)
    if sum(nets, Decimal(0)) != snapshot.net:
        nets = spread(snapshot.net, nets, snapshot.currency)
    unit = minor_unit(snapshot.currency)
    new_lines = []
    for line, net in zip(lines, nets, strict=True):
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
        account=snapshot.customer_account or "",
        currency=snapshot.currency,
        quote_number=snapshot.quote_number,
        name=snapshot.name,
        payment_terms=snapshot.payment_terms,
        lines=tuple(new_lines),
    )


def billing(read: finance.BillingRead) -> Billing:
    """Packing slips and invoices of an order by the numbers of the quote's lines."""
    line_no = {line.sequence: line.line_no for line in read.lines}
    slips: dict[str, dict[int, Decimal]] = {}
    for slip in read.slips:
        quantities = slips.setdefault(slip.slip, {})
        number = line_no.get(slip.sequence, slip.sequence)
        quantities[number] = quantities.get(number, Decimal(0)) + slip.shipped
    due = {t.invoice: t.due_on for t in read.open_transactions}
    return Billing(
        status=read.header.processing,
        slips=tuple(
            PackingSlip(slip=name, shipped=tuple(ShippedTotal(line_no=n, shipped=q) for n, q in sorted(lines.items())))
            for name, lines in slips.items()
        ),
        invoices=tuple(
            _invoice(invoice, read.open_amount(invoice.number), due.get(invoice.number), line_no)
            for invoice in read.invoices
        ),
    )


def _invoice(
    invoice: finance.PostedInvoice, open_amount: Decimal, due_on: date | None, line_no: dict[int, int]
) -> Invoice:
    return Invoice(
        invoice_number=invoice.number,
        invoiced_on=invoice.invoiced_on,
        due_on=datetime.combine(due_on, time(12), UTC) if due_on else None,
        currency=invoice.currency,
        net=invoice.total - invoice.tax,
        tax=invoice.tax,
        total=invoice.total,
        open_amount=open_amount,
        lines=tuple(
            InvoicedLine(
                line_no=line_no.get(line.sequence, line.sequence),
                item=line.item,
                quantity=line.quantity,
                price=line.price,
                net=line.net,
                tax=line.tax,
            )
            for line in invoice.lines
        ),
    )
