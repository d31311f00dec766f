"""Entra ID of the sandbox, over real TLS: what MSAL needs, and what the real token endpoint refuses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msal
import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from sandbox import tls
from sandbox.entra.app import EntraId
from sandbox.entra.directory import SERVICE_CLIENT_ID, TENANT_ID, WEB_CLIENT_ID, Application, Directory, Person
from sandbox.entra.routes import build_app
from sandbox.entra.tokens import InvalidToken, TokenAuthority
from sandbox.serving import HttpServer

DATAVERSE = "https://localhost:7001"
FINANCE = "https://localhost:7002"
REDIRECT = "http://localhost:8000/auth/callback"
MONA = Person("mona", "Mona Meyer", ("sales_manager.usmf",), "Sales manager")
DIRK = Person("dirk", "Dirk Dorn", ("sales_director.demf",), "Sales director")
NEMO = Person("nemo", "Nemo Nobody", ())


class _RealmAtOurPort(requests.Session):
    """MSAL drops the authority's port when it asks for the user realm (password grant only): put it back."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = origin

    def get(self, url: str | bytes, **kwargs: Any) -> requests.Response:
        return super().get(str(url).replace("https://localhost/common/", f"{self._origin}/common/"), **kwargs)


class Tenant:
    """The running tenant and ways to talk to it."""

    def __init__(self, server: HttpServer, authority: TokenAuthority, ca_file: Path) -> None:
        self.origin = server.origin
        self.authority_url = f"{server.origin}/{TENANT_ID}"
        self.authority = authority
        self.ca_file = ca_file

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.origin, verify=tls.TlsFiles(self.ca_file, self.ca_file, self.ca_file).client_context()
        )

    async def token(self, **form: str) -> httpx.Response:
        async with self.http() as client:
            return await client.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form)

    def msal_app(self, client_id: str, secret: str) -> msal.ConfidentialClientApplication:
        session = _RealmAtOurPort(self.origin)
        session.verify = str(self.ca_file)
        session.trust_env = False
        return msal.ConfidentialClientApplication(
            client_id,
            client_credential=secret,
            authority=self.authority_url,
            instance_discovery=False,
            http_client=session,
        )

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        """Check a token as a resource does: with the published keys."""
        async with self.http() as client:
            keys = (await client.get(f"/{TENANT_ID}/discovery/v2.0/keys")).json()
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"]).claims
        assert claims["aud"] == audience
        return dict(claims)


@pytest.fixture(scope="module")
async def tenant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenant]:
    files = tls.prepare(tmp_path_factory.mktemp("entra"), "127.0.0.1")
    server = HttpServer("entra", "127.0.0.1", 0, files)
    authority = TokenAuthority(server.origin, TENANT_ID)
    directory = Directory()
    directory.replace_people([MONA, DIRK, NEMO])
    directory.applications = {
        SERVICE_CLIENT_ID: Application(SERVICE_CLIENT_ID, "Quote to Cash", "s3cret"),
        WEB_CLIENT_ID: Application(WEB_CLIENT_ID, "Approvals", "w3b", (REDIRECT,)),
    }
    await server.start(build_app(EntraId(authority, directory, (DATAVERSE, FINANCE))))
    yield Tenant(server, authority, files.ca_file)
    await server.stop()


async def test_msal_gets_a_v1_token_for_a_resource_by_client_credentials(tenant: Tenant) -> None:
    def acquire() -> dict[str, Any]:
        app = tenant.msal_app(SERVICE_CLIENT_ID, "s3cret")
        return dict(app.acquire_token_for_client([f"{DATAVERSE}/.default"]))

    answer = await asyncio.to_thread(acquire)
    claims = await tenant.claims(answer["access_token"], DATAVERSE)
    assert (claims["ver"], claims["iss"]) == ("1.0", f"https://sts.windows.net/{TENANT_ID}/")
    assert (claims["appid"], claims["appidacr"], claims["idtyp"]) == (SERVICE_CLIENT_ID, "1", "app")
    assert claims["oid"] == claims["sub"] and claims["tid"] == TENANT_ID
    assert not {"azp", "scp", "roles"} & set(claims)
    assert tenant.authority.verify(f"Bearer {answer['access_token']}", DATAVERSE)["appid"] == SERVICE_CLIENT_ID


