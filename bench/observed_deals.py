"""A quarter of an hour of a company: deals of every outcome, an outage of Finance, and what goes wrong beside them.

What it does is what dashboards and alerts are for, so that each of their queries has something to find.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from playwright.sync_api import sync_playwright
from temporalio.client import Client

from runs import names
from tests.receivers import Mailbox
from tests.stack import Deal, Stack, line, money

CHROMIUM = "/usr/bin/chromium"
AWAY_SECONDS = 230.0
"""Longer than the alert SystemDown waits."""
REFUSES = {"system": "finance", "method": "POST", "path": "/data/SalesOrderHeadersV4", "effect": {"status": 400}}
AWAY = {"system": "finance", "effect": {"status": 503}}
SWEEPS_REFUSED = {
    "system": "dataverse",
    "method": "GET",
    "path": "deltatoken",
    "effect": {"status": 403},
    "seconds": 90,
}
THROTTLES = {"system": "dataverse", "effect": {"status": 429, "retry_after": 2}, "probability": 0.3, "seconds": 60}

Say = Callable[[str], None]


def run(stack: Stack, mailbox: Mailbox, say: Say) -> None:
    """Let it all happen; it takes about ten minutes."""
    say("people sign in, deals are approved, refused, held, shipped and paid")
    _sign_ins(stack)
    with ThreadPoolExecutor(6) as at_once:
        begun = [at_once.submit(_slowly, story, stack, n) for n, story in enumerate(STORIES)]
        for each in begun:
            each.result()
    say("Finance is away")
    _outage(stack)
    say("orders are refused, Sales throttles, sweeps fail, mail is not taken, somebody writes into Temporal")
    _parked(stack)
    mailbox.recipient = "550 no such mailbox"
    stack.desk.put("/faults", [SWEEPS_REFUSED, THROTTLES])
    asyncio.run(_unsealed(stack, _rejected(stack)))
    _closed(stack)
    time.sleep(100)
    stack.desk.delete("/faults")
    mailbox.recipient = "250 OK"
    time.sleep(45)


def _slowly(story: Callable[[Stack], object], stack: Stack, n: int) -> None:
    time.sleep((n % 6) * 5.0)
    story(stack)


# --- what becomes of a deal ------------------------------------------------------------------------------------------


def _closed(stack: Stack) -> str:
    """The number of the customer's payment."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    time.sleep(4)
    deal.ship(_1="6")
    deal.until(lambda case: money(case["lines"][0]["shipped"]) == Decimal(6), "6 shipped")
    deal.ship(_1="4")
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    time.sleep(6)
    payment = deal.pay("1045.00")
    deal.ends("closed")
    return payment


def _paid_late(stack: Stack) -> None:
    deal = stack.deal(line("P100", 20, "5"))
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")


def _approved(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "12"))
    deal.submitted("approval")
    asked = deal.asks("mona")
    stack.person("dirk").decide(asked, "approve")  # not his to decide: refused by the site
    time.sleep(5)
    stack.person("mona").decide(asked, "approve")
    deal.waits_for("rep")
    deal.rep("activate")
    deal.waits_for("customer")
    deal.rep("accept")
    deal.waits_for("shipment")


def _rejected(stack: Stack) -> Deal:
    deal = stack.deal(line("P100", 10, "12"))
    deal.submitted("approval")
    time.sleep(3)
    stack.person("mona").decide(deal.asks("mona"), "reject", comment="Too low")
    deal.until(lambda case: case["quote_status"] == "rejected", "rejected")
    return deal


def _undecided(stack: Stack) -> None:
    stack.deal(line("P250", 100, "22")).submitted("approval")


def _released(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="1000.00"))
    deal.accepted("credit")
    terms = {"reason": "Good payer", "valid_until": "2099-12-31", "ceiling": "1045.00", "deviation_pct": "0"}
    stack.person("cleo").command(deal, "credit_release", **terms)  # above what a clerk may
    time.sleep(8)
    stack.person("carl").command(deal, "credit_release", **terms)
    deal.waits_for("shipment")


def _held(stack: Stack) -> None:
    stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="1000.00")).accepted("credit")


def _refused_credit(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="1000.00"))
    deal.accepted("credit")
    stack.person("carl").command(deal, "credit_reject", reason="Too much for this customer")
    deal.ends("cancelled")


def _bad(stack: Stack) -> None:
    stack.deal(line("P100", -3)).submitted()


def _reversed_after_its_end(stack: Stack) -> None:
    stack.desk.post(f"/payments/usmf/{_closed(stack)}/reverse", {"reason": "no funds"})


def _won_without_submission(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"))
    deal.rep("activate")
    deal.rep("accept")


STORIES = (
    _closed,
    _approved,
    _released,
    _rejected,
    _paid_late,
    _bad,
    _won_without_submission,
    _closed,
    _refused_credit,
    _undecided,
    _held,
    _approved,
    _reversed_after_its_end,
    _closed,
    _paid_late,
    _rejected,
    _closed,
    _closed,
)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def _outage(stack: Stack) -> None:
    """Finance answers nobody while six customers accept."""
    deals = [stack.deal(line("P100", n + 1)) for n in range(6)]
    for deal in deals:
        deal.submitted()
        deal.rep("activate")
        deal.waits_for("customer")
    stack.desk.put("/faults", AWAY)
    try:
        for deal in deals:
            deal.rep("accept")
        time.sleep(AWAY_SECONDS)
    finally:
        stack.desk.delete("/faults")
    for deal in deals:
        deal.waits_for("shipment", 150)


def _parked(stack: Stack) -> None:
    """Finance refuses three orders; one of them goes on afterwards."""
    stack.desk.put("/faults", REFUSES)
    deals = [stack.deal(line("P100", 10, "5")) for _ in range(3)]
    for deal in deals:
        deal.accepted("operator")
    stack.desk.delete("/faults")
    stack.person("otto").command(deals[0], "retry")
    deals[0].waits_for("shipment")


async def _unsealed(stack: Stack, deal: Deal) -> None:
    """Somebody with access to the namespace writes to a deal what the product did not seal."""
    client = await Client.connect(stack.ready["temporal"])
    await client.get_workflow_handle(names.deal_id(deal.company, deal.quote)).signal("sales_event", "by hand")


def _sign_ins(stack: Stack) -> None:
    """Three people open the site; one leaves the page of Entra ID unanswered."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in ("mona", "carl", "otto"):
            page = browser.new_context(base_url=stack.ready["web"]).new_page()
            page.goto("/")
            page.locator(f"button[name=user][value={name}]").click()
            page.wait_for_url(f"{stack.ready['web']}/")
        browser.close()
