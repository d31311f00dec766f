"""Customers that may be one, as people decide about them: what they see, and what their word comes to.

Two persons decide where money hangs on it: where something is open on more than one of the customers, or where it is
not known what is open on one of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from datetime import datetime
from enum import StrEnum
from itertools import combinations
from typing import Final

from pydantic import Field

from domain.customers import Standing
from domain.entities.cross_reference import PairVerdict, customer_ref
from domain.entities.survivors import SurvivorPlan, Twin, survivor_plan
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal

MOST_CUSTOMERS: Final = 50
"""Customers of a cluster that a person can decide about."""


class Said(StrEnum):
    """What a person says of a cluster."""

    SAME = "same"
    """The chosen customers are one, and the others are none of them."""
    DIFFERENT = "different"
    """All of them are different customers."""
    LATER = "later"
    """Somebody looks at it another time."""


class Status(StrEnum):
    """How a cluster stands."""

    OPEN = "open"
    LATER = "later"
    PROPOSED = "proposed"
    """One person decided, and a second one has to."""
    DECIDED = "decided"
    GONE = "gone"
    """The last matching did not find it any more."""


class SalesAccount(Record):
    """A row of Sales."""

    id: str
    name: str = ""


class MatchedCustomer(Record):
    """A customer of a cluster, on both sides."""

    company: str = Field(description="Legal entity, lower case; empty: Sales does not say")
    number: str = Field("", description="In Finance, or on the account alone; empty: none")
    finance_name: str | None = Field(None, description="None: Finance does not have it")
    accounts: tuple[SalesAccount, ...] = ()
    finance: Standing | None = Field(None, description="Open in Finance; None: was not read")
    sales: Standing | None = Field(None, description="Open in Sales; None: was not read")

    @property
    def ref(self) -> str:
        """How it is called wherever people decided about it."""
        return customer_ref(self.company, self.number, self.accounts[0].id if self.accounts else "")

    @property
    def in_finance(self) -> bool:
        """Whether Finance has it."""
        return self.finance_name is not None

    @property
    def name(self) -> str:
        """As Finance writes it, else Sales."""
        return self.finance_name or next((each.name for each in self.accounts), "")

    @property
    def is_known(self) -> bool:
        """Whether it was read what is open on it."""
        return (not self.in_finance or self.finance is not None) and (not self.accounts or self.sales is not None)

    @property
    def has_open(self) -> bool:
        """Whether something is open on it, as far as it was read."""
        receivables = self.finance.open_receivables if self.finance else None
        return bool(receivables) or any(each.open_orders for each in (self.finance, self.sales) if each)

    @property
    def twin(self) -> Twin:
        """As a proposal looks at it."""
        return Twin(
            number=self.number,
            name=self.name,
            in_finance=self.in_finance,
            accounts=tuple(each.id for each in self.accounts),
            finance=self.finance,
            sales=self.sales,
        )


class MatchedPair(Record):
    """Two customers that are taken for one, or of which people said that they are."""

    one: str
    other: str
    score: float
    reasons: tuple[str, ...] = ()


class Cluster(Record):
    """Customers that may be one."""

    customers: tuple[MatchedCustomer, ...] = Field(min_length=2, max_length=MOST_CUSTOMERS)
    pairs: tuple[MatchedPair, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same customers, whenever they are found."""
        return _digest(sorted(customer.ref for customer in self.customers))

    @property
    def companies(self) -> tuple[str, ...]:
        """Legal entities of its customers."""
        return tuple(sorted({customer.company for customer in self.customers if customer.company}))

    @property
    def needs_two(self) -> bool:
        """Whether money hangs on the decision, or it is not known whether."""
        if not all(customer.is_known for customer in self.customers):
            return True
        return sum(customer.has_open for customer in self.customers) > 1

    @property
    def digest(self) -> str:
        """Of what a decision would come to: another one is another decision."""
        said = [[customer.ref, customer.in_finance, customer.twin.accounts] for customer in self.customers]
        stays = [[plan.company, plan.survivor.called] for plan in self.plans()]
        return _digest([sorted(said, key=str), stays, self.needs_two])

    @property
    def is_to_decide(self) -> bool:
        """Whether it is for people: doubles of a company, or an account of none beside a customer of Finance."""
        if not self.companies:
            return False
        doubles = len({customer.company for customer in self.customers}) < len(self.customers)
        lost = any(not customer.company for customer in self.customers)
        return doubles or (lost and any(customer.in_finance for customer in self.customers))

    def plans(self, chosen: Collection[str] = ()) -> tuple[SurvivorPlan, ...]:
        """A proposal for each company that has several of the customers, or one of the accounts of none.

        Args:
            chosen: names of customers; empty: all.
        """
        return tuple(survivor_plan(company, twins) for company, twins in self._by_company(chosen) if len(twins) > 1)

    def links(self, chosen: Collection[str]) -> tuple[tuple[str, str, str], ...]:
        """Account, company and number of Finance for each account of the chosen customers, once they are one."""
        found = []
        for company, twins in self._by_company(chosen):
            stays = survivor_plan(company, twins).survivor
            if stays.in_finance:
                found += [(account.lower(), company, stays.number) for twin in twins for account in twin.accounts]
        return tuple(dict.fromkeys(found))

    def verdicts(self, said: Said, chosen: Collection[str]) -> Iterator[PairVerdict]:
        """What a decision says of each two customers."""
        for one, other in combinations(sorted(customer.ref for customer in self.customers), 2):
            if said is Said.DIFFERENT or (one in chosen) != (other in chosen):
                yield PairVerdict(one=one, other=other, same=False)
            elif one in chosen:
                yield PairVerdict(one=one, other=other, same=True)

    def _by_company(self, chosen: Collection[str]) -> Iterator[tuple[str, list[Twin]]]:
        of = [customer for customer in self.customers if not chosen or customer.ref in chosen]
        for company in sorted({customer.company for customer in of if customer.company}):
            yield company, [customer.twin for customer in of if customer.company in (company, "")]


