"""Contact persons of customers: each a person (a party of their own) who is the contact of another party.

`ContactPersons` is the public collection of `smmContactPersonV2Entity`, company-specific (Microsoft Learn:
"Synchronize master data" of contract lifecycle management); its key is dataAreaId and ContactPersonId, and its columns
are those of a client that was generated from an environment's `$metadata`. The party a person is the contact of is
`AssociatedPartyNumber`; of a customer it is its `PartyNumber`. Of the columns that are choices, only NoYes, Gender and
MonthsOfYear are served. Not confirmed by any source: which texts Finance refuses a contact with, that names are
required, and that an id which is sent is taken, as one is of customers (Dual-Write's map sends one).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.finance.books import Books, Company
from sandbox.finance.errors import must_be_filled, not_found_in
from sandbox.finance.lengths import check_lengths
from sandbox.finance.model import EntitySet, stamp
from sandbox.store import Row

SET: Final = "ContactPersons"
SOURCE: Final = "ContactPerson (ContactPerson)"


def create_contact(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a contact person; without an id it gets the next number of the company's sequence.

    Raises:
        InfologError: a name or the party is missing, or there is no such party.
        sandbox.store.DuplicateKey: the id is taken.
    """
    check_lengths(entity, sent)
    name = _name(sent)
    if not name:
        raise must_be_filled("Name", entity.entity, SOURCE)
    _check_party(books, entity, company, sent)
    row: Row = {
        "IsInactive": "No",
        "IsVip": "No",
        "IsImported": "No",
        "SearchName": name[:20],
        "ContactPersonPartyType": "Person",
        **sent,
        "ContactPersonName": name,
        "ContactPersonId": sent.get("ContactPersonId") or _next_id(books, company),
        "ContactPersonPartyNumber": books.next_number(company, "party", "{:09d}"),
        "LastEditDateTime": stamp(books.now()),
        "dataAreaId": company.id,
    }
    return books.insert(SET, row)


def update_contact(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a contact person. Raises as ``create_contact``."""
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    if not changes:
        return row
    check_lengths(entity, changes)
    name = _name(row | changes)
    if not name:
        raise must_be_filled("Name", entity.entity, SOURCE)
    if "AssociatedPartyNumber" in changes:
        _check_party(books, entity, company, changes)
    return books.update(SET, row, {**changes, "ContactPersonName": name, "LastEditDateTime": stamp(books.now())})


def delete_contact(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    """Delete a contact person; the party stays in Finance, which the sandbox has no set of."""
    books.delete(SET, row)


def _name(row: Mapping[str, Any]) -> str:
    return " ".join(part for part in (row.get(each) for each in ("FirstName", "MiddleName", "LastName")) if part)


def _check_party(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> None:
    party = sent.get("AssociatedPartyNumber", "")
    if not party:
        raise must_be_filled("Contact for", entity.entity, SOURCE)
    if not books.find("CustomersV3", PartyNumber=party, dataAreaId=company.id):
        raise not_found_in(party, "Party ID", "Global address book", entity.entity, "AssociatedPartyNumber")


def _next_id(books: Books, company: Company) -> str:
    while True:
        number = books.next_number(company, "contact", "{:06d}")
        if books.get(SET, company.id, number) is None:
            return number
