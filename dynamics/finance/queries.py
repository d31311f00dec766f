"""What is asked of Finance: sets, columns, filters and keys.

Every read asks for `cross-company=true`: without it Finance silently shows only the company the application's user
belongs to. Strings are compared without regard to case, and a `*` in a compared string matches anything, so rows read
by a filter on a text are compared again by whoever asked (`same_text`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from dynamics.core.connection import Listing
from dynamics.core.literals import FinanceEnum, any_of, key, literal, query

VALUES_PER_FILTER = 15
"""Values compared in one filter: Finance knows no `in`, and takes a hundred nodes. A value needs five of them; the rest
is for what else a filter asks."""

_KEYS = {
    "CustTransOpens": ("SysRecId",),
    "CustomerCreditGroupLines": ("Company", "CustAccount"),
    "CustTransBiEntities": ("SourceKey",),
    "CustTransactions": ("SysRecId",),
    "CustInvoiceJourBiEntities": ("SourceKey",),
    "CustSettlementBiEntities": ("SourceKey",),
    "CustomerPaymentJournalHeaders": ("JournalBatchNumber",),
    "CustomerPaymentJournalLines": ("JournalBatchNumber", "LineNumber"),
    "CustInvoiceTransBiEntities": ("InvoiceId", "InvoiceDate", "LineCreationSequenceNumber"),
    "CustPackingSlipJourBiEntities": ("SourceDocumentHeader",),
    "CustPackingSlipTransBiEntities": ("SourceDocumentLine",),
    "ExchangeRates": ("FromCurrency", "ToCurrency", "StartDate"),
    "PaymentTerms": ("Name",),
    "ProductDefaultOrderSettings": ("ItemNumber",),
    "ReleasedProductsV2": ("ItemNumber",),
    "ReturnOrderLinesV2": ("ReturnOrderNumber", "ReturnInventoryLotId"),
    "SalesInvoiceHeadersV4": ("InvoiceNumber", "InvoiceDate", "LedgerVoucher"),
    "SalesLineBiEntities": ("SalesId", "LineCreationSequenceNumber"),
    "SalesOrderHeadersV2": ("SalesOrderNumber",),
    "SalesOrderHeadersV4": ("SalesOrderNumber",),
    "SalesOrderLinesV3": ("InventoryLotId",),
    "SalesPriceAgreements": ("RecordId",),
    "SalesTableBiEntities": ("SalesId",),
    "TemporaryCreditLimits": ("CustAccount", "CustAccountDataArea", "CreditLimitId", "FromDate", "ToDate"),
    "TaxCodeValuesV2": ("TaxCodeId", "FromDate", "ToDate", "MinimumLimit", "MaximumLimit"),
    "TaxCodes": ("TaxCode",),
    "TaxGroupDatas": ("TaxGroupId", "TaxCodeId"),
    "TaxItemGroups": ("TaxItemGroupCode", "TaxCodeId"),
}
"""What tells the rows of a set apart within a company (Finance pages without a snapshot: a row may come twice)."""

ENTITY_SETS = frozenset({*_KEYS, "CustomersV3", "Ledgers"}) - {"CustomerCreditGroupLines"}
"""Sets this product reads or writes: an environment that lacks one cannot serve it. Without credit
groups it can: then no customer shares a limit."""

ACTIVATIONS = query(
    "BusinessEventsConfigurations", cross_company="true", select="BusinessEventsTable,LegalEntity,Disabled"
)
"""Which business events were activated for which legal entity. Not one of `ENTITY_SETS`: only `q2c doctor` asks."""

_PRODUCT_COLUMNS = (
    "ItemNumber,SalesUnitSymbol,SalesPrice,SalesPriceQuantity,UnitCost,UnitCostQuantity,ProductLifecycleStateId,"
    "SalesOverdeliveryPercentage,SalesSalesTaxItemGroupCode,ProductGroupId"
)
_CUSTOMER_COLUMNS = (
    "dataAreaId,CustomerAccount,OrganizationName,CustomerGroupId,SalesCurrencyCode,InvoiceAccount,PaymentTerms,"
    "PaymentCashDiscount,DiscountPriceGroupId,CreditLimit,CredManCustUnlimitedCredit,CredManCreditLimitExpiryDate,OnHoldStatus,"
    "CredManExclude,CredManAccountStatusId,CredManGroupId,SalesTaxGroup,"
    "IsSalesTaxIncludedInPrices"
)
_OPEN_STATUSES = " or ".join(
    f"SalesOrderStatus eq {FinanceEnum('SalesStatus', symbol)}" for symbol in ("Backorder", "Delivered")
)


def same_text(one: str, other: str) -> bool:
    """Whether Finance takes two texts for one."""
    return one.casefold() == other.casefold()


def listing(
    entity_set: str, condition: str, *, select: str | None = None, expand: str | None = None, **more: str | int
) -> Listing:
    """A collection of a set by a filter."""
    path = query(entity_set, cross_company="true", filter=condition, select=select, expand=expand, **more)
    return Listing(path, _KEYS[entity_set])


def of_company(company: str) -> str:
    """The filter every set of a company begins with."""
    return f"dataAreaId eq {literal(company)}"


def valued(
    entity_set: str,
    company: str,
    column: str,
    values: Iterable[str] | Iterable[int],
    *,
    select: str | None = None,
    expand: str | None = None,
) -> list[Listing]:
    """Rows of a company whose column is one of many values, so many to a filter as Finance takes."""
    distinct = sorted({*values}, key=str)
    return [
        listing(
            entity_set,
            f"{of_company(company)} and {any_of(column, distinct[start : start + VALUES_PER_FILTER])}",
            select=select,
            expand=expand,
        )
        for start in range(0, len(distinct), VALUES_PER_FILTER)
    ]


def customer(company: str, account: str) -> str:
    """A customer by its key."""
    path = key("CustomersV3", dataAreaId=company, CustomerAccount=account)
    return query(path, cross_company="true", select=_CUSTOMER_COLUMNS)


def membership(company: str, account: str) -> str:
    """A customer's place in a credit group, by its key: a customer is in one group at most."""
    return query(key("CustomerCreditGroupLines", Company=company, CustAccount=account), cross_company="true")


