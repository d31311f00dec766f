"""Rows of Dynamics 365 Finance, and the order to be made there.

Column names and enum symbols: the `$metadata` of finance and operations. Finance shows an empty date as 1900-01-01;
here it is None. Money is in the row's currency unless a field says otherwise.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field, field_validator

from domain.exchange import Exchange, ExchangeRate
from domain.money import spread
from domain.quote import DeliveryAddress
from domain.tax import SalesTax
from dynamics.core.rows import Exact, FinanceDay, FinanceInstant, ReadRow, YesNo
from dynamics.finance.credit_limits import GroupLine, TemporaryLimit
from dynamics.finance.settlements import Settlement


class SalesStatus(StrEnum):
    """SalesStatus: of an order or a line. What the client shows as "Open order" is `Backorder`."""

    NONE = "None"
    BACKORDER = "Backorder"
    DELIVERED = "Delivered"
    INVOICED = "Invoiced"
    CANCELED = "Canceled"


class ProcessingStatus(StrEnum):
    """SalesOrderProcessingStatus."""

    ACTIVE = "Active"
    CONFIRMED = "Confirmed"
    PICKED = "Picked"
    PARTIALLY_DELIVERED = "PartiallyDelivered"
    DELIVERED = "Delivered"
    INVOICED = "Invoiced"
    PARTIALLY_INVOICED = "PartiallyInvoiced"
    CANCELED = "Canceled"
    DELIVERED_PARTIALLY_INVOICED = "DeliveredPartiallyInvoiced"


class Customer(ReadRow):
    """CustomersV3. The credit limit is in the company's accounting currency."""

    company: str = Field(alias="dataAreaId")
    account: str = Field(alias="CustomerAccount")
    name: str = Field("", alias="OrganizationName")
    group: str = Field("", alias="CustomerGroupId")
    currency: str = Field("", alias="SalesCurrencyCode")
    invoice_account: str = Field("", alias="InvoiceAccount", description="Empty: the customer itself")
    payment_terms: str = Field("", alias="PaymentTerms")
    cash_discount: str = Field("", alias="PaymentCashDiscount")
    price_group: str = Field("", alias="DiscountPriceGroupId")
    credit_limit: Exact = Field(alias="CreditLimit")
    unlimited: YesNo = Field(False, alias="CredManCustUnlimitedCredit")
    limit_expires_on: FinanceDay = Field(None, alias="CredManCreditLimitExpiryDate")
    on_hold: str = Field("No", alias="OnHoldStatus")
    excluded: YesNo = Field(False, alias="CredManExclude")
    account_status: str = Field("", alias="CredManAccountStatusId")
    credit_group: str = Field("", alias="CredManGroupId")
    tax_group: str = Field("", alias="SalesTaxGroup")
    prices_include_tax: YesNo = Field(False, alias="IsSalesTaxIncludedInPrices")


class ReleasedProduct(ReadRow):
    """ReleasedProductsV2: an item as a company sells it. Prices and cost in the company's accounting currency."""

    item: str = Field(alias="ItemNumber")
    sales_unit: str = Field("", alias="SalesUnitSymbol")
    sales_price: Exact = Field(Decimal(0), alias="SalesPrice")
    sales_price_quantity: Exact = Field(Decimal(1), alias="SalesPriceQuantity")
    cost: Exact = Field(Decimal(0), alias="UnitCost")
    cost_quantity: Exact = Field(Decimal(1), alias="UnitCostQuantity")
    lifecycle_state: str = Field("", alias="ProductLifecycleStateId")
    overdelivery_pct: Exact = Field(Decimal(0), alias="SalesOverdeliveryPercentage")
    tax_group: str = Field("", alias="SalesSalesTaxItemGroupCode")
    group: str = Field("", alias="ProductGroupId")

    @property
    def unit_cost(self) -> Decimal:
        """Cost of one unit, in the company's accounting currency."""
        return self.cost / (self.cost_quantity or Decimal(1))


class OrderSettings(ReadRow):
    """ProductDefaultOrderSettings: whether an item is stopped for sales in a company."""

    item: str = Field(alias="ItemNumber")
    stopped: YesNo = Field(False, alias="IsSalesProcessingStopped")


class Ledger(ReadRow):
    """Ledgers: the accounting currency of a legal entity, and the type of exchange rate its documents use."""

    company: str = Field(alias="LegalEntityId")
    accounting_currency: str = Field(alias="AccountingCurrency")
    exchange_rate_type: str = Field("", alias="ExchangeRateType")


