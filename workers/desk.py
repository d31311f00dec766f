"""The sandbox's desk as the demo uses it: over HTTP only, like any other program.

The desk plays the people inside Dynamics (rep, warehouse, accounts receivable) and tells what both systems hold. Money
comes as exact decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


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
        content = None if body is None else _encode(body)
        answer = await self._http.request(method, path, content=content, headers={"Content-Type": "application/json"})
        if not answer.is_success:
            raise DeskRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return _decode(answer.content) if answer.content else None