def temporary_limits(company: str, account: str) -> Listing:
    """Limits of a customer that hold for some days only; the set has no company of its own."""
    whose = f"CustAccountDataArea eq {literal(company)} and CustAccount eq {literal(account)}"
    return listing("TemporaryCreditLimits", whose)


def temporary_group_limits(group: str) -> Listing:
    """The same of a customer credit group."""
    return listing("TemporaryCreditLimits", f"CreditLimitId eq {literal(group)}")


def ledger(company: str) -> str:
    """The ledger of a legal entity by its key; `Ledgers` has no company of its own."""
    path = key("Ledgers", LegalEntityId=company)
    return query(path, cross_company="true", select="LegalEntityId,AccountingCurrency,ExchangeRateType")


def order(company: str, number: str) -> str:
    """An order by its key."""
    return query(key("SalesOrderHeadersV4", dataAreaId=company, SalesOrderNumber=number), cross_company="true")


def orders_marked(company: str, column: str, mark: str) -> Listing:
    """Orders of a company that carry a mark in a column, without their lines."""
    return listing("SalesOrderHeadersV4", f"{of_company(company)} and {column} eq {literal(mark)}")


def order_lines(company: str, number: str) -> Listing:
    """All lines of an order."""
    return listing("SalesOrderLinesV3", f"{of_company(company)} and SalesOrderNumber eq {literal(number)}")


_REST_COLUMNS = (
    "SalesId,LineCreationSequenceNumber,InventTransId,InventTransIdReturn,RemainSalesPhysical,RemainSalesFinancial,"
    "SysModifiedBy"
)


