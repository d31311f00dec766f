"""Whatever stands in the claims of a token that the tenant signed: it is somebody, or it is refused; nothing breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import Client

from sandbox.entra.directory import WEB_CLIENT_ID
from tests.webworld.world import Tenant
from web.app import create_app
from web.config import WebConfig
from web.identity import SignedIn
from web.tokens import InvalidToken, SigningKeys, TokenVerifier

CLAIMS = (
    *("iss", "aud", "exp", "nbf", "iat", "sub", "oid", "tid", "azp", "appid", "azpacr", "scp", "roles", "ver", "idp"),
    *("name", "preferred_username", "auth_time", "amr", "acrs", "acr", "groups", "wids", "_claim_names", "jti"),
)
SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**30, -(10**30), 2**63, 0, -1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "access_as_user", WEB_CLIENT_ID, "\x00", "\u202e", "9" * 400]),
)
JSON = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@pytest.fixture(scope="module")
def verifier(tenant: Tenant) -> TokenVerifier:
    return TokenVerifier(SigningKeys(tenant.url, tenant.ca_file), WEB_CLIENT_ID)


async def test_every_type_of_every_claim_is_somebody_or_refused(tenant: Tenant, verifier: TokenVerifier) -> None:
    seen: dict[str, int] = {"let in": 0, "refused": 0}

    @given(st.dictionaries(st.sampled_from(CLAIMS), JSON, min_size=1, max_size=4))
    @settings(max_examples=400, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def attack(claims: dict[str, Any]) -> None:
        token = tenant.token("mona", **claims)
        try:
            who = asyncio.run(verifier.identify(f"Bearer {token}"))
        except InvalidToken:
            seen["refused"] += 1
            return
        seen["let in"] += 1
        assert isinstance(who, SignedIn) and isinstance(who.person.oid, str) and who.person.oid
        assert all(isinstance(role, str) for role in who.person.roles)
        SignedIn.model_validate_json(who.model_dump_json())  # it can be kept, and signed for

    await asyncio.to_thread(attack)
    assert seen["let in"] >= 20 and seen["refused"] >= 20, seen


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("value", [5, 1.5, True, "text", [], [5], {}, {"a": [1]}, 10**400], ids=repr)
async def test_a_claim_of_another_type_is_never_a_failure_of_ours(
    http: httpx.AsyncClient, tenant: Tenant, claim: str, value: object
) -> None:
    headers = {"Authorization": f"Bearer {tenant.token('otto', **{claim: value})}"}
    answer = await http.get("/api/v1/approvals?limit=1", headers=headers)
    assert answer.status_code in (200, 401), answer.text
    if answer.status_code == 401:
        assert answer.json()["code"] == "UNAUTHENTICATED" and "Bearer" in answer.headers["www-authenticate"]


OTHER = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({}, 200),
        ({"azp": OTHER}, 401),
        ({"azp": None}, 401),
        ({"azp": None, "appid": WEB_CLIENT_ID}, 401),
        ({"appid": WEB_CLIENT_ID}, 200),
        ({"appid": OTHER}, 401),
        ({"azp": [WEB_CLIENT_ID]}, 401),
        ({"appid": [WEB_CLIENT_ID]}, 401),
    ],
    ids=str,
)
async def test_only_a_token_given_to_an_application_of_the_list_is_let_in(
    http: httpx.AsyncClient, tenant: Tenant, claims: dict[str, object], status: int
) -> None:
    headers = {"Authorization": f"Bearer {tenant.token('mona', **claims)}"}
    assert (await http.get("/api/v1/approvals", headers=headers)).status_code == status


async def test_an_application_is_let_in_by_the_setting(config: WebConfig, temporal: Client, tenant: Tenant) -> None:
    app = create_app(config.model_copy(update={"api_clients": (OTHER,)}), temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:8000") as client:
        for azp, status in ((OTHER, 200), (WEB_CLIENT_ID, 200), (OTHER.replace("1", "2"), 401)):
            headers = {"Authorization": f"Bearer {tenant.token('mona', azp=azp)}"}
            assert (await client.get("/api/v1/approvals", headers=headers)).status_code == status
