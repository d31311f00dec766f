"""A customer that Finance does not know: what it would be created with, what is missing, and who it may be already.

Finance is the master of a customer's number, group, terms and currency, Sales of its name, address and contacts. So a
customer is proposed with what Sales says and what the policy gives, a person of accounts receivable approves it, and
nothing is ever merged: whether two records are one customer is a person's to say (scenarios S38, S39).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.customers_policy import CompanyDefaults, Needed
from domain.people import Person
from domain.phrases import Phrase
from domain.record import Record

LONGEST: Final[Mapping[str, int]] = {
    "account": 20,
    "name": 100,
    "group": 10,
    "currency": 3,
    "payment_terms": 10,
    "tax_group": 10,
    "tax_number": 20,
    "street": 250,
    "city": 60,
    "postal_code": 10,
    "state": 10,
    "country": 10,
    "email": 255,
    "phone": 255,
}
"""Characters that Finance takes of each field, in UTF-16 units as it counts them."""
WORDS: Final[Mapping[str, str]] = {
    "account": "account number",
    "name": "name",
    "group": "customer group",
    "currency": "currency",
    "payment_terms": "payment terms",
    "tax_group": "sales tax group",
    "tax_number": "tax number",
    "street": "street",
    "city": "city",
    "postal_code": "postal code",
    "state": "state",
    "country": "country",
    "email": "e-mail address",
    "phone": "phone number",
}
_ALWAYS: Final = ("name", "currency", "group")
"""What Finance itself asks for (CustomersV3)."""
CANDIDATES_SHOWN: Final = 5
ORDERS_SHOWN: Final = 5


def customer_key(environment: str, company: str, account_id: str) -> str:
    """What marks the customer that is made of an account of Sales: the same however often it is computed.

    It does not depend on the deal, so that two deals of one account make one customer.
    """
    content = "|".join(("customer", environment, company, account_id.lower()))
    return "Q2C-" + base64.b32encode(hashlib.sha256(content.encode()).digest()).decode()[:12]


class AccountInSales(Record):
    """An account of Sales, in the words of the rules. ``country`` is Finance's, empty where it has none for it."""

    account_id: str
    name: str = ""
    number: str = ""
    currency: str = ""
    tax_number: str = ""
    street: str = ""
    city: str = ""
    postal_code: str = ""
    state: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""


class KnownCustomer(Record):
    """A customer that Finance has."""

    account: str
    name: str = ""
    key: str = Field("", description="What marks it as made of an account of Sales; empty or other: not by us")
    tax_number: str = ""
    street: str = ""
    postal_code: str = ""
    email: str = ""


