"""Who made a quote: found in Sales however often somebody else saved it since, and kept from deciding it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest

from activities import signatures as ask_for
from domain.assessment import QuoteAssessment
from dynamics.sales.makers import AT_ONCE, read_makers
from dynamics.sales.records import Quote
from tests.contract.clients_work import Work, p100, reference, worker
from tests.contract.clients_world import clients_of
from tests.contract.conftest import running_sandbox
from tests.contract.dataverse_world import LiveSandbox


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    async with clients_of(live_sandbox) as clients:
        yield worker(clients)


@pytest.fixture(scope="module")
def silent_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSandbox]:
    """An organization that writes down no changes."""
    with running_sandbox(tmp_path_factory.mktemp("silent"), auditing=False) as live:
        yield live


def user(work: Work, name: str) -> str:
    """Dataverse's id of somebody."""
    dataverse = work.clients.live.sandbox.dataverse
    rows = dataverse.table(dataverse.entity("systemusers"))
    return next(str(row["systemuserid"]) for row in rows if str(row.get("domainname", "")).startswith(f"{name}@"))


def saves(work: Work, who: str, entity_set: str, row: UUID, **columns: Any) -> None:
    """Somebody changes a row in Sales."""
    work.clients.live.sandbox.dataverse.update(entity_set, str(row), columns, user=user(work, who))


async def assessed(work: Work, quote: Quote, submitted_by: str = "") -> QuoteAssessment:
    by = user(work, submitted_by) if submitted_by else ""
    ask = ask_for.AssessQuote(quote=reference(quote, "usmf"), deal_id="c", submitted_by=by)
    return await work.run(work.finance.assess_quote, ask)


def asked(found: QuoteAssessment) -> set[str]:
    assert found.plan is not None and found.plan.steps
    return {person.upn.partition("@")[0] for step in found.plan.steps for person in step.candidates}


def names(found: QuoteAssessment) -> set[str]:
    return {person.upn.partition("@")[0] for person in found.makers}


async def test_who_set_the_discount_does_not_approve_it_though_the_rep_saved_the_line_afterwards(work: Work) -> None:
    quote = await work.clients.quote(p100("10", discount_pct="15"))
    assert "mona" in asked(await assessed(work, quote))
    saves(work, "mona", "quotedetails", quote.lines[0].id, manualdiscountamount=300)
    saves(work, "rita", "quotedetails", quote.lines[0].id, description="as agreed")
    saves(work, "rita", "quotes", quote.id, name="Spare parts")
    found = await assessed(work, quote, submitted_by="rita")
    assert "mona" in names(found) and found.makers_known
    assert "mona" not in asked(found)


async def test_who_only_submitted_it_does_not_approve_it(work: Work) -> None:
    quote = await work.clients.quote(p100("10", discount_pct="15"))
    found = await assessed(work, quote, submitted_by="mona")
    assert found.submitted_by is not None and found.submitted_by.upn.startswith("mona@")
    assert len(found.makers) == len({person.oid for person in found.makers}), "each is named once"
    assert "mona" not in asked(found)


async def test_who_made_an_earlier_revision_does_not_approve_the_next_one(work: Work) -> None:
    quote = await work.clients.quote(p100("10", discount_pct="15"))
    saves(work, "mona", "quotedetails", quote.lines[0].id, manualdiscountamount=300)
    await work.clients.play("POST", f"/quotes/{quote.number}/activate")
    revised = await work.clients.play("POST", f"/quotes/{quote.number}/revise")
    await work.clients.play("POST", f"/quotes/{quote.number}/submit")
    found = await assessed(work, await work.clients.dataverse.read_quote(UUID(revised["quoteid"])))
    assert found.revision == 1
    assert "mona" in names(found) and "mona" not in asked(found)


async def test_the_applications_of_a_tenant_are_nobody_who_made_it(work: Work) -> None:
    quote = await work.clients.quote(p100("10", discount_pct="15"))
    await work.clients.dataverse.set_quote_approval(quote.id, quote.approval or 100000001, reason="r", deal_id="d")  # type: ignore[arg-type]
    found = await read_makers(work.clients.dataverse, quote.number, submitted_by=None)
    assert all(maker.application_id is None for maker in found.users.values())


async def test_a_quote_of_many_lines_is_asked_for_in_parts(work: Work) -> None:
    quote = await work.clients.quote(*[p100("1") for _ in range(AT_ONCE + 20)])
    saves(work, "mona", "quotedetails", quote.lines[-1].id, description="seen")
    saves(work, "rita", "quotedetails", quote.lines[-1].id, description="as agreed")
    found = await read_makers(work.clients.dataverse, quote.number, submitted_by=None)
    assert found.known
    assert UUID(user(work, "mona")) in found.users


async def test_without_an_audit_those_who_were_seen_do_not_approve_it_and_it_is_said(
    silent_sandbox: LiveSandbox,
) -> None:
    async with clients_of(silent_sandbox) as clients:
        work = worker(clients)
        quote = await clients.quote(p100("10", discount_pct="15"))
        saves(work, "mona", "quotedetails", quote.lines[0].id, manualdiscountamount=300)
        found = await assessed(work, quote, submitted_by="rita")
        assert not found.makers_known
        assert "mona" not in asked(found)


async def test_a_role_without_the_privilege_to_read_the_audit_is_told_apart_from_an_outage(
    live_sandbox: LiveSandbox, work: Work
) -> None:
    quote = await work.clients.quote(p100("10", discount_pct="15"))
    await work.clients.fault("dataverse", "GET", "audits", status=403)
    assert not (await read_makers(work.clients.dataverse, quote.number, submitted_by=None)).known


async def test_a_quote_of_a_team_goes_back_to_the_rep_since_nobody_knows_whose_it_is(work: Work) -> None:
    quote = await work.clients.quote(p100("10", discount_pct="15"), owner_team="USMF inside sales")
    found = await assessed(work, quote)
    assert [(problem.code, problem.field) for problem in found.problems] == [("UNKNOWN_OWNER", "owner")]
    assert found.plan is None