def line_rests(company: str, number: str) -> Listing:
    """What is left of each line of an order, and who changed it last; the set that lines are written in does not
    tell.
    """
    return listing(
        "SalesLineBiEntities", f"{of_company(company)} and SalesId eq {literal(number)}", select=_REST_COLUMNS
    )


_RETURN_COLUMNS = "ReturnOrderNumber,ReturnInventoryLotId,ReturningInventoryLotId,ReferenceNumber"


def returned_lines(company: str, number: str) -> Listing:
    """Lines of return orders over goods of an order.

    A return order has a number, and its lines have lots, of their own: they name what was sold by ``ReferenceNumber``
    (the sales order) and ``ReturningInventoryLotId`` (the lot of its line).
    """
    condition = f"{of_company(company)} and ReferenceNumber eq {literal(number)}"
    return listing("ReturnOrderLinesV2", condition, select=_RETURN_COLUMNS)


def lines_of_returns(company: str, returns: Iterable[str]) -> list[Listing]:
    """Lines of return orders by the numbers of these."""
    return valued("ReturnOrderLinesV2", company, "ReturnOrderNumber", returns, select=_RETURN_COLUMNS)


_SETTLEMENT_COLUMNS = "SourceKey,TransRecId,OffsetRecid,TransType,SettleAmountCur"


def settlements(company: str, transactions: Iterable[int]) -> list[Listing]:
    """What customer transactions were settled against: the other side of each settlement."""
    return valued("CustSettlementBiEntities", company, "OffsetRecid", transactions, select=_SETTLEMENT_COLUMNS)


def transactions(company: str, records: Iterable[int]) -> list[Listing]:
    """Customer transactions by their record."""
    return valued("CustTransactions", company, "SysRecId", records)


def changed_while_open(company: str, since: date) -> Listing:
    """Customer transactions that are open and were changed on a day or later: new ones, ones that were paid in part,
    and ones that were settled and are open again, whose settlement leaves no other date (`clearLastSettlement`).

    `Closed` is never empty: what is not closed was closed on 1 January 1900.
    """
    condition = f"{of_company(company)} and Closed le 1900-01-02T00:00:00Z and SysModifiedDateTime ge "
    columns = "SourceKey,AccountNum,Invoice,SysModifiedDateTime"
    return listing("CustTransBiEntities", f"{condition}{since.isoformat()}T00:00:00Z", select=columns)


def payments(company: str, numbers: Iterable[str]) -> list[Listing]:
    """Payments, and their reversals, by payment id."""
    return valued("CustTransactions", company, "PaymId", numbers)


def deposits(company: str, order_number: str) -> Listing:
    """Payments that name an order: who enters a prepayment writes the order's number into its payment reference, by
    which Finance proposes it for the order ("Settle open transactions").
    """
    return listing("CustTransactions", f"{of_company(company)} and PaymReference eq {literal(order_number)}")


def prepayments(company: str, since: date) -> Listing:
    """Prepayments posted on a day or later."""
    prepaid = f"Prepayment eq {FinanceEnum('NoYes', 'Yes')}"
    return listing(
        "CustTransactions", f"{of_company(company)} and {prepaid} and TransDate ge {since.isoformat()}T00:00:00Z"
    )


def journals_described(company: str, description: str) -> Listing:
    """Customer payment journals of a description."""
    return listing("CustomerPaymentJournalHeaders", f"{of_company(company)} and Description eq {literal(description)}")


def journal_lines(company: str, account: str, text: str) -> Listing:
    """Lines of customer payment journals of an account with a transaction text."""
    condition = f"{of_company(company)} and AccountDisplayValue eq {literal(account)} and TransactionText eq "
    return listing("CustomerPaymentJournalLines", f"{condition}{literal(text)}")


def journal(company: str, number: str) -> str:
    """A customer payment journal by its key."""
    path = key("CustomerPaymentJournalHeaders", dataAreaId=company, JournalBatchNumber=number)
    return query(path, cross_company="true")