class Word(Record):
    """What a person says of a cluster, signed."""

    message_id: str
    person: Person
    at: datetime
    said: Said
    chosen: tuple[str, ...] = Field((), description="The customers that are one, where some are")
    seen: str = Field(description="Digest of the cluster as the person saw it")
    why: str = ""
    policy_version: str = ""
    proof: str = Field("", description="The signed message")


class Proposal(Record):
    """What the first of two persons decided."""

    decision: str
    person: Person
    at: datetime
    said: Said
    chosen: tuple[str, ...] = ()
    why: str = ""


def judge(cluster: Cluster, status: Status, proposal: Proposal | None, word: Word) -> Status | Refusal:
    """What a person's word makes of a cluster, or why it counts for nothing.

    Args:
        cluster: as it stands.
        status: its own.
        proposal: of another decision of the same, where one waits for a second person.
        word: what is said.
    """
    if status is Status.DECIDED:
        return Refusal.ALREADY_DECIDED
    if status is Status.GONE:
        return Refusal.NOT_OPEN_ANY_MORE
    if word.seen != cluster.digest:
        return Refusal.CHANGED_MEANWHILE
    if word.said is Said.LATER:
        return Status.LATER
    chosen, known = set(word.chosen), {customer.ref for customer in cluster.customers}
    if not word.why.strip() or (word.said is Said.SAME and (len(chosen) < 2 or not chosen <= known)):
        return Refusal.BAD_ARGUMENT
    if not cluster.needs_two:
        return Status.DECIDED
    if proposal is None or (proposal.said, set(proposal.chosen)) != (word.said, chosen):
        return Status.PROPOSED
    return Refusal.NEEDS_SECOND_PERSON if word.person.is_same(proposal.person) else Status.DECIDED


def _digest(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
