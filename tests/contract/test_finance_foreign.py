"""Microsoft's own sign-in clients, pointed at Entra and Finance over TLS: msal and azure-identity.

Clients of Finance's data that other people wrote run in an environment of their own: `test_foreign_clients.py`.
"""

from __future__ import annotations

import html
import re
import ssl

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
