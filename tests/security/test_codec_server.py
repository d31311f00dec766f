"""Who may read sealed payloads, and that nothing typed through the codec server counts for more than a question."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from starlette.requests import Request
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import WorkflowSerializationContext

from domain.people import Person
from runs import names
from runs.codec import Addressed, PayloadRefused, SealingCodec, data_converter
from runs.codec_keys import KeyRing
from tests.rights import POLICY
from tests.sealing import KEYS, KEYS_FILE
from web.problems import unauthorized
from workers.codec_server import MAX_BODY_BYTES, MAX_PAYLOADS, codec_app, codec_server_app, company_of, may_read
from workers.settings import CodecSettings, EntraSettings, FinanceSettings, Settings, SettingsError

WEB = "http://localhost:8233"
SECRET = "Fabrikam Holding"
RIGHTS = POLICY.rights
Ask = Callable[..., Any]


async def reader(request: Request) -> Person:
    """The roles stand in the token: the real verifier is tested in tests/unit/web."""
    scheme, _, roles = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise unauthorized("a bearer token is required")
    return Person(oid="oid-1", roles=tuple(roles.split()))


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = codec_app(SealingCodec(KEYS), RIGHTS, reader, [WEB])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://codec") as client:
        yield client


async def sealed(workflow_id: str = "q2c/usmf/Q-1", keys: KeyRing = KEYS) -> Payload:
    converter = data_converter(keys).with_context(WorkflowSerializationContext("default", workflow_id))
    (payload,) = await converter.encode([Addressed("signal/command", SECRET)])
    return payload


async def ask(http: httpx.AsyncClient, path: str, *payloads: Payload, roles: str = "ops", **headers: str) -> Any:
    body = MessageToDict(Payloads(payloads=payloads))
    sent = {"x-namespace": "default", "authorization": f"Bearer {roles}", **headers}
    return await http.post(path, json=body, headers={name: value for name, value in sent.items() if value})


def shown(answer: httpx.Response) -> list[Payload]:
    assert answer.status_code == 200, answer.text
    return list(ParseDict(answer.json(), Payloads()).payloads)


@pytest.mark.parametrize(
    ("roles", "reads"),
    [
        ("ops", True),
        ("admin", True),
        ("auditor.usmf", True),
        ("sales_manager.usmf", True),
        ("credit_manager.usmf", True),
        ("ops.demf", False),
        ("sales_director.demf sales_rep.usmf", False),
    ],
)
async def test_who_reads_a_run_of_usmf(http: httpx.AsyncClient, roles: str, reads: bool) -> None:
    payload = await sealed()
    (answer,) = shown(await ask(http, "/decode", payload, roles=roles))
    assert (answer.data == f'"{SECRET}"'.encode()) is reads
    assert reads or answer == payload


@pytest.mark.parametrize(
    "roles", ["sales_rep", "sales_rep.usmf", "", "intern", "opsx", "ops ", "credit_manager", "legal.usmf"]
)
async def test_a_role_without_the_right_reads_nothing(http: httpx.AsyncClient, roles: str) -> None:
    answer = await ask(http, "/decode", await sealed(), roles=roles)
    assert answer.status_code == (200 if roles == "ops " else 403)


async def test_only_what_the_reader_may_see_is_opened(http: httpx.AsyncClient) -> None:
    mine, other, clear = await sealed(), await sealed("q2c/demf/Q-9"), Payload(data=b"1")
    answer = shown(await ask(http, "/decode", mine, other, clear, roles="ops.usmf"))
    assert answer[0].data == f'"{SECRET}"'.encode()
    assert answer[1:] == [other, clear]


async def test_a_payload_whose_company_was_rewritten_is_not_opened(http: httpx.AsyncClient) -> None:
    payload = await sealed("q2c/demf/Q-9")
    payload.metadata["q2c-workflow"] = b"q2c/usmf/Q-9"
    assert shown(await ask(http, "/decode", payload, roles="ops.usmf")) == [payload]


async def test_without_a_token_nothing_is_opened_or_sealed(http: httpx.AsyncClient) -> None:
    for path in ("/decode", "/encode"):
        answer = await ask(http, path, await sealed(), authorization="")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_another_namespace_opens_nothing(http: httpx.AsyncClient) -> None:
    payload = await sealed()
    assert shown(await ask(http, "/decode", payload, **{"x-namespace": "other"})) == [payload]


async def test_what_is_encoded_belongs_to_no_workflow(http: httpx.AsyncClient) -> None:
    typed = Payload(metadata={"encoding": b"json/plain"}, data=b'"1"')
    (payload,) = shown(await ask(http, "/encode", typed))
    assert b"q2c/" not in payload.SerializeToString().replace(b"q2c-", b"")
    converter = data_converter(KEYS).with_context(WorkflowSerializationContext("default", "q2c/usmf/Q-1"))
    with pytest.raises(PayloadRefused, match="queries only"):
        await converter.decode([payload])
    assert (await ask(http, "/encode", typed, roles="sales_manager.usmf")).status_code == 403


async def test_a_key_this_server_was_not_given_is_named() -> None:
    grown = KEYS.with_new_key()
    added = list(grown.keys)[-1]
    payload = await sealed(keys=grown.writing_with(added))
    app = codec_app(SealingCodec(KEYS), RIGHTS, reader, [WEB])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://codec") as http:
        answer = await ask(http, "/decode", payload)
    assert (answer.status_code, answer.json()["code"]) == (503, "KEY_MISSING")
    assert added in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"payloads": 1}', b"[" * 5_000, b"\xff"])
async def test_a_body_that_is_none_is_told_so(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/decode", content=body, headers={"x-namespace": "default", "authorization": "Bearer ops"})
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_ARGUMENT")


async def test_limits(http: httpx.AsyncClient) -> None:
    many = [Payload(data=b"1")] * (MAX_PAYLOADS + 1)
    assert (await ask(http, "/decode", *many)).status_code == 413
    large = base64.b64encode(bytes(MAX_BODY_BYTES))
    headers = {"x-namespace": "default", "authorization": "Bearer ops"}
    assert (await http.post("/decode", content=large, headers=headers)).status_code == 413
    assert (await ask(http, "/decode", **{"x-namespace": ""})).status_code == 400
    answer = await http.get("/decode")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_only_temporal_web_may_ask_from_a_browser(http: httpx.AsyncClient) -> None:
    def preflight(origin: str) -> dict[str, str]:
        return {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-namespace,authorization",
        }

    allowed = await http.options("/decode", headers=preflight(WEB))
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, WEB)
    other = await http.options("/decode", headers=preflight("https://evil.example"))
    assert other.status_code == 400 and "access-control-allow-origin" not in other.headers


def test_the_company_of_every_process() -> None:
    ids = {
        names.deal_id("usmf", "Q/1"),
        names.approval_id("usmf", "Q-1", 2),
        names.ledger_id("usmf", "US-001"),
        names.feed_id("sales", "usmf"),
        names.review_id("usmf", "Q-1", 0, "abc"),
        names.audit_delivery_id(names.deal_id("usmf", "Q-1"), "run-1", 1),
    }
    assert {company_of(workflow_id) for workflow_id in ids} == {"usmf"}
    for unknown in ("", "temporal-sys-scanner", "feed/sales", "other/usmf/1"):
        assert company_of(unknown) == ""
        assert not may_read(RIGHTS, Person(oid="1", roles=("ops.usmf",)), unknown)
        assert may_read(RIGHTS, Person(oid="1", roles=("ops",)), unknown)


def local(**changes: Any) -> Settings:
    return Settings(codec=CodecSettings(keys_file=KEYS_FILE, sign_in=False), **changes)


async def test_without_a_sign_in_it_serves_this_machines_sandbox_by_its_own_names() -> None:
    app = codec_server_app(local())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8234") as http:
        (answer,) = shown(await ask(http, "/decode", await sealed(), authorization=""))
    assert answer.data == f'"{SECRET}"'.encode()
    async with httpx.AsyncClient(transport=transport, base_url="http://rebound.example:8234") as http:
        assert (await ask(http, "/decode", await sealed())).status_code == 400


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"entra": EntraSettings(url="https://login.example.com")},
        {"finance": FinanceSettings(url="https://contoso.operations.dynamics.com")},
        {"codec": CodecSettings(keys_file=KEYS_FILE, sign_in=False, host="0.0.0.0")},
    ],
    ids=["entra", "finance", "listens beyond loopback"],
)
def test_without_a_sign_in_it_refuses_to_start_for_anything_else(elsewhere: dict[str, Any]) -> None:
    settings = local().model_copy(update=elsewhere)
    with pytest.raises(SettingsError, match="Q2C_CODEC_SIGN_IN"):
        codec_server_app(settings)


def test_without_keys_it_does_not_start(tmp_path: Any) -> None:
    settings = Settings(codec=CodecSettings(keys_file=tmp_path / "none.json"))
    with pytest.raises(SettingsError, match="Q2C_CODEC_KEYS_FILE"):
        codec_server_app(settings)