FACTORS = {"One": 1, "Ten": 10, "Hundred": 100, "Thousand": 1_000, "TenThousand": 10_000}
"""ExchangeRateDisplayFactor: for how many units of the first currency a rate is stated."""


class RateRow(ReadRow):
    """ExchangeRates: 100 EUR (ConversionFactor Hundred) are worth Rate units of the other currency."""

    source: str = Field(alias="FromCurrency")
    target: str = Field(alias="ToCurrency")
    valid_from: FinanceDay = Field(alias="StartDate")
    valid_to: FinanceDay = Field(None, alias="EndDate")
    rate: Exact = Field(alias="Rate")
    factor: str = Field("One", alias="ConversionFactor")

    @property
    def exchange_rate(self) -> ExchangeRate:
        """The rate for one unit."""
        return ExchangeRate(
            source=self.source,
            target=self.target,
            rate=self.rate / FACTORS[self.factor],
            valid_from=self.valid_from or date.min,
            valid_to=self.valid_to,
        )


class PriceAgreement(ReadRow):
    """SalesPriceAgreements: an active sales price of an item."""

    item: str = Field(alias="ItemNumber")
    account: str = Field("", alias="CustomerAccountNumber")
    group: str = Field("", alias="PriceCustomerGroupCode")
    currency: str = Field("", alias="PriceCurrencyCode")
    unit: str = Field("", alias="QuantityUnitySymbol")
    from_quantity: Exact = Field(Decimal(0), alias="FromQuantity")
    to_quantity: Exact = Field(Decimal(0), alias="ToQuantity", description="0: no upper bound")
    valid_from: FinanceDay = Field(None, alias="PriceApplicableFromDate")
    valid_to: FinanceDay = Field(None, alias="PriceApplicableToDate")
    price: Exact = Field(alias="Price")
    price_quantity: Exact = Field(Decimal(1), alias="SalesPriceQuantity")
    charges: Exact = Field(Decimal(0), alias="FixedPriceCharges")
    search_continues: YesNo = Field(False, alias="WillSearchContinue")
    site: str = Field("", alias="PriceSiteId")
    warehouse: str = Field("", alias="PriceWarehouseId")

    @property
    def unit_price(self) -> Decimal:
        """Price of one unit, unrounded."""
        return self.price / (self.price_quantity or Decimal(1))


class PaymentTerm(ReadRow):
    """PaymentTerms."""

    name: str = Field(alias="Name")
    days: int = Field(0, alias="NumberOfDays")
    months: int = Field(0, alias="NumberOfMonths")
    method: str = Field("Net", alias="PaymentMethodType")


class OpenTransaction(ReadRow):
    """CustTransOpens: what is open of one customer transaction; a payment not yet applied is negative."""

    account: str = Field(alias="AccountNum")
    amount: Exact = Field(alias="AmountCur", description="Transaction currency")
    amount_company: Exact = Field(alias="AmountMST", description="Accounting currency of the company")
    due_on: FinanceDay = Field(None, alias="DueDate")
    posted_on: FinanceDay = Field(None, alias="TransDate")


class Transaction(ReadRow):
    """CustTransactions: a posted customer transaction, in its own currency."""

    record: int = Field(0, alias="SysRecId")
    kind: str = Field("", alias="TransType")
    posted_on: FinanceDay = Field(None, alias="TransDate")
    cancelled: YesNo = Field(
        False, alias="CancelledPayment", description="A payment that was reversed, or its reversal"
    )
    account: str = Field(alias="AccountNum")
    invoice: str = Field("", alias="Invoice")
    voucher: str = Field("", alias="Voucher")
    payment_id: str = Field("", alias="PaymId", description="Of a payment, where its journal gives one")
    reference: str = Field("", alias="PaymReference", description="Of a deposit: the order's number")
    currency: str = Field("", alias="CurrencyCode")
    amount: Exact = Field(alias="AmountCur")
    settled: Exact = Field(Decimal(0), alias="SettleAmountCur")
    due_on: FinanceDay = Field(None, alias="DueDate")
    closed_on: FinanceDay = Field(None, alias="Closed", description="None: still open")
    last_settled_on: FinanceDay = Field(None, alias="LastSettleDate")
    last_settle_voucher: str = Field("", alias="LastSettleVoucher")

    @property
    def open_amount(self) -> Decimal:
        """What is still open, with the sign of the transaction."""
        return Decimal(0) if self.closed_on is not None else self.amount - self.settled


