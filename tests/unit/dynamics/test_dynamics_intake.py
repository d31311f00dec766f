"""What anybody may post to the intake: understood, sent to the feed, or `Malformed` at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.messages import SalesEventKind
from dynamics.business_events import read_report
from dynamics.core.intake import Malformed, json_object
from dynamics.webhooks import read_change
from tests.unit.dynamics.reports import (
    COMPANIES,
    INVOICE,
    OPERATION_ID,
    PAYMENT,
    QUOTE_ID,
    SLIP,
    UNIT_ID,
    business_event,
    choice,
    context,
    entity,
    image,
    reference,
)

KNOWN = frozenset(COMPANIES.values())
SUBMIT = {"q2c_approvalstatus": choice(100000001)}


@contextmanager
def at_once(seconds: float = 0.5) -> Iterator[None]:
    """What is inside takes less processor time than that, however busy the machine is."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


def test_a_business_unit_is_known_by_its_id_though_its_name_is_null() -> None:
    change = read_change(context(target=SUBMIT, shown=image()), COMPANIES)
    assert change.route == "deal" and change.event is not None
    assert (change.event.company, change.event.kind) == ("usmf", SalesEventKind.SUBMITTED)


def test_a_business_unit_mapped_by_name_is_known_without_regard_to_case() -> None:
    shown = image(owningbusinessunit=reference("businessunit", QUOTE_ID, "Demf"))
    change = read_change(context(target=SUBMIT, shown=shown), COMPANIES)
    assert change.event is not None and change.event.company == "demf"


@pytest.mark.parametrize(
    ("message", "status", "kind"),
    [
        ("Win", 4, SalesEventKind.ACCEPTED),
        ("Close", 5, SalesEventKind.LOST),
        ("Close", 6, SalesEventKind.CANCELLED),
        ("Close", 7, SalesEventKind.REVISED),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["primary entity", "closing activity"])
def test_win_and_close_come_without_image_and_name_the_quote(
    message: str, status: int, kind: SalesEventKind, named: bool
) -> None:
    """Given as F2 of the contract describes them: QuoteClose and Status, no Target, no image."""
    activity = entity({"subject": "Won", "quoteid": reference("quote", QUOTE_ID)})
    body = context(message, parameters={"QuoteClose": activity, "Status": choice(status)})
    if not named:
        body["PrimaryEntityId"] = "00000000-0000-0000-0000-000000000000"
    change = read_change(body, COMPANIES)
    assert (change.route, change.entity, change.record_id) == ("feed", "quote", QUOTE_ID)
    assert change.event is not None and change.event.kind is kind
    assert (change.event.quote_id, change.event.company) == (QUOTE_ID, "")
    assert change.event.event_id == f"dv/quote/{QUOTE_ID}/hint/{OPERATION_ID}"


def test_a_lost_opportunity_without_image_goes_to_every_feed() -> None:
    activity = entity({"opportunityid": reference("opportunity", QUOTE_ID)})
    parameters = {"OpportunityClose": activity, "Status": choice(5)}
    change = read_change(context("Lose", parameters=parameters, PrimaryEntityName="opportunity"), COMPANIES)
    assert (change.route, change.record_id) == ("feed", QUOTE_ID)
    assert change.event is not None and change.event.event_id == f"dv/opportunity/{QUOTE_ID}/opportunity_lost"


@pytest.mark.parametrize("message", ["Cancel", "Delete", "SetState", "Update"])
def test_a_changed_order_of_sales_goes_to_the_feed(message: str) -> None:
    change = read_change(context(message, PrimaryEntityName="salesorder"), COMPANIES)
    assert (change.route, change.entity, change.record_id, change.event) == ("feed", "salesorder", QUOTE_ID, None)


def test_an_activation_by_set_state_is_an_activation() -> None:
    moniker = {"EntityMoniker": reference("quote", QUOTE_ID), "State": choice(1), "Status": choice(2)}
    body = context("SetStateDynamicEntity", parameters=moniker, shown=image(statecode=choice(1), statuscode=choice(2)))
    change = read_change(body, COMPANIES)
    assert change.event is not None and change.event.kind is SalesEventKind.ACTIVATED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"quotenumber": ...}, "image-quotenumber"),
        ({"quotenumber": "x" * 101}, "image-quotenumber"),
        ({"quotenumber": "A\x00B"}, "image-quotenumber"),
        ({"quotenumber": {"deep": []}}, "image-quotenumber"),
        ({"revisionnumber": Decimal("1e4000000")}, "image-revisionnumber"),
        ({"revisionnumber": -1}, "image-revisionnumber"),
        ({"versionnumber": "4711 "}, None),
        ({"versionnumber": 2**63}, "image-versionnumber"),
        ({"statecode": choice(2**80)}, "image-statecode"),
        ({"statecode": {"Value": {"Value": 1}}}, "image-statecode"),
        ({"owningbusinessunit": reference("businessunit", "no guid")}, "image-owningbusinessunit.Id"),
        ({"owningbusinessunit": reference("businessunit", QUOTE_ID, "XXMF")}, "business-unit"),
        ({"owningbusinessunit": ...}, "business-unit"),
    ],
)
def test_a_quote_that_cannot_be_understood_goes_to_the_feed_and_is_never_refused(
    changes: dict[str, Any], why: str | None
) -> None:
    change = read_change(context(target=SUBMIT, shown=image(**changes)), COMPANIES)
    if why is None:
        assert change.route == "deal"
        return
    assert (change.route, change.entity, change.record_id, change.why) == ("feed", "quote", QUOTE_ID, why)
    assert change.event is not None and change.event.quote_id == QUOTE_ID


