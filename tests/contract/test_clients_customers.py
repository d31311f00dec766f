"""Customers that Finance does not know, on the running sandbox: found, created once, and mapped (S38, S39)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError

from activities.customer_signatures import CreateCustomer, CustomerDone, MapCustomer
from domain.customers import Proposal
from domain.messages import PreviewRequest
from tests.contract.clients_work import POLICY, Work, p100, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker's activities."""
    async with clients_of(live_sandbox) as clients:
        yield worker(clients)


PLACE = {"street": "1 Quay", "city": "Salem", "state": "MA", "postal_code": "01970", "country": "USA"}


async def unsynced(work: Work, name: str, **more: str) -> str:
    """An account that is in Sales alone; what the desk calls it."""
    handle = f"H-{uuid.uuid4().hex[:8]}"
    body = {"company": "usmf", "account": handle, "name": name, "only_in": "sales"} | more
    await work.clients.play("POST", "/customers", body)
    return handle


async def in_finance(work: Work, key: str) -> list[dict[str, Any]]:
    """The customers that carry a search name."""
    return work.clients.live.sandbox.finance.query("CustomersV3", NameAlias=key)


def number_of(work: Work, account_id: str) -> str | None:
    (row,) = work.clients.live.sandbox.dataverse.rows("account", accountid=account_id)
    return row.get("accountnumber")


async def proposed(work: Work, **more: str) -> Proposal:
    """The proposal for an account of a name nobody else has."""
    handle = await unsynced(work, f"Zyx {uuid.uuid4().hex[:12]}", **PLACE | more)
    found = await work.assess(p100(), customer=handle)
    assert [problem.code for problem in found.problems] == ["CUSTOMER_UNMAPPED"]
    proposal: Proposal = found.unknown_customer.proposal
    return proposal


async def test_s38_a_missing_customer_is_proposed_created_once_and_mapped(work: Work) -> None:
    proposal = await proposed(work, tax_number="US-77 7", email="a@zyx.example", phone="555")
    assert proposal.account == proposal.key and proposal.group == "10" and proposal.currency == "USD"
    assert (proposal.street, proposal.country, proposal.tax_number) == ("1 Quay", "USA", "US-77 7")
    assert proposal.faults == {}

    create = CreateCustomer(company="usmf", customer=proposal)
    await work.clients.fault("finance", "POST", "CustomersV3", drop="after")
    with pytest.raises(ApplicationError):  # created, and the answer is lost
        await work.run(work.customers.create_customer, create)
    done = await work.run(work.customers.create_customer, create, attempt=2)
    assert done == CustomerDone(account=proposal.key, found=True)
    assert await work.run(work.customers.create_customer, create) == done  # another deal of the same account
    (made,) = await in_finance(work, proposal.key)
    assert (made["OrganizationName"], made["AddressCity"], made["TaxExemptNumber"]) == (
        proposal.name,
        "Salem",
        "US-77 7",
    )
    assert (made["SalesCurrencyCode"], made["PaymentTerms"], made["PrimaryContactEmail"]) == (
        "USD",
        "Net 30",
        "a@zyx.example",
    )

    mapping = MapCustomer(account_id=proposal.account_id, account=done.account)
    assert await work.run(work.customers.map_customer, mapping) == CustomerDone(account=done.account)
    assert await work.run(work.customers.map_customer, mapping) == CustomerDone(account=done.account, found=True)
    assert number_of(work, proposal.account_id) == done.account
    other = mapping.model_copy(update={"account": "US-001"})
    assert "carries" in (await work.run(work.customers.map_customer, other)).refused


async def test_finance_numbers_the_customer_where_the_policy_says_so_and_it_is_found_by_its_search_name(
    work: Work,
) -> None:
    companies = {
        company: each.model_copy(update={"account_numbers": "automatic"})
        for company, each in POLICY.customers.companies.items()
    }
    customers = POLICY.customers.model_copy(update={"companies": companies})
    numbering = worker(work.clients, POLICY.model_copy(update={"customers": customers}))
    proposal = await proposed(numbering)
    assert proposal.account == ""

    create = CreateCustomer(company="usmf", customer=proposal)
    await work.clients.fault("finance", "POST", "CustomersV3", drop="after")
    with pytest.raises(ApplicationError):
        await numbering.run(numbering.customers.create_customer, create)
    done = await numbering.run(numbering.customers.create_customer, create, attempt=2)
    assert done.found and done.account.startswith("USMF-")
    assert len(await in_finance(work, proposal.key)) == 1


