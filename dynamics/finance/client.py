"""Dynamics 365 Finance as this product uses it: one batch for all that a stage must know, one change set for an order.

Posting (confirmation and the rest) has no standard OData action; it goes through a custom service of the tenant's X++
developer, whose contract docs/ describes. Every read asks for `cross-company=true`: without it Finance silently shows
only the company the application's user belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from dynamics.core.auth import ClientCredentials, Credentials, TokenSource
from dynamics.core.batch import BatchItem, ChangeSet, Read
from dynamics.core.errors import Answer, Conflict, NotFound, Refused, System, infolog_of
from dynamics.core.literals import WILDCARD, FinanceEnum, any_of, exact_text, key, query
from dynamics.core.odata import BatchAnswer, Endpoint, ODataClient, Row
from dynamics.core.rows import ReadRow
from dynamics.finance.orders import compare, header_write, line_writes
from dynamics.finance.records import (
    MAY_BE_PARTLY_INVOICED,
    BillingRead,
    CreditControl,
    CreditRead,
    Customer,
    FinanceOrder,
    NewOrder,
    NewOrderLine,
    OpenOrder,
    OpenTransaction,
    OrderHeader,
    OrderLine,
    PaymentTerm,
    Posted,
    PostedInvoice,
    PriceAgreement,
    Pricing,
    ReleasedProduct,
    Slip,
    SlipLine,
    Sweep,
    Transaction,
)

R = TypeVar("R", bound=ReadRow)

MAX_BATCH = 5000
"""Operations in one batch (Microsoft Learn: "Service protection API limits" of finance and operations)."""

ITEMS_PER_READ = 40
"""Items named in one filter: Finance knows no `in`, and a URL has an end."""

STILL_OPEN = "Closed lt 1901-01-01T00:00:00Z"
"""`Closed` of an open transaction is Finance's empty date."""


@dataclass(frozen=True, slots=True)
class FinanceSettings:
    """Which Finance, as which application, and how its companies number orders."""

    endpoint: Endpoint
    credentials: Credentials
    automatic_numbers: frozenset[str] = frozenset()
    """Companies (lower case) whose sales order number sequence is automatic. All others take our key as number."""
    posting_service: str = "Q2CServiceGroup/Q2CPostingService"
    """Service group and service of the tenant's posting service."""


