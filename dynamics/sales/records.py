"""Rows of Dataverse (Dynamics 365 Sales).

Column names: Microsoft Learn, table reference of quote, salesorder, invoice, opportunity. Columns that begin with
`q2c_` are the product's own.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from pydantic import Field

from domain.quote import NumberedLine
from dynamics.core.rows import Exact, Money, ReadRow, Text
from dynamics.sales.options import (
    ApprovalChoice,
    CreditChoice,
    InvoiceState,
    OpportunityState,
    OrderState,
    PaymentChoice,
    QuoteState,
)


class User(ReadRow):
    """systemuser, as far as it names a person."""

    entra_id: UUID | None = Field(None, alias="azureactivedirectoryobjectid")
    name: Text = Field("", alias="fullname")
    upn: Text = Field("", alias="domainname")
    email: Text = Field("", alias="internalemailaddress")


class Maker(User):
    """systemuser, known by its id."""

    id: UUID = Field(alias="systemuserid")
    application_id: UUID | None = Field(None, alias="applicationid", description="An application user's registration")


class Account(ReadRow):
    """account: the customer of a quote."""

    id: UUID = Field(alias="accountid")
    number: Text = Field("", alias="accountnumber", description="CustomerAccount of Finance; empty: not mapped")
    name: Text = ""
    currency_id: UUID | None = Field(None, alias="_transactioncurrencyid_value")


class Opportunity(ReadRow):
    """The opportunity a quote belongs to."""

    id: UUID = Field(alias="opportunityid")
    name: Text = ""
    state: OpportunityState = Field(alias="statecode")


class Currency(ReadRow):
    """transactioncurrency."""

    iso: str = Field(alias="isocurrencycode")


class BusinessUnit(ReadRow):
    """businessunit; its name is the legal entity's id."""

    name: str


class PriceList(ReadRow):
    """pricelevel."""

    id: UUID = Field(alias="pricelevelid")
    name: Text = ""
    currency: Currency | None = Field(None, alias="transactioncurrencyid")


class Product(ReadRow):
    """product, as far as a line shows it."""

    number: str = Field(alias="productnumber")
    name: Text = ""
    decimals: int | None = Field(None, alias="quantitydecimal")


class Unit(ReadRow):
    """uom."""

    name: str


class LineIdentity(ReadRow):
    """What identifies a line of a quote."""

    id: UUID = Field(alias="quotedetailid")
    number: int | None = Field(None, alias="lineitemnumber")
    sequence: int | None = Field(None, alias="sequencenumber")

    @property
    def identity(self) -> NumberedLine:
        """As `domain.quote.numbered` takes it."""
        return NumberedLine(str(self.id), self.number, self.sequence)


class QuoteLine(LineIdentity):
    """quotedetail. Money in the quote's currency."""

    product: Product | None = Field(None, alias="productid")
    unit: Unit | None = Field(None, alias="uomid")
    write_in: bool | None = Field(None, alias="isproductoverridden")
    write_in_text: Text = Field("", alias="productdescription")
    description: Text = ""
    quantity: Exact
    price: Exact | None = Field(None, alias="priceperunit")
    price_overridden: bool | None = Field(None, alias="ispriceoverridden")
    manual_discount: Money = Field(Decimal(0), alias="manualdiscountamount", description="Off the whole line")
    volume_discount: Money = Field(Decimal(0), alias="volumediscountamount", description="Per unit")
    tax: Money = Decimal(0)
    base: Money = Field(Decimal(0), alias="baseamount", description="quantity x (price - volume discount)")
    extended: Money = Field(Decimal(0), alias="extendedamount", description="base - manual discount + tax")
    pricing_error: int | None = Field(None, alias="pricingerrorcode")


class OrderLine(ReadRow):
    """salesorderdetail."""

    id: UUID = Field(alias="salesorderdetailid")
    number: int | None = Field(None, alias="lineitemnumber")
    quote_line_id: UUID | None = Field(None, alias="_quotedetailid_value")
    product_id: UUID | None = Field(None, alias="_productid_value")
    unit_id: UUID | None = Field(None, alias="_uomid_value")
    write_in_text: Text = Field("", alias="productdescription")
    quantity: Exact
    shipped: Money = Field(Decimal(0), alias="quantityshipped", description="A quantity; null counts as zero")


class SalesOrder(ReadRow):
    """salesorder: what the quote became in Sales. Money in the order's currency."""

    id: UUID = Field(alias="salesorderid")
    number: Text = Field("", alias="ordernumber")
    name: Text = ""
    state: OrderState = Field(alias="statecode")
    status: int | None = Field(None, alias="statuscode")
    quote_id: UUID | None = Field(None, alias="_quoteid_value")
    account_id: UUID | None = Field(None, alias="_customerid_value")
    opportunity_id: UUID | None = Field(None, alias="_opportunityid_value")
    price_list_id: UUID | None = Field(None, alias="_pricelevelid_value")
    currency_id: UUID | None = Field(None, alias="_transactioncurrencyid_value")
    finance_number: Text = Field("", alias="q2c_financeordernumber")
    created_on: datetime | None = Field(None, alias="createdon")
    business_unit: BusinessUnit | None = Field(None, alias="owningbusinessunit")
    lines: tuple[OrderLine, ...] = Field((), description="Read as a collection of their own")