class OrderHeader(ReadRow):
    """SalesOrderHeadersV4 or V2."""

    company: str = Field(alias="dataAreaId")
    number: str = Field(alias="SalesOrderNumber")
    account: str = Field(alias="OrderingCustomerAccountNumber")
    invoice_account: str = Field("", alias="InvoiceCustomerAccountNumber")
    currency: str = Field(alias="CurrencyCode")
    requisition: str = Field("", alias="CustomerRequisitionNumber", description="Our order key")
    reference: str = Field("", alias="CustomersOrderReference")
    payment_terms: str = Field("", alias="PaymentTermsName")
    status: SalesStatus = Field(alias="SalesOrderStatus")
    processing: ProcessingStatus = Field(alias="SalesOrderProcessingStatus")
    stopped: YesNo = Field(False, alias="IsSalesProcessingStopped", description="Do not process")
    prices_include_tax: YesNo = Field(False, alias="ArePricesIncludingSalesTax")
    totals_calculated: YesNo = Field(False, alias="AreTotalsCalculated")
    total: Exact = Field(Decimal(0), alias="OrderTotalAmount", description="Meaningless until totals are calculated")
    tax: Exact = Field(Decimal(0), alias="OrderTotalTaxAmount", description="Meaningless until totals are calculated")

    @property
    def billed(self) -> str:
        """Whose account is billed."""
        return self.invoice_account or self.account


class OrderLine(ReadRow):
    """SalesOrderLinesV3, or a line expanded from SalesOrderHeadersV2."""

    lot: str = Field(alias="InventoryLotId")
    order_number: str = Field("", alias="SalesOrderNumber")
    sequence: int = Field(0, alias="LineCreationSequenceNumber")
    line_number: int = Field(0, alias="CustomersLineNumber", description="Our number of the quote line; 0: not ours")
    item: str = Field(alias="ItemNumber")
    quantity: Exact = Field(alias="OrderedSalesQuantity")
    unit: str = Field("", alias="SalesUnitSymbol")
    price: Exact = Field(Decimal(0), alias="SalesPrice")
    discount_per_unit: Exact = Field(Decimal(0), alias="LineDiscountAmount")
    charges: Exact = Field(Decimal(0), alias="FixedPriceCharges")
    amount: Exact = Field(alias="LineAmount", description="Before tax, unless the order's prices include it")
    status: SalesStatus = Field(SalesStatus.BACKORDER, alias="SalesOrderLineStatus")
    etag: str = Field("", alias="@odata.etag")


class CreditHold(ReadRow):
    """SalesTableBiEntities: where an order stands with credit management."""

    order_number: str = Field(alias="SalesId")
    hold_id: str = Field("", alias="CredManId", description="Of its entry in the hold list")
    in_control: YesNo = Field(False, alias="CredManInCreditControl")
    released: YesNo = Field(False, alias="CredManReleasedFromCreditControl")
    changed_by: str = Field("", alias="SysModifiedBy")

    @property
    def holds(self) -> bool:
        """Whether nothing of the order can be posted until somebody releases it."""
        return self.in_control and not self.released


class LineRest(ReadRow):
    """SalesLineBiEntities: what is left of an order's line, in its sales unit."""

    order_number: str = Field(alias="SalesId")
    lot: str = Field(alias="InventTransId")
    to_deliver: Exact = Field(Decimal(0), alias="RemainSalesPhysical", description="Without what was cancelled")
    to_invoice: Exact = Field(Decimal(0), alias="RemainSalesFinancial", description="Delivered and not invoiced")
    sold_lot: str = Field(
        "", alias="InventTransIdReturn", description="Of a line that a credit note added to the order: what was sold"
    )
    changed_by: str = Field("", alias="SysModifiedBy")


class OpenOrder(OrderHeader):
    """SalesOrderHeadersV2 with its lines."""

    lines: tuple[OrderLine, ...] = Field((), alias="SalesOrderLines")
    left: dict[str, Decimal] = Field(
        default_factory=dict, description="Quantity neither invoiced nor cancelled, by lot; a lot not in it: all of it"
    )

    @field_validator("lines")
    @classmethod
    def _once(cls, lines: tuple[OrderLine, ...]) -> tuple[OrderLine, ...]:
        return tuple({line.lot: line for line in lines}.values())  # a further page may bring the same ones again

    @property
    def net(self) -> Decimal:
        """Sum of the lines that are not cancelled, before tax unless the order's prices include it."""
        return sum((line.amount for line in self._open), Decimal(0))

    @property
    def net_left(self) -> Decimal:
        """The part of `net` that is neither invoiced nor cancelled, unrounded."""
        return sum((line.amount * self._share(line) for line in self._open), Decimal(0))

    @property
    def _open(self) -> tuple[OrderLine, ...]:
        return tuple(line for line in self.lines if line.status is not SalesStatus.CANCELED)

    def _share(self, line: OrderLine) -> Decimal:
        left = self.left.get(line.lot, line.quantity)
        return left / line.quantity if line.quantity else Decimal(1)