async def test_a_token_is_refused_for_another_audience_when_expired_or_altered(tenant: Tenant) -> None:
    token = tenant.authority.issue(FINANCE, app_id="app")
    assert tenant.authority.verify(f"Bearer {token}", FINANCE)
    slashed = tenant.authority.issue(FINANCE + "/", app_id="app")
    assert tenant.authority.verify(f"Bearer {slashed}", FINANCE, trailing_slash_accepted=True)
    other_tenant = TokenAuthority(tenant.origin, "11111111-1111-1111-1111-111111111111", key=tenant.authority.key)
    for header in (
        None,
        "",
        "Basic abc",
        "Bearer ",
        f"Bearer {token[:-6]}AAAAAA",
        f"Bearer {slashed}",
        f"Bearer {tenant.authority.issue(DATAVERSE)}",
        f"Bearer {tenant.authority.issue(FINANCE, lifetime=-1)}",
        f"Bearer {other_tenant.issue(FINANCE)}",
    ):
        with pytest.raises(InvalidToken):
            tenant.authority.verify(header, FINANCE)


async def test_a_remembered_token_still_expires() -> None:
    now = 1_000_000.0
    authority = TokenAuthority("https://localhost:1", TENANT_ID, now=lambda: now)
    header = f"Bearer {authority.issue(FINANCE, lifetime=60)}"
    assert authority.verify(header, FINANCE)
    now += 61
    with pytest.raises(InvalidToken, match="expired"):
        authority.verify(header, FINANCE)


