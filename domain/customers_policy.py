"""The data of the rules on customers: what one is created with in Finance, and how alike two have to be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.record import Record
from domain.values import Company

Needed = Literal[
    "payment_terms",
    "tax_group",
    "tax_number",
    "street",
    "city",
    "postal_code",
    "state",
    "country",
    "email",
    "phone",
]
"""What a company may want to know of a customer beside its name, currency and group, which Finance itself asks for."""


class CompanyDefaults(Record):
    """What a new customer of a company is created with, where nobody says otherwise."""

    account_numbers: Literal["ours", "automatic"] = Field(
        description="ours: we send the account number, and Finance refuses a second one; automatic: Finance numbers"
    )
    group: str = Field(min_length=1, description="CustomerGroupId")
    payment_terms: str = Field("", description="Name of Finance's terms; empty: those of the group")
    tax_group: str = Field("", description="Sales tax group; empty: that of the group")


class Likeness(Record):
    """How alike two customers have to be before a person is asked, and what counts beside their names."""

    threshold: int = Field(ge=50, le=100, description="From this score on a customer of Finance may be the same one")
    same_tax_number: int = Field(ge=0, le=100, description="At least this score, whatever the names")
    same_email_domain: int = Field(ge=0, le=50, description="Added to the score")
    same_address: int = Field(ge=0, le=50, description="Added to the score: street and postal code")
    other_tax_number: int = Field(ge=0, le=50, description="Taken off where both have a number and they differ")


class CustomerPolicy(Record):
    """How customers come from Sales to Finance."""

    version: str = Field(min_length=1)
    companies: dict[Company, CompanyDefaults] = Field(description="Absent: no customer is created in it from here")
    required: tuple[Needed, ...] = Field((), description="Asked of the rep before a customer can be created")
    tax_number_column: str = Field(
        "", pattern=r"^([a-z][a-z0-9]*_?[a-z0-9_]*)?$", description="Column of account that holds it; empty: none does"
    )
    likeness: Likeness
    legal_forms: tuple[str, ...] = Field(description="Left out of names before they are compared, in any case")
    public_mail: tuple[str, ...] = Field((), description="Mail domains that say nothing of whose address it is")
