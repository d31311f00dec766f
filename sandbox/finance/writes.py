"""Writing rows through entity sets: which sets take which verb, and what runs when they do.

Journals of posted documents, transactions, prices, stock and the BI entities are read-only, as in the real system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import masterdata, orders
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import (
    InfologError,
    MalformedRequest,
    NotSupported,
    RecordExists,
    must_be_filled,
    not_found_in,
)
from sandbox.finance.model import NAMESPACE, EntitySet, day_stamp
from sandbox.finance.payments import JOURNAL_LINES, JOURNALS
from sandbox.store import DuplicateKey, Row

Create = Callable[[Books, EntitySet, Company, Mapping[str, Any]], Row]
Update = Callable[[Books, EntitySet, Company, Row, Mapping[str, Any]], Row]
Delete = Callable[[Books, EntitySet, Company, Row], None]

_JOURNAL_SOURCE: Final = "LedgerJournalTable (LedgerJournalTable)"

_LABELS: Final = {
    "CustomersV3": ("Customers (CustTable)", "Customer account"),
    "SalesOrderHeadersV4": ("Sales orders (SalesTable)", "Sales order"),
    "SalesOrderHeadersV2": ("Sales orders (SalesTable)", "Sales order"),
    "SalesOrderLinesV3": ("Order lines (SalesLine)", "Lot ID"),
    "SalesOrderLines": ("Order lines (SalesLine)", "Lot ID"),
    "CustomerPaymentJournalHeaders": ("Ledger journal table (LedgerJournalTable)", "Journal batch number"),
    "CustomerPaymentJournalLines": ("Journal lines (LedgerJournalTrans)", "Journal batch number"),
}
"""Entity set -> table and key field as infolog texts name them."""


def read_body(entity: EntitySet, body: Any) -> dict[str, Any]:
    """The stored columns and values of a request body; annotations are left out.

    Raises:
        MalformedRequest: Not an object, an unknown property, or a value of the wrong type.
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
        sent[found.stored] = found.from_json(value)
    return sent


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
    if create is None or company is None:
        raise NotSupported(f"The entity '{entity.name}' is read-only; the operation 'Create' is not supported.")
    try:
        with books.db.transaction():
            return create(books, entity, company, sent)
    except DuplicateKey as problem:
        label, field = _LABELS[entity.name]
        raise RecordExists(entity.entity, label, f"{field}: {sent.get(entity.stored_key[1], '')}") from problem


def update_row(books: Books, entity: EntitySet, company: Company | None, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a row; arguments and errors as for `create_row`."""
    update = _UPDATE.get(entity.name)
    if update is None or company is None:
        raise NotSupported(f"The entity '{entity.name}' is read-only; the operation 'Update' is not supported.")
    for column in entity.stored_key:
        if column in sent and str(sent[column]).lower() != str(row[column]).lower():
            raise MalformedRequest(f"The key property '{column}' cannot be changed.")
    changes = {column: value for column, value in sent.items() if column not in entity.stored_key}
    with books.db.transaction():
        return update(books, entity, company, row, changes)


def delete_row(books: Books, entity: EntitySet, company: Company | None, row: Row) -> None:
    """Delete a row; errors as for `create_row`."""
    delete = _DELETE.get(entity.name)
    if delete is None or company is None:
        raise NotSupported(f"The entity '{entity.name}' does not allow the operation 'Delete'.")
    with books.db.transaction():
        delete(books, entity, company, row)


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
    "SalesOrderHeadersV4": orders.create_header,
    "SalesOrderHeadersV2": orders.create_header,
    "SalesOrderLinesV3": orders.create_line,
    "SalesOrderLines": orders.create_line,
    "CustomerPaymentJournalHeaders": _create_journal,
    "CustomerPaymentJournalLines": _create_journal_line,
}
_UPDATE: Final[Mapping[str, Update]] = {
    "CustomersV3": masterdata.update_customer,
    "SalesOrderHeadersV4": orders.update_header,
    "SalesOrderHeadersV2": orders.update_header,
    "SalesOrderLinesV3": orders.update_line,
    "SalesOrderLines": orders.update_line,
    "CustomerPaymentJournalHeaders": _update_journal,
    "CustomerPaymentJournalLines": _update_journal_line,
}
_DELETE: Final[Mapping[str, Delete]] = {
    "CustomersV3": masterdata.delete_customer,
    "SalesOrderHeadersV4": orders.delete_header,
    "SalesOrderHeadersV2": orders.delete_header,
    "SalesOrderLinesV3": orders.delete_line,
    "SalesOrderLines": orders.delete_line,
    "CustomerPaymentJournalHeaders": _delete_journal,
    "CustomerPaymentJournalLines": _delete_journal_line,
}
