"""Who a process of the product is to Azure itself: to Key Vault and to Service Bus.

Three ways, all by MSAL: a managed identity of the machine or container; a workload identity of Kubernetes, whose
federated token stands in a file; or a client secret. Dynamics knows none of these: there the application has its own.
Sources: Microsoft Learn, "Managed identities", "Workload identity federation", MSAL Python's `ManagedIdentityClient`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

import msal
import requests

from dynamics.core.network import is_loopback
from workers.settings import Settings, SettingsError

TIMEOUT = 15.0
"""Seconds for one request to whoever gives tokens."""
_FEDERATED = "AZURE_FEDERATED_TOKEN_FILE"


class Token(NamedTuple):
    """A bearer token."""

    token: str
    expires_in: int
    """Seconds from now."""


class Identity:
    """Gets tokens for Azure's resources; MSAL keeps them until shortly before they end."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        """Be who `Q2C_AZURE_*` say; ``environment`` has Kubernetes's `AZURE_*`, this process's own when absent."""
        self._settings = settings
        self._environment = os.environ if environment is None else environment
        self._app: Any = None
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        """Let go of its connections."""
        for session in self._sessions:
            session.close()

    def token(self, resource: str) -> Token:
        """A token; blocks, at most a few seconds.

        Args:
            resource: e.g. `https://vault.azure.net`, without a trailing slash.

        Raises:
            SettingsError: no token is given; the text names the setting.
        """
        kind = self._settings.azure.identity
        try:
            if kind == "managed":
                answer = self._managed().acquire_token_for_client(resource=resource)
            else:
                answer = self._application(kind).acquire_token_for_client(scopes=[f"{resource}/.default"])
        except (requests.RequestException, msal.ManagedIdentityError, ValueError) as error:
            raise SettingsError(f"Q2C_AZURE_IDENTITY: {kind}: no token for {resource}: {error}") from error
        if "access_token" not in answer:
            why = answer.get("error_description") or answer.get("error") or "no reason was given"
            raise SettingsError(f"Q2C_AZURE_IDENTITY: {kind}: no token for {resource}: {why}")
        return Token(str(answer["access_token"]), int(answer.get("expires_in", 0)))

    def _managed(self) -> Any:
        if self._app is None:
            client_id = self._settings.azure.client_id
            who = msal.UserAssignedManagedIdentity(client_id=client_id) if client_id else None
            self._app = msal.ManagedIdentityClient(
                who or msal.SystemAssignedManagedIdentity(), http_client=self._session(None)
            )
        return self._app

    def _application(self, kind: str) -> Any:
        # The federated token is renewed in its file every hour or so: MSAL is given the newest one.
        if self._app is None or kind == "workload":
            settings, entra = self._settings.azure, self._settings.entra
            ca_file = str(self._settings.ca_file) if self._settings.ca_file else None
            session = self._session(ca_file)
            if not is_loopback(urlsplit(entra.url).hostname or ""):
                session.proxies.update(getproxies())
            self._app = msal.ConfidentialClientApplication(
                settings.client_id or self._environment.get("AZURE_CLIENT_ID", ""),
                client_credential=self._federated() if kind == "workload" else self._secret(),
                authority=entra.authority,
                instance_discovery=None if entra.instance_discovery else False,
                http_client=session,
            )
        return self._app

    def _session(self, ca_file: str | None) -> requests.Session:
        session = _Timed()
        session.trust_env = False  # REQUESTS_CA_BUNDLE in the environment would silently win over verify
        session.verify = ca_file or True
        self._sessions.append(session)
        return session

    def _secret(self) -> str:
        secret = self._settings.azure.client_secret
        if secret is None:
            raise SettingsError("Q2C_AZURE_CLIENT_SECRET: is missing; Q2C_AZURE_IDENTITY is secret. Set it")
        return secret.get_secret_value()

    def _federated(self) -> dict[str, str]:
        file = self._environment.get(_FEDERATED, "")
        try:
            return {"client_assertion": Path(file).read_text(encoding="utf-8").strip()}
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"Q2C_AZURE_IDENTITY: is workload, and {_FEDERATED} ({file or 'not set'}) cannot be read: {error}"
            ) from error


class _Timed(requests.Session):
    """`requests` waits forever by default."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", TIMEOUT)
        return super().request(*args, **kwargs)
