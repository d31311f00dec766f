"""Which columns a client may write: what the metadata says with AllowEdit, AllowEditOnCreate and IsMandatory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.finance.lines import LINE_NOT_EDITABLE
from sandbox.finance.model import EntitySet
from sandbox.finance.orders import HEADER_NOT_EDITABLE
from sandbox.finance.views import SALES_LINES, SALES_ORDERS
from sandbox.finance.writes import is_writable

_MANDATORY: Final[Mapping[str, frozenset[str]]] = {
    "CustomersV3": frozenset({"OrganizationName", "CustomerGroupId", "SalesCurrencyCode"}),
    SALES_ORDERS: frozenset({"OrderingCustomerAccountNumber"}),
    SALES_LINES: frozenset({"SalesOrderNumber", "ItemNumber"}),
    "CustomerPaymentJournalHeaders": frozenset({"JournalName"}),
    "CustomerPaymentJournalLines": frozenset({"JournalBatchNumber", "AccountDisplayValue"}),
    "FreeTextInvoiceHeaders": frozenset({"CustomerAccount"}),
    "FreeTextInvoiceLines": frozenset({"ParentRecId", "Description"}),
}
_GENERATED: Final = frozenset({"InventoryLotId", "InvoiceIdentifier", "RecordId", "SysRecId"})


@dataclass(frozen=True, slots=True)
class Editing:
    """What may be done with a column: edited, given on create, and whether it must be."""

    edit: bool
    create: bool
    mandatory: bool


def editing(entity: EntitySet, column: str) -> Editing:
    """What may be done with a column of an entity set."""
    if not is_writable(entity.name):
        return Editing(edit=False, create=False, mandatory=False)
    fixed = {SALES_ORDERS: HEADER_NOT_EDITABLE, SALES_LINES: LINE_NOT_EDITABLE}.get(entity.table, {})
    if column in fixed or column in _GENERATED:
        return Editing(edit=False, create=False, mandatory=False)
    mandatory = column in _MANDATORY.get(entity.table, frozenset())
    return Editing(edit=column not in entity.key, create=True, mandatory=mandatory)