class Proposal(Record):
    """A customer as it would be created in Finance."""

    key: str
    account_id: str = Field(description="Of the account in Sales it is made of")
    account: str = Field("", description="Its number; empty: Finance gives one")
    name: str = ""
    group: str = ""
    currency: str = ""
    payment_terms: str = Field("", description="Empty: those of the group")
    tax_group: str = Field("", description="Empty: that of the group")
    tax_number: str = ""
    street: str = ""
    city: str = ""
    postal_code: str = ""
    state: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""
    required: tuple[str, ...] = Field((), description="Fields that the policy asks for beside Finance's own")

    def corrected(self, changes: Mapping[str, str]) -> Proposal:
        """The proposal with what an approver entered in place of it."""
        return self.model_copy(update={name: changes[name] for name in LONGEST if name in changes})

    @property
    def faults(self) -> dict[str, str]:
        """Why it cannot be created as it is: field → what to do about it, in the order of a form."""
        return dict(self._faults())

    def _faults(self) -> Iterator[tuple[str, str]]:
        for name, most in LONGEST.items():
            value: str = getattr(self, name)
            if not value and (name in _ALWAYS or name in self.required):
                yield name, f"The {WORDS[name]} is missing. Enter it on the account in Sales."
            elif (length := len(value.encode("utf-16-le", "surrogatepass")) // 2) > most:
                yield name, f"The {WORDS[name]} has {length} characters, Finance takes {most}. Shorten it in Sales."


class MatchReason(Record):
    """Why a customer of Finance may be the one of Sales, or may not."""

    kind: str = Field(
        description="made_for_it, same_name, like_name, same_email_domain, same_address, same_ or other_tax_number"
    )
    text: str
    said: Phrase | None = Field(None, description="The text with its numbers apart, for readers of other languages")

    @classmethod
    def of(cls, kind: str, said: Phrase) -> MatchReason:
        """A reason that is said in a phrase."""
        return cls(kind=kind, text=str(said), said=said)


class Standing(Record):
    """What hangs on one side of a possible duplicate."""

    open_receivables: Decimal | None = Field(
        None, description="Open in Finance, in `currency`; None: it has no account"
    )
    currency: str = ""
    open_orders: int = 0
    orders: tuple[str, ...] = Field((), description="Numbers of some of them")


class Candidate(Record):
    """A customer of Finance that may be the one of the quote."""

    account: str
    name: str
    score: int = Field(description="From 0 to 100")
    reasons: tuple[MatchReason, ...] = ()
    standing: Standing = Standing()
    held_by: str = Field("", description="Name of another account of Sales that carries its number; empty: none does")

    @property
    def text(self) -> str:
        """The candidate in words."""
        why = ", ".join(reason.text for reason in self.reasons)
        return f"{self.name or self.account} ({self.account}), score {self.score}: {why}"


class UnknownCustomer(Record):
    """What was found of a quote's customer that has no number of Finance."""

    account_id: str
    name: str = ""
    standing: Standing = Field(Standing(), description="What hangs on the account in Sales")
    proposal: Proposal | None = Field(None, description="None: the policy creates no customers in the company")
    candidates: tuple[Candidate, ...] = Field((), description="Who it may be in Finance, the likeliest first")
    dismissed: tuple[str, ...] = Field((), description="Customers of Finance that a person said it is not")
    more: int = Field(0, description="Candidates beyond those listed, and customers that were not compared")

    def candidate(self, account: str) -> Candidate | None:
        """The candidate of an account number, in any case."""
        return next((each for each in self.candidates if each.account.casefold() == account.casefold()), None)

    @property
    def decidable(self) -> bool:
        """Whether a person can say how it goes on, without the rep entering anything before."""
        return bool(self.candidates) or (self.proposal is not None and not self.proposal.faults)


class CustomerWork(Record):
    """What a person decided about an unknown customer, and how far it is done."""

    account_id: str = Field(description="Of the account in Sales that gets the number")
    create: Proposal | None = Field(None, description="To be created; None: it is in Finance already")
    dismissed: tuple[str, ...] = Field((), description="Customers of Finance that a person said it is not")
    account: str = Field("", description="Its number in Finance, once it is there")
    by: Person


def proposal_of(
    account: AccountInSales,
    *,
    company: str,
    environment: str,
    currency: str,
    defaults: CompanyDefaults,
    required: tuple[Needed, ...],
) -> Proposal:
    """What an account of Sales would be created with in Finance.

    Args:
        account: as Sales has it.
        company: legal entity, lower case.
        environment: part of the key.
        currency: of the quote, where the account names none.
        defaults: of the company.
        required: fields that the policy asks for.
    """
    key = customer_key(environment, company, account.account_id)
    return Proposal(
        key=key,
        account_id=account.account_id,
        account=key if defaults.account_numbers == "ours" else "",
        group=defaults.group,
        payment_terms=defaults.payment_terms,
        tax_group=defaults.tax_group,
        currency=account.currency or currency,
        required=required,
        **{name: getattr(account, name) for name in _OF_SALES},
    )


_OF_SALES: Final = ("name", "tax_number", "street", "city", "postal_code", "state", "country", "email", "phone")
