"""What a person reads of a request and its answer: numbers and reasons, and no secret, name or address."""

from __future__ import annotations

import json
import time

import pytest

from dynamics.core.batch import ChangeSet, Read, Write, format_batch
from dynamics.core.errors import System, answer_of
from dynamics.core.evidence import MOST_BYTES, answer_shown, no_answer, part_shown, request_shown, without_secrets

TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvdHRvIn0.c2lnbmF0dXJlLW9mLXRoaXM"  # planted
ROOT = "https://contoso.operations.dynamics.com/data/"
SECRETS = (
    TOKEN,
    "hunter2-very-secret",
    "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v=",
    "se%3D2027&sig=AbCdEf123456",
    "ada@contoso.com",
    "Ada Lovelace",
    "12 St James's Square",
)


def hides(text: str) -> bool:
    return not any(secret in text for secret in SECRETS)


def test_a_request_shows_what_was_asked_and_of_whom_but_no_name_address_or_free_text() -> None:
    body = {
        "dataAreaId": "usmf",
        "SalesOrderNumber": "Q2C-1",
        "OrderedSalesQuantity": 10,
        "SalesOrderName": "Ada Lovelace",
        "DeliveryAddressStreet": "12 St James's Square",
        "PrimaryContactEmail": "ada@contoso.com",
        "Whatever": {"password": "hunter2-very-secret"},
        "customerid_account@odata.bind": "/accounts(b0c1a7e4-0000-4000-8000-000000000001)",
    }
    shown = request_shown("POST", f"{ROOT}SalesOrderHeadersV4?cross-company=true", json.dumps(body).encode())
    assert shown.startswith("POST /data/SalesOrderHeadersV4?cross-company=true\n{")
    assert '"SalesOrderNumber": "Q2C-1"' in shown and '"OrderedSalesQuantity": 10' in shown
    assert "/accounts(b0c1a7e4" in shown and '"SalesOrderName": "(12 characters)"' in shown
    assert hides(shown), shown


def test_a_path_shows_the_keys_and_filters_of_columns_that_are_shown() -> None:
    path = f"{ROOT}CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')?$select=Name&$filter=Name eq 'Ada Lovelace'"
    shown = request_shown("GET", f"{path} and ItemNumber eq 'P100'&sig=AbCdEf123456&code=hunter2-very-secret", None)
    assert "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')" in shown and "ItemNumber eq 'P100'" in shown
    assert "Name eq (12 characters)" in shown and "code=(19 characters)" in shown
    assert hides(shown), shown


@pytest.mark.parametrize(
    "said",
    [
        f"Authorization: Bearer {TOKEN} was refused",
        f"the token {TOKEN} is over",
        "client_secret=hunter2-very-secret&grant=x",
        'login failed: {"password": "hunter2-very-secret"}',
        "SharedAccessKey=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v=;EntityPath=q",
        "blob https://x/y?se%3D2027&sig=AbCdEf123456",
        "-----BEGIN PRIVATE KEY-----\nhunter2-very-secret\n-----END PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_shown_nowhere(said: str) -> None:
    """Neither in the sentence of an error, which heads the page, nor in the answer behind Details."""
    body = json.dumps({"error": {"code": "0x1", "message": f"{said}; write to ada@contoso.com"}}).encode()
    shown = answer_shown(400, body)
    assert hides(shown) and "0x1" in shown, shown
    assert hides(no_answer(said))
    answer = answer_of(system=System.FINANCE, write=True, status=400, headers={}, body=body, operation="POST X")
    error = answer.error()
    assert not any(secret in str(error) for secret in SECRETS if "@" not in secret), str(error)


def test_the_reason_of_a_refusal_is_shown_whole() -> None:
    reason = "Write failed for table row of type 'SalesOrderLineV3Entity'. Infolog: Error: Item P100 is blocked."
    body = {"error": {"code": "", "message": "An error has occurred.", "innererror": {"message": reason}}}
    assert reason in answer_shown(400, json.dumps(body).encode())


def test_of_a_batch_the_part_that_failed_is_shown_and_of_a_whole_batch_its_requests() -> None:
    writes = (
        Write("POST", "SalesOrderHeadersV4", {"dataAreaId": "usmf", "SalesOrderName": "Ada Lovelace"}),
        Write("POST", "SalesOrderLinesV3", {"ItemNumber": "P100"}),
    )
    assert "P100" in part_shown(ChangeSet(writes), 1) and "SalesOrderLinesV3" in part_shown(ChangeSet(writes), 7)
    assert "one of 2 that go together" in part_shown(ChangeSet(writes), 0)
    _, content = format_batch([Read("Ledgers?$top=1"), ChangeSet(writes)], ROOT)
    shown = request_shown("POST", f"{ROOT}$batch", content)
    assert "  GET /data/Ledgers?$top=1" in shown and "  POST /data/SalesOrderLinesV3" in shown
    assert hides(shown), shown


@pytest.mark.parametrize("body", [b"<html>" + b"x" * 9_000, b"\xff\xfe", json.dumps(["x" * 90] * 9_000).encode()])
def test_whatever_comes_is_cut(body: bytes) -> None:
    assert len(answer_shown(502, body).encode()) <= MOST_BYTES
    assert len(request_shown("POST", f"{ROOT}X", body).encode()) <= MOST_BYTES


@pytest.mark.parametrize(
    "unit",
    ["password", "password-", "ey", "ey-", "eyaaaaaa.", "a/", "A+", "bearer ", "a@a", "a.", "'", '"', "sig=", " "],
)
def test_a_hostile_answer_takes_no_longer_than_another(unit: str) -> None:
    """It is read beside everything else that the worker does: twice as long a text may take twice as long, not more."""
    began = time.process_time()
    for _ in range(5):
        assert len(no_answer(unit * 90_000)) <= MOST_BYTES
        assert len(without_secrets(unit * 90_000)) <= 90_000
    assert time.process_time() - began < 2
