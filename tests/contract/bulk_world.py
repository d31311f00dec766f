"""Asking a running sandbox in bulk, as its own applications, over HTTP with TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.odata.jsonio import decode
from sandbox.runtime import SandboxInfo

API = "/api/data/v9.2"
TRACK = {"Prefer": "odata.track-changes"}


@dataclass(frozen=True)
class Bulk:
    """One application at Dataverse and Finance."""

    info: SandboxInfo
    http: httpx.AsyncClient
    tokens: dict[str, str]

    async def ask(self, system: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        """A request; `path` may be a next link."""
        origin = getattr(self.info, system)
        root = API if system == "dataverse" else "/data"
        url = path if path.startswith("http") else f"{origin}{root}/{path}"
        headers = {"Authorization": f"Bearer {self.tokens[system]}", **more.pop("headers", {})}
        return await self.http.request(method, url, headers=headers, **more)

    async def body(self, system: str, path: str, **headers: str) -> Any:
        """The JSON of a successful read, numbers as Decimal."""
        answer = await self.ask(system, path, headers=headers)
        assert answer.status_code == 200, answer.text
        return decode(answer.content)

    async def all(self, system: str, path: str, **headers: str) -> list[dict[str, Any]]:
        """The rows of all pages."""
        rows: list[dict[str, Any]] = []
        link: str | None = path
        while link:
            page = await self.body(system, link, **headers)
            rows += page["value"]
            link = page.get("@odata.nextLink")
        return rows

    async def count(self, system: str, path: str) -> int:
        """What a `$count` address answers."""
        answer = await self.ask(system, path)
        assert answer.status_code == 200, answer.text
        return int(answer.text)


@asynccontextmanager
async def application(info: SandboxInfo, client_id: str, secret: str) -> AsyncIterator[Bulk]:
    """An application with tokens for both systems."""
    context = ssl.create_default_context(cafile=info.ca_file)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=90) as http:
        tokens = {}
        for system in ("dataverse", "finance"):
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
            scope = {"scope": f"{getattr(info, system)}/.default"}
            answer = await http.post(f"{info.entra}/{info.tenant}/oauth2/v2.0/token", data=form | scope)
            assert answer.status_code == 200, answer.text
            tokens[system] = answer.json()["access_token"]
        yield Bulk(info, http, tokens)


def reader_of(info: SandboxInfo) -> Any:
    """The application that may only read."""
    return application(info, info.reader_client_id, info.reader_client_secret)


def product_of(info: SandboxInfo) -> Any:
    """The product's own application."""
    return application(info, info.client_id, info.client_secret)
