"""The intake: what the two systems report reaches the right run as the right event, once, whatever is wrong with it."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from domain.credit_ledger import LedgerStart
from domain.messages import CustomerChanged, FinanceEventKind, SalesEventKind
from dynamics.business_events import Malformed, read_report
from dynamics.webhooks import Malformed as MalformedContext
from dynamics.webhooks import read_change
from runs import names
from runs.after_end import AfterEndDesk
from tests.webworld import scenes
from tests.webworld.reports import QUOTE_ID, choice, context, unit
from tests.webworld.world import (
    EVENTS_SECRET,
    OLD_EVENTS_SECRET,
    OLD_WEBHOOK_KEY,
    WEBHOOK_KEY,
    Stage,
    dev_server,
)
from web.app import create_app
from web.config import WebConfig
from workers.settings import load_settings
from workers.web import web_config

COMPANIES = {"USMF": "usmf", "DEMF": "demf"}


@pytest.mark.parametrize(
    ("message", "target", "image", "kind"),
    [
        ("Update", {"q2c_approvalstatus": choice(100000001)}, {}, SalesEventKind.SUBMITTED),
        ("Create", {"q2c_approvalstatus": choice(100000001)}, {}, SalesEventKind.SUBMITTED),
        ("Update", {"q2c_approvalstatus": choice(100000000)}, {}, SalesEventKind.WITHDRAWN),
        ("Create", {"q2c_approvalstatus": choice(100000000)}, {}, None),
        ("Update", {"q2c_approvalstatus": choice(100000002)}, {}, None),
        ("Update", {"q2c_approvalstatus": choice(100000003)}, {}, None),
        ("Update", {"q2c_approvalstatus": choice(100000001)}, {"statecode": choice(1)}, None),
        ("Update", {"statecode": choice(1)}, {"statecode": choice(1)}, SalesEventKind.ACTIVATED),
        ("Update", {"statecode": choice(2)}, {"statecode": choice(2)}, SalesEventKind.ACCEPTED),
        ("Win", {}, {"statecode": choice(2), "statuscode": choice(4)}, SalesEventKind.ACCEPTED),
        ("Close", {}, {"statecode": choice(3), "statuscode": choice(5)}, SalesEventKind.LOST),
        ("Close", {}, {"statecode": choice(3), "statuscode": choice(6)}, SalesEventKind.CANCELLED),
        ("Close", {}, {"statecode": choice(3), "statuscode": choice(7)}, SalesEventKind.REVISED),
        ("Revise", {}, {}, None),
        ("Update", {"name": "x"}, {}, None),
    ],
)
def test_what_happened_to_a_quote(
    message: str, target: dict[str, object], image: dict[str, object], kind: SalesEventKind | None
) -> None:
    change = read_change(context(message, target, image), COMPANIES)
    if kind is None:
        assert change.route == "ignore" and change.event is None
        return
    assert change.route == "deal" and change.event is not None
    event = change.event
    assert (event.kind, event.company, event.quote_number, event.quote_id) == (kind, "usmf", "Q-1001", QUOTE_ID)
    assert (event.revision, event.version, event.actor) == (0, 4711, "11111111-1111-1111-1111-111111111111")
    assert event.occurred_at.isoformat() == "2026-11-23T14:00:00+00:00"
    once = f"dv/quote/{QUOTE_ID}/{kind}"
    again = kind in (SalesEventKind.SUBMITTED, SalesEventKind.WITHDRAWN)
    assert event.event_id == (f"{once}/4711" if again else once)


def test_a_context_too_large_for_its_images_goes_to_the_feeds() -> None:
    body = context("Update")
    for name in ("InputParameters", "PostEntityImages", "PreEntityImages"):
        del body[name]
    change = read_change(body, COMPANIES)
    assert change.route == "feed" and change.event is not None
    assert (change.event.quote_id, change.event.quote_number, change.event.company) == (QUOTE_ID, "", "")


def test_a_lost_opportunity_goes_to_the_feed_of_its_company() -> None:
    body = context("Lose", PrimaryEntityName="opportunity", image={"owningbusinessunit": unit("DEMF")})
    change = read_change(body, COMPANIES)
    assert change.route == "feed" and change.event is not None
    assert (change.event.kind, change.event.company) == (SalesEventKind.OPPORTUNITY_LOST, "demf")
    assert read_change(context("Win", PrimaryEntityName="opportunity"), COMPANIES).route == "ignore"


@pytest.mark.parametrize(
    ("changes", "names_it"),
    [
        ({"MessageName": ""}, "MessageName"),
        ({"PrimaryEntityId": None}, "PrimaryEntityId"),
        ({"PrimaryEntityId": "not an id"}, "PrimaryEntityId"),
    ],
)
def test_what_is_missing_in_a_context_is_named(changes: dict[str, object], names_it: str) -> None:
    body = context(target={"q2c_approvalstatus": choice(100000001)}) | changes
    with pytest.raises(MalformedContext, match=names_it):
        read_change(body, COMPANIES)


def test_a_business_unit_without_a_company_goes_to_the_feeds() -> None:
    body = context(target={"q2c_approvalstatus": choice(100000001)}, image={"owningbusinessunit": unit("XXMF")})
    change = read_change(body, COMPANIES)
    assert (change.route, change.record_id, change.why) == ("feed", QUOTE_ID, "business-unit")


def business_event(name: str, **fields: object) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "BusinessEventId": name,
        "BusinessEventLegalEntity": "usmf",
        "ControlNumber": 5637144577,
        "EventId": "E1A5",
        "EventTime": "/Date(1795442400000)/",
        "LegalEntity": "USMF",
    }
    return envelope | fields


ORDER = {"SalesOrderId": "Q2C-AAAA", "CustAccount": "US-001"}
INVOICE = {
    "SalesOrderId": "Q2C-AAAA",
    "InvoiceAccount": "US-001",
    "InvoiceId": "INV-7",
    "InvoiceAmountInAccountingCurrency": Decimal("627.00"),
}
SLIP = ORDER | {"PackingSlipId": "PS-1", "Lines": [{"LineNumber": 1, "Quantity": Decimal("6")}]}
PAYMENT = {
    "CustAccount": "US-001",
    "PaymentId": "PAY-9",
    "Amount": Decimal("700.00"),
    "CurrencyCode": "USD",
    "Settlements": [
        {"InvoiceId": "INV-7", "SalesOrderId": "Q2C-AAAA", "Amount": Decimal("227.10")},
        {"InvoiceId": "INV-8", "SalesOrderId": "Q2C-BBBB", "Amount": Decimal("400")},
        {"InvoiceId": "INV-9", "SalesOrderId": "Q2C-AAAA", "Amount": Decimal("0.20")},
        {"InvoiceId": "FTI-1", "SalesOrderId": "", "Amount": Decimal("72.70")},
    ],
}


@pytest.mark.parametrize(
    ("name", "fields", "kind", "event_id"),
    [
        ("Q2CPackingSlipPostedBusinessEvent", SLIP, FinanceEventKind.SHIPMENT_POSTED, "finance/slip/PS-1"),
        ("SalesInvoicePostedBusinessEvent", INVOICE, FinanceEventKind.INVOICE_POSTED, "finance/invoice/INV-7"),
    ],
)
def test_what_happened_to_an_order(name: str, fields: dict[str, Any], kind: FinanceEventKind, event_id: str) -> None:
    report = read_report(business_event(name, **fields), COMPANIES.values())
    (event,) = report.orders
    assert (event.kind, event.event_id, event.order_number) == (kind, event_id, "Q2C-AAAA")
    assert (event.company, event.customer_account, event.control_number) == ("usmf", "US-001", 5637144577)
    assert event.occurred_at.isoformat() == "2026-11-23T14:00:00+00:00"
    assert report.customer is None


def test_a_payment_is_shared_out_to_its_orders_and_frees_credit() -> None:
    report = read_report(business_event("Q2CCustPaymentPostedBusinessEvent", **PAYMENT), COMPANIES.values())
    paid = "finance/payment/" + str(PAYMENT["PaymentId"])
    told = [(event.event_id, event.order_number, event.invoice, event.amount) for event in report.orders]
    assert told == [
        (f"{paid}/INV-7", "Q2C-AAAA", "", Decimal("227.10")),
        (f"{paid}/INV-8", "Q2C-BBBB", "", Decimal("400")),
        (f"{paid}/INV-9", "Q2C-AAAA", "", Decimal("0.20")),  # what is left may settle another one later on
        (f"{paid}/FTI-1", "", "FTI-1", Decimal("72.70")),  # of several orders, or of none: the feed finds out
    ]
    assert report.customer is not None and report.customer.freed == Decimal("700.00")
    back = read_report(business_event("Q2CCustPaymentReversedBusinessEvent", **PAYMENT), COMPANIES.values())
    assert back.customer is not None and back.customer.freed is None
    assert {event.kind for event in back.orders} == {FinanceEventKind.PAYMENT_REVERSED}
    assert [event.amount for event in back.orders] == [Decimal("227.30"), Decimal("400"), Decimal("72.70")]
    assert back.orders[0].event_id != report.orders[0].event_id


def test_a_changed_limit_and_a_block_concern_the_customer_only() -> None:
    limit = {"CustAccount": "US-001", "OldLimit": Decimal("100000"), "NewLimit": Decimal("50000.00")}
    report = read_report(business_event("Q2CCustCreditLimitChangedBusinessEvent", **limit), COMPANIES.values())
    assert report.orders == () and report.customer is not None
    assert "100,000.00 to 50,000.00" in report.customer.reason
    report = read_report(
        business_event("Q2CCustBlockedBusinessEvent", CustAccount="US-001", OnHoldStatus="All"), COMPANIES.values()
    )
    assert report.customer is not None and "All" in report.customer.reason


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("SalesInvoicePostedBusinessEvent", INVOICE | {"InvoiceId": ""}, "InvoiceId"),
        ("SalesInvoicePostedBusinessEvent", INVOICE | {"EventTime": "now"}, "EventTime"),
        ("SalesInvoicePostedBusinessEvent", INVOICE | {"InvoiceAmountInAccountingCurrency": "NaN"}, "InvoiceAmount"),
        ("Q2CPackingSlipPostedBusinessEvent", SLIP | {"Lines": [{"LineNumber": 1}]}, r"Lines\[0\].Quantity"),
        ("Q2CPackingSlipPostedBusinessEvent", SLIP | {"Lines": None}, "Lines"),
        ("Q2CCustPaymentPostedBusinessEvent", PAYMENT | {"Amount": True}, "Amount"),
        ("", {}, "BusinessEventId"),
    ],
)
def test_what_is_wrong_with_a_business_event_is_named(name: str, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed, match=field):
        read_report(business_event(name, **fields), COMPANIES.values())


@pytest.mark.parametrize("name", ["BusinessEventsTestEndpointContract", "VendorInvoicePostedBusinessEvent"])
def test_a_test_ping_and_a_foreign_event_are_ignored(name: str) -> None:
    assert read_report(business_event(name), COMPANIES.values()).why_ignored


async def webhook(http: httpx.AsyncClient, body: dict[str, Any], key: str = WEBHOOK_KEY) -> httpx.Response:
    return await http.post("/intake/dataverse", json=body, headers={"x-q2c-webhook-key": key})


async def event(http: httpx.AsyncClient, body: dict[str, Any], code: str = EVENTS_SECRET) -> httpx.Response:
    text = json.dumps(body, default=str)
    return await http.post(f"/intake/finance?code={code}", content=text)


async def test_wrong_secrets_are_refused(http: httpx.AsyncClient) -> None:
    assert (await webhook(http, context(), key="wrong")).status_code == 401
    assert (await http.post("/intake/dataverse", json=context())).status_code == 401
    assert (await event(http, business_event("X"), code="")).status_code == 401


@pytest.mark.parametrize("key", [WEBHOOK_KEY, OLD_WEBHOOK_KEY])
@pytest.mark.parametrize("secret", [EVENTS_SECRET, OLD_EVENTS_SECRET])
async def test_the_secret_before_the_newest_is_taken_as_well(http: httpx.AsyncClient, key: str, secret: str) -> None:
    assert (await webhook(http, context(PrimaryEntityName="account"), key=key)).status_code == 202
    assert (await event(http, business_event("Unknown"), code=secret)).status_code == 202


@pytest.mark.parametrize(
    "shown", ["", WEBHOOK_KEY[:-1], f"{OLD_WEBHOOK_KEY} ", f"{WEBHOOK_KEY},{OLD_WEBHOOK_KEY}", "None", "\ud800"]
)
async def test_nothing_but_one_of_the_two_secrets_is_taken(http: httpx.AsyncClient, shown: str) -> None:
    headers = [(b"x-q2c-webhook-key", shown.encode("utf-8", "surrogatepass"))]
    assert (await http.post("/intake/dataverse", json=context(), headers=headers)).status_code == 401
    code = shown.replace(WEBHOOK_KEY, EVENTS_SECRET).replace(OLD_WEBHOOK_KEY, OLD_EVENTS_SECRET)
    answer = await http.post("/intake/finance", json={}, params={"code": code.encode("utf-8", "surrogatepass")})
    assert answer.status_code == 401


def test_without_a_previous_secret_only_the_newest_is_valid() -> None:
    config = web_config(load_settings())
    assert len(config.dataverse_webhook_keys) == len(config.finance_events_secrets) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null"])
async def test_a_body_that_is_no_object_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    headers = {"x-q2c-webhook-key": WEBHOOK_KEY}
    assert (await http.post("/intake/dataverse", content=content, headers=headers)).status_code == 400
    assert (await http.post(f"/intake/finance?code={EVENTS_SECRET}", content=content)).status_code == 400


async def test_a_submission_starts_the_deal_once_and_later_events_reach_it(
    http: httpx.AsyncClient, temporal: Client
) -> None:
    quote = f"IN-{uuid.uuid4().hex[:6]}"
    submitted = context(target={"q2c_approvalstatus": choice(100000001)}, quote=quote)
    for _ in range(3):
        assert (await webhook(http, submitted)).status_code == 202
    active = context(target={"statecode": choice(1)}, image={"statecode": choice(1)}, quote=quote)
    assert (await webhook(http, active)).json() == {"status": "taken", "kind": "activated"}
    handle = temporal.get_workflow_handle(names.deal_id("usmf", quote))
    base = f"dv/quote/{QUOTE_ID}"
    assert await handle.query("received") == [*[f"{base}/submitted/4711"] * 3, f"{base}/activated"]
    described = await handle.describe()
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert attributes["Q2CCompany"] == "usmf" and attributes["Q2CQuote"] == quote
    assert attributes["Q2CStage"] == "opportunity" and attributes["Q2CWaitingFor"] == "none"
    assert await described.static_summary() == f"Quote {quote} of USMF: quote to cash"


async def test_an_event_of_a_quote_that_never_was_submitted_is_ignored(http: httpx.AsyncClient) -> None:
    body = context("Win", image={"statecode": choice(2)}, quote="NEVER")
    answer = await webhook(http, body)
    assert (answer.status_code, answer.json()["status"]) == (202, "ignored")


async def test_what_is_reported_of_a_quote_after_its_deal_ended_goes_to_the_receiver(
    http: httpx.AsyncClient, temporal: Client
) -> None:
    quote = f"IN-{uuid.uuid4().hex[:6]}"
    submitted = context(target={"q2c_approvalstatus": choice(100000001)}, quote=quote)
    assert (await webhook(http, submitted)).status_code == 202
    deal = temporal.get_workflow_handle(names.deal_id("usmf", quote))
    await deal.signal("end", "paid")
    await deal.result()
    revised = context("Close", image={"statecode": choice(3), "statuscode": choice(7)}, quote=quote)
    never = context("Close", image={"statecode": choice(3), "statuscode": choice(7)}, quote="NEVER")

    assert (await webhook(http, revised)).json() == {"status": "taken", "kind": "revised"}
    assert (await webhook(http, never)).json() == {"status": "ignored", "kind": "revised"}
    view = await AfterEndDesk(temporal).read("usmf")
    assert view.tally["waiting"] == 1


async def test_that_a_quote_was_won_reaches_its_deal_by_the_quotes_id_alone(
    http: httpx.AsyncClient, stage: Stage, temporal: Client
) -> None:
    """Win has no image in Dataverse: who has the deal is asked of Temporal, and Sales is read by the deal alone."""
    handle = await stage.deal(scenes.shipping("WON-1").model_copy(update={"quote_id": str(uuid.uuid4())}))
    won = str((await handle.query(names.STATE))["quote_id"])
    body = context("Win", PostEntityImages=[], PrimaryEntityId=won.upper())
    assert (await webhook(http, body)).json() == {"status": "taken", "kind": "accepted"}
    assert (await webhook(http, body)).json() == {"status": "taken", "kind": "accepted"}
    assert set(await handle.query("received")) == {f"dv/quote/{won}/accepted"}


@pytest.mark.parametrize(
    ("message", "table"), [("Win", "quote"), ("Delete", "quote"), ("Lose", "opportunity"), ("Cancel", "salesorder")]
)
async def test_the_record_of_an_event_without_images_is_looked_at_by_the_feed_of_its_table(
    http: httpx.AsyncClient, temporal: Client, message: str, table: str
) -> None:
    body = context(message, PostEntityImages=[], PrimaryEntityId=str(uuid.uuid4()), PrimaryEntityName=table)
    assert (await webhook(http, body)).json()["status"] == "feed"
    told = await temporal.get_workflow_handle(names.feed_id("sales", table)).query("received")
    assert body["PrimaryEntityId"] in told


async def test_finance_events_reach_the_deals_of_their_orders_and_the_customers_ledger(
    http: httpx.AsyncClient, temporal: Client, stage: Stage
) -> None:
    one = await stage.deal(scenes.shipping("FIN-1").model_copy(update={"order_number": "Q2C-FIN1"}))
    two = await stage.deal(scenes.shipping("FIN-2").model_copy(update={"order_number": "Q2C-FIN2"}))
    ledger = await temporal.start_workflow(
        names.CREDIT_LEDGER,
        LedgerStart(company="usmf", customer_account="US-777"),
        id=names.ledger_id("usmf", "US-777"),
        task_queue=names.DEAL_QUEUE,
    )
    slip = SLIP | {"SalesOrderId": "Q2C-FIN1", "PackingSlipId": "PS-77"}
    assert (await event(http, business_event("Q2CPackingSlipPostedBusinessEvent", **slip))).status_code == 202
    paid = PAYMENT | {
        "CustAccount": "US-777",
        "PaymentId": "PAY-77",
        "Settlements": [
            {"InvoiceId": "A", "SalesOrderId": "Q2C-FIN1", "Amount": 627.10},
            {"InvoiceId": "B", "SalesOrderId": "Q2C-FIN2", "Amount": 72.90},
        ],
    }
    assert (await event(http, business_event("Q2CCustPaymentPostedBusinessEvent", **paid))).status_code == 202
    assert await one.query("received") == ["finance/slip/PS-77 None", "finance/payment/PAY-77/A 627.1"]
    assert await two.query("received") == ["finance/payment/PAY-77/B 72.9"]
    (told,) = [CustomerChanged.model_validate(change) for change in await ledger.query("received")]
    assert (told.freed, told.event_id) == (Decimal("700.00"), "finance/payment/PAY-77")


async def test_an_order_no_deal_is_known_for_goes_to_the_feed(
    http: httpx.AsyncClient, temporal: Client, stage: Stage
) -> None:
    ended = await stage.deal(scenes.shipping("FIN-3").model_copy(update={"order_number": "Q2C-FIN3"}))
    await ended.signal("end", "the test is over")
    await ended.result()
    for order, invoice in (("Q2C-FIN3", "INV-LATE"), ("Q2C-STRANGE", "INV-STRANGE")):
        fields = INVOICE | {"SalesOrderId": order, "InvoiceId": invoice}
        assert (await event(http, business_event("SalesInvoicePostedBusinessEvent", **fields))).status_code == 202
    told = await temporal.get_workflow_handle(names.feed_id("finance", "usmf")).query("received")
    assert {"finance/invoice/INV-LATE", "finance/invoice/INV-STRANGE"} <= set(told)


async def test_a_deal_is_looked_up_once(
    http: httpx.AsyncClient, temporal: Client, stage: Stage, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await stage.deal(scenes.shipping("FIN-4").model_copy(update={"order_number": "Q2C-FIN4"}))
    fields = INVOICE | {"SalesOrderId": "Q2C-FIN4", "InvoiceId": "INV-41"}
    assert (await event(http, business_event("SalesInvoicePostedBusinessEvent", **fields))).status_code == 202

    async def fail(*_: object) -> str:
        raise AssertionError("looked up again")

    monkeypatch.setattr("runs.lookup.Lookup.of_orders", fail)
    fields |= {"InvoiceId": "INV-42"}
    assert (await event(http, business_event("SalesInvoicePostedBusinessEvent", **fields))).status_code == 202
    assert len(await handle.query("received")) == 2


async def test_with_temporal_down_the_senders_are_told_to_come_again(
    config: WebConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.calls.PATIENCE_SECONDS", 0.5)
    server = await dev_server()
    nobody = server.client
    await server.shutdown()
    transport = httpx.ASGITransport(app=create_app(config, nobody))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        answer = await webhook(http, context(target={"q2c_approvalstatus": choice(100000001)}))
        assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
        answer = await event(http, business_event("SalesInvoicePostedBusinessEvent", **INVOICE))
        assert answer.status_code == 503