@pytest.mark.parametrize("moment", ["/Date(99999999999999999)/", "/Date(-99999999999999999)/", "soon", None, 7])
def test_a_moment_no_calendar_holds_does_not_lose_the_change(moment: object) -> None:
    change = read_change(context(target=SUBMIT, shown=image(), OperationCreatedOn=moment), COMPANIES)
    assert (change.route, change.record_id) == ("feed", QUOTE_ID)
    assert change.event is not None and change.event.occurred_at.tzinfo is not None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"MessageName": 7}, "MessageName"),
        ({"MessageName": " "}, "MessageName"),
        ({"PrimaryEntityName": ["quote"]}, "PrimaryEntityName"),
        ({"PrimaryEntityId": "not an id"}, "PrimaryEntityId"),
        ({"PrimaryEntityId": "00000000-0000-0000-0000-000000000000"}, "PrimaryEntityId"),
    ],
)
def test_a_context_that_names_no_record_is_malformed(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed, match=field) as error:
        read_change(context(shown=image()) | changes, COMPANIES)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("Q2CPackingSlipPosted", SLIP | {"Lines": [{"LineNumber": 1, "Quantity": "1e1000000"}]}, "Lines[0].Quantity"),
        (
            "Q2CPackingSlipPosted",
            SLIP | {"Lines": [{"LineNumber": 1, "Quantity": Decimal("NaN")}]},
            "Lines[0].Quantity",
        ),
        (
            "Q2CPackingSlipPosted",
            SLIP | {"Lines": [{"LineNumber": Decimal("1e4000000"), "Quantity": 1}]},
            "Lines[0].LineNumber",
        ),
        ("Q2CPackingSlipPosted", SLIP | {"Lines": [{"LineNumber": 1.5, "Quantity": 1}]}, "Lines[0].LineNumber"),
        ("Q2CPackingSlipPosted", SLIP | {"Lines": "all"}, "Lines"),
        ("Q2CPackingSlipPosted", SLIP | {"PackingSlipId": ["PS"]}, "PackingSlipId"),
        ("Q2CPackingSlipPosted", SLIP | {"PackingSlipId": "P" * 101}, "PackingSlipId"),
        ("SalesInvoicePosted", INVOICE | {"InvoiceId": "A\nB"}, "InvoiceId"),
        ("SalesInvoicePosted", INVOICE | {"EventTime": "/Date(99999999999999999)/"}, "EventTime"),
        ("SalesInvoicePosted", INVOICE | {"ControlNumber": "1" * 5000}, "ControlNumber"),
        ("Q2CCustPaymentPosted", PAYMENT | {"Amount": 700.1}, "Amount"),
        ("Q2CCustPaymentPosted", PAYMENT | {"Settlements": [7]}, "Settlements[0]"),
        ("Q2CCustPaymentPosted", PAYMENT | {"LegalEntity": {"a": 1}}, "LegalEntity"),
    ],
)
def test_what_is_out_of_bounds_is_named_at_once(name: str, fields: dict[str, Any], field: str) -> None:
    with at_once(), pytest.raises(Malformed) as error:
        read_report(business_event(f"{name}BusinessEvent", **fields), KNOWN)
    assert error.value.field == field


