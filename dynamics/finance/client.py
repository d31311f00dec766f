"""Dynamics 365 Finance as this product reads it: one batch for all that a stage must know, and the postings.

Orders are made by `dynamics.finance.ordering`. Posting (confirmation and the rest) has no standard OData action; it
goes through a custom service of the tenant's X++ developer, whose contract docs/ describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from domain.exchange import Exchange
from dynamics.core.auth import Credentials, TokenSource
from dynamics.core.budget import Budget
from dynamics.core.circuit import Circuit
from dynamics.core.connection import Connection, Listing, Reading
from dynamics.core.errors import Answer, NotFound, System, infolog_of
from dynamics.core.odata import Row
from dynamics.core.transport import Endpoint
from dynamics.finance import queries
from dynamics.finance.credit_limits import GroupLine, TemporaryLimit
from dynamics.finance.customers import Customers
from dynamics.finance.documents import Documents
from dynamics.finance.ordering import Ordering
from dynamics.finance.queries import same_text, valued
from dynamics.finance.records import (
    BillingRead,
    CreditHold,
    CreditRead,
    Customer,
    Ledger,
    LineRest,
    OpenOrder,
    OpenTransaction,
    OrderHeader,
    OrderMarks,
    OrderSettings,
    PaymentTerm,
    Posted,
    PriceAgreement,
    Pricing,
    ProcessingStatus,
    RateRow,
    ReleasedProduct,
)
from dynamics.finance.settlements import NOTHING_KNOWN, Known
from dynamics.finance.swept import Sweep
from dynamics.finance.taxes import Taxes

MAX_BATCH = 5000
"""Operations in one batch (Microsoft Learn: "Service protection API limits" of finance and operations)."""

_MARK_COLUMNS = "SalesOrderNumber,CustomerRequisitionNumber,CustomersOrderReference"

_LEFT_COLUMNS = "SalesId,LineCreationSequenceNumber,InventTransId,RemainSalesPhysical,RemainSalesFinancial"

DEFAULT_RATE_TYPE = "Default"
"""The exchange rate type a ledger uses that names none."""


@dataclass(frozen=True, slots=True)
class FinanceSettings:
    """Which Finance, as which application, and how its companies number orders."""

    endpoint: Endpoint
    credentials: Credentials
    manual_numbers: frozenset[str] = frozenset()
    """Companies (lower case) whose number sequence of sales orders is manual: they take our key as the number. In all
    others Finance numbers, and our key is the customer requisition number."""
    posting_service: str = "Q2CServiceGroup/Q2CPostingService"
    """Service group and service of the tenant's posting service."""


