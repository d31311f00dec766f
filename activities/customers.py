"""Customers that Finance does not know: looked up with their quote, created and mapped when somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from temporalio import activity

from activities.customer_signatures import CreateCustomer, CustomerActivities, CustomerDone, MapCustomer
from activities.failures import for_deal
from domain.assessment import Problem
from domain.customer_problems import is_of_customer, problems_of
from domain.customers import (
    CANDIDATES_SHOWN,
    ORDERS_SHOWN,
    AccountInSales,
    Candidate,
    KnownCustomer,
    Standing,
    UnknownCustomer,
    customer_key,
    proposal_of,
)
from domain.likeness import compared, mail_domain, search_word, tax_form
from domain.policy import Policy
from domain.quote import QuoteSnapshot
from domain.validation import bounded, normalise
from dynamics.core.errors import Conflict, NotFound, Refused
from dynamics.finance.client import Finance
from dynamics.finance.customers import DUPLICATE, CustomerRow, OnAccount, Traces, columns_of
from dynamics.sales.accounts import AccountRow
from dynamics.sales.client import Dataverse

PROBE_AGAIN_SECONDS = 30.0
"""Pause between the two looks that prove a customer absent where Finance numbers it (no key refuses a second one)."""


class CustomerDesk(CustomerActivities):
    """Looks customers up in both systems, and sets them up."""

    def __init__(
        self, dataverse: Dataverse, finance: Finance, policy: Policy, *, probe_again: float = PROBE_AGAIN_SECONDS
    ) -> None:
        """Bring the clients and the rules together; ``probe_again`` as in ``activities.finance``."""
        self._dataverse = dataverse
        self._finance = finance
        self._policy = policy
        self._probe_again = probe_again

    @activity.defn(name="create_customer")
    async def create_customer(self, ask: CreateCustomer) -> CustomerDone:
        """Create the customer in Finance, or find the one an earlier attempt made."""
        in_doubt = ask.probe or activity.info().attempt > 1
        with for_deal():
            return await self._create(ask, in_doubt=in_doubt)

    async def _create(self, ask: CreateCustomer, *, in_doubt: bool) -> CustomerDone:
        customer = ask.customer
        known = await self._finance.customers.find(ask.company, customer.key)
        if known is None and in_doubt and not customer.account:
            await asyncio.sleep(self._probe_again)
            known = await self._finance.customers.find(ask.company, customer.key)
        if known is not None:
            return CustomerDone(account=known, found=True)
        if seen := await self._seen_meanwhile(ask):
            return CustomerDone(seen=seen)
        columns = columns_of(customer.model_dump())
        try:
            made = await self._finance.customers.create(ask.company, customer.key, columns)
        except (Refused, Conflict) as refusal:
            if refusal.code == DUPLICATE:
                raise
            return CustomerDone(refused=f"Finance does not take the customer: {refusal}")
        return CustomerDone(account=made)

    async def _seen_meanwhile(self, ask: CreateCustomer) -> str:
        """Why no customer is made before a person has looked again; empty: it is as it was when they decided."""
        customer = ask.customer
        read = await self._dataverse.accounts.read(UUID(customer.account_id), "")
        if read is None:
            return "the account was deleted in Sales"
        if number := read.account.number.strip():
            return f"the account carries {number} in Sales by now"
        account = AccountInSales.model_validate(customer.model_dump(exclude={"account"}))
        likely, _ = await self._candidates(account, ask.company, customer.key)
        dismissed = {each.casefold() for each in ask.dismissed}
        unseen = [candidate for candidate in likely if candidate.account.casefold() not in dismissed]
        return f"Finance has {unseen[0].text} by now" if unseen else ""

    @activity.defn(name="map_customer")
    async def map_customer(self, ask: MapCustomer) -> CustomerDone:
        """Write the number on the account in Sales, if it has none and no other account carries it."""
        with for_deal():
            return await self._map(ask)

    async def _map(self, ask: MapCustomer) -> CustomerDone:
        accounts, account_id = self._dataverse.accounts, UUID(ask.account_id)
        read = await accounts.read(account_id, "")
        if read is None:
            return CustomerDone(refused="The account was deleted in Sales.")
        number = read.account.number.strip()
        if number.casefold() == ask.account.casefold():
            return CustomerDone(account=ask.account, found=True)
        if number:
            return CustomerDone(refused=f"The account carries {number} in Sales by now, not {ask.account}.")
        others = [other for other in await accounts.carrying([ask.account]) if other.id != account_id]
        if others:
            return CustomerDone(
                refused=f"{others[0].name or 'Another account'} carries {ask.account} in Sales: move the quote to "
                "that account, or merge the accounts there, then submit it again."
            )
        try:
            await accounts.set_number(read.account, ask.account)
        except NotFound:
            return CustomerDone(refused="The account was deleted in Sales.")
        return CustomerDone(account=ask.account)

    # --- looking up ------------------------------------------------------------------------------------------------

    async def looked_up(
        self, problems: tuple[Problem, ...], snapshot: QuoteSnapshot
    ) -> tuple[tuple[Problem, ...], UnknownCustomer | None]:
        """What is wrong with a quote, and what is known of its customer where that has no number of Finance.

        Args:
            problems: found so far.
            snapshot: the quote.

        Raises:
            DynamicsError: a system does not answer.
        """
        unknown = None
        if snapshot.customer_id and not snapshot.customer_account and any(map(is_of_customer, problems)):
            unknown = await self._unknown(snapshot)
        if unknown is None:
            return problems, None
        others = tuple(problem for problem in problems if not is_of_customer(problem))
        return bounded((*problems_of(unknown), *others)), unknown

    async def _unknown(self, snapshot: QuoteSnapshot) -> UnknownCustomer | None:
        rules, company = self._policy.customers, snapshot.company
        read = await self._dataverse.accounts.read(UUID(snapshot.customer_id), rules.tax_number_column)
        if read is None:
            return None
        account, environment = self._account(read.account), activity.info().namespace
        key = customer_key(environment, company, account.account_id)
        likely, more = await self._candidates(account, company, key)
        defaults = rules.companies.get(company)
        proposal = None
        if defaults is not None:
            proposal = proposal_of(
                account,
                company=company,
                environment=environment,
                currency=snapshot.currency,
                defaults=defaults,
                required=rules.required,
            )
        return UnknownCustomer(
            account_id=account.account_id,
            name=account.name,
            standing=Standing(open_orders=len(read.orders), orders=read.orders[:ORDERS_SHOWN]),
            proposal=proposal,
            candidates=likely,
            more=more,
        )

    async def _candidates(self, account: AccountInSales, company: str, key: str) -> tuple[tuple[Candidate, ...], int]:
        """Customers of Finance that are like an account beyond the threshold, with what hangs on each."""
        rules = self._policy.customers
        traces = Traces(
            key=key,
            word=search_word(account.name, rules.legal_forms),
            tax_number=tax_form(account.tax_number),
            mail_domain=mail_domain(account.email, rules.public_mail),
        )
        found = await self._finance.customers.like(company, traces)
        scored = [compared(account, _known(row), rules, key=key) for row in found.rows]
        likely = sorted(
            (each for each in scored if each.score >= rules.likeness.threshold), key=lambda c: (-c.score, c.account)
        )
        shown = likely[:CANDIDATES_SHOWN]
        if not shown:
            return (), 0
        numbers = [each.account for each in shown]
        standing = await self._finance.customers.standing(company, numbers)
        holders = {
            other.number.strip().casefold(): other.name or "another account"
            for other in await self._dataverse.accounts.carrying(numbers)
        }
        listed = tuple(_listed(each, standing, holders) for each in shown)
        return listed, len(likely) - len(shown) + found.more

    def _account(self, row: AccountRow) -> AccountInSales:
        """An account in the words of the rules."""
        country = self._policy.entity_map.country_of(row.country) if row.country.strip() else ""
        street = "\n".join(text.strip() for text in (row.line1, row.line2, row.line3) if text.strip())
        return AccountInSales(
            account_id=str(row.id),
            name=normalise(row.name).strip(),
            number=row.number.strip(),
            currency=row.currency.iso if row.currency else "",
            tax_number=row.tax_number.strip(),
            street=normalise(street),
            city=normalise(row.city).strip(),
            postal_code=row.postal_code.strip(),
            state=row.state.strip(),
            country=country or "",
            email=row.email.strip(),
            phone=row.phone.strip(),
        )


def _listed(candidate: Candidate, standing: Mapping[str, OnAccount], holders: Mapping[str, str]) -> Candidate:
    on = standing[candidate.account]
    return candidate.model_copy(
        update={
            "standing": Standing(
                open_receivables=on.open_receivables,
                currency=on.currency,
                open_orders=len(on.orders),
                orders=on.orders[:ORDERS_SHOWN],
            ),
            "held_by": holders.get(candidate.account.casefold(), ""),
        }
    )


def _known(row: CustomerRow) -> KnownCustomer:
    return KnownCustomer(
        account=row.account,
        name=row.name,
        key=row.search_name,
        tax_number=row.tax_number,
        street=row.street,
        postal_code=row.postal_code,
        email=row.email,
    )
