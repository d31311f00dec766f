"""Which stored table each entity set is a view of, and under which other names it shows the stored columns.

Data only. As in the real system an entity set is not a table: four versions of the sales order header, the BI entity
over it and the composite views of an invoice read the same rows. Columns beginning with an underscore are the
sandbox's own and leave it only where a published column is mapped to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SALES_ORDERS: Final = "SalesOrders"
SALES_LINES: Final = "SalesOrderLines"
INVOICES: Final = "SalesInvoiceHeadersV4"
INVOICE_LINES: Final = "SalesInvoiceV4Lines"

TABLES: Final[Mapping[str, str]] = {
    "SalesOrderHeadersV4": SALES_ORDERS,
    "SalesOrderHeadersV3": SALES_ORDERS,
    "SalesOrderHeadersV2": SALES_ORDERS,
    "SalesTableBiEntities": SALES_ORDERS,
    "SalesOrderLinesV3": SALES_LINES,
    "SalesOrderLines": SALES_LINES,
    "SalesLineBiEntities": SALES_LINES,
    "SalesInvoiceHeadersV2": INVOICES,
    "CustInvoiceJourBiEntities": INVOICES,
    "SalesInvoiceV2Lines": INVOICE_LINES,
    "CustInvoiceTransBiEntities": INVOICE_LINES,
    "CustTransBiEntities": "CustTransactions",
    "CustTableBiEntities": "CustomersV3",
}
"""Entity set -> stored table, where they are not called the same."""

_SYSTEM: Final = {"SysDataAreaId": "dataAreaId", "SysRecVersion": "_version", "SourceKey": "_record"}
_MODIFIED: Final = {"SysModifiedDateTime": "_modified"}
_MODIFIER: Final = {"SysModifiedBy": "_modified_by"}

STORED_AS: Final[Mapping[str, Mapping[str, str]]] = {
    "SalesTableBiEntities": {
        **_SYSTEM,
        **_MODIFIED,
        **_MODIFIER,
        "SalesId": "SalesOrderNumber",
        "CustAccount": "OrderingCustomerAccountNumber",
        "InvoiceAccount": "InvoiceCustomerAccountNumber",
        "SalesName": "SalesOrderName",
        "SalesStatus": "SalesOrderStatus",
        "Payment": "PaymentTermsName",
        "PaymMode": "CustomerPaymentMethodName",
        "PaymentSched": "PaymentScheduleName",
        "CashDisc": "CashDiscountCode",
        "InventSiteId": "DefaultShippingSiteId",
        "InventLocationId": "DefaultShippingWarehouseId",
        "TaxGroup": "SalesTaxGroupCode",
        "InclTax": "ArePricesIncludingSalesTax",
        "CustomerRef": "CustomersOrderReference",
        "PurchOrderFormNum": "CustomerRequisitionNumber",
        "QuotationId": "QuotationNumber",
        "DlvMode": "DeliveryModeCode",
        "DlvTerm": "DeliveryTermsCode",
        "DiscPercent": "TotalDiscountPercentage",
        "ShippingDateRequested": "RequestedShippingDate",
        "ReceiptDateRequested": "RequestedReceiptDate",
        "ShippingDateConfirmed": "ConfirmedShippingDate",
        "ReceiptDateConfirmed": "ConfirmedReceiptDate",
        "MCROrderStopped": "IsSalesProcessingStopped",
        "CreatedOn": "OrderCreationDateTime",
        "DocumentStatus": "_DocumentStatus",
        "CustGroup": "_CustomerGroup",
    },
    "SalesLineBiEntities": {
        **_SYSTEM,
        **_MODIFIED,
        **_MODIFIER,
        "SalesId": "SalesOrderNumber",
        "InventTransId": "InventoryLotId",
        "InventTransIdReturn": "_returned_lot",
        "ItemId": "ItemNumber",
        "Name": "LineDescription",
        "SalesQty": "OrderedSalesQuantity",
        "QtyOrdered": "_InventoryOrdered",
        "RemainSalesPhysical": "_RemainPhysical",
        "RemainSalesFinancial": "_RemainFinancial",
        "RemainInventPhysical": "_RemainInventoryPhysical",
        "RemainInventFinancial": "_RemainInventoryFinancial",
        "SalesUnit": "SalesUnitSymbol",
        "PriceUnit": "SalesPriceQuantity",
        "LineDisc": "LineDiscountAmount",
        "LinePercent": "LineDiscountPercentage",
        "SalesMarkup": "FixedPriceCharges",
        "SalesStatus": "SalesOrderLineStatus",
        "TaxGroup": "SalesTaxGroupCode",
        "TaxItemGroup": "SalesTaxItemGroupCode",
        "LineNum": "LineNumber",
        "CustomerLineNum": "CustomersLineNumber",
        "OrderLineReference_NO": "OrderLineReference",
        "ExternalItemId": "ExternalItemNumber",
        "ShippingDateRequested": "RequestedShippingDate",
        "ShippingDateConfirmed": "ConfirmedShippingDate",
        "ReceiptDateRequested": "RequestedReceiptDate",
        "ReceiptDateConfirmed": "ConfirmedReceiptDate",
        "OverDeliveryPct": "AllowedOverdeliveryPercentage",
        "UnderDeliveryPct": "AllowedUnderdeliveryPercentage",
    },
    "CustInvoiceJourBiEntities": {
        **_SYSTEM,
        **_MODIFIED,
        "InvoiceId": "InvoiceNumber",
        "SalesId": "SalesOrderNumber",
        "InvoiceAccount": "InvoiceCustomerAccountNumber",
        "OrderAccount": "_OrderAccount",
        "InvoiceAmount": "TotalInvoiceAmount",
        "InvoiceAmountMST": "_AmountMST",
        "SumTax": "TotalTaxAmount",
        "SumMarkup": "TotalChargeAmount",
        "SalesBalance": "_Net",
        "EndDisc": "EndDiscount",
        "DueDate": "_DueDate",
        "DocumentDate": "InvoiceDate",
        "Payment": "PaymentTermsName",
        "PaymentSched": "_PaymentSchedule",
        "CashDisc": "CashDiscount",
        "CashDiscCode": "_CashDiscountCode",
        "CashDiscDate": "_CashDiscountDate",
        "CashDiscPercent": "_CashDiscountPercent",
        "CustomerRef": "CustomersOrderReference",
        "DlvMode": "DeliveryModeCode",
        "DlvTerm": "DeliveryTermsCode",
        "RefNum": "_RefNum",
        "ReturnReasonCodeId": "_ReasonCode",
        "ReturnItemNum": "_ReturnNumber",
        "SalesType": "_SalesType",
        "IsCorrection": "_IsCorrection",
        "InclTax": "_InclTax",
        "CreatedOn": "_modified",
    },
    "CustInvoiceTransBiEntities": {
        **_SYSTEM,
        **_MODIFIED,
        "InvoiceId": "InvoiceNumber",
        "SalesId": "_SalesId",
        "OrigSalesId": "_SalesId",
        "InventTransId": "_lot",
        "CustomerLineNum": "_CustomersLineNumber",
        "ItemId": "ProductNumber",
        "Name": "ProductName",
        "Qty": "InvoicedQuantity",
        "SalesUnit": "SalesUnitSymbol",
        "LineNum": "_LineNum",
        "LineDisc": "_LineDiscountAmount",
        "LinePercent": "_LineDiscountPercentage",
        "PriceUnit": "_PriceUnit",
        "TaxAmount": "LineTotalTaxAmount",
        "LineAmountTax": "LineTotalTaxAmount",
        "TaxGroup": "_TaxGroup",
        "TaxItemGroup": "_TaxItemGroup",
        "CreatedOn": "_modified",
    },
    "CustPackingSlipJourBiEntities": {**_SYSTEM, "SourceDocumentHeader": "_record", "CreatedOn": "_modified"},
    "CustPackingSlipTransBiEntities": {**_SYSTEM, "SourceDocumentLine": "_record", "CreatedOn": "_modified"},
    "CredManTableBiEntities": {"SysRecVersion": "_version", "SourceKey": "_record", **_MODIFIED},
    "CustTransactions": {"SysRecId": "_record", "SysDataAreaId": "dataAreaId"},
    "CustTransOpens": {"SysRecId": "_record", "SysDataAreaId": "dataAreaId"},
    "CustSettlementBiEntities": {**_SYSTEM, "CreatedOn": "_modified"},
    "CustTransBiEntities": {**_SYSTEM, **_MODIFIED, **_MODIFIER, "CreatedOn": "_created"},
    "CustTableBiEntities": {
        **_SYSTEM,
        **_MODIFIED,
        **_MODIFIER,
        "SysRecVersion": "_own_version",
        "CreatedDateTime1": "_created",
        "AccountNum": "CustomerAccount",
        "CustGroup": "CustomerGroupId",
        "Currency": "SalesCurrencyCode",
        "CreditMax": "CreditLimit",
        "MandatoryCreditLimit": "CreditLimitIsMandatory",
        "Blocked": "OnHoldStatus",
        "VATNum": "TaxExemptNumber",
        "PaymTermId": "PaymentTerms",
        "PaymMode": "PaymentMethod",
        "PaymSched": "PaymentSchedule",
        "PaymSpec": "PaymentSpecification",
        "PaymDayId": "PaymentDay",
        "CashDisc": "PaymentCashDiscount",
        "TaxGroup": "SalesTaxGroup",
        "InclTax": "IsSalesTaxIncludedInPrices",
        "DlvTerm": "DeliveryTerms",
        "DlvMode": "DeliveryMode",
        "DlvReason": "DeliveryReason",
        "InventSiteId": "SiteId",
        "InventLocation": "WarehouseId",
        "PriceGroup": "DiscountPriceGroupId",
        "LineDisc": "LineDiscountCode",
        "MultiLineDisc": "MultiLineDiscountCode",
        "EndDisc": "TotalDiscountCode",
        "SalesPoolId": "SalesOrderPoolId",
        "SalesDistrictId": "SalesDistrict",
        "SegmentId": "SalesSegmentId",
        "SubsegmentId": "SalesSubsegmentId",
        "StatisticsGroup": "StatisticsGroupId",
        "CompanyChainId": "CompanyChain",
        "OneTimeCustomer": "IsOneTimeCustomer",
        "Memo": "SalesMemo",
    },
    "ReturnReasonCodeBiEntities": _SYSTEM,
    "MarkupTransBiEntities": {**_SYSTEM, **_MODIFIED, "CreatedOn": "_modified"},
    "SalesPriceAgreements": {"RecordId": "_record"},
    "FreeTextInvoiceHeaders": {"InvoiceIdentifier": "_record"},
}
"""Entity set -> published column -> stored column, where they differ."""

_JOINS: Final[Mapping[str, tuple[str, ...]]] = {
    "order": ("dataAreaId", "SalesOrderNumber"),
    "invoice": ("dataAreaId", "InvoiceNumber", "InvoiceDate", "LedgerVoucher"),
    "slip": ("dataAreaId", "ShipmentPackingSlipVersionNumber"),
    "journal": ("dataAreaId", "JournalBatchNumber"),
    "confirmation": ("dataAreaId", "SalesOrderNumber", "ConfirmationDate", "ConfirmationNumber"),
    "return": ("dataAreaId", "ReturnOrderNumber"),
    "item": ("dataAreaId", "ItemNumber"),
}
_MANY, _ONE = True, False


def _of(ours: str, theirs: str) -> tuple[tuple[str, str], ...]:
    """A link within a company whose columns are called otherwise at its two ends."""
    return ("dataAreaId", "dataAreaId"), (ours, theirs)


LINKS: Final[Mapping[str, tuple[tuple[str, str, str | tuple[tuple[str, str], ...], bool], ...]]] = {
    "SalesOrderHeadersV2": (("SalesOrderLines", "SalesOrderLines", "order", _MANY),),
    "SalesOrderHeadersV3": (("SalesOrderLines", "SalesOrderLines", "order", _MANY),),
    "SalesOrderLines": (
        ("SalesOrderHeaderV2", "SalesOrderHeadersV2", "order", _ONE),
        ("SalesOrderHeaderV3", "SalesOrderHeadersV3", "order", _ONE),
    ),
    "SalesOrderConfirmationHeaders": (
        ("SalesOrderConfirmationLines", "SalesOrderConfirmationLines", "confirmation", _MANY),
    ),
    "SalesOrderConfirmationLines": (
        ("SalesOrderConfirmationHeader", "SalesOrderConfirmationHeaders", "confirmation", _ONE),
    ),
    "SalesInvoiceHeadersV4": (("SalesInvoiceLinesV4", "SalesInvoiceV4Lines", "invoice", _MANY),),
    "SalesInvoiceV4Lines": (("SalesInvoiceHeaderV4", "SalesInvoiceHeadersV4", "invoice", _ONE),),
    "SalesInvoiceHeadersV2": (("SalesInvoiceLinesV2", "SalesInvoiceV2Lines", "invoice", _MANY),),
    "SalesInvoiceV2Lines": (("SalesInvoiceHeaderV2", "SalesInvoiceHeadersV2", "invoice", _ONE),),
    "ReturnOrderHeadersV2": (("ReturnOrderLines", "ReturnOrderLinesV2", "return", _MANY),),
    "ReturnOrderLinesV2": (("ReturnOrderHeader", "ReturnOrderHeadersV2", "return", _ONE),),
    "FreeTextInvoiceHeaders": (
        ("CustFreeTextInvoiceHeader", "FreeTextInvoiceLines", _of("_record", "ParentRecId"), _MANY),
    ),
    "FreeTextInvoiceLines": (
        ("CustFreeTextInvoiceHeaderComposite", "FreeTextInvoiceHeaders", _of("ParentRecId", "_record"), _ONE),
    ),
    "CustTransactions": (("CustTransOpen", "CustTransOpens", _of("_record", "RefRecId"), _MANY),),
    "CustTransOpens": (("CustTransaction", "CustTransactions", _of("RefRecId", "_record"), _ONE),),
    "CustomerPaymentJournalHeaders": (
        ("CustomerPaymentJournalLineHeaderEntity", "CustomerPaymentJournalLines", "journal", _MANY),
    ),
    "CustomerPaymentJournalLines": (
        ("CustomerPaymentJournalLineHeaderEntityRole", "CustomerPaymentJournalHeaders", "journal", _ONE),
    ),
    "PaymentSchedules": (("PaymentScheduleLines", "PaymentScheduleLines", _of("Name", "PaymentScheduleName"), _MANY),),
    "PaymentScheduleLines": (("PaymentSchedule", "PaymentSchedules", _of("PaymentScheduleName", "Name"), _ONE),),
    "PaymentTerms": (("PaymentSchedule", "PaymentSchedules", _of("PaymentScheduleName", "Name"), _ONE),),
    "TaxCodes": (("TaxCodeValueV2", "TaxCodeValuesV2", _of("TaxCode", "TaxCodeId"), _MANY),),
    "ShipmentPackingSlipJournalHeaders": (
        ("ShipmentPackingSlipJournalLines", "ShipmentPackingSlipJournalLines", "slip", _MANY),
    ),
    "ShipmentPackingSlipJournalLines": (
        ("ShipmentPackingSlipJournal", "ShipmentPackingSlipJournalHeaders", "slip", _ONE),
        ("Product", "ReleasedProductsV2", "item", _ONE),
    ),
}
"""Entity set -> navigation properties whose other end is served too: name, target, joined columns, whether many."""


def joined(join: str | tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of stored columns (ours, theirs) of a link."""
    return tuple((name, name) for name in _JOINS[join]) if isinstance(join, str) else join