class QuoteOfOpportunity(ReadRow):
    """A quote as a list of an opportunity's shows it. Money in its currency."""

    number: str = Field(alias="quotenumber")
    revision: int = Field(0, alias="revisionnumber")
    name: Text = ""
    state: QuoteState = Field(alias="statecode")
    net: Money = Field(Decimal(0), alias="totalamountlessfreight", description="Before tax and freight")
    freight: Money = Field(Decimal(0), alias="freightamount")
    currency: Currency | None = Field(None, alias="transactioncurrencyid")
    business_unit: BusinessUnit | None = Field(None, alias="owningbusinessunit")


class AddedBy(ReadRow):
    """Who added a file."""

    name: Text = Field("", alias="fullname")


class AttachedFile(ReadRow):
    """A file on a record, without its content."""

    name: Text = Field("", alias="filename")
    size: int = Field(0, alias="filesize", description="Bytes")
    subject: Text = ""
    added_on: datetime | None = Field(None, alias="createdon")
    added_by: AddedBy | None = Field(None, alias="createdby")


class Quote(ReadRow):
    """A quote with everything a decision on it needs, from one read. Money in the quote's currency."""

    id: UUID = Field(alias="quoteid")
    etag: str = Field(alias="@odata.etag")
    version: int = Field(0, alias="versionnumber")
    number: str = Field(alias="quotenumber")
    revision: int = Field(0, alias="revisionnumber")
    name: Text = ""
    description: Text = ""
    state: QuoteState = Field(alias="statecode")
    status: int = Field(alias="statuscode")
    expires_on: date | None = Field(None, alias="expireson")
    effective_to: datetime | None = Field(None, alias="effectiveto")
    closed_on: datetime | None = Field(None, alias="closedon")
    payment_terms_code: int | None = Field(None, alias="paymenttermscode")
    requested_delivery: datetime | None = Field(None, alias="requestdeliveryby")
    customer_reference: Text = Field("", alias="q2c_customerreference")
    ship_to_name: Text = Field("", alias="shipto_name")
    ship_to_contact: Text = Field("", alias="shipto_contactname")
    ship_to_phone: Text = Field("", alias="shipto_telephone")
    ship_to_line1: Text = Field("", alias="shipto_line1")
    ship_to_line2: Text = Field("", alias="shipto_line2")
    ship_to_line3: Text = Field("", alias="shipto_line3")
    ship_to_city: Text = Field("", alias="shipto_city")
    ship_to_postal_code: Text = Field("", alias="shipto_postalcode")
    ship_to_state: Text = Field("", alias="shipto_stateorprovince")
    ship_to_country: Text = Field("", alias="shipto_country")
    header_discount_pct: Money = Field(Decimal(0), alias="discountpercentage")
    header_discount: Money = Field(Decimal(0), alias="discountamount")
    freight: Money = Field(Decimal(0), alias="freightamount")
    net: Money = Field(Decimal(0), alias="totalamountlessfreight", description="Before tax and freight")
    tax: Money = Field(Decimal(0), alias="totaltax")
    total: Money = Field(Decimal(0), alias="totalamount", description="Incl. tax and freight")
    approval: ApprovalChoice | None = Field(None, alias="q2c_approvalstatus")
    approval_reason: Text = Field("", alias="q2c_approvalreason")
    deal_id: Text = Field("", alias="q2c_caseid")
    credit: CreditChoice | None = Field(None, alias="q2c_creditstatus")
    customer: Account | None = Field(None, alias="customerid_account", description="None: a contact, or nobody")
    opportunity: Opportunity | None = Field(None, alias="opportunityid")
    currency: Currency | None = Field(None, alias="transactioncurrencyid")
    currency_id: UUID | None = Field(None, alias="_transactioncurrencyid_value")
    price_list: PriceList | None = Field(None, alias="pricelevelid")
    owner: User | None = Field(None, alias="owninguser", description="None: owned by a team")
    modified_by: User | None = Field(None, alias="modifiedby")
    created_by: User | None = Field(None, alias="createdby")
    business_unit: BusinessUnit | None = Field(None, alias="owningbusinessunit")
    lines: tuple[QuoteLine, ...] = Field((), description="Read as a collection of their own")
    orders: tuple[SalesOrder, ...] = Field((), alias="quote_orders")
    namesakes: int = Field(0, description="Other active accounts with the customer's account number")

    @property
    def order(self) -> SalesOrder | None:
        """The order made from it, whoever reads them: where there are several, the one that is known to Finance, else
        the oldest; one that was cancelled only where there is no other.
        """
        return min(self.orders, key=_precedence, default=None)

    @property
    def more_orders(self) -> tuple[SalesOrder, ...]:
        """Other orders made from it that nobody cancelled."""
        others = (order for order in self.orders if order is not self.order)
        return tuple(order for order in others if order.state is not OrderState.CANCELED)


