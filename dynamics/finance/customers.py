"""Customers in Finance: those like one of Sales, what hangs on each, and one that is made once.

What is made here carries our key as its search name (`NameAlias`), and where the company's policy says so the account
number as well, so that Finance's own key refuses a second one. What carries the key is looked for before anything is
written, and once more after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from dynamics.core.connection import Listing
from dynamics.core.errors import Conflict, Refused, System
from dynamics.core.literals import any_of, literal, query
from dynamics.core.odata import Row
from dynamics.core.rows import ReadRow
from dynamics.finance import queries
from dynamics.finance.queries import of_company, same_text
from dynamics.finance.records import Ledger, OpenOrder, OpenTransaction

if TYPE_CHECKING:
    from dynamics.core.connection import Connection

MOST_FOUND = 50
"""Customers read for one thing they have in common with an account; of more, their number is said."""
DUPLICATE = "DUPLICATE_CUSTOMER"
"""Code of a conflict: two customers carry one key of ours."""
_SET = "CustomersV3"
_COLUMNS = (
    "CustomerAccount,OrganizationName,NameAlias,TaxExemptNumber,AddressStreet,AddressZipCode,PrimaryContactEmail,"
    "SalesCurrencyCode"
)


class CustomerRow(ReadRow):
    """CustomersV3, as far as customers are told apart by it."""

    account: str = Field(alias="CustomerAccount")
    name: str = Field("", alias="OrganizationName")
    search_name: str = Field("", alias="NameAlias", description="Our key, of a customer that we made")
    tax_number: str = Field("", alias="TaxExemptNumber")
    street: str = Field("", alias="AddressStreet")
    postal_code: str = Field("", alias="AddressZipCode")
    email: str = Field("", alias="PrimaryContactEmail")
    currency: str = Field("", alias="SalesCurrencyCode")


@dataclass(frozen=True, slots=True)
class Traces:
    """What a customer may have in common with an account of Sales; an empty one is not looked for."""

    key: str = ""
    word: str = ""
    """Of the name."""
    tax_number: str = ""
    """Letters and digits alone, however it is written in Finance."""
    mail_domain: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Customers that have something in common with an account, and how many more there are."""

    rows: tuple[CustomerRow, ...]
    more: int


@dataclass(frozen=True, slots=True)
class OnAccount:
    """What hangs on a customer."""

    open_receivables: Decimal
    """In the company's accounting currency."""
    currency: str
    orders: tuple[str, ...]