async def test_what_either_system_got_meanwhile_stops_the_creation(work: Work) -> None:
    proposal = await proposed(work)
    create, account = CreateCustomer(company="usmf", customer=proposal), f"F-{uuid.uuid4().hex[:8]}"
    twin = {"company": "usmf", "account": account, "name": f"{proposal.name} Ltd", "only_in": "finance"}
    await work.clients.play("POST", "/customers", twin)
    assert account in (await work.run(work.customers.create_customer, create)).seen
    work.clients.live.sandbox.dataverse.update("accounts", proposal.account_id, {"accountnumber": account})
    assert "carries" in (await work.run(work.customers.create_customer, create)).seen
    assert await in_finance(work, proposal.key) == []
    work.clients.live.sandbox.dataverse.update("accounts", proposal.account_id, {"accountnumber": None})
    known = create.model_copy(update={"dismissed": (account.lower(),)})
    assert (await work.run(work.customers.create_customer, known)).account == proposal.key


async def test_what_finance_refuses_goes_back_to_who_approved_it(work: Work) -> None:
    proposal = await proposed(work)
    for wrong, text in (({"group": "NOPE"}, "Customer group"), ({"account": "US-001"}, "exists")):
        create = CreateCustomer(company="usmf", customer=proposal.model_copy(update=wrong))
        done = await work.run(work.customers.create_customer, create)
        assert done.account == "" and text in done.refused, done
    assert await in_finance(work, proposal.key) == []
    assert number_of(work, proposal.account_id) is None


async def test_what_the_rep_has_to_enter_is_named_field_by_field(work: Work) -> None:
    handle = await unsynced(work, f"Zyx {uuid.uuid4().hex[:12]}", street="1 Quay", country="Atlantis")
    found = await work.assess(p100("-1"), customer=handle)
    assert [(problem.code, problem.field) for problem in found.problems] == [
        ("CUSTOMER_UNMAPPED", "customer: city"),
        ("CUSTOMER_UNMAPPED", "customer: country"),
        ("BAD_QTY", "line 1: quantity"),
    ]


async def test_s39_a_twin_is_stopped_with_score_reasons_and_what_hangs_on_both_sides(work: Work) -> None:
    found = await work.assess(p100(), customer="TWIN")

    (problem,) = found.problems
    assert problem.code == "DUPLICATE_CUSTOMER" and "score 100" in problem.message
    (candidate,) = found.unknown_customer.candidates
    assert (candidate.account, candidate.name, candidate.score) == ("US-9950", "Contoso Ltd", 100)
    assert {reason.kind for reason in candidate.reasons} == {
        "same_name",
        "same_tax_number",
        "same_email_domain",
        "same_address",
    }
    assert candidate.held_by == "Contoso Ltd"
    assert candidate.standing.open_receivables == Decimal("1200.00") and candidate.standing.currency == "USD"
    assert candidate.standing.orders == ("SO-US-9950-1",)
    assert found.unknown_customer.standing.open_orders == 0

    taken = MapCustomer(account_id=found.unknown_customer.account_id, account="US-9950")
    done = await work.run(work.customers.map_customer, taken)
    assert "Contoso Ltd carries US-9950 in Sales" in done.refused
    assert number_of(work, found.unknown_customer.account_id) is None

    previewed = await work.run(
        work.finance.preview_quote,
        PreviewRequest(company="usmf", quote_number=found.quote_number),
    )
    assert previewed.preview is not None and [p.code for p in previewed.preview.problems] == ["DUPLICATE_CUSTOMER"]


async def test_a_twin_of_a_customer_that_no_account_carries_is_mapped_to_it(work: Work) -> None:
    name, account = f"Qwv {uuid.uuid4().hex[:10]}", f"F-{uuid.uuid4().hex[:8]}"
    body = {"company": "usmf", "account": account, "name": f"{name} Ltd", "tax_number": f"DE {account}"}
    await work.clients.play("POST", "/customers", body | {"only_in": "finance"})
    handle = await unsynced(work, f"{name.upper()}, LIMITED", tax_number=f"de{account}".replace("-", ""), **PLACE)
    found = await work.assess(p100(), customer=handle)
    (candidate,) = found.unknown_customer.candidates
    assert (candidate.account, candidate.held_by) == (account, "")

    mapping = MapCustomer(account_id=found.unknown_customer.account_id, account=account)
    assert (await work.run(work.customers.map_customer, mapping)).account == account
    assert work.quote is not None
    assert number_of(work, str(UUID(found.unknown_customer.account_id))) == account
