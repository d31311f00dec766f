"""A worker's activities on the clients of the running sandbox, and people who play along."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

import policies
from activities import signatures as ask_for
from activities.credit import CreditDesk
from activities.customers import CustomerDesk
from activities.finance import DynamicsFinanceActivities
from activities.postings import Postings
from activities.sales import DataverseSalesActivities
from activities.snapshots import SalesQuotes
from domain.credit import CreditBook, reserve
from domain.credit_ledger import CreditAnswer
from domain.policy import Policy
from dynamics.sales.records import Quote
from runs import names
from tests.contract.clients_world import Clients
from workers.pages import deal_pages

POLICY = policies.load(None)
Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass
class Work:
    """The activities of one worker, and the clients beneath them."""

    clients: Clients
    sales: DataverseSalesActivities
    finance: DynamicsFinanceActivities
    customers: CustomerDesk
    quote: ask_for.QuoteRef | None = None

    @property
    def deal_id(self) -> str:
        """Workflow id of the deal of the quote."""
        return names.deal_id("usmf", self.quote.quote_number if self.quote else "QUO-1")

    async def run(
        self, work: Callable[[Argument], Awaitable[Result]], argument: Argument, *, attempt: int = 1
    ) -> Result:
        """Run one activity as a worker does."""
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, attempt=attempt, workflow_id=self.deal_id)
        return await environment.run(work, argument)

    async def assess(self, *lines: dict[str, Any], **header: Any) -> Any:
        """Submit a quote and assess it."""
        quote = await self.clients.quote(*lines, **header)
        self.quote = reference(quote, header.get("company", "usmf"))
        return await self.run(self.finance.assess_quote, ask_for.AssessQuote(quote=self.quote, deal_id="c"))

    async def accept(self) -> None:
        """The rep activates the quote, the customer accepts it."""
        assert self.quote is not None
        await self.clients.act(self.quote.quote_number, "activate")
        await self.clients.act(self.quote.quote_number, "accept")


class OneDealsDesk(CreditDesk):
    """Decides as the ledger of a customer with a single deal does."""

    def __init__(self, policy: Policy) -> None:
        self._terms_of = policy.credit_terms

    async def reserve_credit(self, ask: ask_for.ReserveCredit) -> CreditAnswer:
        terms = self._terms_of(ask.company, ask.customer_account, ask.facts.customer_group)
        terms = terms.model_copy(update={"raised": ask.raised})
        now = datetime.now(UTC)
        _, decision = reserve(CreditBook(), ask.deal_id, ask.order_number, ask.amount, ask.facts, terms, now)
        return CreditAnswer(decision=decision)


def worker(clients: Clients, policy: Policy = POLICY) -> Work:
    quotes = SalesQuotes(clients.dataverse, policy)
    postings = Postings(clients.finance)
    customers = CustomerDesk(clients.dataverse, clients.finance, policy, probe_again=0)
    finance = DynamicsFinanceActivities(
        quotes, clients.finance, policy, OneDealsDesk(policy), postings, customers, probe_again=0
    )
    sales = DataverseSalesActivities(clients.dataverse, quotes, postings, deal_pages("https://approvals.example"))
    return Work(clients, sales, finance, customers)


def reference(quote: Quote, company: str) -> ask_for.QuoteRef:
    return ask_for.QuoteRef(company=company, quote_number=quote.number, quote_id=str(quote.id), revision=quote.revision)


def p100(quantity: str = "10", **columns: Any) -> dict[str, Any]:
    return {"item": "P100", "quantity": quantity} | columns


def p250(quantity: str, **columns: Any) -> dict[str, Any]:
    return {"item": "P250", "quantity": quantity} | columns
