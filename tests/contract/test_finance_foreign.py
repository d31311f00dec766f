"""Clients that others wrote, pointed at Entra and Finance over TLS: msal, azure-identity, d365fo-client.

The last one wants Python 3.13 and the dependency group `foreign`; its test skips without it.
"""

from __future__ import annotations

import asyncio
import html
import re
import ssl
from pathlib import Path

import httpx
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from sandbox.entra.directory import DOMAIN
from tests.contract.dataverse_world import LiveSandbox


@pytest.fixture(autouse=True)
def _trust(live_sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests, which msal uses, prefers this variable to what its session says."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", live_sandbox.info.ca_file)


def _read_customer(live: LiveSandbox, token: str) -> int:
    context = ssl.create_default_context(cafile=live.info.ca_file)
    with httpx.Client(verify=context, trust_env=False) as http:
        address = f"{live.info.finance}/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
        return http.get(address, headers={"Authorization": f"Bearer {token}"}).status_code


def _msal(live: LiveSandbox, secret: str | None = None) -> msal.ConfidentialClientApplication:
    info = live.info
    return msal.ConfidentialClientApplication(
        info.client_id,
        client_credential=info.client_secret if secret is None else secret,
        authority=f"{info.entra}/{info.tenant}",
        instance_discovery=False,
    )


def test_msal_gets_an_applications_token_and_keeps_it(live_sandbox: LiveSandbox) -> None:
    app = _msal(live_sandbox)
    scopes = [f"{live_sandbox.info.finance}/.default"]
    first, second = app.acquire_token_for_client(scopes), app.acquire_token_for_client(scopes)
    assert first["access_token"] == second["access_token"]
    assert (first["token_source"], second["token_source"]) == ("identity_provider", "cache")
    assert _read_customer(live_sandbox, first["access_token"]) == 200


def test_msal_tells_a_wrong_secret(live_sandbox: LiveSandbox) -> None:
    refused = _msal(live_sandbox, "wrong").acquire_token_for_client([f"{live_sandbox.info.finance}/.default"])
    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])
    assert refused["correlation_id"]


def test_msal_signs_a_user_in_and_acts_for_her(live_sandbox: LiveSandbox) -> None:
    info = live_sandbox.info
    app = msal.ConfidentialClientApplication(
        info.web_client_id,
        client_credential=info.web_client_secret,
        authority=f"{info.entra}/{info.tenant}",
        instance_discovery=False,
    )
    own = [f"api://{info.web_client_id}/.default"]
    context = ssl.create_default_context(cafile=info.ca_file)
    with httpx.Client(verify=context, trust_env=False) as browser:
        flow = app.initiate_auth_code_flow(own, redirect_uri="http://localhost:8000/auth/callback")
        page = browser.get(flow["auth_uri"])
        fields = dict(re.findall(r'name="([^"]+)"[^>]*value="([^"]*)"', page.text))
        fields = {name: html.unescape(value) for name, value in fields.items()}
        sent_back = browser.post(flow["auth_uri"], data=fields | {"user": "rita"}).headers["location"]
    answer = dict(httpx.URL(sent_back).params)
    signed_in = app.acquire_token_by_auth_code_flow(flow, answer)
    assert signed_in["id_token_claims"]["preferred_username"] == f"rita@{DOMAIN}", signed_in
    [account] = app.get_accounts()
    renewed = app.acquire_token_silent(own, account, force_refresh=True)
    assert renewed is not None and renewed["access_token"] != signed_in["access_token"]


def test_azure_identity_gets_an_applications_token(live_sandbox: LiveSandbox) -> None:
    info = live_sandbox.info
    with ClientSecretCredential(
        info.tenant,
        info.client_id,
        info.client_secret,
        authority=info.entra,
        disable_instance_discovery=True,
        connection_verify=info.ca_file,
    ) as credential:
        token = credential.get_token(f"{info.finance}/.default")
    assert _read_customer(live_sandbox, token.token) == 200


def test_azure_identity_raises_what_entra_answers(live_sandbox: LiveSandbox) -> None:
    info = live_sandbox.info
    with (
        ClientSecretCredential(
            info.tenant,
            "99999999-0000-0000-0000-000000000000",
            "x",
            authority=info.entra,
            disable_instance_discovery=True,
            connection_verify=info.ca_file,
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700016"),
    ):
        credential.get_token(f"{info.finance}/.default")


def test_d365fo_client_works_with_finance(
    live_sandbox: LiveSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("d365fo_client", reason="needs the dependency group foreign and Python 3.13")
    monkeypatch.setenv("HOME", str(tmp_path))
    asyncio.run(_d365fo(live_sandbox, str(tmp_path)))


async def _d365fo(live: LiveSandbox, folder: str) -> None:
    from d365fo_client.client import FOClient  # type: ignore[import-not-found,unused-ignore]
    from d365fo_client.models import FOClientConfig, QueryOptions  # type: ignore[import-not-found,unused-ignore]

    info = live.info
    config = FOClientConfig(
        base_url=info.finance,
        verify_ssl=ssl.create_default_context(cafile=info.ca_file),
        metadata_cache_dir=folder,
        enable_metadata_cache=False,
    )
    async with FOClient(config) as client:
        # It sends no real token to localhost: ask for one as it does elsewhere.
        client.auth_manager._is_localhost = lambda: False
        client.auth_manager.credential = ClientSecretCredential(
            info.tenant,
            info.client_id,
            info.client_secret,
            authority=info.entra,
            disable_instance_discovery=True,
            connection_verify=info.ca_file,
        )
        assert await client.test_connection() and await client.test_metadata_connection()
        assert (await client.get_application_version()).startswith("10.0.")
        schema = await client.get_public_entity_schema_by_entityset("CustomersV3")
        assert schema.name == "CustomerV3" and not schema.is_read_only
        assert (await client.get_public_enumeration_info("NoYes")).members[1].name == "Yes"
        query = QueryOptions(select=["OrganizationName"], filter="CustomerAccount eq 'US-001'", count=True)
        assert (await client.get_entities("CustomersV3", query))["@odata.count"] == 1
        key = {"dataAreaId": "usmf", "SalesOrderNumber": "D365FO-1"}
        await client.create_entity("SalesOrderHeadersV4", key | {"OrderingCustomerAccountNumber": "US-001"})
        await client.update_entity("SalesOrderHeadersV4", key, {"CustomersOrderReference": "PO 7"})
        assert (await client.get_entity("SalesOrderHeadersV4", key))["CustomersOrderReference"] == "PO 7"
        session = await client.post_json_service("UserSessionService", "AifUserSessionService", "GetUserSessionInfo")
        assert session.success and session.data["Company"] == "USMF"
        assert await client.delete_entity("SalesOrderHeadersV4", key)
