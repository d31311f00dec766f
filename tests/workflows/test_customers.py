"""A quote whose customer Finance does not know: stopped, decided about by a person, and taken up again by itself."""

from __future__ import annotations

import asyncio

from temporalio.exceptions import ApplicationError

from activities import signatures as s
from activities.customer_signatures import CreateCustomer, MapCustomer
from domain.messages import SalesEventKind
from domain.views import TimelineEntry, WaitingFor
from runs import names
from tests.workflows.acting import marked, outcome, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.scripted_customers import TWIN, assessed, unknown
from tests.workflows.trusting import CARL, OTTO, RITA


def asked(world: World, name: str) -> list[object]:
    return [argument for each, argument in world.asked if each == name]


async def test_s38_an_approved_customer_is_created_and_mapped_once_and_the_quote_goes_on(
    stage: Stage, world: World
) -> None:
    world.assessed = assessed(unknown())
    await stage.submit()
    view = await until(stage, waits_for(WaitingFor.CUSTOMER_SETUP))
    assert view.quote_status == "invalid" and view.problems[0].code == "CUSTOMER_UNMAPPED"
    assert view.unknown_customer is not None and view.unknown_customer.proposal is not None
    await marked(world, "pending")
    for person in (RITA, OTTO):
        refused = await outcome(stage, await stage.say(person, "create_customer"))
        assert refused.code == "NO_AUTHORITY"
    assert (await outcome(stage, await stage.say(CARL, "choose_customer", account="US-9"))).code == (
        "CUSTOMER_NOT_LISTED"
    )

    world.held["map_customer"] = asyncio.Event()
    assert (await outcome(stage, await stage.say(CARL, "create_customer", group="20", reason="known buyer"))).accepted
    await until(stage, lambda _: bool(asked(world, "map_customer")))
    again = await outcome(stage, await stage.say(CARL, "create_customer"))
    assert again.code == "NO_CUSTOMER_ASKED"
    await stage.stop_work()  # killed between the creation and the number in Sales
    world.held["map_customer"].set()
    await stage.start_work()
    view = await until(stage, waits_for(WaitingFor.REP))

    assert view.quote_status == "approved" and view.customer_account == "Q2C-KEY" and view.unknown_customer is None
    (created,) = asked(world, "create_customer")
    assert isinstance(created, CreateCustomer) and not created.probe
    assert (created.customer.key, created.customer.group, created.customer.city) == ("Q2C-KEY", "20", "Albany")
    mapped = asked(world, "map_customer")
    assert {each for each in mapped if isinstance(each, MapCustomer)} == {
        MapCustomer(account_id="acc-1", account="Q2C-KEY")
    }
    second = asked(world, "assess_quote")[-1]
    assert isinstance(second, s.AssessQuote) and second.marked_over == "pending"
    await marked(world, "pending", "approved")
    timeline = await stage.case.query(names.TIMELINE, result_type=list[TimelineEntry])
    (decided,) = [entry for entry in timeline if entry.event == "CustomerApproved" and entry.accepted]
    assert decided.actor.oid == CARL.oid and "customer group: known buyer" in decided.text


async def test_an_outcome_that_is_not_known_is_probed_and_a_new_submission_waits_for_it(
    stage: Stage, world: World
) -> None:
    world.assessed = assessed(unknown())
    lost = ApplicationError("no answer", type=s.FailureType.CONFLICT, non_retryable=True)
    world.fail["create_customer"] = [lost]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.CUSTOMER_SETUP))
    assert (await outcome(stage, await stage.say(CARL, "create_customer"))).accepted
    await until(stage, waits_for(WaitingFor.OPERATOR))
    await stage.sales(SalesEventKind.SUBMITTED, event_id="again")
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    view = await until(stage, waits_for(WaitingFor.REP))
    assert view.quote_status == "approved"
    assert [ask.probe for ask in asked(world, "create_customer") if isinstance(ask, CreateCustomer)] == [False, True]


async def test_s39_a_twin_is_chosen_or_called_another_and_what_finance_refuses_is_asked_again(
    stage: Stage, world: World
) -> None:
    taken = TWIN.model_copy(update={"account": "US-8", "held_by": "Larkspur of Sales"})
    world.assessed = assessed(unknown(TWIN, taken))
    world.customer_refused = ["Finance does not take the customer: no group 10"]
    await stage.submit()
    view = await until(stage, waits_for(WaitingFor.CUSTOMER_SETUP))
    assert view.problems[0].code == "DUPLICATE_CUSTOMER"
    assert (await outcome(stage, await stage.say(CARL, "create_customer"))).code == "DUPLICATE_CUSTOMER"
    held = await outcome(stage, await stage.say(CARL, "choose_customer", account="us-8"))
    assert held.code == "CUSTOMER_TAKEN" and "Larkspur of Sales" in held.detail
    assert not asked(world, "create_customer") and not asked(world, "map_customer")

    assert (await outcome(stage, await stage.say(CARL, "new_customer", reason="another town"))).accepted
    view = await until(stage, lambda view: view.problems[0].code == "CUSTOMER_UNMAPPED")
    assert (await outcome(stage, await stage.say(CARL, "create_customer"))).accepted
    view = await until(stage, lambda view: bool(view.customer_note))
    assert "no group 10" in view.customer_note and view.explanation.waiting_for is WaitingFor.CUSTOMER_SETUP
    assert (await outcome(stage, await stage.say(CARL, "reject_customer", reason="not our market"))).accepted
    view = await until(stage, waits_for(WaitingFor.REP))
    assert view.quote_status == "invalid" and "not our market" in view.problems[0].message
    await marked(world, "pending", "rejected")

    world.assessed = assessed(unknown(TWIN))
    await stage.sales(SalesEventKind.SUBMITTED, event_id="again")
    await until(stage, waits_for(WaitingFor.CUSTOMER_SETUP))
    assert (await outcome(stage, await stage.say(CARL, "choose_customer", account="us-9"))).accepted
    view = await until(stage, waits_for(WaitingFor.REP))
    assert view.quote_status == "approved" and view.customer_account == "US-9"
    assert len(asked(world, "create_customer")) == 1
