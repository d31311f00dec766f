"""Writes the Finance metadata tables from a folder of published entity schemas.

Run by hand when the published schemas change: `python -m sandbox.metadata.finance.generate FOLDER`, where FOLDER holds
one JSON file per entity set (`SalesOrderHeadersV4.json` …) with `key`, `fields` and `navigation`. Sets that FOLDER does
not have are read from `schemas/` beside this file. The sandbox reads only the two files this writes, so that it needs
no network and no schema folder.

A column is written as its Edm type without the prefix, with `!` where it cannot be null, or `enum:Name`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SETS: dict[str, str] = {
    "CustomersV3": "CustomerV3",
    "CustomerGroups": "CustomerGroup",
    "SalesOrderHeadersV4": "SalesOrderHeaderV4",
    "SalesOrderHeadersV2": "SalesOrderHeaderV2",
    "SalesOrderLinesV3": "SalesOrderLineV3",
    "SalesOrderLines": "SalesOrderLine",
    "ReleasedProductsV2": "ReleasedProductV2",
    "SalesPriceAgreements": "SalesPriceAgreement",
    "WarehousesOnHandV2": "WarehouseOnHandV2",
    "SalesInvoiceHeadersV4": "SalesInvoiceHeaderV4",
    "SalesInvoiceV4Lines": "SalesInvoiceV4Line",
    "CustTransactions": "CustTransaction",
    "CustTransOpens": "CustTransOpen",
    "CustomerPaymentJournalHeaders": "CustomerPaymentJournalHeader",
    "CustomerPaymentJournalLines": "CustomerPaymentJournalLine",
    "PaymentTerms": "PaymentTerm",
    "Currencies": "Currency",
    "LegalEntities": "LegalEntity",
    "UnitsOfMeasure": "UnitOfMeasure",
    "SalesTableBiEntities": "SalesTableBiEntity",
    "CredManTableBiEntities": "CredManTableBiEntity",
    "ShipmentPackingSlipJournalHeaders": "ShipmentPackingSlipJournalHeader",
    "ShipmentPackingSlipJournalLines": "ShipmentPackingSlipJournalLine",
    "SalesOrderHeadersV3": "SalesOrderHeaderV3",
    "SalesLineBiEntities": "SalesLineBiEntity",
    "SalesOrderConfirmationHeaders": "SalesOrderConfirmationHeader",
    "SalesOrderConfirmationLines": "SalesOrderConfirmationLine",
    "CustPackingSlipJourBiEntities": "CustPackingSlipJourBiEntity",
    "CustPackingSlipTransBiEntities": "CustPackingSlipTransBiEntity",
    "SalesInvoiceHeadersV2": "SalesInvoiceHeaderV2",
    "SalesInvoiceV2Lines": "SalesInvoiceV2Line",
    "CustInvoiceJourBiEntities": "CustInvoiceJourBiEntity",
    "CustInvoiceTransBiEntities": "CustInvoiceTransBiEntity",
    "FreeTextInvoiceHeaders": "FreeTextInvoiceHeader",
    "FreeTextInvoiceLines": "FreeTextInvoiceLine",
    "ReturnOrderHeadersV2": "ReturnOrderHeaderV2",
    "ReturnOrderLinesV2": "ReturnOrderLineV2",
    "ReturnReasonCodeBiEntities": "ReturnReasonCodeBiEntity",
    "MarkupTransBiEntities": "MarkupTransBiEntity",
    "CustSettlementBiEntities": "CustSettlementBiEntity",
    "CustTransBiEntities": "CustTransBiEntity",
    "PaymentJournalLineSettledInvoices": "PaymentJournalLineSettledInvoice",
    "CashDiscounts": "CashDiscount",
    "PaymentSchedules": "PaymentSchedule",
    "PaymentScheduleLines": "PaymentScheduleLine",
    "CustomerParameters": "CustomerParameter",
    "CreditManagementParameters": "CreditManagementParameter",
    "CustomerCreditGroups": "CustomerCreditGroup",
    "CustomerCreditGroupLines": "CustomerCreditGroupLine",
    "TemporaryCreditLimits": "TemporaryCreditLimit",
    "TaxGroups": "TaxGroup",
    "TaxGroupDatas": "TaxGroupData",
    "TaxItemGroupHeadings": "TaxItemGroupHeading",
    "TaxItemGroups": "TaxItemGroup",
    "TaxCodes": "TaxCode",
    "TaxCodeValuesV2": "TaxCodeValueV2",
    "Ledgers": "Ledger",
    "ExchangeRates": "ExchangeRate",
    "ExchangeRateTypes": "ExchangeRateType",
    "UnitOfMeasureConversions": "UnitOfMeasureConversion",
    "ProductDefaultOrderSettings": "ProductDefaultOrderSetting",
    "OperationalSites": "OperationalSite",
    "Warehouses": "Warehouse",
    "DeliveryTerms": "DeliveryTerm",
    "CustomerPaymentMethods": "CustomerPaymentMethod",
    "SalesOrderOriginCodes": "SalesOrderOriginCode",
    "DataManagementEntities": "DataManagementEntity",
    "BusinessEventsConfigurations": "BusinessEventsConfiguration",
    "CustTableBiEntities": "CustTableBiEntity",
    "ContactPersons": "ContactPerson",
}
"""Entity set -> entity type, of everything the sandbox serves."""

_OWN = Path(__file__).parent / "schemas"

_RECASED = {
    "CommissionTypeIt": "CommissionType_IT",
    "FactureCorrectionTypeRu": "FactureCorrectionType_RU",
    "FillSalesDateW": "FillSalesDate_W",
    "FillVATDueDateW": "FillVATDueDate_W",
    "InvoiceComplementaryTypeBr": "InvoiceComplementaryType_BR",
    "InvoiceTypeW": "InvoiceType_W",
}
"""Enum types whose country suffix the schema generator lost."""


def read_schemas(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables for all of `SETS`, from a folder of published schemas and from `schemas/`.

    Returns:
        (entities, enums): what `entities.json` and `enums.json` hold.
    """
    entities: dict[str, Any] = {}
    enums: dict[str, dict[str, int]] = {}
    names: dict[str, str] = {}
    for entity_set, entity_type in SETS.items():
        own = _OWN / f"{entity_set}.json"
        schema = json.loads((own if own.exists() else folder / f"{entity_set}.json").read_text())
        columns = {
            name: _column(field, names, enums)
            for name, field in sorted(schema["fields"].items(), key=lambda item: item[0].lower())
        }
        navigation = {
            name: [link["to"], link["kind"] == "OneToManyLink"]
            for name, link in schema.get("navigation", {}).items()
            if link["to"] in SETS
        }
        entities[entity_set] = {
            "type": entity_type,
            "key": schema["key"],
            "columns": columns,
            "navigation": navigation,
        }
    return entities, dict(sorted(enums.items()))


def _column(field: dict[str, Any], names: dict[str, str], enums: dict[str, dict[str, int]]) -> str:
    kind = field["type"].rsplit(".", 1)[-1]
    if "enum" not in field:
        return kind if field["nullable"] else f"{kind}!"
    name = names.setdefault(kind.lower().replace("_", ""), _RECASED.get(kind, kind))
    enums[name] = field["enum"]
    return f"enum:{name}"


def main(folder: Path, target: Path) -> None:
    """Write both tables into `target`."""
    entities, enums = read_schemas(folder)
    for name, table in (("entities", entities), ("enums", enums)):
        (target / f"{name}.json").write_text(json.dumps(table, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
