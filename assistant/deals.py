"""Deals and accounts, asked of the approvals site as the person who asks: it alone reads runs and judges who may see.

So this process holds no key that opens or seals a run, no secret of Dynamics, and nothing that signs. What it sends is
GET, and the token that the person brought.
"""

from __future__ import annotations

from typing import Any, Final

import httpx

from assistant.caller import Caller, refusal
from domain.refusals import Refusal
from web.exact_json import loads

_API: Final = "/api/v1"
_SECONDS: Final = 20.0
_MOST_BYTES: Final = 4 * 1024 * 1024


class Site:
    """The JSON API of the approvals site, to be read."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Ask the site at ``url``."""
        self._http = httpx.AsyncClient(
            base_url=f"{url}{_API}", timeout=_SECONDS, trust_env=False, transport=transport, follow_redirects=False
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def get(self, caller: Caller, path: str, **query: str | int | bool) -> Any:
        """What the site answers at an address.

        Args:
            caller: who asks.
            path: below the API, percent-encoded, as `web.addresses` makes it.
            query: what is asked for; an empty text is left out.

        Raises:
            ToolError: the site refuses, or does not answer.
        """
        given = {name: value for name, value in query.items() if value != ""}
        headers = {"Authorization": f"Bearer {caller.token}", "Accept": "application/json"}
        try:
            answer = await self._http.get(path, params=given or None, headers=headers)
            body = loads(answer.content) if len(answer.content) <= _MOST_BYTES else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise refusal(Refusal.TEMPORAL_UNAVAILABLE, "The approvals site does not answer. Try again.") from error
        if answer.is_success and body is not None:
            return body
        code = body.get("code") if isinstance(body, dict) else None
        raise refusal(str(code or Refusal.INTERNAL), str(body.get("detail")) if isinstance(body, dict) else "")