_ORIGIN_COLUMNS = "InvoiceId,InvoiceDate,LineCreationSequenceNumber,SalesId,InventTransId"


def invoice_origins(company: str, orders: Iterable[str]) -> list[Listing]:
    """Which lot each invoice line of some orders bills, also on invoices over several orders, which name no order."""
    return valued("CustInvoiceTransBiEntities", company, "SalesId", orders, select=_ORIGIN_COLUMNS)


def orders_of_invoices(company: str, invoices: Iterable[str]) -> list[Listing]:
    """Which orders are on invoices that name none: those over several; a free-text invoice has no such lines."""
    return valued("CustInvoiceTransBiEntities", company, "InvoiceId", invoices, select=_ORIGIN_COLUMNS)


_MARK_COLUMNS = "SourceKey,InvoiceId,SalesId,IsCorrection"


def invoice_marks(company: str, orders: Iterable[str]) -> list[Listing]:
    """Which documents of some orders take an invoice back as if it had not been posted."""
    return valued("CustInvoiceJourBiEntities", company, "SalesId", orders, select=_MARK_COLUMNS)


_HOLD_COLUMNS = "SalesId,CredManId,CredManInCreditControl,CredManReleasedFromCreditControl,SysModifiedBy"


def credit_hold(company: str, number: str) -> str:
    """Where an order stands with credit management, and who changed it last, by its key; the sets orders are written
    in do not tell.
    """
    path = key("SalesTableBiEntities", dataAreaId=company, SalesId=number)
    return query(path, cross_company="true", select=_HOLD_COLUMNS)


def cancelled_orders(company: str, since: date) -> Listing:
    """Orders that are cancelled, changed last on a day or later."""
    cancelled = f"SalesStatus eq {FinanceEnum('SalesStatus', 'Canceled')}"
    condition = f"{of_company(company)} and {cancelled} and SysModifiedDateTime ge {since.isoformat()}T00:00:00Z"
    return listing("SalesTableBiEntities", condition, select="SalesId,CustAccount,SysModifiedDateTime")


def credit_holds(company: str) -> Listing:
    """All orders of a company that credit management holds."""
    held = f"CredManInCreditControl eq {FinanceEnum('NoYes', 'Yes')}"
    return listing("SalesTableBiEntities", f"{of_company(company)} and {held}", select=_HOLD_COLUMNS)


def open_orders(company: str, account: str) -> Listing:
    """Orders a customer will be billed for that are not wholly invoiced, with their lines."""
    billed = f"InvoiceCustomerAccountNumber eq {literal(account)}"
    return listing(
        "SalesOrderHeadersV2", f"{of_company(company)} and {billed} and ({_OPEN_STATUSES})", expand="SalesOrderLines"
    )


def open_transactions(company: str, account: str) -> Listing:
    """What is open of a customer's account: the account that is billed."""
    return listing("CustTransOpens", f"{of_company(company)} and AccountNum eq {literal(account)}")


def rates(rate_type: str, source: str, target: str, day: date) -> Listing:
    """The newest rate of a pair that begins on the day or before."""
    condition = (
        f"RateTypeName eq {literal(rate_type)} and FromCurrency eq {literal(source)} and "
        f"ToCurrency eq {literal(target)} and StartDate le {day.isoformat()}T23:59:59Z"
    )
    return listing("ExchangeRates", condition, orderby="StartDate desc", top=1)


def prices(company: str, items: Sequence[str]) -> dict[str, list[Listing]]:
    """Items with their price agreements in every currency, whether they are stopped, and the payment terms."""
    return {
        "products": valued("ReleasedProductsV2", company, "ItemNumber", items, select=_PRODUCT_COLUMNS),
        "agreements": valued("SalesPriceAgreements", company, "ItemNumber", items),
        "settings": valued(
            "ProductDefaultOrderSettings",
            company,
            "ItemNumber",
            items,
            select="ItemNumber,IsSalesProcessingStopped",
        ),
        "terms": [listing("PaymentTerms", of_company(company))],
    }