class Finance(Connection):
    """Operations on Dynamics 365 Finance. Use as an async context manager, or call `aclose`."""

    system = System.FINANCE
    service_path = "data"
    max_batch = MAX_BATCH
    trial = "LegalEntities?$select=LegalEntityId&$top=1"

    def __init__(
        self,
        settings: FinanceSettings,
        *,
        tokens: TokenSource | None = None,
        budget: Budget | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            settings: Where, who and how numbered.
            tokens: Another source of tokens than the client's secret.
            budget: How many requests a second this process may send; None: without limit.
            circuit: The way to the system; None: one of its own.
        """
        super().__init__(settings.endpoint, settings.credentials, tokens=tokens, budget=budget, circuit=circuit)
        self._settings = settings
        self._taxes = Taxes(self)
        self.customers = Customers(self)
        self.documents = Documents(self)
        self.orders = Ordering(self, manual_numbers=settings.manual_numbers)

    async def entity_sets(self) -> frozenset[str]:
        """Names of the entity sets the environment publishes."""
        return frozenset(str(row["name"]) for row in await self.odata.all_rows(""))

    async def active_events(self) -> Mapping[str, frozenset[str]]:
        """Business events that are active: class name → legal entities, lower case; an empty one is every company.

        The set is Finance's own data entity, whose columns are known from tenants' metadata alone.

        Raises:
            NotFound: The environment does not publish it.
            Refused: The application may not read it.
        """
        found: dict[str, set[str]] = {}
        for row in await self.odata.all_rows(queries.ACTIVATIONS):
            if row["Disabled"] != "Yes":
                found.setdefault(str(row["BusinessEventsTable"]), set()).add(str(row["LegalEntity"]).lower())
        return {event: frozenset(companies) for event, companies in found.items()}

    # --- prices and credit -----------------------------------------------------------------------------------------

    async def read_pricing(
        self, company: str, account: str, items: Sequence[str], currency: str, *, today: date
    ) -> Pricing:
        """Customer, items, price agreements and payment terms, in one batch.

        Args:
            company: Legal entity, lower case.
            account: Customer account; one Finance does not know gives `customer` None.
            items: Item numbers, in any case; those not released in the company are missing from `products`.
            currency: ISO code of the quote. One request more where it is not the company's accounting currency; two
                where the customer's prices include sales tax that was not read lately.
            today: The day in the company's calendar, for exchange rates and tax.

        Raises:
            NotFound: Finance has no such legal entity.
        """
        reading = await self.read(
            {"customer": queries.customer(company, account), "ledger": queries.ledger(company)},
            queries.prices(company, items),
        )
        exchange = await self.exchange(company, reading, today, [currency])
        pricing = _pricing(reading, items, exchange)
        includes = pricing.customer is not None and pricing.customer.prices_include_tax
        return await self._taxed(company, pricing, today) if includes else pricing

    async def read_credit(
        self,
        company: str,
        account: str,
        *,
        today: date,
        currency: str,
        order_key: str | None = None,
        items: Sequence[str] | None = None,
        rate_type: str = "",
        shared: bool = False,
    ) -> CreditRead:
        """All that the credit rule needs, fresh, in one batch; with `items` the prices as well.

        Credit is that of the account that is billed. Where the customer has another invoice account, its limit, open
        orders and open transactions are read in a second request; a third one where there are confirmed orders (what is
        neither invoiced nor cancelled of their lines is in another set); one more where something is in another
        currency than the company's; and two with `items` where their sales tax was not read lately.

        Args:
            company: Legal entity, lower case.
            account: Customer account, in any case.
            today: The day in the company's calendar, for exchange rates.
            currency: ISO code of the quote.
            order_key: Our key of the order: whether it exists already. None: it was not begun.
            items: Item numbers to price; None reads no prices.
            rate_type: Exchange rate type for credit; empty: the ledger's own.
            shared: Whether the payer's place in a credit group is read as well.

        Raises:
            NotFound: Finance has no such legal entity.
        """
        read_at = datetime.now(UTC)
        one = {"customer": queries.customer(company, account), "ledger": queries.ledger(company)}
        own = {"own order": [self.orders.by_key(company, order_key)]} if order_key else {}
        prices = {} if items is None else queries.prices(company, items)
        reading = await self.read(one | _place(company, account, shared), _exposure(company, account) | own | prices)
        customer = reading.one(Customer, "customer")
        payer, exposure = customer, reading
        if customer and customer.invoice_account and not same_text(customer.invoice_account, account):
            account = customer.invoice_account
            payers = {"payer": queries.customer(company, account)} | _place(company, account, shared)
            exposure = await self.read(payers, _exposure(company, account))
            payer = exposure.one(Customer, "payer")
        orders, opens = await self._exposed(company, account, exposure)
        foreign = [currency, *(order.currency for order in orders)]
        exchange = await self.exchange(company, reading, today, foreign, rate_type=rate_type)
        pricing = None if items is None else await self._taxed(company, _pricing(reading, items, exchange), today)
        return CreditRead(
            read_at=read_at,
            exchange=exchange,
            customer=customer,
            payer=payer,
            open_transactions=opens,
            open_orders=orders,
            own_order=next(iter(reading.all(OrderHeader, "own order")), None) if order_key else None,
            pricing=pricing,
            member=exposure.one(GroupLine, "member") if shared else None,
            temporary=_temporary(exposure, company, account),
        )

    async def _taxed(self, company: str, pricing: Pricing, today: date) -> Pricing:
        """Prices with the sales tax of their items for their customer."""
        group = pricing.customer.tax_group if pricing.customer else ""
        groups = {item: product.tax_group for item, product in pricing.products.items()}
        return pricing.model_copy(update={"tax": await self._taxes.of(company, group, groups, today)})

    async def _exposed(
        self, company: str, account: str, reading: Reading
    ) -> tuple[tuple[OpenOrder, ...], tuple[OpenTransaction, ...]]:
        """Open orders with what is left of each, and the open transactions read after that.

        An invoice that is posted meanwhile is then counted among the open transactions, or in its order, or in both:
        never in neither.
        """
        orders = tuple(o for o in reading.all(OpenOrder, "orders") if same_text(o.invoice_account, account))
        opens = {"opens": [queries.open_transactions(company, account)]}
        found, later = await self.with_rests(company, {account: orders}, opens)
        opened = (later or reading).all(OpenTransaction, "opens")
        return found[account], tuple(t for t in opened if same_text(t.account, account))

    async def with_rests(
        self,
        company: str,
        orders: Mapping[str, tuple[OpenOrder, ...]],
        opens: Mapping[str, Sequence[Listing]],
    ) -> tuple[dict[str, tuple[OpenOrder, ...]], Reading | None]:
        """Orders of accounts with what is left of each, and what was read with it; None where no order counts."""
        every = [order for own in orders.values() for order in own]
        counted = [order.number for order in every if order.processing is not ProcessingStatus.ACTIVE]
        if not counted:
            return dict(orders), None
        rests = valued("SalesLineBiEntities", company, "SalesId", counted, select=_LEFT_COLUMNS)
        reading = await self.read(collections={"left": rests, **opens})
        left: dict[str, dict[str, Decimal]] = {}
        for rest in reading.all(LineRest, "left"):
            left.setdefault(rest.order_number.casefold(), {})[rest.lot] = rest.to_deliver + rest.to_invoice
        found = {
            account: tuple(o.model_copy(update={"left": left.get(o.number.casefold(), {})}) for o in own)
            for account, own in orders.items()
        }
        return found, reading

    async def exchange(
        self, company: str, reading: Reading, today: date, currencies: Iterable[str], *, rate_type: str = ""
    ) -> Exchange:
        """The company's currency, and the rates of the currencies that are not it; a request only where there are."""
        ledger = reading.one(Ledger, "ledger")
        if ledger is None:
            raise NotFound(
                f"Finance has no ledger of legal entity {company}", system=self.system, operation="GET Ledgers"
            )
        home = ledger.accounting_currency
        kind = rate_type or ledger.exchange_rate_type or DEFAULT_RATE_TYPE
        pairs = [pair for c in sorted(set(currencies) - {home, ""}) for pair in ((c, home), (home, c))]
        rates: tuple[RateRow, ...] = ()
        if pairs:
            asked = [queries.rates(kind, source, target, today) for source, target in pairs]
            rates = (await self.read(collections={"rates": asked})).all(RateRow, "rates")
        return Exchange(
            company=company,
            accounting_currency=home,
            rate_type=kind,
            day=today,
            rates=tuple(rate.exchange_rate for rate in rates),
        )

    # --- what was posted -------------------------------------------------------------------------------------------

    async def read_billing(self, company: str, order_number: str, known: Known = NOTHING_KNOWN) -> BillingRead:
        """An order as it is now, with all that was posted on it (`Documents.of_order`).

        Raises:
            NotFound: no such order.
        """
        return await self.documents.of_order(company, order_number, known)

    async def sweep(
        self, company: str, *, slips: date, invoices: date, settled: date, cancelled: date | None = None
    ) -> Sweep:
        """What is new in a company (`Documents.sweep`); orders cancelled since the day of slips unless said."""
        return await self.documents.sweep(
            company, slips=slips, invoices=invoices, settled=settled, cancelled=cancelled or slips
        )

    async def order_marks(self, company: str, numbers: Iterable[str]) -> dict[str, OrderMarks]:
        """What orders say of whose they are, by the order numbers asked for; unknown orders are left out."""
        wanted = set(numbers)
        reading = await self.read(
            collections={
                "orders": valued("SalesOrderHeadersV4", company, "SalesOrderNumber", wanted, select=_MARK_COLUMNS)
            }
        )
        marks = {
            str(row["SalesOrderNumber"]).casefold(): OrderMarks(
                str(row["CustomerRequisitionNumber"]), str(row["CustomersOrderReference"] or "")
            )
            for row in reading.rows("orders")
        }
        return {number: marks[number.casefold()] for number in wanted if number.casefold() in marks}

    # --- postings --------------------------------------------------------------------------------------------------

    async def confirm_order(self, company: str, order_number: str, *, release_reason: str = "") -> str:
        """Post the confirmation; its number.

        Args:
            company: Legal entity.
            order_number: SalesOrderNumber.
            release_reason: Not empty: a person released the order from its credit hold, and why.

        Raises:
            Refused: X++ refused, e.g. credit management holds the order.
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

    async def cancel_remainder(
        self, company: str, order_number: str, lines: Mapping[int, Decimal] | None = None
    ) -> None:
        """Cancel what is left to deliver of an order: of some of its lines so much, or of all of them all.

        Args:
            company: Legal entity.
            order_number: SalesOrderNumber.
            lines: Quantity to cancel by `LineCreationSequenceNumber`; None: all that is left of every line.

        Raises:
            Refused: X++ refused, e.g. nothing is left, or goods are being picked.
            UnknownOutcome: no answer came: what is left of the lines tells.
        """
        request: Row = {"DataAreaId": company, "SalesOrderId": order_number}
        if lines is not None:
            request["Lines"] = [{"LineNumber": line, "Quantity": cut} for line, cut in lines.items()]
        await self.post("cancelRemainder", request)

    async def in_credit_hold(self, company: str, order_number: str) -> bool:
        """Whether credit management holds an order and nobody released it; an order that is not there is not held."""
        try:
            row = await self.odata.get(queries.credit_hold(company, order_number))
        except NotFound:
            return False
        return self.row(CreditHold, row).holds

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
        return self.row(Posted, answer)


def _temporary(reading: Reading, company: str, account: str) -> tuple[TemporaryLimit, ...]:
    """The temporary limits of an account; a `*` in its number may have brought others along."""
    found = reading.all(TemporaryLimit, "temporary")
    return tuple(t for t in found if same_text(t.company, company) and same_text(t.account, account) and not t.group)


def _exposure(company: str, account: str) -> dict[str, list[Listing]]:
    """Open orders, open transactions and temporary limits of an account."""
    return {
        "orders": [queries.open_orders(company, account)],
        "opens": [queries.open_transactions(company, account)],
        "temporary": [queries.temporary_limits(company, account)],
    }


def _place(company: str, account: str, shared: bool) -> dict[str, str]:
    """The payer's place in a credit group, where it is asked."""
    return {"member": queries.membership(company, account)} if shared else {}


def _pricing(reading: Reading, items: Iterable[str], exchange: Exchange) -> Pricing:
    """The prices of a reading; what a `*` in an item number brought along is left out."""
    asked = {item.casefold() for item in items}
    products = {p.item.casefold(): p for p in reading.all(ReleasedProduct, "products")}
    settings = reading.all(OrderSettings, "settings")
    return Pricing(
        customer=reading.one(Customer, "customer"),
        exchange=exchange,
        products={item: product for item, product in products.items() if item in asked},
        stopped=frozenset(setting.item.casefold() for setting in settings if setting.stopped),
        agreements=tuple(a for a in reading.all(PriceAgreement, "agreements") if a.item.casefold() in asked),
        payment_terms={term.name.casefold(): term for term in reading.all(PaymentTerm, "terms")},
    )