def _precedence(order: SalesOrder) -> tuple[bool, bool, bool, float, str]:
    made = order.created_on
    cancelled = order.state is OrderState.CANCELED
    return cancelled, not order.finance_number, made is None, made.timestamp() if made else 0.0, str(order.id)


class QuoteChange(ReadRow):
    """A quote that changed, as change tracking tells it."""

    id: UUID = Field(alias="quoteid")
    version: int = Field(0, alias="versionnumber")
    number: str = Field(alias="quotenumber")
    revision: int = Field(0, alias="revisionnumber")
    state: QuoteState = Field(alias="statecode")
    status: int = Field(alias="statuscode")
    approval: int | None = Field(None, alias="q2c_approvalstatus", description="ApprovalChoice, or a tenant's own")
    opportunity_id: UUID | None = Field(None, alias="_opportunityid_value")
    business_unit_id: UUID | None = Field(None, alias="_owningbusinessunit_value")
    modified_by_id: UUID | None = Field(None, alias="_modifiedby_value")
    modified_on: datetime | None = Field(None, alias="modifiedon")
    closed_on: datetime | None = Field(None, alias="closedon")


class OpportunityChange(ReadRow):
    """An opportunity that changed, as change tracking tells it."""

    id: UUID = Field(alias="opportunityid")
    state: int = Field(alias="statecode", description="OpportunityState")
    modified_by_id: UUID | None = Field(None, alias="_modifiedby_value")
    modified_on: datetime | None = Field(None, alias="modifiedon")


class OrderChange(ReadRow):
    """A salesorder that changed, as change tracking tells it."""

    id: UUID = Field(alias="salesorderid")
    version: int = Field(0, alias="versionnumber")
    number: Text = Field("", alias="ordernumber")
    state: int = Field(alias="statecode", description="OrderState")
    quote_id: UUID | None = Field(None, alias="_quoteid_value")
    finance_number: Text = Field("", alias="q2c_financeordernumber")
    created_on: datetime | None = Field(None, alias="createdon")

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self.state == OrderState.CANCELED


class Changes(ReadRow):
    """One page of changes to a table: quotes, opportunities or salesorders."""

    quotes: tuple[QuoteChange, ...] = ()
    opportunities: tuple[OpportunityChange, ...] = ()
    orders: tuple[OrderChange, ...] = ()
    deleted: tuple[UUID, ...]
    unreadable: dict[str, str] = Field(default_factory=dict, description="Why a row was not understood, by its id")
    next_link: str | None = Field(None, description="More of this sweep; None on the last page")
    delta_link: str | None = Field(None, description="Where the next sweep begins; only on the last page")


class InvoiceCopy(ReadRow):
    """invoice: the copy of a posted Finance invoice in Sales. Money in the invoice's currency."""

    id: UUID = Field(alias="invoiceid")
    finance_number: Text = Field("", alias="q2c_financeinvoicenumber")
    sales_order_id: UUID | None = Field(None, alias="_salesorderid_value")
    total: Money = Field(Decimal(0), alias="totalamount")
    state: InvoiceState = Field(alias="statecode")


class InvoiceLineToWrite(ReadRow):
    """A line of a posted invoice, to be copied to Sales. Money in the invoice's currency."""

    line_no: int = Field(description="The deal's number of the quote's line; 0: of none")
    quote_line_id: UUID | None = Field(None, description="The quote's line; None: of none")
    item: str = ""
    quantity: Exact
    price: Exact = Field(description="Per unit, as invoiced")
    net: Exact
    tax: Exact


class InvoiceToWrite(ReadRow):
    """A posted invoice or credit note, to be copied to Sales. Money in its currency; total = net + tax."""

    number: str
    currency: str
    invoiced_on: date
    due_on: date | None
    net: Exact
    tax: Exact
    total: Exact
    open_amount: Exact
    lines: tuple[InvoiceLineToWrite, ...]
    share: bool = Field(False, description="The order's part of an invoice over several orders")

    @property
    def payment(self) -> PaymentChoice:
        """Open, partly paid or paid, by what is still open."""
        if self.open_amount == 0:
            return PaymentChoice.PAID
        whole = abs(self.open_amount) >= abs(self.total)  # what is open of a credit note is negative
        return PaymentChoice.OPEN if whole else PaymentChoice.PARTIAL
