"""The API over HTTP, with requests made up from its own document: never a 5xx, never a status it does not declare."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from tests.webworld import scenes
from tests.webworld.world import EVENTS_SECRET, Stage, Tenant
from workers.serving import serve

if TYPE_CHECKING:
    from schemathesis.specs.openapi.schemas import OpenApiCase  # exists for type checkers only

OPERATIONS = ("listApprovals", "decideApproval", "listCases", "readCase", "commandCase")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
EXAMPLES = 40
"""Requests per operation and kind: enough to find what breaks, few enough for every run of the tests."""


@pytest.fixture(scope="session")
async def served(app: Starlette) -> AsyncIterator[str]:
    """The origin the application is served at, by the server of production."""
    async with serve(app, "127.0.0.1", 0, variables="Q2C_WEB") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
async def something(stage: Stage) -> None:
    """A deal and a request that requests can be about."""
    await stage.deal(scenes.held("FUZZ-1"))
    await stage.approval(scenes.request("FUZZ-1"))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("known", [True, False], ids=["of a deal there is", "of any deal"])
@pytest.mark.parametrize("operation_id", OPERATIONS)
async def test_no_request_breaks_the_api(
    served: str, something: None, tenant: Tenant, operation_id: str, known: bool, mode: GenerationMode
) -> None:
    headers = tenant.bearer("carl" if operation_id == "commandCase" else "mona")

    def attack() -> None:
        schema = schemathesis.openapi.from_url(f"{served}/api/v1/openapi.json")
        operation = schema.find_operation_by_id(operation_id)

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def send(case: OpenApiCase) -> None:
            if known and case.path_parameters:
                case.path_parameters |= {"company": "usmf", "quote": "FUZZ-1"}
            answer = case.call(base_url=f"{served}/api/v1", headers=headers)
            case.validate_response(answer, checks=CHECKS, headers=headers)

        send()

    await asyncio.to_thread(attack)


BODIES = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{" * 100_000,
    b"[" * 500_000,
    b'{"a":' * 20_000,
    b'{"step": 1e999999999}',
    b'{"step": ' + b"9" * 100_000 + b"}",
    b'{"step": NaN}',
    b'{"step": Infinity}',
    b'{"\\ud800": 1}',
    b'{"comment": "\\ud800"}',
    b'{"comment": "\\u0000"}',
    b"\xff\xfe{}",
    b'{"decision": "approve", "step": 1, "seen_hash": "h", "decision": "reject"}',
    b'{"decision": "approve", "step": 1.0, "seen_hash": "h"}',
    b'{"args": {"ceiling": 1e40, "reason": "x"}}',
    b'{"args": {"ceiling": -0.0, "reason": "x", "valid_until": "99999-01-01"}}',
    b'{"args": {"reason": "x", "valid_until": "0001-01-01", "deviation_pct": "1e-40"}}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:40]))
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/approvals/usmf/FUZZ-1/1/decision",
        "/api/v1/cases/usmf/FUZZ-1/commands/credit_release",
        "/intake/dataverse",
        f"/intake/finance?code={EVENTS_SECRET}",
    ],
)
async def test_no_body_is_too_odd_for_an_answer(
    served: str, something: None, tenant: Tenant, path: str, body: bytes
) -> None:
    headers = tenant.bearer("carl") | {
        "content-type": "application/json",
        "x-q2c-webhook-key": "webhook-key-of-the-test",
    }
    async with httpx.AsyncClient(base_url=served) as client:
        answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code < 500, answer.text
    assert answer.headers["content-type"] in ("application/json", "application/problem+json")


TOKENS = [
    "a.b.c",
    "e30.e30.e30",
    "W10.e30.",
    "IiI.IiI.IiI",
    "..",
    "." * 100,
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOlsxXX0.e30.AA",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6W119.e30.AA",
    "\u00e9",
    "x" * 20_000,
]


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:20])
async def test_no_token_is_too_odd_to_be_refused(http: httpx.AsyncClient, token: str) -> None:
    answer = await http.get("/api/v1/cases", headers=[(b"authorization", b"Bearer " + token.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "claims",
    [
        {"roles": 5},
        {"roles": "ops"},
        {"roles": [1]},
        {"roles": {"a": 1}},
        {"scp": ["access_as_user"]},
        {"scp": 1},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": None},
        {"nbf": "now"},
        {"nbf": 10**12},
        {"aud": [1]},
        {"aud": {}},
        {"oid": 5},
        {"oid": ""},
        {"iss": 7},
    ],
    ids=str,
)
async def test_claims_of_a_wrong_type_are_refused(
    http: httpx.AsyncClient, tenant: Tenant, claims: dict[str, object]
) -> None:
    headers = {"Authorization": f"Bearer {tenant.token('otto', **claims)}"}
    answer = await http.get("/api/v1/cases", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), answer.text
    assert "Bearer" in answer.headers["www-authenticate"]


async def test_an_expiry_beyond_all_numbers_is_no_reason_to_fail(http: httpx.AsyncClient, tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.token('otto', exp=10**400)}"}
    assert (await http.get("/api/v1/cases", headers=headers)).status_code in (200, 401)
