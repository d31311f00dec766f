"""Writes a population as tables the sandbox loads: `python -m sandbox.generate FOLDER --customers 1000000 --seed 7`.

`--data FOLDER` of `python -m sandbox` takes them. The folder holds `CustomersV3.csv` (Finance), `accounts.csv` and
`contacts.csv` (Sales), whose headers are the published columns; `truth.csv`, a line for each record that says what is
planted; and `bulk.json`, what was asked for and how much came out. Rows are ordered by the key of their table, and the
same arguments write the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

from sandbox.data.bulk import ACCOUNTS, CONTACTS, CUSTOMERS, FORMAT, MANIFEST, TRUTH
from sandbox.data.ids import row_id
from sandbox.data.population import AGREES, FIELDS, OUTLET, RATES, REGIONS, Party, Population, Record, stamp_of

_FINANCE_COLUMNS: Final = (
    "dataAreaId,CustomerAccount,OrganizationName,CustomerGroupId,SalesCurrencyCode,PaymentTerms,CreditLimit,"
    "AddressStreet,AddressCity,AddressZipCode,AddressState,AddressCountryRegionId,PrimaryContactPhone,"
    "PrimaryContactEmail,TaxExemptNumber,SysModifiedDateTime"
)
_ACCOUNT_COLUMNS: Final = (
    "accountid,name,accountnumber,creditlimit,telephone1,emailaddress1,address1_line1,address1_city,"
    "address1_postalcode,address1_stateorprovince,address1_country,msdyn_taxexemptnumber,"
    "_transactioncurrencyid_value,_owningbusinessunit_value,customertypecode,paymenttermscode,createdon,modifiedon"
)
_CONTACT_COLUMNS: Final = (
    "contactid,firstname,lastname,telephone1,emailaddress1,_parentcustomerid_value,_owningbusinessunit_value,"
    "createdon,modifiedon"
)
_TRUTH_COLUMNS: Final = (
    "kind,company,finance_account,sales_accountid,sales_accountnumber,field,finance_value,sales_value,base_value,"
    "same_as"
)
_CUSTOMER: Final = 3
"""customertypecode of an account that is a customer (Microsoft Learn: table reference of account)."""
_NET_30: Final = 1
"""paymenttermscode of the terms that every customer has in Finance."""
_GAP: Final = 4096
_FIRST_ID: Final = 0x61A0_0000_0000


class _Writer:
    """The files of a folder, open for writing."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._customers = self._open(CUSTOMERS, _FINANCE_COLUMNS)
        self._accounts = self._open(ACCOUNTS, _ACCOUNT_COLUMNS)
        self._contacts = self._open(CONTACTS, _CONTACT_COLUMNS)
        self._truth = self._open(TRUTH, _TRUTH_COLUMNS)
        self._units = {unit: row_id("businessunit", unit) for unit in (*(r.company for r in REGIONS), OUTLET)}
        self._currencies = {r.currency: row_id("transactioncurrency", r.currency) for r in REGIONS}
        self.counts: Counter[str] = Counter()

    def _open(self, name: str, header: str) -> TextIO:
        file = self._stack.enter_context((self._folder / name).open("w", encoding="utf-8", newline=""))
        file.write(header + "\n")
        return file

    def write(self, record: Record) -> None:
        """Write one record on the sides it is on, and the truth about it."""
        if record.finance is not None:
            self._finance(record, record.finance)
        account = "" if record.sales is None else self._sales(record, record.sales)
        finance_value = sales_value = ""
        if record.field and record.finance is not None and record.sales is not None:
            finance_value, sales_value = getattr(record.finance, record.field), getattr(record.sales, record.field)
        company = "" if record.unit == OUTLET else record.region.company
        cells = (record.field, _cell(finance_value), _cell(sales_value), _cell(record.base), record.same_as)
        known = f"{record.kind},{company},{record.number},{account},{record.sales_number}"
        self._truth.write(f"{known},{','.join(cells)}\n")
        self.counts[record.kind] += 1

    def _finance(self, record: Record, party: Party) -> None:
        region = record.region
        self._customers.write(
            f"{region.company},{record.number},{_cell(party.name)},10,{region.currency},Net 30,{party.credit_limit},"
            f"{_cell(party.street)},{party.city},{party.postal_code},{party.state},{region.country},{party.phone},"
            f"{party.email},{party.tax_number},{stamp_of(party.modified)}\n"
        )
        self.counts["finance_customers"] += 1

    def _sales(self, record: Record, party: Party) -> str:
        """Write account and contact; the account's id."""
        number = self.counts["sales_accounts"] = self.counts["sales_accounts"] + 1
        account, contact = _guid(number, "a"), _guid(number, "c")
        unit, moment = self._units[record.unit], stamp_of(party.modified)
        region = record.region
        self._accounts.write(
            f"{account},{_cell(party.name)},{record.sales_number},{party.credit_limit},{party.phone},{party.email},"
            f"{_cell(party.street)},{party.city},{party.postal_code},{party.state},{region.country_name},"
            f"{party.tax_number},{self._currencies[region.currency]},{unit},{_CUSTOMER},{_NET_30},2024-01-01T00:00:00Z,"
            f"{moment}\n"
        )
        first, last = party.contact
        self._contacts.write(
            f"{contact},{first},{last},{party.phone},{first.lower()}.{party.email.replace('office', last.lower())},"
            f"{account},{unit},2024-01-01T00:00:00Z,{moment}\n"
        )
        return account


