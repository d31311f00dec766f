"""Accounts in Sales: what is written on one, who else carries a number of Finance, and the number itself.

The number of Finance is `accountnumber`. It is written once on an account that has none, and never where another active
account carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import Field

from dynamics.core.connection import Listing
from dynamics.core.literals import any_of, key, query
from dynamics.core.rows import ReadRow, Text
from dynamics.sales.records import Currency
from dynamics.sales.writes import ours

if TYPE_CHECKING:
    from dynamics.core.connection import Connection

_COLUMNS = (
    "accountid,accountnumber,name,emailaddress1,telephone1,address1_line1,address1_line2,address1_line3,address1_city,"
    "address1_postalcode,address1_stateorprovince,address1_country"
)
MOST_ORDERS = 50
"""Orders of an account that are listed."""


class AccountRow(ReadRow):
    """account, as far as a customer of Finance is made of it."""

    id: UUID = Field(alias="accountid")
    number: Text = Field("", alias="accountnumber")
    name: Text = ""
    email: Text = Field("", alias="emailaddress1")
    phone: Text = Field("", alias="telephone1")
    line1: Text = Field("", alias="address1_line1")
    line2: Text = Field("", alias="address1_line2")
    line3: Text = Field("", alias="address1_line3")
    city: Text = Field("", alias="address1_city")
    postal_code: Text = Field("", alias="address1_postalcode")
    state: Text = Field("", alias="address1_stateorprovince")
    country: Text = Field("", alias="address1_country")
    currency: Currency | None = Field(None, alias="transactioncurrencyid")
    tax_number: Text = Field("", description="From the column that the policy names")
    etag: str = Field("", alias="@odata.etag")


class OtherAccount(ReadRow):
    """Another account that carries a number."""

    id: UUID = Field(alias="accountid")
    number: Text = Field("", alias="accountnumber")
    name: Text = ""


class _Order(ReadRow):
    number: Text = Field("", alias="ordernumber")


@dataclass(frozen=True, slots=True)
class AccountRead:
    """An account with its open orders in Sales."""

    account: AccountRow
    orders: tuple[str, ...]


class Accounts:
    """Reads and numbers accounts through a connection to Sales."""

    def __init__(self, dataverse: Connection) -> None:
        """Nothing is sent yet."""
        self._dataverse = dataverse

    async def read(self, account_id: UUID, tax_number_column: str) -> AccountRead | None:
        """An account with the orders that are open of it, in one batch; None: it was deleted."""
        orders = query(
            "salesorders",
            select="salesorderid,ordernumber",
            filter=f"_customerid_value eq {account_id} and (statecode eq 0 or statecode eq 1)",
            orderby="createdon desc",
            top=MOST_ORDERS,
        )
        reading = await self._dataverse.read(
            {"account": _account(account_id, tax_number_column)}, {"orders": [Listing(orders, ("salesorderid",))]}
        )
        row = reading.one(AccountRow, "account")
        if row is None:
            return None
        number = reading.value("account").get(tax_number_column) if tax_number_column else None
        account = row.model_copy(update={"tax_number": str(number or "")})
        return AccountRead(account, tuple(order.number for order in reading.all(_Order, "orders")))

    async def carrying(self, numbers: Sequence[str]) -> tuple[OtherAccount, ...]:
        """Active accounts that carry one of some numbers."""
        if not numbers:
            return ()
        path = query(
            "accounts",
            select="accountid,accountnumber,name",
            filter=f"statecode eq 0 and {any_of('accountnumber', numbers)}",
        )
        reading = await self._dataverse.read(collections={"accounts": [Listing(path, ("accountid",))]})
        return reading.all(OtherAccount, "accounts")

    async def set_number(self, account: AccountRow, number: str) -> None:
        """Write the number of Finance on an account as it was read.

        Raises:
            Stale: somebody changed the account meanwhile.
            NotFound: it was deleted.
        """
        body = ours("accounts", {"accountnumber": number})
        await self._dataverse.odata.patch(key("accounts", account.id), body, if_match=account.etag or "*")


def _account(account_id: UUID, tax_number_column: str) -> str:
    columns = f"{_COLUMNS},{tax_number_column}" if tax_number_column else _COLUMNS
    return query(key("accounts", account_id), select=columns, expand="transactioncurrencyid($select=isocurrencycode)")
