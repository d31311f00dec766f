"""The v1.0 endpoints and instance discovery: what older clients of Dynamics, and some newer ones, still ask for.

`/oauth2/token` takes `resource` instead of `scope` and answers numbers as text; the tokens are the same.
Sources: Microsoft Learn, "Service to service calls using client credentials" (Azure AD v1.0); MSAL's instance
discovery.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.entra import errors
from sandbox.entra.errors import EntraError
from sandbox.entra.tokens import TokenAuthority

API_VERSION: Final = "1.1"


def scope_of(form: Mapping[str, str]) -> str:
    """The v2.0 scope that a v1.0 request means.

    Raises:
        EntraError: It names no resource.
    """
    resource = form.get("resource", "")
    if not resource:
        raise errors.missing_parameter("resource")
    asked = f"{resource}/.default"
    return f"{asked} openid profile offline_access" if form.get("grant_type") != "client_credentials" else asked


def token_answer(answer: Mapping[str, Any], resource: str) -> dict[str, Any]:
    """A v2.0 token answer as the v1.0 endpoint writes it: numbers as text, with moments since the epoch."""
    now = int(time.time())
    lifetime = int(answer["expires_in"])
    shown: dict[str, Any] = {
        "token_type": answer["token_type"],
        "expires_in": str(lifetime),
        "ext_expires_in": str(lifetime),
        "expires_on": str(now + lifetime),
        "not_before": str(now),
        "resource": resource,
        "access_token": answer["access_token"],
    }
    return shown | {name: answer[name] for name in ("refresh_token", "id_token", "scope") if name in answer}


def configuration(authority: TokenAuthority) -> Response:
    """`/{tenant}/.well-known/openid-configuration` of the v1.0 endpoint."""
    base = f"{authority.issuer_base}/{authority.tenant_id}"
    return JSONResponse(
        {
            "token_endpoint": f"{base}/oauth2/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/keys",
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid"],
            "issuer": authority.issuer_v1,
            "microsoft_multi_refresh_token": True,
            "authorization_endpoint": f"{base}/oauth2/authorize",
            "end_session_endpoint": f"{base}/oauth2/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "amr", "nbf", "tid", "unique_name", "oid"],
            "tenant_region_scope": "NA",
        }
    )


def instance_discovery(authority: TokenAuthority, request: Request) -> Response:
    """`/common/discovery/instance`: whether an authority is one to be trusted, and where its tenant is described."""
    asked = request.query_params.get("authorization_endpoint", "")
    if not request.query_params.get("api-version"):
        return errors.missing_parameter("api-version").response(request)
    host = urlsplit(authority.issuer_base).netloc
    if urlsplit(asked).netloc != host:
        return unknown_instance().response(request)
    return JSONResponse(
        {
            "tenant_discovery_endpoint": (
                f"{authority.issuer_base}/{authority.tenant_id}/v2.0/.well-known/openid-configuration"
            ),
            "api-version": API_VERSION,
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }
    )


def unknown_instance() -> EntraError:
    """An authority that is not this one."""
    return EntraError(400, "invalid_instance", 50049, "Unknown or invalid instance.")
