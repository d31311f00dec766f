"""Bearer tokens of the tenant's people, for the autopilot that plays them against the product's JSON API."""

from __future__ import annotations

import ssl
import time

import httpx

_REFRESH_EARLY_SECONDS = 120


class SignIn:
    """Signs people in by the password grant, as tests do; a sandbox user's password is the user's name."""

    def __init__(self, authority: str, client_id: str, client_secret: str, context: ssl.SSLContext) -> None:
        """Use the web application's registration at an authority, e.g. `https://localhost:8443/{tenant}`."""
        self._url = f"{authority}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "password",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": f"api://{client_id}/.default",
        }
        self._context = context
        self._tokens: dict[str, tuple[str, float]] = {}

    async def bearer(self, name: str) -> str:
        """The `Authorization` header of a person.

        Raises:
            httpx.HTTPError: the token endpoint refused or did not answer.
        """
        token, until = self._tokens.get(name, ("", 0.0))
        if time.monotonic() >= until:
            async with httpx.AsyncClient(verify=self._context, trust_env=False) as http:
                answer = await http.post(self._url, data=self._form | {"username": name, "password": name})
            answer.raise_for_status()
            body = answer.json()
            token = body["access_token"]
            self._tokens[name] = token, time.monotonic() + body["expires_in"] - _REFRESH_EARLY_SECONDS
        return f"Bearer {token}"

    def forget(self, name: str) -> None:
        """Sign a person in anew next time: the product refused the token."""
        self._tokens.pop(name, None)