class Finance:
    """Operations on Dynamics 365 Finance. Use as an async context manager, or call `aclose`."""

    def __init__(self, settings: FinanceSettings, *, tokens: TokenSource | None = None) -> None:
        """Nothing is connected yet.

        Args:
            settings: Where, who and how numbered.
            tokens: Another source of tokens than the client's secret.
        """
        self._settings = settings
        self.odata = ODataClient(
            System.FINANCE,
            settings.endpoint,
            tokens or ClientCredentials(settings.credentials, settings.endpoint.origin),
            service_path="data",
            headers={"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"},
            max_batch=MAX_BATCH,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.odata.aclose()

    def numbers_automatically(self, company: str) -> bool:
        """Whether Finance numbers a company's orders itself, so that our key is not their number."""
        return company in self._settings.automatic_numbers

    # --- reads -----------------------------------------------------------------------------------------------------

    async def entity_sets(self) -> frozenset[str]:
        """Names of the entity sets the environment publishes."""
        return frozenset(str(row["name"]) for row in await self.odata.all_rows(""))

    async def read_pricing(self, company: str, account: str, items: Sequence[str], currency: str) -> Pricing:
        """Customer, items, price agreements and payment terms, in one batch.

        Args:
            company: Legal entity, lower case.
            account: Customer account; one Finance does not know gives `customer` None.
            items: Item numbers; those not released in the company are missing from `products`.
            currency: ISO code; agreements in others are not read.
        """
        answers = await self._reads(self._pricing_reads(company, account, items, currency))
        return await self._pricing(answers)

    async def read_credit(
        self,
        company: str,
        account: str,
        *,
        order_number: str | None = None,
        items: Sequence[str] = (),
        currency: str = "",
    ) -> CreditRead:
        """All that the credit rule needs, fresh, in one batch; with `items` their prices as well.

        Args:
            company: Legal entity, lower case.
            account: Customer account.
            order_number: The number the order would have: whether it exists already. None: it was not begun.
            items: Item numbers to price; none reads no prices.
            currency: ISO code of the prices.

        One request more where one of the customer's open orders may be invoiced in part: what remains of it is its
        total less its invoices, because Finance publishes no quantity invoiced on a line.
        """
        read_at = datetime.now(UTC)
        named = self._credit_reads(company, account, order_number)
        if items:
            named += self._pricing_reads(company, account, items, currency, with_customer=False)
        answers = await self._reads(named)
        customer = self._row(Customer, answers["customer"][0])
        orders = [self._read(OpenOrder, row) for row in await self._rows(answers["orders"])]
        orders, later = await self._less_invoiced(company, account, orders)
        opens = [self._read(OpenTransaction, row) for row in await self._rows(later or answers["opens"])]
        return CreditRead(
            read_at=read_at,
            customer=customer,
            open_transactions=tuple(opens),
            open_orders=tuple(orders),
            own_order=self._row(OrderHeader, answers["own order"][0]) if order_number else None,
            pricing=await self._pricing(answers) if items else None,
        )

    async def read_billing(self, company: str, account: str, order_number: str) -> BillingRead:
        """Packing slips and invoices of an order and the customer's open transactions, in one batch.

        The transactions are read last: an invoice seen earlier in the batch and missing among them is settled.

        Raises:
            NotFound: no such order.
        """
        order = f"dataAreaId eq {exact_text(company)} and "
        answers = await self._reads(
            [
                ("header", Read(_order_key(company, order_number))),
                ("lines", _rows_of("SalesOrderLinesV3", f"{order}SalesOrderNumber eq {exact_text(order_number)}")),
                (
                    "slips",
                    _rows_of(
                        "ShipmentPackingSlipJournalLines", f"{order}ConsignerOrderNumber eq {exact_text(order_number)}"
                    ),
                ),
                (
                    "invoices",
                    _rows_of(
                        "SalesInvoiceHeadersV4",
                        f"{order}SalesOrderNumber eq {exact_text(order_number)}",
                        expand="SalesInvoiceLinesV4",
                    ),
                ),
                (
                    "transactions",
                    _rows_of("CustTransactions", f"{order}AccountNum eq {exact_text(account)} and {STILL_OPEN}"),
                ),
            ]
        )
        return BillingRead(
            header=self._read(OrderHeader, answers["header"][0].value()),
            lines=tuple(self._read(OrderLine, row) for row in await self._rows(answers["lines"])),
            slips=tuple(self._read(SlipLine, row) for row in await self._rows(answers["slips"])),
            invoices=tuple(self._read(PostedInvoice, row) for row in await self._rows(answers["invoices"])),
            open_transactions=tuple(self._read(Transaction, row) for row in await self._rows(answers["transactions"])),
        )

    async def sweep(self, company: str, *, slips: date, invoices: date, settled: date) -> Sweep:
        """What was posted in a company, each kind of document since a day of its own (of the company's calendar).

        One batch; a second one where a settled invoice is older than the day, to learn its order. A row that is not as
        expected is named in `unreadable`; it does not keep the others back.
        """
        of = f"dataAreaId eq {exact_text(company)} and "
        answers = await self._reads(
            [
                (
                    "slips",
                    _rows_of(
                        "ShipmentPackingSlipJournalHeaders",
                        f"{of}DocumentDate ge {_midnight(slips)}",
                        expand="ShipmentPackingSlipJournalLines",
                    ),
                ),
                ("invoices", _rows_of("SalesInvoiceHeadersV4", f"{of}InvoiceDate ge {_midnight(invoices)}")),
                (
                    "settled",
                    _rows_of("CustTransactions", f"{of}LastSettleDate ge {_midnight(settled)} and Invoice ne ''"),
                ),
            ]
        )
        unreadable: list[str] = []
        posted = self._readable(PostedInvoice, await self._rows(answers["invoices"]), unreadable)
        changed = self._readable(Transaction, await self._rows(answers["settled"]), unreadable)
        orders = {invoice.number: invoice.order_number for invoice in posted}
        older = sorted({t.invoice for t in changed if WILDCARD not in t.invoice} - set(orders))
        if older:
            orders |= await self._orders_of_invoices(company, older)
        return Sweep(
            slips=self._readable(Slip, await self._rows(answers["slips"]), unreadable),
            invoices=posted,
            settled=changed,
            settled_orders={t.invoice: orders[t.invoice] for t in changed if t.invoice in orders},
            unreadable=tuple(unreadable),
        )

    async def order_marks(self, company: str, numbers: Sequence[str]) -> dict[str, str]:
        """The customer requisition numbers of orders, by order number, in one batch; unknown orders are left out."""
        wanted = sorted({number for number in numbers if WILDCARD not in number})
        rows = await self._chunked(company, "SalesOrderHeadersV4", "SalesOrderNumber", wanted) if wanted else []
        return {str(row["SalesOrderNumber"]): str(row["CustomerRequisitionNumber"]) for row in rows}

    async def credit_control(self, company: str, order_number: str) -> CreditControl | None:
        """Whether credit management holds an order; None where the order is unknown. Read after a refused posting."""
        path = query(
            key("SalesTableBiEntities", dataAreaId=company, SalesId=order_number),
            cross_company="true",
            select="SalesId,CredManInCreditControl,CredManReleasedFromCreditControl,CredManRejected",
        )
        try:
            return self._read(CreditControl, await self.odata.get(path))
        except NotFound:
            return None

    # --- orders ----------------------------------------------------------------------------------------------------

    async def find_order(self, company: str, order_key: str) -> FinanceOrder | None:
        """The order made under our key, with its lines; None is proof of absence at the moment of the read.

        One batch; in a company with automatic numbers one request before it, to learn the number.
        """
        if self.numbers_automatically(company):
            number = await self._number_of(company, order_key)
            return None if number is None else await self._order(company, number)
        return await self._order(company, order_key)

    async def create_order(self, wanted: NewOrder, *, in_doubt: bool = False) -> FinanceOrder:
        """Make an order, once, or complete or find the one that is there.

        Manual numbers: one batch that looks for the order and makes it in one change set; where it is there already
        the change set is refused by its key and the order found is held against the one wanted. Automatic numbers: a
        search by `CustomerRequisitionNumber`, the header, then the lines.

        Args:
            wanted: The order.
            in_doubt: An earlier attempt may have succeeded: look first, and write nothing if it did. One request more.

        Raises:
            Conflict: an order under this key differs from the one wanted; nothing was changed.
            Refused: X++ refused the order.
            UnknownOutcome: the request left and no answer came: `find_order` tells.
        """
        if self.numbers_automatically(wanted.company):
            return await self._create_numbered(wanted)
        if in_doubt and (found := await self.find_order(wanted.company, wanted.key)) is not None:
            return await self._complete(wanted, found)
        room = MAX_BATCH - 3
        lines = wanted.lines[:room]
        writes = (header_write(wanted, number=wanted.key), *line_writes(wanted, wanted.key, lines))
        header, found_lines, made = await self.odata.batch(
            [*_order_reads(wanted.company, wanted.key), ChangeSet(writes)]
        )
        if header.error is None:
            return await self._complete(wanted, await self._as_order(header, found_lines))
        if not isinstance(header.error, NotFound):
            raise header.error
        order = self._made(made)
        return order if len(lines) == len(wanted.lines) else await self._complete(wanted, order)

    async def confirm_order(self, company: str, order_number: str, *, release_reason: str = "") -> str:
        """Post the confirmation; its number.

        Args:
            company: Legal entity.
            order_number: SalesOrderNumber.
            release_reason: Not empty: a person released the order from its credit hold, and why.

        Raises:
            Refused: X++ refused, e.g. credit management holds the order (`credit_control` tells).
            UnknownOutcome: no answer came: the order's processing status tells.
        """
        posted = await self.post(
            "confirm",
            {
                "DataAreaId": company,
                "SalesOrderId": order_number,
                "ReleaseFromCreditHold": "Yes" if release_reason else "No",
                "ReleaseReason": release_reason,
            },
        )
        return posted.confirmation

    async def post(self, operation: str, request: Row) -> Posted:
        """Call the posting service: `confirm`, `packingSlip`, `invoice`, …; arguments under `_request`.

        Raises:
            Refused: the service answered `Success` = false, with Finance's infolog.
            UnknownOutcome: it failed without saying what it did.
        """
        path = f"{self._settings.posting_service}/{operation}"
        base = f"{self.odata.origin}/api/services/"
        answer = await self.odata.action(path, {"_request": request}, base=base)
        # Contracts in the field return a boolean, or the text of one.
        if str(answer.get("Success")).lower() not in ("true", "yes", "1"):
            message = str(answer.get("ErrorMessage") or answer.get("DebugMessage") or "refused without a reason")
            failure = Answer(
                System.FINANCE,
                write=True,
                status=200,
                message=message,
                infolog=infolog_of(message),
                service_failure=True,
                operation=f"POST {operation}",
            )
            raise failure.error()
        return self._read(Posted, answer)

    # --- inside: reads ---------------------------------------------------------------------------------------------

    def _pricing_reads(
        self, company: str, account: str, items: Sequence[str], currency: str, *, with_customer: bool = True
    ) -> list[tuple[str, Read]]:
        of = f"dataAreaId eq {exact_text(company)}"
        reads: list[tuple[str, Read]] = [("customer", _customer(company, account))] if with_customer else []
        distinct = sorted(set(items))
        for start in range(0, len(distinct), ITEMS_PER_READ):
            some = any_of("ItemNumber", distinct[start : start + ITEMS_PER_READ])
            reads.append(("products", _rows_of("ReleasedProductsV2", f"{of} and {some}", select=_PRODUCT_COLUMNS)))
            reads.append(
                (
                    "agreements",
                    _rows_of(
                        "SalesPriceAgreements", f"{of} and PriceCurrencyCode eq {exact_text(currency)} and {some}"
                    ),
                )
            )
        reads.append(("terms", _rows_of("PaymentTerms", of)))
        return reads

    def _credit_reads(self, company: str, account: str, order_number: str | None) -> list[tuple[str, Read]]:
        of = f"dataAreaId eq {exact_text(company)} and "
        open_status = " or ".join(
            f"SalesOrderStatus eq {FinanceEnum('SalesStatus', symbol)}" for symbol in ("Backorder", "Delivered")
        )
        reads = [
            ("customer", _customer(company, account)),
            (
                "orders",
                _rows_of(
                    "SalesOrderHeadersV2",
                    f"{of}InvoiceCustomerAccountNumber eq {exact_text(account)} and ({open_status})",
                    expand="SalesOrderLines",
                ),
            ),
            _open_transactions(company, account),
        ]
        return reads + ([("own order", Read(_order_key(company, order_number)))] if order_number else [])

    async def _reads(self, named: Sequence[tuple[str, Read]]) -> dict[str, list[BatchAnswer]]:
        """Send named reads in one batch; parts by name, several where a name was given several times."""
        answers = await self.odata.batch([read for _, read in named])
        by_name: dict[str, list[BatchAnswer]] = {}
        for (name, _), answer in zip(named, answers, strict=True):
            by_name.setdefault(name, []).append(answer)
        return by_name

    async def _rows(self, parts: Sequence[BatchAnswer]) -> list[Row]:
        """All rows of collections of a batch; a collection longer than a page costs a request a page."""
        rows: list[Row] = []
        for part in parts:
            rows += part.rows()
            link = part.value().get("@odata.nextLink")
            if isinstance(link, str):
                rows += await self.odata.all_rows(link)
        return rows

    async def _pricing(self, answers: dict[str, list[BatchAnswer]]) -> Pricing:
        products = [self._read(ReleasedProduct, row) for row in await self._rows(answers.get("products", []))]
        terms = [self._read(PaymentTerm, row) for row in await self._rows(answers["terms"])]
        agreements = await self._rows(answers.get("agreements", []))
        return Pricing(
            customer=self._row(Customer, answers["customer"][0]),
            products={product.item: product for product in products},
            agreements=tuple(self._read(PriceAgreement, row) for row in agreements),
            payment_terms={term.name: term for term in terms},
        )

    async def _less_invoiced(
        self, company: str, account: str, orders: list[OpenOrder]
    ) -> tuple[list[OpenOrder], list[BatchAnswer]]:
        """The orders with what is invoiced of each, and the open transactions read after those invoices.

        An invoice that is posted meanwhile is then counted among the open transactions, or in its order, or in both:
        never in neither. The answers are empty where no order can be invoiced in part, and nothing had to be read.
        """
        partly = [order.number for order in orders if order.processing in MAY_BE_PARTLY_INVOICED]
        if not partly:
            return orders, []
        reads = self._chunks(company, "SalesInvoiceHeadersV4", "SalesOrderNumber", partly)
        answers = await self._reads([*reads, _open_transactions(company, account)])
        totals: dict[str, Any] = {}
        for row in await self._rows(answers["rows"]):
            invoice = self._read(PostedInvoice, row)
            totals[invoice.order_number] = totals.get(invoice.order_number, 0) + invoice.total
        less = [order.model_copy(update={"invoiced": totals.get(order.number, order.invoiced)}) for order in orders]
        return less, answers["opens"]

    async def _orders_of_invoices(self, company: str, numbers: list[str]) -> dict[str, str]:
        rows = await self._chunked(company, "SalesInvoiceHeadersV4", "InvoiceNumber", numbers)
        return {invoice.number: invoice.order_number for invoice in (self._read(PostedInvoice, row) for row in rows)}

    async def _chunked(self, company: str, entity_set: str, column: str, values: list[str]) -> list[Row]:
        """Rows whose column is one of many values, in one batch."""
        return await self._rows((await self._reads(self._chunks(company, entity_set, column, values)))["rows"])

    def _chunks(self, company: str, entity_set: str, column: str, values: list[str]) -> list[tuple[str, Read]]:
        of = f"dataAreaId eq {exact_text(company)} and "
        return [
            ("rows", _rows_of(entity_set, of + any_of(column, values[start : start + ITEMS_PER_READ])))
            for start in range(0, len(values), ITEMS_PER_READ)
        ]

    # --- inside: orders --------------------------------------------------------------------------------------------

    async def _order(self, company: str, number: str) -> FinanceOrder | None:
        header, lines = await self.odata.batch(_order_reads(company, number))
        return None if isinstance(header.error, NotFound) else await self._as_order(header, lines)

    async def _as_order(self, header: BatchAnswer, lines: BatchAnswer) -> FinanceOrder:
        return FinanceOrder(
            header=self._read(OrderHeader, header.value()),
            lines=tuple(self._read(OrderLine, row) for row in await self._rows([lines])),
            found=True,
        )

    def _made(self, answer: BatchAnswer) -> FinanceOrder:
        """The order from the rows a change set returned: header first, then lines."""
        header, *lines = answer.check()
        return FinanceOrder(
            header=self._read(OrderHeader, header.value()),
            lines=tuple(self._read(OrderLine, line.value()) for line in lines),
        )

    async def _number_of(self, company: str, order_key: str) -> str | None:
        path = query(
            "SalesOrderHeadersV4",
            cross_company="true",
            filter=f"dataAreaId eq {exact_text(company)} and CustomerRequisitionNumber eq {exact_text(order_key)}",
            select="SalesOrderNumber",
        )
        numbers = [str(row["SalesOrderNumber"]) for row in await self.odata.all_rows(path)]
        if len(numbers) > 1:
            raise Conflict(
                f"{len(numbers)} orders carry {order_key}: {', '.join(numbers)}",
                system=System.FINANCE,
                code="DUPLICATE_ORDER",
                operation="GET SalesOrderHeadersV4",
            )
        return numbers[0] if numbers else None

    async def _create_numbered(self, wanted: NewOrder) -> FinanceOrder:
        """Create where Finance numbers: search, header, lines; each step can be repeated."""
        found = await self.find_order(wanted.company, wanted.key)
        if found is None:
            header = header_write(wanted, number=None)
            written = await self.odata.post(header.path, header.body, representation=True)
            found = FinanceOrder(header=self._read(OrderHeader, written.row), lines=())
        return await self._complete(wanted, found)

    async def _complete(self, wanted: NewOrder, found: FinanceOrder) -> FinanceOrder:
        """Add the lines an order lacks, if nothing else is wrong with it."""
        difference = compare(wanted, found)
        if difference.conflicts:
            raise Conflict(
                f"order {found.header.number} is not the one wanted: " + "; ".join(difference.conflicts),
                system=System.FINANCE,
                code="ORDER_DIFFERS",
                operation="POST SalesOrderHeadersV4",
            )
        lines = list(found.lines)
        for start in range(0, len(difference.missing), MAX_BATCH):
            lines += await self._add_lines(wanted, found.header.number, difference.missing[start : start + MAX_BATCH])
        return found.model_copy(update={"lines": tuple(lines)})

    async def _add_lines(self, wanted: NewOrder, number: str, lines: Sequence[NewOrderLine]) -> list[OrderLine]:
        items: list[BatchItem] = [ChangeSet(tuple(line_writes(wanted, number, lines)))]
        made = (await self.odata.batch(items))[0]
        return [self._read(OrderLine, part.value()) for part in made.check()]

    def _row(self, kind: type[R], part: BatchAnswer) -> R | None:
        """The row a key read found, or None where there is none."""
        return None if isinstance(part.error, NotFound) else self._read(kind, part.value())

    def _readable(self, kind: type[R], rows: list[Row], unreadable: list[str]) -> tuple[R, ...]:
        """The rows that are as expected; why the others are not is added to `unreadable`."""
        read: list[R] = []
        for row in rows:
            try:
                read.append(self._read(kind, row))
            except Refused as refusal:
                unreadable.append(str(refusal))
        return tuple(read)

    @staticmethod
    def _read(kind: type[R], row: Any) -> R:
        return kind.read(row, system=System.FINANCE, operation=kind.__name__)


_PRODUCT_COLUMNS = (
    "ItemNumber,SalesUnitSymbol,SalesPrice,SalesPriceQuantity,UnitCost,UnitCostQuantity,ProductLifecycleStateId,"
    "SalesOverdeliveryPercentage"
)
_CUSTOMER_COLUMNS = (
    "dataAreaId,CustomerAccount,OrganizationName,CustomerGroupId,SalesCurrencyCode,InvoiceAccount,PaymentTerms,"
    "DiscountPriceGroupId,CreditLimit,CredManCustUnlimitedCredit,CredManCreditLimitExpiryDate,OnHoldStatus,"
    "CredManExclude,CredManAccountStatusId,CredManGroupId"
)


def _rows_of(entity_set: str, filter_: str, *, select: str | None = None, expand: str | None = None) -> Read:
    return Read(query(entity_set, cross_company="true", filter=filter_, select=select, expand=expand))


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _open_transactions(company: str, account: str) -> tuple[str, Read]:
    filter_ = f"dataAreaId eq {exact_text(company)} and AccountNum eq {exact_text(account)}"
    return "opens", _rows_of("CustTransOpens", filter_)


def _customer(company: str, account: str) -> Read:
    path = key("CustomersV3", dataAreaId=company, CustomerAccount=account)
    return Read(query(path, cross_company="true", select=_CUSTOMER_COLUMNS))


def _order_key(company: str, number: str) -> str:
    return query(key("SalesOrderHeadersV4", dataAreaId=company, SalesOrderNumber=number), cross_company="true")


def _order_reads(company: str, number: str) -> list[BatchItem]:
    of = f"dataAreaId eq {exact_text(company)} and SalesOrderNumber eq {exact_text(number)}"
    return [Read(_order_key(company, number)), _rows_of("SalesOrderLinesV3", of)]
