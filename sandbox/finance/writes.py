"""Writing rows through entity sets: which sets take which verb, and what runs when they do.

Journals of posted documents, transactions, prices, stock and the BI entities are read-only, as in the real system.
Set-up data (terms, groups, warehouses, exchange rates, parameters …) is written as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import contacts, freetext, lines, masterdata, orders
from sandbox.finance.behaviour import Behaviour
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import (
    FinanceError,
    InfologError,
    MalformedRequest,
    NotSupported,
    PostingRefused,
    RecordExists,
    must_be_filled,
    not_found_in,
)
from sandbox.finance.lengths import stored
from sandbox.finance.model import NAMESPACE, EntitySet, day_stamp, entity_sets
from sandbox.finance.payments import JOURNAL_LINES, JOURNALS
from sandbox.finance.presentation import NORWEGIAN
from sandbox.store import DuplicateKey, Row

Create = Callable[[Books, EntitySet, Company, Mapping[str, Any]], Row]
Update = Callable[[Books, EntitySet, Company, Row, Mapping[str, Any]], Row]
Delete = Callable[[Books, EntitySet, Company, Row], None]

SET_UP: Final = frozenset(
    {
        "CashDiscounts",
        "CreditManagementParameters",
        "Currencies",
        "CustomerCreditGroupLines",
        "CustomerCreditGroups",
        "CustomerGroups",
        "CustomerParameters",
        "CustomerPaymentMethods",
        "DeliveryTerms",
        "ExchangeRateTypes",
        "ExchangeRates",
        "OperationalSites",
        "PaymentScheduleLines",
        "PaymentSchedules",
        "PaymentTerms",
        "ProductDefaultOrderSettings",
        "ReleasedProductsV2",
        "SalesOrderOriginCodes",
        "TaxCodeValuesV2",
        "TaxCodes",
        "TaxGroupDatas",
        "TaxGroups",
        "TaxItemGroupHeadings",
        "TaxItemGroups",
        "UnitOfMeasureConversions",
        "UnitsOfMeasure",
        "Warehouses",
    }
)
"""Sets whose rows are written as they stand: nothing in the sandbox hangs on how they came to be."""

ORDER_SETS: Final = ("SalesOrderHeadersV4", "SalesOrderHeadersV3", "SalesOrderHeadersV2")
_JOURNAL_SOURCE: Final = "LedgerJournalTable (LedgerJournalTable)"

_LABELS: Final = {
    "CustomersV3": ("Customers (CustTable)", "Customer account"),
    contacts.SET: (contacts.SOURCE, "Contact ID"),
    **dict.fromkeys(ORDER_SETS, ("Sales orders (SalesTable)", "Sales order")),
    "SalesOrderLinesV3": ("Order lines (SalesLine)", "Lot ID"),
    "SalesOrderLines": ("Order lines (SalesLine)", "Lot ID"),
    "CustomerPaymentJournalHeaders": ("Ledger journal table (LedgerJournalTable)", "Journal batch number"),
    "CustomerPaymentJournalLines": ("Journal lines (LedgerJournalTrans)", "Journal batch number"),
}
"""Entity set -> table and key field as infolog texts name them."""


def read_body(entity: EntitySet, body: Any, behaviour: Behaviour | None = None) -> dict[str, Any]:
    """The stored columns and values of a request body; annotations are left out.

    Args:
        entity: The entity set.
        body: The decoded body.
        behaviour: The environment's settings; None for set-up data, which is loaded as it stands.

    Raises:
        MalformedRequest: Not an object, an unknown property, or a value of the wrong type.
        InfologError: A column of another country's localization has a value.
    """
    if not isinstance(body, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    sent: dict[str, Any] = {}
    for name, value in body.items():
        if "@" in name:
            continue
        found = entity.properties.get(name)
        if found is None:
            raise MalformedRequest(
                f"The property '{name}' does not exist on type '{NAMESPACE}.{entity.type_name}'. Make sure to only use "
                "property names that are defined by the type."
            )
        if behaviour is not None and not behaviour.norwegian_fields and name in NORWEGIAN and value:
            raise InfologError(
                entity.entity,
                (
                    f"Warning: Field '{name}' cannot be set: it is available only in the country/region context NO.",
                    f"Warning: validateField failed on field '{entity.entity}.{name}'",
                ),
            )
        sent[found.stored] = found.from_json(value)
    return sent if behaviour is None else stored(sent, behaviour.stored_decimals)


def create_row(books: Books, entity: EntitySet, company: Company | None, sent: Mapping[str, Any]) -> Row:
    """Insert a row in a transaction of its own (or in the one that is open).

    Args:
        books: Where to write.
        entity: The entity set.
        company: The company written to; None for a set that belongs to none.
        sent: What `read_body` gave.

    Raises:
        NotSupported: The set is read-only.
        InfologError: X++ refuses the row.
        RecordExists: Its key is taken.
    """
    create = _CREATE.get(entity.name)
    try:
        with books.db.transaction():
            if entity.name in SET_UP:
                return _create_set_up(books, entity, company, sent)
            if create is None or company is None:
                raise NotSupported(f"The entity '{entity.name}' is read-only; the operation 'Create' is not supported.")
            return create(books, entity, company, sent)
    except DuplicateKey as problem:
        label, field = _LABELS.get(entity.name, (entity.name, entity.key[-1]))
        raise RecordExists(entity.entity, label, f"{field}: {sent.get(entity.stored_key[-1], '')}") from problem


def _create_set_up(books: Books, entity: EntitySet, company: Company | None, sent: Mapping[str, Any]) -> Row:
    row = dict(sent)
    if entity.company is not None and company is not None:
        row[entity.properties[entity.company].stored] = company.id
    for name in entity.key:
        prop = entity.properties[name]
        if prop.type == "String" and not row.get(prop.stored):
            raise must_be_filled(name, entity.entity, entity.type_name)
        row.setdefault(prop.stored, prop.empty)
    return books.insert(entity.table, {prop.stored: prop.empty for prop in entity.properties.values()} | row)


def update_row(books: Books, entity: EntitySet, company: Company | None, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a row; arguments and errors as for `create_row`."""
    for column in entity.stored_key:
        if column in sent and str(sent[column]).lower() != str(row[column]).lower():
            raise MalformedRequest(f"The key property '{column}' cannot be changed.")
    changes = {column: value for column, value in sent.items() if column not in entity.stored_key}
    if entity.name in SET_UP:
        return books.update(entity.table, row, changes)
    update = _UPDATE.get(entity.name)
    if update is None or company is None:
        raise NotSupported(f"The entity '{entity.name}' is read-only; the operation 'Update' is not supported.")
    with books.db.transaction():
        return update(books, entity, company, row, changes)