class InvoiceLine(ReadRow):
    """SalesInvoiceV4Lines."""

    sequence: int = Field(alias="LineCreationSequenceNumber", description="That of the order's line")
    item: str = Field("", alias="ProductNumber")
    quantity: Exact = Field(alias="InvoicedQuantity")
    price: Exact = Field(Decimal(0), alias="SalesPrice")
    net: Exact = Field(alias="LineAmount")
    tax: Exact = Field(Decimal(0), alias="LineTotalTaxAmount")
    lot: str = Field("", description="Of the order line that was sold; empty: not told")


class OrderMarks(NamedTuple):
    """What a sales order says of whose it is."""

    requisition: str
    """Our order key, where a deal made it."""
    reference: str
    """The quote it is of, or the customer's own number."""


class PostedInvoice(ReadRow):
    """SalesInvoiceHeadersV4, with lines where they were asked for; or one order's share of it."""

    company: str = Field("", alias="dataAreaId")
    number: str = Field(alias="InvoiceNumber")
    order_number: str = Field("", alias="SalesOrderNumber", description="Empty: a free-text invoice")
    account: str = Field("", alias="InvoiceCustomerAccountNumber")
    invoiced_on: FinanceInstant = Field(alias="InvoiceDate")
    voucher: str = Field("", alias="LedgerVoucher")
    currency: str = Field("", alias="CurrencyCode")
    total: Exact = Field(alias="TotalInvoiceAmount", description="Incl. tax and charges")
    tax: Exact = Field(Decimal(0), alias="TotalTaxAmount")
    payment_terms: str = Field("", alias="PaymentTermsName")
    reference: str = Field("", alias="CustomersOrderReference", description="Its quote, or the customer's own")
    lines: tuple[InvoiceLine, ...] = Field((), alias="SalesInvoiceLinesV4")
    correction: bool = Field(False, description="It takes an invoice back as if that had not been posted")
    parts: tuple[Exact, ...] = Field((), description="Of a share: the amounts of all lines of the whole, incl. tax")
    own: tuple[int, ...] = Field((), description="Of a share: which of these lines are the order's")

    def share_of(self, open_amount: Decimal) -> Decimal:
        """What of the open amount of the whole is the order's: by its lines, cents told to the largest remainders."""
        if not self.own:
            return open_amount
        open_parts = spread(open_amount, [abs(part) for part in self.parts], self.currency)
        return sum((open_parts[place] for place in self.own), Decimal(0))


class SlipLine(ReadRow):
    """CustPackingSlipTransBiEntities: what one packing slip took of one order line."""

    slip: str = Field(alias="PackingSlipId")
    order_number: str = Field("", alias="SalesId")
    lot: str = Field("", alias="InventTransId", description="InventoryLotId of the order's line")
    item: str = Field("", alias="ItemId")
    shipped: Exact = Field(alias="Qty")


class Slip(ReadRow):
    """CustPackingSlipJourBiEntities: a posted packing slip of a sales order."""

    slip: str = Field(alias="PackingSlipId")
    order_number: str = Field("", alias="SalesId")
    account: str = Field("", alias="OrderAccount")
    posted_on: FinanceDay = Field(None, alias="DeliveryDate")
    reference: str = Field("", alias="CustomerRef", description="Of the order: its quote, or the customer's")
    kind: str = Field("Sales", alias="SalesType", description="ReturnItem: of a return order")


class NewOrderLine(ReadRow):
    """A line to be ordered. Money in the order's currency."""

    line_no: int = Field(description="Our number of the quote line, in CustomersLineNumber")
    item: str
    description: str = ""
    unit: str
    quantity: Exact
    price: Exact
    discount_per_unit: Exact = Decimal(0)
    charges: Exact = Field(Decimal(0), description="Added to the line, e.g. the cent that rounding per unit lost")
    amount: Exact = Field(description="What the line must come to, before tax")


