"""No webhook and no business event arrives: the sweeps of the feeds find everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.feeds import Unrouted
from dynamics.core.literals import key
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.sales.client import Dataverse
from runs import names
from tests.reaching import deal_row, in_sales, reaching
from tests.stack import Deal, Stack, assert_sound, decimals, eventually, ledger, line, money

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens there."""
DEPOSITS = """
version: "2026-11-01#1"
companies: {usmf: [{id: net45, terms: [Net 45], percent: 30, due_days: 10}]}
"""


@pytest.fixture(scope="module")
def deaf_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A product that sweeps every two seconds and is told nothing in between; orders of Net 45 need a deposit."""
    policies = tmp_path_factory.mktemp("policies")
    (policies / "deposits.yaml").write_text(DEPOSITS)
    running = Stack.start(tmp_path_factory.mktemp("deaf"), Q2C_WORKER_SWEEP_SECONDS="2", Q2C_POLICIES=str(policies))
    running.desk.put(
        "/endpoints",
        {
            "dataverse_webhook": {"url": f"{NOWHERE}/intake/dataverse", "key": "lost"},
            "finance_events": {"url": f"{NOWHERE}/intake/finance"},
        },
    )
    yield running
    running.stop()


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
    in_sales(deaf_stack, lambda sales: sales.odata.delete(key("quotes", quote)), user="ada")
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


# Deposits


def held(stack: Stack, *lines: Any) -> tuple[Deal, str]:
    """A deal whose order stands in Finance and waits for its deposit, and the order's number."""
    deal = stack.deal(*lines, customer=stack.customer(payment_terms="Net 45"))
    case = deal.accepted("deposit")
    assert (case["stage"], case["order_status"], case["explanation"]["who"]) == (
        "order",
        "created",
        ["ar_manager", "customer"],
    )
    assert case["order_number"] in case["explanation"]["text"] and case["explanation"]["deadline"]

    def said_in_sales() -> bool:
        return "waits for its deposit" in str(deal_row(deal)["q2c_waitingfor"])

    eventually(said_in_sales, "Sales says what the order waits for")
    return deal, str(case["order_number"])


def prepay(deal: Deal, order: str, amount: str) -> str:
    """The customer pays so much for the order ahead; the payment's id."""
    sent = {"CustAccount": deal.customer, "Amount": amount, "IsPrepayment": "Yes", "SalesOrderId": order}
    return str(deal.stack.desk.post(f"/finance/{deal.company}/payment", sent)["PaymentId"])


def settled_on(invoices: int) -> Callable[[dict[str, Any]], bool]:
    """Whether the deposit settled so many invoices."""
    return lambda case: len(case["deposit"]["settled"]) == invoices


def four(case: dict[str, Any]) -> tuple[Decimal, ...]:
    """Paid, unapplied, refunded; received, to which they come (I5)."""
    return tuple(money(case[name]) for name in ("paid", "unapplied", "refunded", "received"))


def deposit(deal: Deal, *names: str) -> tuple[Decimal, ...]:
    return tuple(money(deal.case()["deposit"][name]) for name in names)


@pytest.mark.timeout(300)
def test_an_order_is_released_by_its_deposit_and_each_invoice_shows_its_part(deaf_stack: Stack) -> None:
    deal, order = held(deaf_stack, line("P100", 10))  # 1,100.00 with tax: 330.00 are due
    assert deposit(deal, "amount", "received", "missing") == decimals(330, 0, 330)
    assert deal.order()["header"]["SalesOrderProcessingStatus"] == "Active", "not confirmed"
    bounced = prepay(deal, order, "130.00")
    deal.until(lambda case: money(case["deposit"]["received"]) == 130, "130.00 received")
    deaf_stack.desk.post(f"/payments/{deal.company}/{bounced}/reverse", {"reason": "no funds"})
    first = prepay(deal, order, "200.00")
    deal.until(lambda case: money(case["deposit"]["received"]) == 200, "one came, and one bounced")
    assert deal.case()["explanation"]["waiting_for"] == "deposit"
    second = prepay(deal, order, "130.00")
    case = deal.waits_for("shipment")
    assert (case["order_status"], money(case["deposit"]["left"])) == ("confirmed", Decimal(330))
    assert deal.sales()["orders"][0]["finance_order"] == order

    # Two invoices of half the order each: the clerk settles the deposit with both, in equal parts.
    for part in (1, 2):
        deal.ship(_1="5")
        number = deal.invoice()["InvoiceId"]
        for payment, amount in ((first, "100.00"), (second, "65.00")):
            parts = [{"InvoiceId": number, "Amount": amount}]
            deaf_stack.desk.post(f"/finance/{deal.company}/settle", {"PaymentId": payment, "Settlements": parts})
        shown = deal.until(settled_on(part), f"part {part} is shown")
        assert money(shown["deposit"]["settled"][number]) == 165
    assert deposit(deal, "received", "left") == decimals(330, 0)
    case = deal.waits_for("payment")
    assert [money(case[name]) for name in ("paid", "unapplied", "refunded", "received")] == list(
        decimals(330, 0, 0, 330)
    )
    deal.pay("770.00")
    assert money(deal.ends("closed")["received"]) == Decimal(1100)
    assert_sound(deal)