def delete_row(books: Books, entity: EntitySet, company: Company | None, row: Row) -> None:
    """Delete a row; errors as for `create_row`."""
    if entity.name in SET_UP:
        books.delete(entity.table, row)
        return
    delete = _DELETE.get(entity.name)
    if delete is None or company is None:
        raise NotSupported(f"The entity '{entity.name}' does not allow the operation 'Delete'.")
    with books.db.transaction():
        delete(books, entity, company, row)


def is_writable(entity_set: str) -> bool:
    """Whether rows of a set can be written over OData."""
    return entity_set in SET_UP or entity_set in _CREATE


def enter_free_text_invoice(
    books: Books,
    company: Company,
    account: str,
    currency: str,
    reference: str,
    wanted: Sequence[Mapping[str, Any]],
) -> int:
    """Enter a free text invoice as its entity sets would; its identifier.

    Args:
        books: Where to write.
        company: The company.
        account: The customer.
        currency: Empty for the customer's.
        reference: The customer's reference.
        wanted: `{Description, Quantity, UnitPrice, SalesTaxItemGroupId}` of each line.

    Raises:
        PostingRefused: What the entity sets would refuse.
    """
    sets = entity_sets()
    header: dict[str, Any] = {"CustomerAccount": account, "CustomerReference": reference}
    if currency:
        header["CurrencyCode"] = currency
    try:
        row = create_row(books, sets[freetext.HEADERS], company, header)
        for line in wanted:
            entity = sets[freetext.LINES]
            create_row(books, entity, company, {**read_body(entity, dict(line)), "ParentRecId": row["_record"]})
    except FinanceError as problem:
        raise PostingRefused(str(problem)) from problem
    return int(row["_record"])


