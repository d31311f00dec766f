"""The table from an answer to an error class: every row, and the answers each stands for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from dynamics.core.errors import (
    MAX_MESSAGE_BYTES,
    RULES,
    Answer,
    Conflict,
    DynamicsError,
    Failure,
    NotFound,
    Refused,
    Stale,
    System,
    Throttled,
    Transient,
    Unauthorized,
    UnknownOutcome,
    answer_of,
    classify,
    infolog_of,
    parse_retry_after,
    truncated,
)

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
D, F = System.DATAVERSE, System.FINANCE


def dataverse_body(code: str, message: str = "m") -> bytes:
    return f'{{"error":{{"code":"{code}","message":"{message}"}}}}'.encode()


X_WRITE = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException"


def finance_body(message: str, kind: str = X_WRITE) -> bytes:
    inner = {"message": message, "type": kind, "stacktrace": "   at Microsoft.Dynamics"}
    return json.dumps({"error": {"code": "", "message": "An error has occurred.", "innererror": inner}}).encode()


UPDATE_CONFLICT = (
    "Write failed for table row of type 'X'. Infolog: Error: Cannot edit a record in Sales orders (SalesTable). "
    "An update conflict occurred due to another user process deleting the record or "
    "changing one or more fields in the record."
)
DEADLOCK = (
    "Infolog: Error: Cannot edit a record in Sales orders (SalesTable). Deadlock, where one or more users have "
    "simultaneously locked the whole table or part of it."
)
SQL_DEADLOCK = "Transaction (Process ID 75) was deadlocked and has been chosen as the deadlock victim."
NOTHING_TO_CHANGE = "No resources were found when selecting for update."
DUPLICATE = "Infolog: Error: Cannot create a record in Sales orders (SalesTable). The record already exists."

ANSWERS: list[tuple[str, System, bool, int, dict[str, str], bytes, type[DynamicsError]]] = [
    ("token refused", D, False, 401, {}, b"", Unauthorized),
    ("throttled", D, True, 429, {"Retry-After": "5"}, dataverse_body("0x80072322"), Throttled),
    ("throttled", F, True, 429, {}, b"This request could not be processed at this time", Throttled),
    ("unavailable until a stated time", F, True, 503, {"Retry-After": "30"}, b"", Throttled),
    ("throttled by code", D, False, 400, {}, dataverse_body("0x80072326"), Throttled),
    ("update conflict or deadlock in X++", F, True, 500, {}, finance_body(UPDATE_CONFLICT), Transient),
    ("update conflict or deadlock in X++", F, True, 400, {}, finance_body(UPDATE_CONFLICT), Transient),
    ("update conflict or deadlock in X++", F, True, 500, {}, finance_body(DEADLOCK), Transient),
    ("update conflict or deadlock in X++", F, True, 500, {}, finance_body(SQL_DEADLOCK, "SqlException"), Transient),
    ("no such row to change in Finance", F, True, 400, {}, finance_body(NOTHING_TO_CHANGE), NotFound),
    ("no such row to change in Finance", F, True, 400, {}, dataverse_body("", NOTHING_TO_CHANGE), NotFound),
    ("duplicate key in Finance", F, True, 500, {}, finance_body(DUPLICATE), Conflict),
    ("duplicate key in Finance", F, True, 400, {}, finance_body(DUPLICATE), Conflict),
    ("duplicate in Dataverse", D, True, 412, {}, dataverse_body("0x80060892"), Conflict),
    ("duplicate in Dataverse", D, True, 412, {}, dataverse_body("0x80040237"), Conflict),
    ("duplicate in Dataverse", D, True, 412, {}, dataverse_body("0x80040333"), Conflict),
    ("stale version in Dataverse", D, True, 412, {}, dataverse_body("0x80060882"), Stale),
    ("precondition failed", D, True, 412, {}, dataverse_body(""), Stale),
    ("precondition failed", F, True, 412, {}, b"", Stale),
    ("conflict", F, True, 409, {}, b"", Conflict),
    ("no such row in Dataverse", D, False, 404, {}, dataverse_body("0x80040217"), NotFound),
    ("no such row in Dataverse", D, True, 404, {}, dataverse_body("0x80060891"), NotFound),
    ("no such row", F, False, 404, {}, b'{"error":{"code":"","message":"No HTTP resource was found"}}', NotFound),
    ("refused by X++ on write", F, True, 400, {}, finance_body("Infolog: Error: Customer on hold."), Refused),
    ("refused by X++ on write", F, True, 500, {}, finance_body("Infolog: Error: Customer on hold."), Refused),
    ("refused by an X++ action", F, True, 500, {}, finance_body("x", "System.InvalidOperationException"), Refused),
    ("request never read whole", D, True, 408, {}, b"", Transient),
    ("other client error", D, True, 400, {}, dataverse_body("0x80040203"), Refused),
    ("other client error", D, False, 403, {}, dataverse_body("0x80040220"), Refused),
    ("other client error", F, True, 422, {}, b"", Refused),
    ("not implemented", D, False, 501, {}, b"", Refused),
    ("server failed during a write", F, True, 502, {"Content-Type": "text/html"}, b"<html>Bad Gateway", UnknownOutcome),
    ("server failed during a write", D, True, 503, {}, b"", UnknownOutcome),
    ("server failed during a write", F, True, 500, {}, b'{"Message":"An error has occurred."}', UnknownOutcome),
    ("server failed during a read", F, False, 502, {"Content-Type": "text/html"}, b"<html>Bad Gateway", Transient),
    ("server failed during a read", D, False, 504, {}, b"", Transient),
]

WITHOUT_HTTP: list[tuple[str, Answer, type[DynamicsError]]] = [
    ("nothing left this machine", Answer(F, write=True, failure=Failure.NOT_SENT), Transient),
    ("nothing left this machine", Answer(D, write=False, failure=Failure.NOT_SENT), Transient),
    ("a write left and no answer came", Answer(F, write=True, failure=Failure.SENT), UnknownOutcome),
    ("a read left and no answer came", Answer(F, write=False, failure=Failure.SENT), Transient),
    (
        "refused by a custom service",
        Answer(F, write=True, status=200, service_failure=True, message="Credit limit exceeded"),
        Refused,
    ),
    ("unreadable answer to a write", Answer(F, write=True, status=200), UnknownOutcome),
    ("unreadable answer to a read", Answer(F, write=False, status=200), Transient),
]


@pytest.mark.parametrize(("rule", "system", "write", "status", "headers", "body", "kind"), ANSWERS)
def test_an_http_answer_becomes_the_class_its_rule_says(
    rule: str,
    system: System,
    write: bool,
    status: int,
    headers: dict[str, str],
    body: bytes,
    kind: type[DynamicsError],
) -> None:
    answer = answer_of(
        system=system,
        write=write,
        status=status,
        headers=httpx.Headers(headers),
        body=body,
        operation="POST x",
        now=NOW,
    )
    assert classify(answer).name == rule
    assert type(answer.error()) is kind


@pytest.mark.parametrize(("rule", "answer", "kind"), WITHOUT_HTTP)
def test_what_never_became_an_http_answer_has_a_class_too(rule: str, answer: Answer, kind: type[DynamicsError]) -> None:
    assert classify(answer).name == rule
    assert type(answer.error()) is kind


def test_every_rule_has_an_example() -> None:
    shown = {name for name, *_ in ANSWERS} | {name for name, *_ in WITHOUT_HTTP}
    assert shown == {rule.name for rule in RULES}


def test_a_refused_service_call_that_met_an_update_conflict_may_be_repeated() -> None:
    answer = Answer(F, write=True, status=200, service_failure=True, message=UPDATE_CONFLICT)
    assert isinstance(answer.error(), Transient)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        ("0", 1.0),
        ("-4", 1.0),
        ("86400", 900.0),
        ("1.5", 1.5),
        ("Mon, 23 Nov 2026 14:00:20 GMT", 20.0),
        ("Mon, 23 Nov 2026 13:00:00 GMT", 1.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_stays_within_bounds(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


def test_a_throttled_answer_without_the_header_waits_what_microsofts_sample_waits() -> None:
    error = Answer(F, write=False, status=429).error()
    assert isinstance(error, Throttled) and error.retry_after == 30.0


def test_the_infolog_is_read_line_by_line() -> None:
    message = (
        "Write failed for table row of type 'SalesOrderLineV3Entity'. Infolog: Warning: Inventory dimension Site is "
        "mandatory and must consequently be specified.; Error: Update has been canceled.."
    )
    assert infolog_of(message) == (
        "Inventory dimension Site is mandatory and must consequently be specified",
        "Update has been canceled",
    )
    assert infolog_of("no log here") == ()


def test_an_error_carries_what_a_person_needs_and_no_more_than_2_kb() -> None:
    answer = answer_of(
        system=F,
        write=True,
        status=400,
        headers=httpx.Headers({"ms-dyn-aid": "abc-1"}),
        body=finance_body("Infolog: Error: " + "ä" * 4000 + "."),
        operation="POST SalesOrderHeadersV4",
        now=NOW,
    )
    details = answer.error().details()
    assert details["class"] == "Refused"
    assert details["request_id"] == "abc-1"
    assert details["operation"] == "POST SalesOrderHeadersV4"
    assert len(str(details["message"]).encode()) <= MAX_MESSAGE_BYTES


def test_a_long_text_is_cut_at_a_character() -> None:
    assert truncated("abc", 3) == "abc"
    cut = truncated("ééééé", 8)
    assert cut.endswith("…") and len(cut.encode()) <= 8


def test_a_refusal_without_a_body_shows_status_request_id_and_time() -> None:
    headers = {"x-ms-service-request-id": "4711-ab", "Date": "Mon, 23 Nov 2026 14:00:00 GMT"}
    refusal = answer_of(
        system=D, write=True, status=400, headers=httpx.Headers(headers), body=b"", operation="PATCH quotes"
    ).error()
    expected = "HTTP 400 without a reason (request id 4711-ab, answered Mon, 23 Nov 2026 14:00:00 GMT)"
    assert refusal.message == expected and refusal.request_id == "4711-ab"


def test_a_refusal_without_anything_still_says_when() -> None:
    refusal = answer_of(
        system=F, write=False, status=403, headers=httpx.Headers({}), body=b"", operation="GET x", now=NOW
    ).error()
    assert refusal.message == "HTTP 403 without a reason (no request id, answered Mon, 23 Nov 2026 14:00:00 GMT)"
