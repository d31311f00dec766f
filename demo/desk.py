"""The sandbox's desk as the demo uses it: over HTTP only, like any other program.

The desk plays the people inside Dynamics (rep, warehouse, accounts receivable) and shows what both systems hold.
Amounts come as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx


class DeskRefused(Exception):
    """The desk, or the system it asked, refused; the text says why."""


class Desk:
    """A client of the desk; use it as an async context manager."""

    def __init__(self, origin: str) -> None:
        """Nothing is sent yet.

        Args:
            origin: of the desk, as in the stack's ready line.
        """
        self._http = httpx.AsyncClient(base_url=origin, timeout=60, trust_env=False)

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def get(self, path: str) -> Any:
        """What stands under a path, decoded; raises DeskRefused."""
        return await self._send("GET", path)

    async def put(self, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        """Set what stands under a path; raises DeskRefused."""
        return await self._send("PUT", path, body)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Do something; raises DeskRefused."""
        return await self._send("POST", path, body or {})

    async def delete(self, path: str) -> Any:
        """Take something back; raises DeskRefused."""
        return await self._send("DELETE", path)

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Any:
        answer = await self._http.request(method, path, json=body)
        if not answer.is_success:
            raise DeskRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None
