"""What older clients ask of Entra ID: the v1.0 endpoints, instance discovery, tenants by domain name."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from sandbox.entra.app import EntraId
from sandbox.entra.directory import DOMAIN, SERVICE_CLIENT_ID, TENANT_ID, Application, Directory, Person
from sandbox.entra.routes import build_app
from sandbox.entra.tokens import TokenAuthority

ORIGIN = "https://localhost:8443"
FINANCE = "https://localhost:8445"
FORM = {"grant_type": "client_credentials", "client_id": SERVICE_CLIENT_ID, "client_secret": "s3cret"}


@pytest.fixture(scope="module")
async def tenant() -> AsyncIterator[httpx.AsyncClient]:
    directory = Directory(applications={SERVICE_CLIENT_ID: Application(SERVICE_CLIENT_ID, "Quote to Cash", "s3cret")})
    directory.replace_people([Person("rita", "Rita Reyes", ("sales_rep.usmf",))])
    app = build_app(EntraId(TokenAuthority(ORIGIN, TENANT_ID), directory, (FINANCE,)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        yield client


async def test_the_v1_token_endpoint_takes_a_resource_and_answers_in_text(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.post(f"/{TENANT_ID}/oauth2/token", data=FORM | {"resource": FINANCE})
    body = answer.json()
    assert answer.status_code == 200, body
    assert (body["token_type"], body["expires_in"], body["resource"]) == ("Bearer", "3599", FINANCE)
    assert int(body["expires_on"]) - int(body["not_before"]) == 3599
    keys = KeySet.import_key_set((await tenant.get(f"/{TENANT_ID}/discovery/keys")).json())
    claims = jwt.decode(body["access_token"], keys, algorithms=["RS256"]).claims
    assert (claims["aud"], claims["ver"], claims["appid"]) == (FINANCE, "1.0", SERVICE_CLIENT_ID)


async def test_a_password_grant_works_at_v1_too(tenant: httpx.AsyncClient) -> None:
    form = FORM | {"grant_type": "password", "username": f"rita@{DOMAIN}", "password": "rita", "resource": FINANCE}
    body = (await tenant.post(f"/{TENANT_ID}/oauth2/token", data=form)).json()
    assert {"access_token", "refresh_token", "id_token"} <= set(body)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({}, 400, 900144),
        ({"resource": "https://nowhere.example"}, 400, 500011),
        ({"resource": FINANCE, "client_secret": "wrong"}, 401, 7000215),
        ({"resource": FINANCE, "client_id": "99999999-0000-0000-0000-000000000000"}, 400, 700016),
        ({"resource": FINANCE, "grant_type": "magic"}, 400, 70003),
    ],
)
async def test_v1_refusals_carry_the_same_codes(
    tenant: httpx.AsyncClient, change: dict[str, str], status: int, code: int
) -> None:
    answer = await tenant.post(f"/{TENANT_ID}/oauth2/token", data=FORM | change)
    assert (answer.status_code, answer.json()["error_codes"]) == (status, [code])


async def test_both_openid_configurations_name_their_own_endpoints(tenant: httpx.AsyncClient) -> None:
    first = (await tenant.get(f"/{TENANT_ID}/.well-known/openid-configuration")).json()
    second = (await tenant.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration")).json()
    assert first["issuer"] == f"https://sts.windows.net/{TENANT_ID}/"
    assert first["token_endpoint"] == f"{ORIGIN}/{TENANT_ID}/oauth2/token"
    assert second["issuer"] == f"{ORIGIN}/{TENANT_ID}/v2.0"
    for found in (first, second):
        assert (await tenant.get(found["jwks_uri"])).json()["keys"]


async def test_instance_discovery_knows_this_authority_and_no_other(tenant: httpx.AsyncClient) -> None:
    query = {"api-version": "1.1", "authorization_endpoint": f"{ORIGIN}/{TENANT_ID}/oauth2/v2.0/authorize"}
    found = (await tenant.get("/common/discovery/instance", params=query)).json()
    assert (await tenant.get(found["tenant_discovery_endpoint"])).status_code == 200
    assert found["metadata"][0]["aliases"] == ["localhost:8443"]
    other = await tenant.get(
        "/common/discovery/instance", params=query | {"authorization_endpoint": "https://login.example/x/authorize"}
    )
    assert (other.status_code, other.json()["error"], other.json()["error_codes"]) == (400, "invalid_instance", [50049])
    assert (await tenant.get("/common/discovery/instance")).json()["error_codes"] == [900144]


async def test_a_tenant_can_be_named_by_its_domain(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.post(f"/{DOMAIN}/oauth2/v2.0/token", data=FORM | {"scope": f"{FINANCE}/.default"})
    assert answer.status_code == 200
    unknown = await tenant.post("/other.example/oauth2/token", data=FORM | {"resource": FINANCE})
    assert (unknown.status_code, unknown.json()["error_codes"]) == (400, [90002])


async def test_an_error_carries_the_callers_request_id(tenant: httpx.AsyncClient) -> None:
    mine = "0f8fad5b-d9cb-469f-a165-70867728950e"
    headers = {"client-request-id": mine, "return-client-request-id": "true"}
    answer = await tenant.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=FORM | {"scope": "x"}, headers=headers)
    body = answer.json()
    assert (body["correlation_id"], answer.headers["client-request-id"]) == (mine, mine)
    assert re.search(rf"Correlation ID: {mine} Timestamp: ", body["error_description"])
    assert answer.headers["x-ms-request-id"] == body["trace_id"]