def test_a_legal_entity_nobody_mapped_starts_nothing() -> None:
    report = read_report(business_event("SalesInvoicePostedBusinessEvent", **INVOICE | {"LegalEntity": "ZZZZ"}), KNOWN)
    assert (report.why_ignored, report.orders) == ("company", ())


def test_a_summary_invoice_without_order_is_taken() -> None:
    event = business_event("SalesInvoicePostedBusinessEvent", **INVOICE | {"SalesOrderId": ""})
    (told,) = read_report(event, KNOWN).orders
    assert (told.order_number, told.document) == ("", "INV-7")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"9" * 900_000,
        b'{"a": 1e99999999999999999999}',
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"null",
        b"",
        b"[]",
        b" " * (1024 * 1024 + 1),
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_a_body_that_is_no_bounded_object_is_malformed_at_once(raw: bytes) -> None:
    with at_once(), pytest.raises(Malformed, match="body"):
        json_object(raw)


def test_a_body_of_deep_objects_is_read_or_malformed() -> None:
    """As deep as JSON may be decoded: nothing that walks the values may fail on them."""
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"key": deep, "value": [deep]} if len(json.dumps(deep)) < 50_000 else {"key": deep}
    body = context(target=SUBMIT, shown=image(), parameters={"Target": deep})
    assert read_change(body, COMPANIES).route == "ignore"
    with pytest.raises(Malformed):
        read_report(business_event("SalesInvoicePostedBusinessEvent", **INVOICE | {"InvoiceId": deep}), KNOWN)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.decimals(allow_nan=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    field=st.sampled_from(sorted(context(shown=image()))),
    value=JSON,
    message=st.sampled_from(["Create", "Update", "Delete", "Win", "Close", "Lose", "Revise", "SetState"]),
    table=st.sampled_from(["quote", "opportunity", "salesorder", "account"]),
)
def test_any_value_in_any_field_of_a_context_is_a_change_or_malformed(
    field: str, value: Any, message: str, table: str
) -> None:
    body = context(message, target=SUBMIT, shown=image(), PrimaryEntityName=table) | {field: value}
    with at_once(seconds=1):
        try:
            change = read_change(body, COMPANIES)
        except Malformed as error:
            assert error.field
        else:
            assert change.route == "ignore" or change.record_id


@settings(max_examples=300)
@given(
    name=st.sampled_from(["SalesInvoicePosted", "Q2CPackingSlipPosted", "Q2CCustPaymentPosted", "Q2CCustBlocked"]),
    field=st.sampled_from(sorted({*INVOICE, *SLIP, *PAYMENT, *business_event("")})),
    value=JSON,
)
def test_any_value_in_any_field_of_an_event_is_a_report_or_malformed(name: str, field: str, value: Any) -> None:
    whole = INVOICE | SLIP | PAYMENT | {"OnHoldStatus": "All"}
    with at_once(seconds=1):
        try:
            read_report(business_event(f"{name}BusinessEvent", **whole) | {field: value}, KNOWN)
        except Malformed as error:
            assert error.field


def test_the_parsers_load_no_http_client() -> None:
    """The web application loads them; it holds no credentials of Dynamics and opens no connection to it."""
    code = (
        "import sys, dynamics.webhooks, dynamics.business_events; "
        "print([name for name in ('httpx', 'msal', 'requests', 'dynamics.core.odata') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ids_of_business_units_in_the_map_may_be_of_any_case() -> None:
    change = read_change(context(target=SUBMIT, shown=image()), {UNIT_ID.upper(): "usmf"})
    assert change.event is not None and change.event.company == "usmf"
