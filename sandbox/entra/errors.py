"""Refusals of the token endpoint, with the AADSTS codes, statuses and words of the real one.

Source: Microsoft Learn, "Microsoft Entra authentication and authorization error codes", and recorded answers in public
issue reports of Microsoft's own clients (AADSTS7000215, 90002, 700016, 1002012, 500011).
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse


class EntraError(Exception):
    """An OAuth error: `status` HTTP, `error` of RFC 6749, `code` AADSTS number, `text` in Microsoft's words."""

    def __init__(self, status: int, error: str, code: int, text: str, suberror: str = "") -> None:
        super().__init__(f"AADSTS{code}: {text}")
        self.status = status
        self.error = error
        self.code = code
        self.text = text
        self.suberror = suberror

    def body(self, correlation_id: str = "") -> dict[str, Any]:
        """The JSON body of the token endpoint, with a fresh trace id and the caller's (or a fresh) correlation id."""
        moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
        trace, correlation = str(uuid.uuid4()), correlation_id or str(uuid.uuid4())
        body: dict[str, Any] = {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.text} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {moment}",
            "error_codes": [self.code],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }
        if self.suberror:
            body["suberror"] = self.suberror
        return body

    def response(self, request: Request) -> JSONResponse:
        """The answer to send, under the request's `client-request-id`."""
        body = self.body(request.headers.get("client-request-id", ""))
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache", "x-ms-request-id": body["trace_id"]}
        if request.headers.get("return-client-request-id", "").lower() == "true":
            headers["client-request-id"] = body["correlation_id"]
        return JSONResponse(body, self.status, headers)


def unknown_tenant(tenant: str) -> EntraError:
    """Another tenant in the path than the one that exists here."""
    return EntraError(
        400,
        "invalid_tenant",
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant.",
    )


def unknown_application(client_id: str, tenant: str) -> EntraError:
    """No such app registration."""
    return EntraError(
        400,
        "unauthorized_client",
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant.",
    )


def wrong_secret(client_id: str) -> EntraError:
    """The client secret is not the application's."""
    return EntraError(
        401,
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        f"the client secret ID, for a secret added to app '{client_id}'.",
    )


def missing_secret(client_credentials: bool) -> EntraError:
    """No secret sent: one code for the client credentials grant, another for those with a person."""
    if client_credentials:
        return EntraError(
            401,
            "invalid_client",
            7000216,
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        )
    return EntraError(
        401,
        "invalid_client",
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    )


def missing_parameter(name: str) -> EntraError:
    """A parameter the grant needs is absent."""
    return EntraError(
        400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
    )


def scope_not_default(scope: str) -> EntraError:
    """Client credentials ask for `{resource}/.default`, nothing else."""
    return EntraError(
        400,
        "invalid_scope",
        1002012,
        f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
    )


def malformed_scope(scope: str) -> EntraError:
    """The scope names no resource, or several."""
    return EntraError(
        400,
        "invalid_scope",
        70011,
        f"The provided request must include a 'scope' input parameter. The provided value for the input parameter "
        f"'scope' is not valid. The scope {scope} is not valid.",
    )


def unknown_resource(resource: str, tenant: str) -> EntraError:
    """The resource of the scope is not in the tenant."""
    return EntraError(
        400,
        "invalid_resource",
        500011,
        f"The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You might have sent your authentication request to the wrong tenant.",
    )


def unknown_grant(grant: str) -> EntraError:
    """A grant type the endpoint does not offer."""
    return EntraError(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'.")


def unknown_user(login: str, tenant: str) -> EntraError:
    """Password grant for nobody of the tenant."""
    return EntraError(
        400,
        "invalid_grant",
        50034,
        f"The user account {login} does not exist in the {tenant} directory. To sign into this application, the "
        "account must be added to the directory.",
    )


def wrong_password() -> EntraError:
    """Password grant with a wrong password."""
    return EntraError(400, "invalid_grant", 50126, "Error validating credentials due to invalid username or password.")


def code_redeemed() -> EntraError:
    """An authorization code works once."""
    return EntraError(
        400,
        "invalid_grant",
        54005,
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
        "refresh token.",
    )


def code_unknown() -> EntraError:
    """The code or refresh token is expired or was never issued."""
    return EntraError(
        400, "invalid_grant", 70008, "The provided authorization code or refresh token has expired due to inactivity."
    )


def code_of_another_client(client_id: str) -> EntraError:
    """The code was issued to another application or for another redirect address."""
    return EntraError(
        400,
        "invalid_grant",
        500112,
        f"The reply address given when redeeming does not match the one of the authorization request of '{client_id}'.",
    )


def wrong_verifier() -> EntraError:
    """PKCE: the verifier does not hash to the challenge."""
    return EntraError(
        400,
        "invalid_grant",
        501481,
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    )


def wrong_redirect(redirect_uri: str, client_id: str) -> EntraError:
    """The redirect address is not registered; shown to the person, never redirected to."""
    return EntraError(
        400,
        "invalid_request",
        50011,
        f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for "
        f"the application '{client_id}'. Make sure the redirect URI sent in the request matches one added to your "
        "application in the Azure portal.",
    )
