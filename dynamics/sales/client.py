"""Dataverse as this product uses it: quotes read whole, and one write for all that a stage changed.

Every operation is one HTTP request in an undisturbed run; where a second may be needed, its docstring says when. All
writes may be repeated: a PATCH says `If-Match: *` so that it never creates, and an invoice's copy is
unique by its id, which is derived from order and number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from dynamics.core.auth import ClientCredentials, Credentials, TokenSource
from dynamics.core.batch import BatchItem, ChangeSet, Read, Write
from dynamics.core.errors import Conflict, DynamicsError, NotFound, Refused, System
from dynamics.core.literals import key, literal, query
from dynamics.core.odata import BatchAnswer, Endpoint, ODataClient, Row
from dynamics.core.rows import ReadRow
from dynamics.sales.records import (
    OPPORTUNITY_WON_STATUS,
    ApprovalChoice,
    CreditChoice,
    FulfilmentChoice,
    InvoiceCopy,
    InvoiceToWrite,
    OrderState,
    OrderStatus,
    Quote,
    QuoteState,
    QuoteStatus,
    SalesOrder,
)
from dynamics.sales.writes import copies, fulfil, fulfilment, invoice_key, payment_body, shipped_lines

R = TypeVar("R", bound=ReadRow)

MAX_BATCH = 1000
"""Operations in one batch (Microsoft Learn: "Execute batch operations using the Web API")."""

REMEMBERED_ORDERS = 2000
"""Orders whose ids (never their state) are remembered, so that a later write needs no read before it."""

OPPORTUNITY_ALREADY_CLOSED = "0x80040515"
INVALID_STATE = "0x80048408"
NUMBER_TAKEN = "0x80060892"
"""Codes this module reacts to (Microsoft Learn: "Web service error codes")."""

_ORDER_LINE_COLUMNS = (
    "salesorderdetailid,lineitemnumber,_quotedetailid_value,_productid_value,_uomid_value,"
    "productdescription,quantity,quantityshipped"
)
_ORDER_COLUMNS = (
    "salesorderid,ordernumber,name,statecode,statuscode,_quoteid_value,_customerid_value,_opportunityid_value,"
    "_pricelevelid_value,_transactioncurrencyid_value,q2c_financeordernumber,q2c_fulfilmentstatus,createdon"
)
_ORDER_EXPAND = f"order_details($select={_ORDER_LINE_COLUMNS}),owningbusinessunit($select=name)"

_USER_COLUMNS = "azureactivedirectoryobjectid,fullname,domainname,internalemailaddress"
_QUOTE_COLUMNS = (
    "quoteid,versionnumber,quotenumber,revisionnumber,name,statecode,statuscode,expireson,closedon,paymenttermscode,"
    "requestdeliveryby,discountpercentage,discountamount,freightamount,totalamountlessfreight,totaltax,totalamount,"
    "_transactioncurrencyid_value,q2c_approvalstatus,q2c_approvalreason,q2c_caseid,q2c_creditstatus"
)
_QUOTE_EXPAND = ",".join(
    (
        "quote_details($select=quotedetailid,lineitemnumber,sequencenumber,isproductoverridden,productdescription,"
        "description,quantity,priceperunit,ispriceoverridden,manualdiscountamount,volumediscountamount,tax,baseamount,"
        "extendedamount,pricingerrorcode;"
        "$expand=productid($select=productnumber,name,quantitydecimal),uomid($select=name))",
        "customerid_account($select=accountid,accountnumber,name,_transactioncurrencyid_value)",
        "opportunityid($select=opportunityid,name,statecode)",
        "transactioncurrencyid($select=isocurrencycode)",
        "pricelevelid($select=pricelevelid,name;$expand=transactioncurrencyid($select=isocurrencycode))",
        f"owninguser($select={_USER_COLUMNS})",
        f"modifiedby($select={_USER_COLUMNS})",
        "owningbusinessunit($select=name)",
        f"quote_orders($select={_ORDER_COLUMNS})",
    )
)
_INVOICE_COLUMNS = "invoiceid,q2c_financeinvoicenumber,_salesorderid_value,totalamount,q2c_openamount,statecode"


@dataclass(frozen=True, slots=True)
class DataverseSettings:
    """Which Dataverse, as which application."""

    endpoint: Endpoint
    credentials: Credentials


class Dataverse:
    """Operations on Dynamics 365 Sales. Use as an async context manager, or call `aclose`."""

    def __init__(self, settings: DataverseSettings, *, tokens: TokenSource | None = None) -> None:
        """Nothing is connected yet.

        Args:
            settings: Where and who.
            tokens: Another source of tokens than the client's secret, e.g. a managed identity.
        """
        self._settings = settings
        self.odata = ODataClient(
            System.DATAVERSE,
            settings.endpoint,
            tokens or ClientCredentials(settings.credentials, settings.endpoint.origin),
            service_path="api/data/v9.2",
            headers={"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"},
            max_batch=MAX_BATCH,
        )
        self._orders: OrderedDict[UUID, SalesOrder] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.odata.aclose()

    # --- reads -----------------------------------------------------------------------------------------------------

    async def who_am_i(self) -> UUID:
        """The systemuser the application acts as. Raises Refused (403) where there is no application user."""
        return UUID(str((await self.odata.get("WhoAmI"))["UserId"]))

    async def columns(self, table: str) -> frozenset[str]:
        """Logical names of a table's columns; `table` is its logical name, e.g. `quote`."""
        path = query(key("EntityDefinitions", LogicalName=table) + "/Attributes", select="LogicalName")
        return frozenset(str(row["LogicalName"]) for row in await self.odata.all_rows(path))

    async def business_units(self) -> dict[UUID, str]:
        """Names of the business units by id; a name is the legal entity's id."""
        rows = await self.odata.all_rows(query("businessunits", select="businessunitid,name"))
        return {UUID(str(row["businessunitid"])): str(row["name"]) for row in rows}

    async def read_quote(self, quote_id: UUID) -> Quote:
        """One revision of a quote with lines, customer, opportunity, people and the orders made from it.

        More than 5,000 lines come in pages: one request more for each.

        Raises:
            NotFound: the quote was deleted.
        """
        path = query(key("quotes", quote_id), select=_QUOTE_COLUMNS, expand=_QUOTE_EXPAND)
        return await self._whole_quote(await self.odata.get(path, headers={"If-None-Match": "null"}))

    async def find_quote(self, number: str, revision: int) -> Quote | None:
        """A quote by its number and revision; None where there is none. Lines as in `read_quote`."""
        path = query(
            "quotes",
            select=_QUOTE_COLUMNS,
            expand=_QUOTE_EXPAND,
            filter=f"quotenumber eq {literal(number)} and revisionnumber eq {revision}",
            top=1,
        )
        rows = (await self.odata.page(path)).rows
        return await self._whole_quote(rows[0]) if rows else None

    async def read_order(self, order_id: UUID) -> SalesOrder:
        """A salesorder with its lines, read now."""
        return self._remember(self._read(SalesOrder, await self.odata.get(_order_path(order_id)), "GET salesorders"))

    async def read_invoices(self, order_id: UUID, numbers: Sequence[str]) -> dict[str, InvoiceCopy]:
        """The copies Sales holds of an order's posted invoices, by their Finance numbers, in one batch."""
        answers = await self.odata.batch(
            [Read(query(invoice_key(order_id, number), select=_INVOICE_COLUMNS)) for number in numbers]
        )
        return {
            number: self._read(InvoiceCopy, answer.value(), "GET invoices")
            for number, answer in zip(numbers, answers, strict=True)
            if not isinstance(answer.error, NotFound)
        }

    # --- writes on quotes ------------------------------------------------------------------------------------------

    async def set_quote_approval(
        self,
        quote_id: UUID,
        status: ApprovalChoice,
        *,
        reason: str,
        deal_id: str,
        credit: CreditChoice | None = None,
        etag: str | None = None,
    ) -> None:
        """Tell the rep where approval (and credit, where given) of a quote stands.

        Args:
            quote_id: The revision.
            status: The approval's state.
            reason: Shown to the rep; cut to the column's 4,000 characters.
            deal_id: Workflow id of the deal.
            credit: The credit state; None leaves it.
            etag: Write only if the quote is unchanged since it was read.

        Raises:
            Conflict: with `etag`, somebody changed the quote.
            NotFound: the quote was deleted.
        """
        body: Row = {
            "q2c_approvalstatus": int(status),
            "q2c_approvalreason": reason[:4000],
            "q2c_caseid": deal_id,
            **({} if credit is None else {"q2c_creditstatus": int(credit)}),
        }
        await self.odata.patch(key("quotes", quote_id), body, if_match=etag or "*")

    async def close_quote(self, quote_id: UUID, status: QuoteStatus, subject: str) -> None:
        """Close an active quote as lost, cancelled or revised.

        `Status` is always given: what -1 stands for differs between sources. Expiry has no status of its own and is
        `CANCELED` with a subject that says so.

        Raises:
            Refused: the quote is not active.
        """
        close = {
            "@odata.type": "Microsoft.Dynamics.CRM.quoteclose",
            "subject": subject[:200],
            "quoteid@odata.bind": f"/quotes({quote_id})",
        }
        await self.odata.action("CloseQuote", {"Status": int(status), "QuoteClose": close})

    async def convert_quote(self, quote: Quote) -> SalesOrder:
        """The salesorder of an accepted quote, made only if the quote as read has none.

        An active quote is won first, in the same change set. The caller has read the quote just before: that is the
        read before the write.
        """
        if quote.orders:
            return quote.orders[0]
        convert = Write(
            "POST",
            "ConvertQuoteToSalesOrder",
            {"QuoteId": str(quote.id), "ColumnSet": {"AllColumns": False, "Columns": _ORDER_COLUMNS.split(",")}},
        )
        win = Write(
            "POST",
            "WinQuote",
            {
                "Status": int(QuoteStatus.WON),
                "QuoteClose": {
                    "@odata.type": "Microsoft.Dynamics.CRM.quoteclose",
                    "subject": f"Accepted: {quote.number}"[:200],
                    "quoteid@odata.bind": f"/quotes({quote.id})",
                },
            },
        )
        writes = (win, convert) if quote.state is QuoteState.ACTIVE else (convert,)
        answer = (await self._change([ChangeSet(writes)]))[0]
        return self._read(SalesOrder, answer.parts[-1].value(), "POST ConvertQuoteToSalesOrder")

    # --- writes on orders and invoices -----------------------------------------------------------------------------

    async def write_order(
        self,
        order_id: UUID,
        finance_number: str,
        *,
        quote_id: UUID,
        quote_number: str,
        credit: CreditChoice | None,
        opportunity_id: UUID | None,
        revenue: Decimal,
    ) -> SalesOrder:
        """Write Finance's order number and win the opportunity, together; the order is In Progress from then on.

        Args:
            order_id: The salesorder made from the quote.
            finance_number: SalesOrderNumber in Finance.
            quote_id: The quote it was made from.
            quote_number: For the closing activity's subject.
            credit: How credit was decided, for the quote; None leaves it.
            opportunity_id: The opportunity to win; None where there is none or it is closed.
            revenue: Net of the order in its currency, the opportunity's actual revenue.

        Returns:
            The order with its lines, from the same batch.

        A second request is made where the opportunity turns out to be closed already.
        """
        order = Write(
            "PATCH",
            key("salesorders", order_id),
            {
                "q2c_financeordernumber": finance_number,
                "q2c_fulfilmentstatus": int(FulfilmentChoice.CONFIRMED),
                "statecode": int(OrderState.SUBMITTED),
                "statuscode": int(OrderStatus.IN_PROGRESS),
            },
            {"If-Match": "*"},
        )
        win = Write(
            "POST",
            "WinOpportunity",
            {
                "Status": OPPORTUNITY_WON_STATUS,
                "OpportunityClose": {
                    "subject": f"Won: {quote_number}"[:200],
                    "actualrevenue": revenue,
                    "opportunityid@odata.bind": f"/opportunities({opportunity_id})",
                },
            },
        )
        writes: tuple[Write, ...] = (order,)
        if credit is not None:
            body = {"q2c_creditstatus": int(credit)}
            writes = (order, Write("PATCH", key("quotes", quote_id), body, {"If-Match": "*"}))
        read = Read(_order_path(order_id))
        try:
            answers = await self._change([ChangeSet((*writes, win) if opportunity_id else writes), read])
        except DynamicsError as e:
            if not (opportunity_id and e.code.lower() == OPPORTUNITY_ALREADY_CLOSED):
                raise
            answers = await self._change([ChangeSet(writes), read])
        return self._remember(self._read(SalesOrder, answers[1].value(), "GET salesorders"))

    async def write_shipment(self, order_id: UUID, shipped: Mapping[int, Decimal], *, complete: bool) -> None:
        """Write how much of each line has been shipped so far and what that makes of the order.

        Args:
            order_id: The salesorder.
            shipped: Total shipped by quote line number, in the line's unit.
            complete: Nothing is left to ship.

        One request more where this process has not seen the order's lines, one for each further 1,000 lines, and two
        where an earlier attempt has fulfilled the order already.

        Raises:
            Refused: a line number the order does not have, or the order is cancelled.
        """
        order = await self._known_order(order_id)
        writes = shipped_lines(order, shipped)
        fulfilled = FulfilmentChoice.SHIPPED if complete else FulfilmentChoice.PARTIAL
        writes.append(fulfilment(order_id, fulfilled))
        status = OrderStatus.COMPLETE if complete else OrderStatus.PARTIAL
        for start in range(0, len(writes), MAX_BATCH - 1):
            chunk = tuple(writes[start : start + MAX_BATCH - 1])
            if start + len(chunk) < len(writes):
                await self._change([ChangeSet(chunk)])
                continue
            try:
                await self._change([ChangeSet((*chunk, fulfil(order, status)))])
            except Refused as refusal:
                if refusal.code.lower() != INVALID_STATE:
                    raise
                now = await self.read_order(order_id)
                if now.state not in (OrderState.FULFILLED, OrderState.INVOICED):
                    raise
                await self._change([ChangeSet(chunk)])

    async def write_invoices(self, order_id: UUID, invoices: Sequence[InvoiceToWrite], *, order_invoiced: bool) -> None:
        """Copy posted invoices with their lines to Sales, each once; the order is Invoiced when nothing is left.

        Where copies exist already, or another legal entity's invoice has taken a number: up to three requests more.
        One more where this process has not seen the order's lines.

        Raises:
            Conflict: an invoice's number is taken even with its legal entity added.
        """
        order = await self._known_order(order_id)
        try:
            await self._change([copies(order, invoices, order_invoiced)])
        except Conflict as conflict:
            existing = await self.read_invoices(order_id, [invoice.number for invoice in invoices])
            missing = [invoice for invoice in invoices if invoice.number not in existing]
            if missing or order_invoiced:
                taken = conflict.code.lower() == NUMBER_TAKEN
                await self._copy_missing(order, missing, order_invoiced, qualified=taken)

    async def write_payments(self, order_id: UUID, invoices: Sequence[InvoiceToWrite], *, order_paid: bool) -> None:
        """Write what is still open on each invoice; a paid one is set Paid, a reopened one Active again.

        Raises:
            NotFound: an invoice's copy is not in Sales.
        """
        writes = [
            Write("PATCH", invoice_key(order_id, invoice.number), payment_body(invoice), {"If-Match": "*"})
            for invoice in invoices
        ]
        if order_paid:
            writes.append(fulfilment(order_id, FulfilmentChoice.CLOSED))
        await self._change([ChangeSet(tuple(writes))])

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _change(self, items: Sequence[BatchItem]) -> list[BatchAnswer]:
        """Send a batch of which every item must succeed; the first error is raised."""
        answers = await self.odata.batch(items)
        for answer in answers:
            answer.check()
        return answers

    async def _copy_missing(
        self, order: SalesOrder, invoices: Sequence[InvoiceToWrite], order_invoiced: bool, *, qualified: bool
    ) -> None:
        """Write the copies that are not there; numbers another legal entity took get this one's name."""
        try:
            await self._change([copies(order, invoices, order_invoiced, qualified=qualified)])
        except Conflict as conflict:
            if qualified or conflict.code.lower() != NUMBER_TAKEN:
                raise
            await self._change([copies(order, invoices, order_invoiced, qualified=True)])

    async def _whole_quote(self, row: Row) -> Quote:
        link = row.get("quote_details@odata.nextLink")
        if isinstance(link, str):
            row = row | {"quote_details": [*row["quote_details"], *await self.odata.all_rows(link)]}
        return self._read(Quote, row, "GET quotes")

    async def _known_order(self, order_id: UUID) -> SalesOrder:
        """The order with its lines' ids, from memory where it was seen; its state may be old."""
        if (order := self._orders.get(order_id)) is not None:
            self._orders.move_to_end(order_id)
            return order
        return await self.read_order(order_id)

    def _remember(self, order: SalesOrder) -> SalesOrder:
        self._orders[order.id] = order
        while len(self._orders) > REMEMBERED_ORDERS:
            self._orders.popitem(last=False)
        return order

    @staticmethod
    def _read(kind: type[R], row: Any, operation: str) -> R:
        return kind.read(row, system=System.DATAVERSE, operation=operation)


def _order_path(order_id: UUID) -> str:
    return query(key("salesorders", order_id), select=_ORDER_COLUMNS, expand=_ORDER_EXPAND)