class NewOrder(ReadRow):
    """An order to be made in Finance, once."""

    company: str
    key: str = Field(description="Our key, at most 20 characters; the order number where numbers are manual")
    account: str
    currency: str
    quote_number: str
    name: str = ""
    payment_terms: str = Field("", description="Empty: the customer's")
    cash_discount: str = Field("", description="Empty: the customer's")
    delivery: DeliveryAddress | None = Field(None, description="None: the customer's")
    requested_receipt: date | None = None
    customer_reference: str = Field(
        "", description="The customer's purchase order; empty: the quote's number stands in"
    )
    lines: tuple[NewOrderLine, ...]


class FinanceOrder(ReadRow):
    """An order as Finance holds it."""

    header: OrderHeader
    lines: tuple[OrderLine, ...]
    found: bool = Field(False, description="It was there before we asked to make it")

    @property
    def net(self) -> Decimal:
        """Sum of the lines, before tax."""
        return sum((line.amount for line in self.lines), Decimal(0))


class Pricing(ReadRow):
    """What Finance says of a customer, of items and of their prices, read at one moment."""

    customer: Customer | None = Field(description="None: Finance does not know the account in this company")
    exchange: Exchange
    products: dict[str, ReleasedProduct] = Field(description="By item number in one case")
    stopped: frozenset[str] = Field(description="Items stopped for sales, by number in one case")
    agreements: tuple[PriceAgreement, ...]
    payment_terms: dict[str, PaymentTerm] = Field(description="By name in one case")
    tax: SalesTax = Field(
        SalesTax(), description="Of the items, for the customer; read with credit, and where prices include it"
    )

    def product(self, item: str) -> ReleasedProduct | None:
        """An item, whatever case its number is written in; None: not released in the company."""
        return self.products.get(item.casefold())


class CreditRead(ReadRow):
    """What Finance says of a customer's credit, read at one moment."""

    read_at: datetime = Field(description="UTC, before the read left")
    exchange: Exchange
    customer: Customer | None
    payer: Customer | None = Field(description="Who is billed: the invoice account, else the customer itself")
    open_transactions: tuple[OpenTransaction, ...] = Field(description="Of the payer")
    open_orders: tuple[OpenOrder, ...] = Field(description="Of the payer")
    own_order: OrderHeader | None = Field(None, description="The order under our key, where it exists already")
    pricing: Pricing | None = None
    member: GroupLine | None = Field(None, description="The payer's place in a credit group, where that was asked")
    temporary: tuple[TemporaryLimit, ...] = Field((), description="Of the payer, whenever they hold")

    @property
    def tax(self) -> SalesTax:
        """Of the items that were priced, for the customer."""
        return self.pricing.tax if self.pricing else SalesTax()


class BillingRead(ReadRow):
    """What Finance posted on an order, read at one moment."""

    header: OrderHeader
    lines: tuple[OrderLine, ...]
    slips: tuple[SlipLine, ...]
    invoices: tuple[PostedInvoice, ...]
    transactions: tuple[Transaction, ...] = Field(description="Of these invoices, open and closed")
    hold: CreditHold | None = Field(None, description="Where the order stands with credit management")
    rests: dict[str, LineRest] = Field(default_factory=dict, description="What is left of each line, by its lot")
    settlements: tuple[Settlement, ...] = Field((), description="The other side of what settled these transactions")
    payments: tuple[Transaction, ...] = Field((), description="Payments and other credits of these settlements")

    def transaction(self, invoice: PostedInvoice) -> Transaction | None:
        """The customer transaction of an invoice, whoever is billed; None where it was not seen."""
        number = invoice.number.casefold()
        # A payment's transaction may name the invoice it was meant for; its amount has the other sign.
        same = [
            t for t in self.transactions if t.invoice.casefold() == number and (t.amount < 0) == (invoice.total < 0)
        ]
        return next((t for t in same if t.voucher == invoice.voucher), same[0] if len(same) == 1 else None)

    def open_amount(self, invoice: PostedInvoice) -> Decimal:
        """What is open on an invoice: all of it, unless its transaction was seen and says otherwise.

        That nothing is found is no proof of payment: only a transaction that is closed is.
        """
        transaction = self.transaction(invoice)
        return invoice.total if transaction is None else invoice.share_of(transaction.open_amount)


class Posted(ReadRow):
    """The answer of the posting service; each operation fills what it has."""

    confirmation: str = Field("", alias="ConfirmationNumber")
    packing_slip: str = Field("", alias="PackingSlipId")
    invoice: str = Field("", alias="InvoiceId")
