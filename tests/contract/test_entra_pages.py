"""Where a browser is sent to sign in: on this machine to an address without a certificate it would warn of."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.runtime import Sandbox, SandboxConfig, running

PAGES = ("authorization_endpoint", "end_session_endpoint")


async def discovered(sandbox: Sandbox) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=sandbox.info.ca_file)
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        port = sandbox.info.entra.rpartition(":")[2]
        path = f"{sandbox.info.tenant}/v2.0/.well-known/openid-configuration"
        answer = await client.get(f"https://localhost:{port}/{path}")
        return dict(answer.json())


async def test_on_loopback_people_sign_in_and_out_without_a_certificate(tmp_path: Path) -> None:
    async with running(SandboxConfig(state_dir=tmp_path)) as sandbox:
        found = await discovered(sandbox)
        assert {found[name].rpartition("/oauth2/")[0] for name in PAGES} == {
            f"{sandbox.info.desk}/{sandbox.info.tenant}"
        }
        assert found["issuer"].startswith(sandbox.info.entra) and found["token_endpoint"].startswith(sandbox.info.entra)
        query = {
            "client_id": sandbox.info.web_client_id,
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": "http://localhost:8000/auth/callback",
            "state": "s",
        }
        async with httpx.AsyncClient(trust_env=False) as browser:
            page = await browser.get(found["authorization_endpoint"], params=query)
            assert "Pick an account" in page.text
            sent = await browser.post(found["authorization_endpoint"], params=query, data={"user": "mona"})
            assert sent.headers["location"].startswith("http://localhost:8000/auth/callback?code=")
            elsewhere = await browser.get(f"{sandbox.info.desk}/another-tenant/oauth2/v2.0/authorize", params=query)
            assert "AADSTS90002" in elsewhere.text
            assert (await browser.get(found["end_session_endpoint"])).status_code == 200


@pytest.mark.parametrize("elsewhere", [{"host": "0.0.0.0"}, {"public_host": "localhost"}])
async def test_where_others_can_reach_it_they_sign_in_with_tls_only(tmp_path: Path, elsewhere: dict[str, Any]) -> None:
    async with running(SandboxConfig(state_dir=tmp_path, **elsewhere)) as sandbox:
        found = await discovered(sandbox)
        assert all(found[name].startswith("https://") for name in PAGES)
        async with httpx.AsyncClient(trust_env=False) as browser:
            port = sandbox.info.desk.rpartition(":")[2]
            path = f"{sandbox.info.tenant}/oauth2/v2.0/authorize"
            assert (await browser.get(f"http://localhost:{port}/{path}")).status_code == 404
