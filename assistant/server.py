"""The server of the Model Context Protocol: eight tools that read, over HTTP or standard input."""

from __future__ import annotations

from urllib.parse import urlsplit

from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from assistant.caller import EntraTokens
from assistant.stored import INSTRUCTIONS
from assistant.tools import Tools
from web.tokens import SCOPE, KeysUnavailable, SigningKeys, TokenVerifier

LARGEST_REQUEST = 64 * 1024
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def _with_tools(server: MCPServer, tools: Tools) -> MCPServer:
    for tool in tools.all:
        server.add_tool(tool, annotations=_READS, structured_output=True)
    return server


def on_standard_input(tools: Tools) -> MCPServer:
    """The server for one person's own assistant."""
    return _with_tools(MCPServer("quote-to-cash", instructions=INSTRUCTIONS, log_level="WARNING"), tools)


def over_http(tools: Tools, verifier: TokenVerifier, keys: SigningKeys, url: str, authority: str) -> Starlette:
    """The server for whoever shows a token of Entra ID; it keeps no sessions.

    Args:
        tools: what is served.
        verifier: which tokens are good.
        keys: the tenant's, for *ready*.
        url: origin that assistants use.
        authority: where they get a token.
    """
    server = MCPServer(
        "quote-to-cash",
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        token_verifier=EntraTokens(verifier),
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(f"{authority}/v2.0"),
            resource_server_url=AnyHttpUrl(f"{url}/mcp"),
            required_scopes=[SCOPE],
            validate_token_resource=False,  # the verifier checks the audience, as Entra writes it
        ),
    )

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            await keys.current()
        except KeysUnavailable as error:
            return JSONResponse({"status": "unready", "problems": {"entra": str(error)}}, 503)
        return JSONResponse({"status": "ok"})

    place = urlsplit(url).netloc
    app = _with_tools(server, tools).streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=LARGEST_REQUEST,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[place, "127.0.0.1:*", "localhost:*"], allowed_origins=[url]
        ),
    )
    app.router.routes.extend([Route("/health/live", live), Route("/health/ready", ready)])
    return app
