"""Where the endpoints of the tenant are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entra import errors
from sandbox.entra.app import EntraId
from sandbox.entra.directory import DOMAIN


def page_routes(entra: EntraId) -> list[Route]:
    """The two pages a browser is sent to, for an origin without a certificate it would warn of."""
    of_tenant = _of_tenant(entra)
    return [
        Route("/{tenant}/oauth2/v2.0/authorize", of_tenant(entra.authorize), methods=["GET", "POST"]),
        Route("/{tenant}/oauth2/v2.0/logout", of_tenant(entra.logout), methods=["GET", "POST"]),
    ]


def build_app(entra: EntraId) -> Starlette:
    """The ASGI application of the tenant, on an origin of its own."""
    of_tenant = _of_tenant(entra)
    return Starlette(
        routes=[
            Route("/common/discovery/instance", entra.instance),
            Route("/common/userrealm/{login}", entra.user_realm),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", of_tenant(entra.configuration)),
            Route("/{tenant}/discovery/v2.0/keys", of_tenant(entra.keys)),
            *page_routes(entra),
            Route("/{tenant}/oauth2/v2.0/token", of_tenant(entra.token), methods=["POST"]),
            Route("/{tenant}/.well-known/openid-configuration", of_tenant(entra.configuration_v1)),
            Route("/{tenant}/discovery/keys", of_tenant(entra.keys)),
            Route("/{tenant}/oauth2/authorize", of_tenant(entra.authorize), methods=["GET", "POST"]),
            Route("/{tenant}/oauth2/token", of_tenant(entra.token_v1), methods=["POST"]),
            Route("/{tenant}/oauth2/logout", of_tenant(entra.logout), methods=["GET", "POST"]),
        ]
    )


Handler = Callable[[Request], Awaitable[Response]]


def _of_tenant(entra: EntraId) -> Callable[[Handler], Handler]:
    """Makes a handler answer for this tenant only."""

    def of_tenant(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            tenant = request.path_params["tenant"]
            if tenant.lower() not in (entra.tenant, DOMAIN):
                return errors.unknown_tenant(tenant).response(request)
            return await handler(request)

        return guarded

    return of_tenant
