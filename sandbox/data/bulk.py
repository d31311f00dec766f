"""Loads what `python -m sandbox.generate` wrote: the tables' rows stay in their files and are read when asked for.

Rows come as they are: no rule of either system looks at them, as after a migration that went around the applications.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sandbox.dataverse import Dataverse
from sandbox.dataverse.environment import SYSTEM_USER
from sandbox.dataverse.schema import SCALES, Entity
from sandbox.finance import Finance
from sandbox.finance.model import entity_sets
from sandbox.shelf import Layout, Shelf, ShelfError
from sandbox.store import Row

FORMAT: Final = 1
MANIFEST: Final = "bulk.json"
CUSTOMERS: Final = "CustomersV3.csv"
ACCOUNTS: Final = "accounts.csv"
CONTACTS: Final = "contacts.csv"
TRUTH: Final = "truth.csv"

UNMAPPED_COMPANY: Final = ("frmf", "EUR", "Europe/Paris", Decimal(20), "Contoso Entertainment System France")
"""A legal entity of Finance that Sales has no business unit for."""
_LOOKED_UP: Final = {
    "account": frozenset({"accountnumber", "name", "emailaddress1", "msdyn_taxexemptnumber"}),
    "contact": frozenset({"_parentcustomerid_value", "emailaddress1"}),
}
_SEED_USER: Final = "Admin"


def is_population(folder: Path) -> bool:
    """Whether a folder holds what the generator writes."""
    return (folder / MANIFEST).is_file()


def put_on_shelves(folder: Path, dataverse: Dataverse, finance: Finance) -> None:
    """Let both systems hold the rows of a folder, beside those they have.

    Raises:
        ShelfError: A file is not what the generator writes.
    """
    found = json.loads((folder / MANIFEST).read_text()).get("format")
    if found != FORMAT:
        raise ShelfError(f"{folder / MANIFEST}: format {found} is not {FORMAT}: generate the folder anew")
    company, currency, zone, tax, name = UNMAPPED_COMPANY
    finance.add_company(company, currency, zone, tax, name=name, order_prefix=f"{company.upper()}-")
    _shelve_customers(folder / CUSTOMERS, finance)
    _shelve_rows(folder / ACCOUNTS, dataverse, dataverse.schema.by_name["account"], _finish_account(dataverse))
    _shelve_rows(folder / CONTACTS, dataverse, dataverse.schema.by_name["contact"], _finish_contact)


def _lines_of(path: Path) -> int:
    """An upper bound of a file's rows, by its size: enough to keep numbers for them."""
    return path.stat().st_size // 32


def _shelve_customers(path: Path, finance: Finance) -> None:
    properties = entity_sets()["CustomersV3"].properties
    constants: Row = {
        "PartyType": "Organization",
        "LanguageId": "en-us",
        "SalesTaxGroup": "DOM",
        "InvoiceAccount": "",
        "OnHoldStatus": "No",
        "CredManCustUnlimitedCredit": "No",
        "CredManGroupId": "",
        "_version": 0,
        "_own_version": 0,
        "_modified_by": _SEED_USER,
    }
    layout = Layout(
        key=("dataAreaId", "CustomerAccount"),
        columns={name: item.stored for name, item in properties.items()} | {"SysModifiedDateTime": "_modified"},
        convert={item.stored: Decimal for item in properties.values() if item.type == "Decimal"},
        constants=constants,
        counters={"_record": finance.books.reserve_records(_lines_of(path))},
        complete=_finish_customer,
        looked_up=frozenset({"OrganizationName", "TaxExemptNumber", "PrimaryContactEmail", "InvoiceAccount"}),
        moments=frozenset({"_modified"}),
    )
    finance.books.table("CustomersV3").put_on_shelf(Shelf(path, layout))


def _finish_customer(row: Row) -> None:
    row.setdefault("CreditLimit", Decimal(0))
    row["NameAlias"] = row["OrganizationName"][:20]
    row["PartyNumber"] = f"{row['_record'] % 10**9:09d}"
    row["_created"] = row["_modified"]


def _shelve_rows(path: Path, dataverse: Dataverse, entity: Entity, complete: Callable[[Row], None]) -> None:
    first = dataverse.db.version + 1
    layout = Layout(
        key=(entity.key,),
        columns={column.stored: column.stored for column in entity.columns.values()},
        convert={
            column.stored: _reader(column.type) for column in entity.columns.values() if _reader(column.type) is not str
        },
        constants={
            "statecode": 0,
            "statuscode": 1,
            "creditonhold": False,
            "_createdby_value": SYSTEM_USER,
            "_modifiedby_value": SYSTEM_USER,
            "_ownerid_value": SYSTEM_USER,
            "@ownerid": "systemuser",
            "_owninguser_value": SYSTEM_USER,
        },
        counters={"versionnumber": first},
        complete=complete,
        looked_up=_LOOKED_UP[entity.name],
        moments=frozenset({"modifiedon"}),
    )
    shelf = Shelf(path, layout)
    dataverse.db.version += len(shelf)
    dataverse.table(entity).put_on_shelf(shelf)


def _reader(kind: str) -> Callable[[str], Any]:
    if kind in SCALES:
        step = Decimal(1).scaleb(-SCALES[kind])
        return lambda text: Decimal(text).quantize(step)
    return int if kind in ("Integer", "BigInt", "Picklist", "State", "Status") else str


def _finish_account(dataverse: Dataverse) -> Callable[[Row], None]:
    currencies = dataverse.rows("transactioncurrency")
    rates = {row["transactioncurrencyid"]: row["exchangerate"] for row in currencies}
    step = Decimal(1).scaleb(-SCALES["Money"])

    def complete(row: Row) -> None:
        rate = rates.get(row.get("_transactioncurrencyid_value"))
        if rate is not None:
            row["exchangerate"] = rate
            if "creditlimit" in row:
                row["creditlimit_base"] = (row["creditlimit"] / rate).quantize(step)

    return complete


def _finish_contact(row: Row) -> None:
    row["@parentcustomerid"] = "account"
    row["fullname"] = " ".join(part for part in (row.get("firstname"), row.get("lastname")) if part)