@pytest.mark.timeout(300)
def test_a_cancelled_order_leaves_its_deposit_to_two_persons(deaf_stack: Stack) -> None:
    deal, order = held(deaf_stack, line("P100", 10))
    paid = prepay(deal, order, "100.00")
    deal.until(lambda case: money(case["deposit"]["received"]) == 100, "100.00 received")
    shipped = deal.ship(_1="4")
    deal.until(lambda case: [e for e in case["exceptions"] if "SHIPPED_WHILE_HELD" in e], "shipped while held")
    cancel = {"PackingSlipId": shipped}
    deaf_stack.desk.post(f"/finance/{deal.company}/cancelPackingSlip", cancel)
    people = deaf_stack.person
    assert people("rita").command(deal, "cancel_order", reason="called off").accepted
    case = deal.waits_for("unapplied")
    assert (case["order_status"], case["ending"], money(case["unapplied"])) == ("cancelled", "", Decimal(100))
    args = {"of": paid, "amount": "100.00", "reason": "the order was called off"}
    assert people("cleo").command(deal, "refund_propose", **args).accepted
    assert people("cleo").command(deal, "refund_approve", refund="1").code == "NO_AUTHORITY"
    assert people("amy").command(deal, "refund_approve", refund="1").accepted
    case = deal.until(lambda case: case["refunds"][0]["status"] == "prepared", "prepared in Finance")
    posted = {"JournalBatchNumber": case["refunds"][0]["journal"], "PaymentId": paid}
    deaf_stack.desk.post(f"/finance/{deal.company}/postPaymentJournal", posted)
    case = deal.ends("cancelled")
    assert [money(case[name]) for name in ("paid", "unapplied", "refunded", "received")] == list(
        decimals(0, 0, 100, 100)
    )


def typed_into_finance(stack: Stack, deal: Deal) -> str:
    """Somebody types an order for the same quote into Finance by hand; its number."""

    async def typed() -> str:
        header = {
            "dataAreaId": deal.company,
            "OrderingCustomerAccountNumber": deal.customer,
            "CustomersOrderReference": deal.quote,
        }
        async with Finance(FinanceSettings(*reaching(stack, "finance"))) as finance:
            order = await finance.odata.post("SalesOrderHeadersV4", header, representation=True)
            assert order.row
            number = str(order.row["SalesOrderNumber"])
            sold = {"dataAreaId": deal.company, "SalesOrderNumber": number, "ItemNumber": "P100"}
            await finance.odata.post("SalesOrderLinesV3", sold | {"OrderedSalesQuantity": 2})
        return number

    return asyncio.run(typed())


@pytest.mark.timeout(300)
def test_an_order_typed_into_finance_for_a_quote_of_a_deal_is_an_exception(deaf_stack: Stack) -> None:
    deal = deaf_stack.deal(line("P100", 10))
    deal.accepted()
    number = typed_into_finance(deaf_stack, deal)
    deaf_stack.desk.post(f"/orders/{deal.company}/{number}/ship", {})
    operator = deaf_stack.person("otto")

    def listed() -> list[Any]:
        found: list[Any] = operator.get("/late", matter="unclaimed", q=number)["items"]
        return found

    eventually(listed, "its packing slip is seen", 90)
    (entry,) = listed()
    assert (entry["codes"], entry["severity"], entry["role"]) == (["ORDER_WITHOUT_DEAL"], "critical", "ops")
    assert f"names quote {deal.quote}" in entry["text"] and entry["help"]
    deaf_stack.desk.post(f"/orders/{deal.company}/{number}/invoice", {})
    eventually(lambda: listed()[0]["reports"] == 2, "its invoice is one more report of it", 90)
    dismissed = {"reason": "agreed with the rep", "message_id": str(uuid4())}
    assert operator.post(f"/late/{deal.company}/{entry['n']}/dismiss", dismissed).accepted
    assert listed() == []
    assert deal.waits_for("shipment")["order_number"] != number, "the deal goes on with its own order"