def _guid(number: int, kind: str) -> str:
    """Ids in rising order, as Dataverse's own are: they are made from the time."""
    high = _FIRST_ID + number * _GAP + number * 2654435761 % _GAP
    low = number * 11400714819323198485 % 2**48
    return f"{high >> 16 & 0xFFFFFFFF:08x}-{high & 0xFFFF:04x}-4{number * 40503 % 4096:03x}-{kind}000-{low:012x}"


def _cell(text: str) -> str:
    return f'"{text}"' if "," in text else text


def write(
    folder: Path,
    customers: int,
    *,
    seed: int = 0,
    rates: dict[str, float] | None = None,
    fields: tuple[str, ...] = tuple(FIELDS),
) -> dict[str, int]:
    """Write a population into a folder; how many records of each kind there are, and how many rows on each side.

    Raises:
        ValueError: A rate or a field is unknown or out of range.
    """
    chosen = {**RATES, **(rates or {})}
    population = Population(customers, seed, chosen, fields)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        writer = _Writer(folder, stack)
        for record in population.records():
            writer.write(record)
    counts = dict(sorted(writer.counts.items()))
    asked = {"format": FORMAT, "customers": customers, "seed": seed, "rates": chosen, "fields": list(fields)}
    (folder / MANIFEST).write_text(json.dumps(asked | {"counts": counts}, indent=1) + "\n")
    return counts


def _rate(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    return name, float(share)


def main() -> int:
    """Write what the command line asks for; 2 where it asks for what there is not."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.generate", description="Customers for a comparison.")
    parser.add_argument("folder", type=Path, help="where to write; python -m sandbox --data takes it")
    parser.add_argument("--customers", type=int, default=10_000, help="how many records, 10,000 unless given")
    parser.add_argument("--seed", type=int, default=0, help="the same seed writes the same bytes")
    parser.add_argument(
        "--rate",
        type=_rate,
        action="append",
        default=[],
        metavar="KIND=SHARE",
        help=f"share of records, from 0 to 1, of: {', '.join(RATES)}",
    )
    parser.add_argument("--fields", default=",".join(FIELDS), help="fields that may differ, separated by commas")
    arguments = parser.parse_args()
    try:
        counts = write(
            arguments.folder,
            arguments.customers,
            seed=arguments.seed,
            rates=dict(arguments.rate),
            fields=tuple(arguments.fields.split(",")),
        )
    except ValueError as problem:
        sys.stderr.write(f"python -m sandbox.generate: {problem}\n")
        return 2
    for name in (AGREES, *sorted(set(counts) - {AGREES})):
        sys.stdout.write(f"{counts.get(name, 0):>10,}  {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
