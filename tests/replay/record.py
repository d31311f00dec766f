"""Records the histories that the replay test holds: one of each way a deal can go, on a real stack.

They are sealed under the fixed keys of `tests/sealing.py`, and a replay opens them as the product does.

Run it from the project's root when a workflow has a new way to go, and add to the recorded files; an old file stays
for as long as a run of its kind may still be alive anywhere: `uv run python -m tests.replay.record [NAME …]`
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import Client

from runs import names
from tests.replay import fingerprints
from tests.stack import Deal, Json, Refused, Stack, eventually, line, money
from tests.time_travel import move_clock
from tests.workflows.replaying import RECORDS

HISTORIES = Path(__file__).parent / "histories"
PROJECT = Path(__file__).parents[2]


def happy_path(stack: Stack) -> Deal:
    """No approval, shipped and paid in full."""
    return paid(stack)[0]


def paid(stack: Stack) -> tuple[Deal, str]:
    """A deal that went so, and its payment."""
    deal = stack.deal(line("P100", 10, "5"), opportunity=True)
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    payment = deal.pay("1045.00")
    deal.ends("closed")
    return deal, payment


def partial_shipments(stack: Stack) -> Deal:
    """Shipped, invoiced and paid in parts."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    deal.ship(_1="6")
    deal.until(lambda case: case["order_status"] == "partially_shipped")
    deal.invoice()
    deal.until(lambda case: case["order_status"] == "partially_invoiced")
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    deal.pay("627.00")
    deal.until(lambda case: case["open_amount"] == "418.00")
    deal.pay("418.00")
    deal.ends("closed")
    return deal


def two_level_approval(stack: Stack) -> Deal:
    """Approved by a manager and a director, then with the customer."""
    deal = stack.deal(line("P250", 100, "22"))
    deal.submitted("approval")
    assert stack.person("mona").decide(deal.asks("mona"), "approve").accepted
    assert stack.person("dirk").decide(deal.asks("dirk"), "approve").accepted
    deal.waits_for("rep")
    deal.rep("activate")
    deal.waits_for("customer")
    return deal


def rejected_and_submitted_again(stack: Stack) -> Deal:
    """Rejected, changed by the rep, approved without a step."""
    deal = stack.deal(line("P100", 10, "15"))
    deal.submitted("approval")
    assert stack.person("mona").decide(deal.asks("mona"), "reject", comment="too much").accepted
    deal.waits_for("rep")
    deal.rep("edit", lines=[line("P100", 10, "5")])
    deal.rep("submit")
    deal.until(lambda case: case["quote_status"] == "approved")
    deal.rep("cancel")
    deal.until(lambda case: case["ending"])
    return deal


def approval_waits(stack: Stack) -> Deal:
    """An open run that waits for its approver, with one refused decision."""
    deal = stack.deal(line("P250", 1_000, "36"))
    deal.submitted("approval")
    asked = deal.asks("mona")
    assert not stack.person("dirk").decide(asked, "approve").accepted
    return deal


def credit_held_and_released(stack: Stack) -> Deal:
    """Held, released by the credit manager, waiting for its shipment."""
    deal = stack.deal(line("P100", 45, "0"), customer=stack.customer(credit_limit="4000.00"))
    deal.accepted("credit")
    released = stack.person("carl").command(
        deal, "credit_release", reason="known well", ceiling="6000.00", valid_until="2099-12-31"
    )
    assert released.accepted, released.body
    deal.waits_for("shipment")
    return deal


def credit_freed_by_a_payment(stack: Stack) -> Deal:
    """Held because another deal used the limit; woken by the customer's ledger when that one was paid."""
    customer = stack.customer(credit_limit="4000.00")
    first = stack.deal(line("P100", 30, "0"), customer=customer)
    first.accepted()
    deal = stack.deal(line("P100", 10, "0"), customer=customer)
    deal.accepted("credit")
    first.ship()
    first.waits_for("invoice")
    first.invoice()
    first.waits_for("payment")
    first.pay("3300.00")
    deal.waits_for("shipment")
    return deal


