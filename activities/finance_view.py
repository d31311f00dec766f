"""What Finance said, in the words of the rules: prices, payment days, credit facts, billing. Pure; reads nothing.

Here the two systems' ways of naming things meet, and nowhere else: rows without a currency of their own get the
company's, items and accounts are matched as Finance matches them, and Finance's lines get the deal's numbers.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from domain.assessing import CustomerFacts, FinanceFacts
from domain.assessment import Problem
from domain.credit_facts import CreditFacts, CreditReason, OpenOrder
from domain.credit_raised import Terms, raised
from domain.exchange import Exchange, NoRate
from domain.money import Money, minor_unit
from domain.order_key import is_order_key
from domain.policy import Policy
from domain.pricing import FinancePrice
from domain.quote import QuoteLine, QuoteSnapshot
from domain.refusals import Refusal
from domain.tax import TaxUnknown, before_tax, ordered_nets
from dynamics.finance import records as finance
from dynamics.finance.credit_limits import limit_on
from dynamics.finance.prices import finance_terms, floor_price, list_price

FLOOR_PRICE_GROUP = "FLOOR"
"""Price group in Finance whose agreements hold the floor prices of items, where a company keeps any."""

DAYS_A_MONTH = 30
"""Days a month counts for where payment terms are compared with a number of days."""

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


def raised_terms(snapshot: QuoteSnapshot, pricing: finance.Pricing | None, policy: Policy) -> tuple[CreditReason, ...]:
    """In what the quote's terms are better than the customer's own, where the policy minds."""
    if pricing is None or pricing.customer is None:
        return ()
    return raised(
        Terms(payment=snapshot.payment_terms, discount=snapshot.cash_discount),
        Terms(payment=pricing.customer.payment_terms, discount=pricing.customer.cash_discount),
        {name: _days(term) for name, term in pricing.payment_terms.items()},
        policy.credit.raised_terms,
    )


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
        credit_limit=exchange.accounting(limit_on(today, payer.credit_limit, read.temporary)).within(currency),
        unlimited=payer.unlimited,
        excluded=payer.excluded,
        credit_management=company not in policy.credit.without_credit_management,
        limit_expires_on=payer.limit_expires_on,
        on_hold=_on_hold(customer, payer),
        open_ar=sum(owed, Money.zero(currency)).within(currency),
        overdue_amount=sum((exchange.accounting(t.amount_company) for t in late), Money.zero(currency)).amount,
        oldest_overdue_days=max(((today - t.due_on).days for t in late if t.due_on), default=0),
        open_orders=tuple(open_order(order, exchange, rate) for order in counted),
    )


def open_order(order: finance.OpenOrder, exchange: Exchange, tax_rate: Decimal) -> OpenOrder:
    """An open order in the company's currency, with what is still to be invoiced of it."""
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
