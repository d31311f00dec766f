"""No webhook and no business event arrives: the sweeps of the feeds find everything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.feeds import Unrouted
from dynamics.core.auth import Credentials
from dynamics.core.literals import key
from dynamics.core.odata import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from runs import names
from tests.stack import Deal, Stack, assert_sound, decimals, eventually, ledger, line, money

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens there."""


@pytest.fixture(scope="module")
def deaf_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A product that sweeps every two seconds and is told nothing in between."""
    running = Stack.start(tmp_path_factory.mktemp("deaf"), Q2C_WORKER_SWEEP_SECONDS="2")
    running.desk.put(
        "/endpoints",
        {
            "dataverse_webhook": {"url": f"{NOWHERE}/intake/dataverse", "key": "lost"},
            "finance_events": {"url": f"{NOWHERE}/intake/finance"},
        },
    )
    yield running
    running.stop()


class TokenOf:
    """Tokens of a user of Sales."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack, self._name = stack, name

    async def token(self) -> str:
        return self._stack.token_of(self._name, f"{self._stack.ready['dataverse']}/.default")

    def drop(self, token: str) -> None: ...


def in_sales(stack: Stack, act: Callable[[Dataverse], Awaitable[Any]], *, administrator: str = "") -> Any:
    """Do something in Sales that the desk has no button for, as the product's application or as an administrator."""
    tokens = TokenOf(stack, administrator) if administrator else None

    async def done() -> Any:
        ready = stack.ready
        credentials = Credentials(
            f"{ready['entra']}/{ready['tenant']}",
            ready["client_id"],
            ready["client_secret"],
            ca_file=ready["ca_file"],
            instance_discovery=False,
        )
        endpoint = Endpoint(ready["dataverse"], ca_file=ready["ca_file"])
        async with Dataverse(DataverseSettings(endpoint, credentials), tokens=tokens) as sales:
            return await act(sales)

    return asyncio.run(done())


def shown_to_a_person(stack: Stack, table: str = "quote") -> list[Unrouted]:
    """What the feed of a table of Sales could give to no deal."""

    async def asked() -> list[Any]:
        client = await stack.temporal()
        found: list[Any] = await client.get_workflow_handle(names.feed_id("sales", table)).query(names.UNROUTED)
        return found

    return [Unrouted.model_validate(report) for report in asyncio.run(asked())]


def of(deal: Deal) -> UUID:
    return UUID(deal.sales()["quoteid"])


@pytest.mark.timeout(300)
def test_a_deal_nobody_tells_of_goes_from_submission_to_paid(deaf_stack: Stack) -> None:
    deal = deaf_stack.deal(line("P100", 10, "5"), opportunity=True)
    deal.rep("submit")
    deal.waits_for("rep")
    deal.rep("activate")
    deal.waits_for("customer")
    deal.rep("accept")
    deal.waits_for("shipment")
    deal.ship(_1="6")
    deal.until(lambda case: case["order_status"] == "partially_shipped")
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    payment = deal.pay("1045.00")
    deal.ends("closed")

    case = assert_sound(deal)
    assert ledger(case) == [decimals(10, 0, 10, 0, 10, 0)]

    # After its end nobody tells of it either: the sweep sees the reversed payment, and that it is paid again.
    def open_after_end() -> list[Any]:
        found: list[Any] = deaf_stack.person("amy").get("/late", company=deal.company, q=deal.quote)["items"]
        return found

    deaf_stack.desk.post(f"/payments/{deal.company}/{payment}/reverse", {"reason": "no funds"})
    eventually(open_after_end, "the reversed payment is seen")
    assert open_after_end()[0]["codes"] == ["PAYMENT_REVERSED_AFTER_END"]
    assert collected(deal) == [Decimal("1045.00")], "the account is told as well: reminders go on"
    again = deal.pay("1045.00")
    eventually(lambda: not open_after_end(), "it is settled by itself")
    eventually(lambda: collected(deal) == [Decimal(0)], "and the account knows")

    # A settlement that is undone reverses nothing, no event tells of it and it leaves no date: the sweep sees it too.
    deaf_stack.desk.post(f"/finance/{deal.company}/undoSettlement", {"PaymentId": again})
    eventually(open_after_end, "the undone settlement is seen")
    (entry,) = open_after_end()
    assert (entry["codes"], money(entry["open_amount"])) == (["PAYMENT_REVERSED_AFTER_END"], Decimal("1045.00"))
    (order,) = [row for row in deal.sales()["orders"] if row["finance_order"]]
    assert [(money(i["open"]), i["payment"]) for i in order["invoices"]] == [(Decimal("1045.00"), "open")]
    assert collected(deal) == [Decimal("1045.00")]
    deal.pay("1045.00")
    eventually(lambda: not open_after_end(), "settled once more")


def collected(deal: Deal) -> list[Decimal]:
    """What collections know to be open on the deal's invoices."""
    account = deal.stack.person("amy").get(f"/collections/{deal.company}/{deal.customer}")
    return [money(i["open_amount"]) for i in account["state"]["invoices"] if i["quote_number"] == deal.quote]


@pytest.mark.timeout(300)
def test_a_quote_deleted_while_approval_is_pending_ends_its_deal(deaf_stack: Stack) -> None:
    deal = deaf_stack.deal(line("P100", 10, "15"))
    deal.rep("submit")
    deal.waits_for("approval")
    quote = of(deal)
    in_sales(deaf_stack, lambda sales: sales.odata.delete(key("quotes", quote)), administrator="ada")
    ended = deal.ends("cancelled")
    assert "deleted in Sales" in str(ended["timeline"])


@pytest.mark.timeout(300)
def test_a_lost_opportunity_ends_its_deal_before_the_order(deaf_stack: Stack) -> None:
    deal = deaf_stack.deal(line("P100", 10, "15"), opportunity=True)
    deal.rep("submit")
    deal.waits_for("approval")

    async def lose(sales: Dataverse) -> None:
        quote = await sales.read_quote(of(deal))
        assert quote.opportunity is not None
        close = {"subject": "Lost", "opportunityid@odata.bind": f"/opportunities({quote.opportunity.id})"}
        await sales.odata.action("LoseOpportunity", {"Status": 4, "OpportunityClose": close})

    in_sales(deaf_stack, lose)
    deal.ends("lost")


@pytest.mark.timeout(300)
def test_a_quote_won_without_submission_is_shown_to_a_person(deaf_stack: Stack) -> None:
    deal = deaf_stack.deal(line("P100", 10, "5"))
    deal.rep("activate")
    deal.rep("accept")

    def reported() -> list[str]:
        return [report.reason for report in shown_to_a_person(deaf_stack) if report.reference == deal.quote]

    what = "was won in Sales without having been submitted"
    eventually(lambda: any(what in reason for reason in reported()), "shown to a person")