def parked_and_retried(stack: Stack) -> Deal:
    """A confirmation that Finance refused, fixed by a person."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.submitted()
    # Only this deal confirms an order now; a sweep of the feeds would take a fault on Finance's batches.
    # Once with the step that makes the order, and once with the one that confirms it alone.
    fault = {"system": "finance", "method": "POST", "path": r".*/confirm$", "effect": {"status": 400}, "times": 2}
    stack.desk.put("/faults", fault)
    deal.rep("activate")
    deal.rep("accept")
    deal.waits_for("operator")
    stack.desk.delete("/faults")
    assert stack.person("otto").command(deal, "retry", reason="fixed").accepted
    deal.waits_for("shipment")
    return deal


def held_at_the_packing_slip(stack: Stack) -> Deal:
    """Held by Finance when the goods were to leave, found by a sweep, released by the credit manager, shipped."""
    deal = stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="4000.00"))
    deal.accepted()
    stack.desk.put(f"/customers/{deal.company}/{deal.customer}", {"credit_limit": "100.00"})
    with suppress(Refused):  # the warehouse is refused, and Finance puts the order on its hold list
        deal.ship()
    deal.waits_for("credit")
    assert stack.person("carl").command(deal, "credit_release", reason="known well").accepted
    deal.waits_for("shipment")
    deal.ship()
    deal.waits_for("invoice")
    return deal


def lost_to_another(stack: Stack) -> Deal:
    """Approval pending when the quote was lost."""
    deal = stack.deal(line("P100", 10, "15"))
    deal.submitted("approval")
    deal.rep("lose")
    deal.until(lambda case: case["ending"])
    return deal


def expired(stack: Stack) -> Deal:
    """Approved, and never activated before it expired."""
    deal = stack.deal(line("P100", 10, "5"))
    ends_at = datetime.fromisoformat(deal.submitted()["expires_at"])

    async def let_time_pass() -> None:
        await move_clock(await stack.temporal(), names.deal_id(deal.company, deal.quote), ends_at)

    asyncio.run(let_time_pass())
    deal.ends("expired")
    return deal


def credited_in_part(stack: Stack) -> Deal:
    """Two of ten come back and are credited; the rest is paid."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    invoice = deal.invoice()["InvoiceId"]
    deal.waits_for("payment")
    of_finance = f"/finance/{deal.company}"
    two = [{"LineNumber": 1, "Quantity": 2}]
    returned = {"InvoiceId": invoice, "Lines": two, "ReasonCode": "DEFECT"}
    number = stack.desk.post(f"{of_finance}/returnOrder", returned)["ReturnOrderNumber"]
    for posting in ("receiveReturn", "creditReturn"):
        stack.desk.post(f"{of_finance}/{posting}", {"ReturnOrderNumber": number})
    deal.until(lambda case: case["open_amount"] == "836.00")
    deal.pay("836.00", invoice)
    deal.ends("closed")
    return deal


def cancelled_in_finance(stack: Stack) -> Deal:
    """Confirmed, and cancelled in Finance before anything was shipped."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    stack.desk.post(f"/orders/{deal.company}/{deal.case()['order_number']}/cancel-remainder")
    deal.ends("cancelled")
    return deal


def made_larger(stack: Stack) -> Deal:
    """Fourteen in place of the ten that were ordered, then all of it cancelled."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    path = f"/cases/{deal.company}/{deal.quote}/commands"
    more = {"lines": [{"line_no": 1, "quantity": "14"}], "reason": "four more are needed"}
    assert stack.person("rita").post(f"{path}/change_order", {"args": more}).accepted
    deal.until(
        lambda case: money(case["lines"][0]["ordered"]) == 14 and not case["order_change"], "fourteen are ordered"
    )
    assert stack.person("otto").command(deal, "cancel_order", reason="the customer withdrew").accepted
    deal.ends("cancelled")
    return deal


STORIES: dict[str, Callable[[Stack], Deal]] = {
    story.__name__: story
    for story in (
        happy_path,
        partial_shipments,
        two_level_approval,
        rejected_and_submitted_again,
        approval_waits,
        credit_held_and_released,
        credit_freed_by_a_payment,
        parked_and_retried,
        held_at_the_packing_slip,
        lost_to_another,
        expired,
        credited_in_part,
        cancelled_in_finance,
        made_larger,
    )
}


async def keep(stack: Stack, name: str, deal: Deal) -> None:
    """Write the histories of a deal, its approvals and its customer's ledger."""
    client = await stack.temporal()
    runs = {name: names.deal_id(deal.company, deal.quote)}
    case = deal.case()
    for summary in case["approvals"]:
        runs[f"{name}.approval{summary['n']}"] = names.approval_id(deal.company, deal.quote, summary["n"])
    if case["order_number"]:
        runs[f"{name}.ledger"] = names.ledger_id(deal.company, deal.customer)
    for file, workflow_id in runs.items():
        await write(client, file, workflow_id)


async def write(client: Client, file: str, workflow_id: str) -> None:
    """Write the history of one run with its fingerprint; stack traces name files from the project's root."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    await put(file, history.to_json())


async def put(file: str, history: str) -> None:
    """Write a history with its fingerprint."""
    kept = HISTORIES / f"{file}.json"
    kept.write_text(history.replace(f"{PROJECT}/", "") + "\n")
    await fingerprints.write([kept])


async def keep_feeds(stack: Stack) -> None:
    """Write the history of a feed of each system."""
    client = await stack.temporal()
    for system, of in (("sales", "quote"), ("finance", "usmf")):
        await write(client, f"feed.{system}", names.feed_id(system, of))


async def keep_delegations(stack: Stack) -> None:
    """Write the history of a company's delegations: an approver's, an administrator's, both ended."""
    dirk, ada = stack.person("dirk"), stack.person("ada")
    listed = ada.get("/delegations/usmf")
    oid = {person["upn"].partition("@")[0]: person["oid"] for person in listed["approvers"]}
    days = {"first": listed["today"], "last": listed["today"]}
    for person, said, more in (
        (dirk, "", {"to": oid["dina"], "reason": "holiday", **days}),
        (ada, "", {"of": oid["dina"], "to": oid["drew"], "reason": "ill", **days}),
        (dirk, "/end", {}),
        (ada, "/end", {"of": oid["dina"]}),
    ):
        answer = person.post(f"/delegations/usmf{said}", more)
        assert answer.accepted, answer
    await write(await stack.temporal(), "delegations", names.delegations_id("usmf"))