@pytest.mark.parametrize(
    ("form", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000216),
        ({"client_id": "11111111-2222-3333-4444-555555555555"}, 400, "unauthorized_client", 700016),
        ({"client_id": ""}, 400, "invalid_request", 900144),
        ({"scope": f"{DATAVERSE}/user_impersonation"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://other.example/.default"}, 400, "invalid_resource", 500011),
        ({"grant_type": "device_code"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": "password", "username": "mona", "password": "wrong"}, 400, "invalid_grant", 50126),
        ({"grant_type": "password", "username": "ghost", "password": "ghost"}, 400, "invalid_grant", 50034),
        ({"grant_type": "password", "client_secret": ""}, 401, "invalid_client", 7000218),
        ({"grant_type": "authorization_code", "code": "never issued"}, 400, "invalid_grant", 70008),
        ({"grant_type": "refresh_token", "refresh_token": "never issued"}, 400, "invalid_grant", 70008),
    ],
)
async def test_the_token_endpoint_refuses_with_aadsts_codes(
    tenant: Tenant, form: dict[str, str], status: int, error: str, code: int
) -> None:
    good = {
        "grant_type": "client_credentials",
        "client_id": SERVICE_CLIENT_ID,
        "client_secret": "s3cret",
        "scope": f"{DATAVERSE}/.default",
    }
    answer = await tenant.token(**(good | form))
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= set(body)


async def test_another_tenant_is_not_found(tenant: Tenant) -> None:
    async with tenant.http() as client:
        answer = await client.post("/contoso.onmicrosoft.com/oauth2/v2.0/token", data={"grant_type": "password"})
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (
        400,
        "invalid_tenant",
        [90002],
    )


async def sign_in(tenant: Tenant, flow: dict[str, Any], user: str) -> dict[str, str]:
    """Do what a person does in a browser without JavaScript: open the page, press a name, follow the redirect."""
    async with tenant.http() as client:
        page = await client.get(flow["auth_uri"])
        assert page.status_code == 200 and f'value="{user}"' in page.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
        answer = await client.post(flow["auth_uri"], data=hidden | {"user": user})
    assert answer.status_code == 302
    location = answer.headers["location"]
    assert location.startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def test_a_person_signs_in_by_authorization_code_with_pkce_through_msal(tenant: Tenant) -> None:
    app = await asyncio.to_thread(tenant.msal_app, WEB_CLIENT_ID, "w3b")
    flow = await asyncio.to_thread(app.initiate_auth_code_flow, [f"api://{WEB_CLIENT_ID}/.default"], REDIRECT)
    assert "code_challenge_method=S256" in flow["auth_uri"]
    returned = await sign_in(tenant, flow, "dirk")
    answer = await asyncio.to_thread(app.acquire_token_by_auth_code_flow, flow, returned)
    identity = answer["id_token_claims"]
    assert identity["iss"] == f"{tenant.authority_url}/v2.0" and identity["aud"] == WEB_CLIENT_ID
    assert (identity["oid"], identity["preferred_username"]) == (DIRK.oid, DIRK.upn)
    assert identity["roles"] == ["sales_director.demf"] and identity["ver"] == "2.0"
    access = await tenant.claims(answer["access_token"], WEB_CLIENT_ID)
    assert (access["ver"], access["oid"], access["name"], access["scp"]) == (
        "2.0",
        DIRK.oid,
        "Dirk Dorn",
        "access_as_user",
    )
    assert access["roles"] == ["sales_director.demf"] and access["azp"] == WEB_CLIENT_ID
    silently = await asyncio.to_thread(
        lambda: app.acquire_token_silent(
            [f"api://{WEB_CLIENT_ID}/.default"], account=app.get_accounts()[0], force_refresh=True
        )
    )
    assert silently["access_token"] != answer["access_token"]


async def test_a_code_works_once_and_only_with_its_verifier_and_redirect(tenant: Tenant) -> None:
    app = await asyncio.to_thread(tenant.msal_app, WEB_CLIENT_ID, "w3b")
    codes = []
    for _ in range(3):
        flow = await asyncio.to_thread(app.initiate_auth_code_flow, [f"{WEB_CLIENT_ID}/.default"], REDIRECT)
        codes.append((flow, (await sign_in(tenant, flow, "mona"))["code"]))
    form = {"grant_type": "authorization_code", "client_id": WEB_CLIENT_ID, "client_secret": "w3b"}
    (flow, code), (_, second), (third_flow, third) = codes
    verifier = flow["code_verifier"]
    good = await tenant.token(**form, code=code, redirect_uri=REDIRECT, code_verifier=verifier)
    again = await tenant.token(**form, code=code, redirect_uri=REDIRECT, code_verifier=verifier)
    wrong = await tenant.token(**form, code=second, redirect_uri=REDIRECT, code_verifier=verifier)
    elsewhere = await tenant.token(
        **form, code=third, redirect_uri="http://localhost/x", code_verifier=third_flow["code_verifier"]
    )
    assert good.status_code == 200
    assert [a.json()["error_codes"] for a in (again, wrong, elsewhere)] == [[54005], [501481], [500112]]


async def test_the_password_grant_gives_tests_a_token_of_a_person(tenant: Tenant) -> None:
    def acquire(user: str) -> dict[str, Any]:
        app = tenant.msal_app(WEB_CLIENT_ID, "w3b")
        return dict(app.acquire_token_by_username_password(user, user.split("@")[0], [f"{WEB_CLIENT_ID}/.default"]))

    mona = await asyncio.to_thread(acquire, MONA.upn)
    claims = await tenant.claims(mona["access_token"], WEB_CLIENT_ID)
    assert (claims["oid"], claims["roles"]) == (MONA.oid, ["sales_manager.usmf"])
    nemo = await asyncio.to_thread(acquire, "nemo")
    assert "roles" not in await tenant.claims(nemo["access_token"], WEB_CLIENT_ID)


async def test_an_unregistered_redirect_is_shown_never_followed(tenant: Tenant) -> None:
    query = {"client_id": WEB_CLIENT_ID, "response_type": "code", "scope": "openid"}
    async with tenant.http() as client:
        path = f"/{TENANT_ID}/oauth2/v2.0/authorize"
        evil = await client.get(path, params=query | {"redirect_uri": "https://evil.example/auth/callback"})
        other_port = await client.get(path, params=query | {"redirect_uri": "http://localhost:9/auth/callback"})
        other_path = await client.get(path, params=query | {"redirect_uri": "http://localhost:8000/steal"})
    assert (evil.status_code, other_port.status_code, other_path.status_code) == (400, 200, 400)
    assert "AADSTS50011" in evil.text and "location" not in evil.headers