class Customers:
    """Finds and makes customers through a connection to Finance."""

    def __init__(self, finance: Connection) -> None:
        """Nothing is sent yet."""
        self._finance = finance

    async def like(self, company: str, traces: Traces) -> Found:
        """Customers of a company with one of the traces, at most fifty for each, in one batch."""
        searches = {name: [_search(company, condition)] for name, condition in _conditions(traces).items()}
        if not searches:
            return Found((), 0)
        reading = await self._finance.read(collections=searches)
        rows: dict[str, CustomerRow] = {}
        more = 0
        for name in searches:
            read = reading.all(CustomerRow, name)
            more += max(len(read) - MOST_FOUND, 0)
            rows |= {row.account.casefold(): row for row in read[:MOST_FOUND]}
        return Found(tuple(rows.values()), more)

    async def standing(self, company: str, accounts: Sequence[str]) -> dict[str, OnAccount]:
        """What is open on each of some accounts, by the account as it is asked for, in one batch."""
        collections: dict[str, list[Listing]] = {}
        for account in accounts:
            collections[f"orders of {account}"] = [queries.open_orders(company, account)]
            collections[f"opens of {account}"] = [queries.open_transactions(company, account)]
        reading = await self._finance.read({"ledger": queries.ledger(company)}, collections)
        ledger = reading.one(Ledger, "ledger")
        currency = ledger.accounting_currency if ledger else ""
        found: dict[str, OnAccount] = {}
        for account in accounts:
            opens = reading.all(OpenTransaction, f"opens of {account}")
            orders = reading.all(OpenOrder, f"orders of {account}")
            owed = sum((t.amount_company for t in opens if same_text(t.account, account)), Decimal(0))
            numbers = tuple(order.number for order in orders if same_text(order.invoice_account, account))
            found[account] = OnAccount(owed, currency, numbers)
        return found

    async def find(self, company: str, key: str) -> str | None:
        """The account of the customer made under our key; None is proof of absence at the moment of the read.

        Raises:
            Conflict: more than one carries it; nothing is changed by us.
        """
        reading = await self._finance.read(
            collections={"made": [_search(company, f"NameAlias eq {literal(key)}")]},
        )
        made = sorted({row.account for row in reading.all(CustomerRow, "made") if same_text(row.search_name, key)})
        if len(made) > 1:
            raise Conflict(
                f"{len(made)} customers carry the search name {key}: {', '.join(made)}; keep one, and change the "
                "search name of the others in Finance",
                system=System.FINANCE,
                code=DUPLICATE,
                operation=f"GET {_SET}",
            )
        return made[0] if made else None

    async def create(self, company: str, key: str, columns: Mapping[str, str]) -> str:
        """Make a customer that is known to be absent; its account.

        Args:
            company: Legal entity, lower case.
            key: Ours.
            columns: Of CustomersV3; empty ones are left out, and Finance defaults them.

        Raises:
            Refused: Finance does not take it, e.g. because its account number is taken.
            Conflict: somebody else made it at the same moment, as another customer.
            UnknownOutcome: the request left and no answer came: `find` tells.
        """
        body: Row = {"dataAreaId": company, "PartyType": "Organization", "NameAlias": key}
        body |= {name: value for name, value in columns.items() if value}
        try:
            written = await self._finance.odata.post(f"{_SET}?cross-company=true", body, representation=True)
        except (Refused, Conflict):
            if (made := await self.find(company, key)) is not None:
                return made  # another deal made it a moment ago
            raise
        account = self._finance.row(CustomerRow, written.row).account
        await self.find(company, key)
        return account


def _search(company: str, condition: str) -> Listing:
    path = query(
        _SET,
        cross_company="true",
        filter=f"{of_company(company)} and {condition}",
        select=_COLUMNS,
        orderby="CustomerAccount",
        top=MOST_FOUND + 1,
    )
    return Listing(path, ("CustomerAccount",))


def _conditions(traces: Traces) -> dict[str, str]:
    """What is searched, by name. A `*` that somebody wrote would find everything: it is left out."""
    wild = {
        "name": ("OrganizationName", (f"*{_plain(traces.word)}*",) if _plain(traces.word) else ()),
        "tax number": ("TaxExemptNumber", (_spread(traces.tax_number),) if traces.tax_number else ()),
        "mail domain": ("PrimaryContactEmail", (f"*@{_plain(traces.mail_domain)}",) if traces.mail_domain else ()),
        "key": ("NameAlias", (traces.key,) if traces.key else ()),
    }
    return {name: any_of(column, values) for name, (column, values) in wild.items() if values}


def _plain(text: str) -> str:
    return text.replace("*", "").strip()


def _spread(number: str) -> str:
    """A number in whichever way its signs are set apart: `*` matches what stands between them, or nothing."""
    return "*".join(_plain(number))


def columns_of(fields: Mapping[str, str]) -> dict[str, str]:
    """The columns of CustomersV3 for the fields of a customer."""
    return {column: fields.get(name, "") for name, column in _COLUMN_OF.items()}


_COLUMN_OF = {
    "account": "CustomerAccount",
    "name": "OrganizationName",
    "group": "CustomerGroupId",
    "currency": "SalesCurrencyCode",
    "payment_terms": "PaymentTerms",
    "tax_group": "SalesTaxGroup",
    "tax_number": "TaxExemptNumber",
    "street": "AddressStreet",
    "city": "AddressCity",
    "postal_code": "AddressZipCode",
    "state": "AddressState",
    "country": "AddressCountryRegionId",
    "email": "PrimaryContactEmail",
    "phone": "PrimaryContactPhone",
}
