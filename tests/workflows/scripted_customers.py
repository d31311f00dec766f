"""Customers that Finance does not know, as a test has scripted them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.customer_signatures import CreateCustomer, CustomerActivities, CustomerDone, MapCustomer
from domain.customer_problems import problems_of
from domain.customers import Candidate, Proposal, UnknownCustomer

if TYPE_CHECKING:
    from tests.workflows.conftest import World

PROPOSAL = Proposal(
    key="Q2C-KEY", account_id="acc-1", account="Q2C-KEY", name="Larkspur", group="10", currency="USD", city="Albany"
)
TWIN = Candidate(account="US-9", name="Larkspur Inc", score=100)


def unknown(*candidates: Candidate, proposal: Proposal | None = PROPOSAL) -> UnknownCustomer:
    return UnknownCustomer(account_id="acc-1", name="Larkspur", proposal=proposal, candidates=candidates)


def assessed(found: UnknownCustomer) -> dict[str, object]:
    """What an assessment says of a quote whose customer Finance does not know."""
    return {"customer_account": "", "problems": problems_of(found), "unknown_customer": found, "plan": None}


class ScriptedCustomers(CustomerActivities):
    """Finance knows the customer as soon as its account in Sales is numbered."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="create_customer")
    async def create_customer(self, ask: CreateCustomer) -> CustomerDone:
        await self.world.ask("create_customer", ask)
        if self.world.customer_refused:
            return CustomerDone(refused=self.world.customer_refused.pop(0))
        return CustomerDone(account=ask.customer.account or "US-77")

    @activity.defn(name="map_customer")
    async def map_customer(self, ask: MapCustomer) -> CustomerDone:
        await self.world.ask("map_customer", ask)
        self.world.assessed = {"customer_account": ask.account}
        return CustomerDone(account=ask.account)
