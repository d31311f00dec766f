"""Browsers without JavaScript: signed in by the sandbox's Entra ID, they read pages and send forms."""

from __future__ import annotations

import html
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from tests.webworld.world import Tenant

SITE = "http://localhost:8000"
Browser = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def browser(app: Starlette, tenant: Tenant) -> AsyncIterator[Browser]:
    """Sign somebody in as a browser does; returns the client with their cookies."""
    opened: list[httpx.AsyncClient] = []

    async def sign_in(name: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE)
        opened.append(client)
        answer = await client.get(await at_entra(tenant, client, name, "/"))
        assert answer.status_code == 303 and answer.headers["location"] == "/", answer.text
        return client

    yield sign_in
    for client in opened:
        await client.aclose()


async def at_entra(tenant: Tenant, client: httpx.AsyncClient, name: str, going_to: str) -> str:
    """Leave for Entra, pick a user there; the address the browser is sent back to."""
    left = await client.get("/auth/sign-in", params={"next": going_to})
    assert left.status_code == 302
    address = left.headers["location"]
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["redirect_uri"] == [f"{SITE}/auth/callback"]
    assert asked["state"] and asked["nonce"]
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=tenant.ca_file)) as entra:
        back = await entra.post(address, data={"user": name})
    assert back.status_code == 302
    return str(back.headers["location"])


def form_of(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form with this action."""
    for found in re.finditer(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL):
        if html.unescape(found[1]) == action:
            hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found[2])
            return {name: html.unescape(value) for name, value in hidden}
    raise AssertionError(f"no form {action}")
