"""What is open of a customer's account in Finance, with the documents it belongs to, in one batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from dynamics.core.literals import key, literal, query
from dynamics.core.rows import ReadRow, Text
from dynamics.finance.client import Finance
from dynamics.finance.queries import listing, of_company, same_text
from dynamics.finance.records import OpenTransaction, Transaction

_ADDRESS_COLUMNS = (
    "dataAreaId,CustomerAccount,OrganizationName,LanguageId,AddressStreet,AddressZipCode,AddressCity,AddressState,"
    "AddressCountryRegionId"
)


class Addressee(ReadRow):
    """CustomersV3: to whom a letter goes."""

    account: str = Field(alias="CustomerAccount")
    name: Text = Field("", alias="OrganizationName")
    language: Text = Field("", alias="LanguageId")
    street: Text = Field("", alias="AddressStreet")
    zip_code: Text = Field("", alias="AddressZipCode")
    city: Text = Field("", alias="AddressCity")
    state: Text = Field("", alias="AddressState")
    country: Text = Field("", alias="AddressCountryRegionId")

    @property
    def lines(self) -> tuple[str, ...]:
        """The address, a line each, without empty ones."""
        place = " ".join(part for part in (self.zip_code, self.city, self.state) if part)
        return tuple(line for text in (self.street, place, self.country) for line in text.splitlines() if line.strip())


class OpenDocument(OpenTransaction):
    """CustTransOpens with the transaction it belongs to; an invoice paid by instalments has one for each."""

    transaction: Transaction | None = Field(None, alias="CustTransaction")


class Receivables(NamedTuple):
    """What is open of an account, and whose it is; None where Finance does not know it."""

    customer: Addressee | None
    documents: tuple[OpenDocument, ...]


async def read_receivables(finance: Finance, company: str, account: str) -> Receivables:
    """All that is open of the account that is billed.

    Args:
        finance: client of Finance.
        company: legal entity, lower case.
        account: customer account, in any case.

    Raises:
        DynamicsError: it could not be read.
    """
    customer = query(
        key("CustomersV3", dataAreaId=company, CustomerAccount=account), cross_company="true", select=_ADDRESS_COLUMNS
    )
    condition = f"{of_company(company)} and AccountNum eq {literal(account)}"
    reading = await finance.read(
        {"customer": customer}, {"opens": [listing("CustTransOpens", condition, expand="CustTransaction")]}
    )
    found = reading.all(OpenDocument, "opens")
    return Receivables(
        customer=reading.one(Addressee, "customer"),
        documents=tuple(_of_account(found, account)),
    )


def _of_account(found: tuple[OpenDocument, ...], account: str) -> Iterator[OpenDocument]:
    """Without what a ``*`` in the account brought along."""
    return (document for document in found if same_text(document.account, account))