async def keep_late(stack: Stack) -> None:
    """Write the history of what comes after the end: a payment is reversed, and paid again."""
    (deal, payment), amy = paid(stack), stack.person("amy")

    def standing() -> list[Json]:
        found: list[Json] = amy.get("/late", company=deal.company, q=deal.quote)["items"]
        return found

    stack.desk.post(f"/payments/{deal.company}/{payment}/reverse", {"reason": "no funds"})
    eventually(standing, "the reversal stands open")
    deal.pay("1045.00")
    eventually(lambda: not standing(), "it is settled")
    await write(await stack.temporal(), "late", names.after_end_id(deal.company))


async def keep_collections(stack: Stack) -> None:
    """Write the history of an account: overdue, disputed, reminded until its orders are held, and paid."""
    amy, customer = stack.person("amy"), stack.customer()
    deal = stack.deal(line("P100", 10, "5"), customer=customer)
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    number = deal.invoice()["InvoiceId"]
    deal.waits_for("payment")
    path, client = f"/collections/{deal.company}/{customer}", await stack.temporal()
    run = names.collections_id(deal.company, customer)

    def shown() -> Json:
        with suppress(Refused):
            return amy.get(path)  # type: ignore[no-any-return]  # JSON
        return {"held": False, "state": {"invoices": [], "letters_written": 0}}

    eventually(lambda: shown()["state"]["invoices"], "the account knows the invoice")
    due = datetime.fromisoformat(shown()["state"]["invoices"][0]["due_on"]).replace(hour=17, tzinfo=UTC)
    await move_clock(client, run, due + timedelta(days=8))
    eventually(lambda: shown()["state"]["letters_written"] == 1, "it is reminded")
    for said, more in (("dispute_open", {"amount": "200.00"}), ("dispute_resolve", {"outcome": "uphold"})):
        args = {"invoice": number, "reason": "two are missing", **more}
        assert amy.post(f"{path}/commands/{said}", {"args": args}).accepted
    await move_clock(client, run, due + timedelta(days=45))
    eventually(lambda: shown()["held"], "orders are held")
    deal.pay("1045.00")
    eventually(lambda: not shown()["held"], "orders go through")
    await write(client, "collections", run)


OF_NO_DEAL = {
    "feeds": keep_feeds,
    "delegations": keep_delegations,
    "late": keep_late,
    "collections": keep_collections,
}
"""What lives beside the deals, by name."""

_UNDONE = "test_initial_undo.py::test_what_nobody_changed_since_goes_back_and_the_rest_is_listed"
_CHANGED = "test_change_of_map.py::test_tried_on_some_then_in_force_for_all_and_taken_back_where_nobody_edited_since"
_READ = "test_history.py::test_killed_changed_and_late_it_comes_right"
OF_TESTS: dict[str, tuple[str, str]] = {
    "initial_run": (_UNDONE, names.initial_run_id("customer", "usmf")),
    "initial_undo": (_UNDONE, names.initial_undo_id("customer", "usmf")),
    "map_changed": (_CHANGED, names.map_change_id("customer", 1)),
    "past_invoices": (_READ, names.history_id("invoice", "usmf")),
}
"""Bulk work, whose records a test of its own makes: that test, and the id of the run."""


def keep_of_tests(wanted: list[str]) -> None:
    """Write the histories of bulk work, each as its test goes through it."""
    for test in dict.fromkeys(OF_TESTS[name][0] for name in wanted):
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "pytest", "-q", "-n0", f"tests/workflows/{test}"]
            subprocess.run(words, check=True, cwd=PROJECT, env=os.environ | {RECORDS: folder})
            for name in wanted:
                of, workflow_id = OF_TESTS[name]
                if of == test:
                    made = Path(folder) / f"{workflow_id.replace('/', '.')}.json"
                    asyncio.run(put(name, made.read_text()))


def main(wanted: list[str]) -> None:
    """Record the wanted stories and others, or all."""
    keep_of_tests([name for name in OF_TESTS if not wanted or name in wanted])
    of_stack = [name for name in wanted or (*STORIES, *OF_NO_DEAL) if name not in OF_TESTS]
    if not of_stack:
        return
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack.start(Path(folder), Q2C_WORKER_SWEEP_SECONDS="5")
        try:
            for name in of_stack:
                work = keep(stack, name, STORIES[name](stack)) if name in STORIES else OF_NO_DEAL[name](stack)
                asyncio.run(work)
        finally:
            stack.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
