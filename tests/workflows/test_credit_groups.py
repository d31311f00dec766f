"""A limit that customers share: one ledger decides for all of them, whoever asks."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import ActivityEnvironment

from activities.credit import CreditDesk
from activities.signatures import ReserveCredit
from domain.credit import CreditBook
from domain.credit_facts import CreditDecision
from domain.credit_groups import GROUPS, GroupCredit, Member
from domain.messages import CustomerChanged, LedgerNote
from runs import names
from tests.workflows.feed_world import POLICY, FeedWorld, credit_facts, eventually

D = Decimal


class Branches:
    """Two branches that share a limit of 100.00, and a deal's question to their ledgers."""

    def __init__(self, feeds: FeedWorld) -> None:
        self.feeds = feeds
        self.group = f"G-{uuid4().hex[:8]}"
        self.north, self.south = f"N-{self.group}", f"S-{self.group}"
        self.desk = CreditDesk(feeds.ledgers, POLICY)

    async def ask(
        self, account: str, deal_id: str, amount: str, own_limit: str = "100.00", shared_limit: str = "100.00"
    ) -> CreditDecision:
        """As a deal asks: with Finance read just now; what became too old is read again."""
        while True:
            of_all = credit_facts(self.group, shared_limit, company=GROUPS, group=self.group)
            members = tuple(Member(company="usmf", account=each) for each in (self.north, self.south))
            answer = await ActivityEnvironment().run(
                self.desk.reserve_credit,
                ReserveCredit(
                    company="usmf",
                    customer_account=account,
                    deal_id=deal_id,
                    order_number=f"Q2C-{deal_id[-12:]}",
                    amount=D(amount),
                    facts=credit_facts(account, own_limit),
                    group=GroupCredit(facts=of_all, rate=D(1), members=members),
                ),
            )
            if answer.decision is not None:
                return answer.decision

    def ledger(self, account: str, company: str = "usmf") -> WorkflowHandle[Any, Any]:
        return self.feeds.client.get_workflow_handle(names.ledger_id(company, account))

    async def book(self, account: str, company: str = "usmf") -> dict[str, str]:
        found: CreditBook = await self.ledger(account, company).query(names.STATE, result_type=CreditBook)
        return {entry.deal_id: entry.status for entry in found.entries}


@pytest.fixture
def branches(feeds: FeedWorld) -> Branches:
    return Branches(feeds)


@pytest.mark.parametrize("seed", range(8))
async def test_s20_deals_of_two_branches_never_both_and_never_neither(
    feeds: FeedWorld, branches: Branches, seed: int
) -> None:
    """Each branch has a limit of its own that would do; what they share is enough for one."""
    chance = random.Random(seed)
    first, second = await feeds.deal(), await feeds.deal()
    wanted = {first.id: (branches.north, chance.choice(["60.00", "100.00"])), second.id: (branches.south, "50.00")}

    async def deal(deal_id: str) -> bool:
        await asyncio.sleep(chance.random() * 0.05)
        return (await branches.ask(*(wanted[deal_id][0], deal_id, wanted[deal_id][1]))).passed

    passed = dict(zip(wanted, await asyncio.gather(*(deal(each) for each in wanted)), strict=True))
    assert sum(passed.values()) == 1
    (lucky,) = (each for each in passed if passed[each])
    (other,) = (handle for handle in (first, second) if handle.id != lucky)
    assert await branches.book(branches.group, GROUPS) == {lucky: "reserved", other.id: "held"}
    assert await branches.book(wanted[other.id][0]) == {}, "its own ledger keeps nothing that the group refused"

    note = LedgerNote(deal_id=lucky, at=datetime.now(UTC))
    await branches.ledger(wanted[lucky][0]).signal(names.RELEASE, note)

    assert await eventually(lambda: other.query("rechecks")), "the branch's ledger hands on what it hears"
    assert await deal(other.id)


async def test_what_a_branchs_own_limit_refuses_takes_nothing_of_the_others(
    feeds: FeedWorld, branches: Branches
) -> None:
    first, second = await feeds.deal(), await feeds.deal()
    refused = await branches.ask(branches.north, first.id, "80.00", own_limit="10.00")
    assert [reason.code for reason in refused.reasons] == ["OVER_LIMIT"]
    assert await branches.book(branches.north) == {first.id: "held"}

    assert (await branches.ask(branches.south, second.id, "80.00")).passed
    assert await branches.book(branches.group, GROUPS) == {second.id: "reserved"}


async def test_a_payment_of_a_branch_without_a_deal_wakes_those_of_the_others(
    feeds: FeedWorld, branches: Branches
) -> None:
    """When the group refuses, the ledgers of all its members learn to hand on what they hear."""
    waiting = await feeds.deal()
    held = await branches.ask(branches.north, waiting.id, "100.01")
    assert [reason.code for reason in held.reasons] == ["GROUP_OVER_LIMIT", "OVER_LIMIT"]

    paid = CustomerChanged(event_id=str(uuid4()), reason="payment CPAY-1")
    assert await feeds.ledgers.changed("usmf", branches.south, paid)
    assert await eventually(lambda: waiting.query("rechecks"))


async def test_what_the_group_takes_back_wakes_those_who_wait_for_the_customers_own_limit(
    feeds: FeedWorld, branches: Branches
) -> None:
    """A deal that asks again, e.g. because its order was put off, may find the shared limit lowered meanwhile."""
    first, second = await feeds.deal(), await feeds.deal()
    assert (await branches.ask(branches.north, first.id, "60.00", shared_limit="1000.00")).passed
    own = await branches.ask(branches.north, second.id, "60.00", shared_limit="1000.00")
    assert [reason.code for reason in own.reasons] == ["OVER_LIMIT"]

    lowered = await branches.ask(branches.north, first.id, "60.00", shared_limit="10.00")

    assert [reason.code for reason in lowered.reasons] == ["GROUP_OVER_LIMIT"]
    assert await eventually(lambda: second.query("rechecks"))
    assert await branches.book(branches.north) == {second.id: "held"}