DATA_SOURCES: Final[Mapping[str, int]] = {
    "SalesOrderHeadersV4": 6,
    "SalesOrderHeadersV3": 6,
    "SalesOrderHeadersV2": 6,
    "SalesOrderLinesV3": 4,
    "SalesOrderLines": 4,
}
"""How many X++ data sources an entity joins: its ETag has one `version,record` pair for each."""

ENTITY_NAMES: Final[Mapping[str, str]] = {
    "CustomersV3": "CustCustomerV3Entity",
    "ContactPersons": "smmContactPersonV2Entity",
    "SalesOrderLines": "SalesOrderLineV2Entity",
    "ReleasedProductsV2": "EcoResReleasedProductV2Entity",
    "CustomerPaymentJournalHeaders": "CustomerPaymentJournalHeaderEntity",
    "CustomerPaymentJournalLines": "CustomerPaymentJournalLineEntity",
}
"""Entity set -> X++ name of its data entity, where it is not the type's name with `Entity`."""

MASTER: Final = frozenset(
    {"CustomersV3", "ContactPersons", "ReleasedProductsV2", "SalesPriceAgreements", "ProductDefaultOrderSettings"}
)
PARAMETERS: Final = frozenset({"CustomerParameters", "CreditManagementParameters", "Ledgers"})
TRANSACTIONS: Final = frozenset(
    {
        "SalesOrderHeadersV4",
        "SalesOrderHeadersV3",
        "SalesOrderHeadersV2",
        "SalesOrderLinesV3",
        "SalesOrderLines",
        "SalesOrderConfirmationHeaders",
        "SalesOrderConfirmationLines",
        "SalesInvoiceHeadersV4",
        "SalesInvoiceV4Lines",
        "SalesInvoiceHeadersV2",
        "SalesInvoiceV2Lines",
        "CustTransactions",
        "CustTransOpens",
        "CustomerPaymentJournalHeaders",
        "CustomerPaymentJournalLines",
        "PaymentJournalLineSettledInvoices",
        "FreeTextInvoiceHeaders",
        "FreeTextInvoiceLines",
        "ReturnOrderHeadersV2",
        "ReturnOrderLinesV2",
        "ShipmentPackingSlipJournalHeaders",
        "ShipmentPackingSlipJournalLines",
        "WarehousesOnHandV2",
    }
)


def category(entity_set: str) -> str:
    """The EntityCategory of a data entity: Master, Parameters, Transaction or Reference."""
    if entity_set in MASTER:
        return "Master"
    if entity_set in PARAMETERS:
        return "Parameters"
    return "Transaction" if entity_set in TRANSACTIONS or entity_set.endswith("BiEntities") else "Reference"