def _create_journal(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    if not sent.get("JournalName"):
        raise must_be_filled("Name", entity.entity, _JOURNAL_SOURCE)
    if sent.get("IsPosted") == "Yes":
        raise InfologError(entity.entity, ("Warning: Field 'Posted' does not allow editing.",))
    number = sent.get("JournalBatchNumber") or books.next_number(company, "journal", "{:06d}")
    row = {"Description": "", "IsPosted": "No", **sent, "dataAreaId": company.id, "JournalBatchNumber": number}
    return books.insert(JOURNALS, row)


def _create_journal_line(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    batch = sent.get("JournalBatchNumber", "")
    journal = books.get(JOURNALS, company.id, batch)
    if journal is None:
        raise not_found_in(batch, "Journal batch number", "Ledger journal table", entity.entity, "JournalBatchNumber")
    _refuse_posted(entity, journal)
    account = sent.get("AccountDisplayValue", "").replace("\\-", "-")
    if books.get("CustomersV3", company.id, account) is None:
        raise not_found_in(account, "Account", "Customers", entity.entity, "AccountDisplayValue")
    used = [line["LineNumber"] for line in books.find(JOURNAL_LINES, JournalBatchNumber=batch, dataAreaId=company.id)]
    row: Row = {
        "LineNumber": max(used, default=Decimal(0)) + 1,
        "AccountType": "Cust",
        "Company": company.id,
        "CurrencyCode": company.currency,
        "TransactionDate": day_stamp(books.today(company)),
        **sent,
        "dataAreaId": company.id,
        "JournalBatchNumber": journal["JournalBatchNumber"],
    }
    return books.insert(JOURNAL_LINES, row)


def _update_journal(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    _refuse_posted(entity, row)
    if sent.get("IsPosted") == "Yes":
        raise InfologError(entity.entity, ("Warning: Field 'Posted' does not allow editing.",))
    return books.update(JOURNALS, row, sent)


def _update_journal_line(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    _refuse_posted(entity, _journal_of(books, company, row))
    return books.update(JOURNAL_LINES, row, sent)


def _delete_journal(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    _refuse_posted(entity, row)
    if books.find(JOURNAL_LINES, JournalBatchNumber=row["JournalBatchNumber"], dataAreaId=company.id):
        raise InfologError(
            entity.entity,
            (f"Error: Journal {row['JournalBatchNumber']} cannot be deleted while dependent journal lines exist.",),
        )
    books.delete(JOURNALS, row)


def _delete_journal_line(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    _refuse_posted(entity, _journal_of(books, company, row))
    books.delete(JOURNAL_LINES, row)


def _journal_of(books: Books, company: Company, line: Row) -> Row:
    journal = books.get(JOURNALS, company.id, line["JournalBatchNumber"])
    if journal is None:
        raise AssertionError(f"journal line without journal {line['JournalBatchNumber']}")
    return journal


def _refuse_posted(entity: EntitySet, journal: Row) -> None:
    if journal["IsPosted"] == "Yes":
        raise InfologError(
            entity.entity,
            (
                f"Warning: Journal {journal['JournalBatchNumber']} has been posted and cannot be changed.",
                f"Warning: validateWrite failed on data source '{_JOURNAL_SOURCE}'",
            ),
        )


_CREATE: Final[Mapping[str, Create]] = {
    "CustomersV3": masterdata.create_customer,
    contacts.SET: contacts.create_contact,
    **dict.fromkeys(ORDER_SETS, orders.create_header),
    "SalesOrderLinesV3": lines.create_line,
    "SalesOrderLines": lines.create_line,
    "CustomerPaymentJournalHeaders": _create_journal,
    "CustomerPaymentJournalLines": _create_journal_line,
    freetext.HEADERS: freetext.create_header,
    freetext.LINES: freetext.create_line,
}
_UPDATE: Final[Mapping[str, Update]] = {
    "CustomersV3": masterdata.update_customer,
    contacts.SET: contacts.update_contact,
    **dict.fromkeys(ORDER_SETS, orders.update_header),
    "SalesOrderLinesV3": lines.update_line,
    "SalesOrderLines": lines.update_line,
    "CustomerPaymentJournalHeaders": _update_journal,
    "CustomerPaymentJournalLines": _update_journal_line,
}
_DELETE: Final[Mapping[str, Delete]] = {
    "CustomersV3": masterdata.delete_customer,
    contacts.SET: contacts.delete_contact,
    **dict.fromkeys(ORDER_SETS, orders.delete_header),
    "SalesOrderLinesV3": lines.delete_line,
    "SalesOrderLines": lines.delete_line,
    "CustomerPaymentJournalHeaders": _delete_journal,
    "CustomerPaymentJournalLines": _delete_journal_line,
}
