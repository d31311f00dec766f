"""Opens sealed payloads for people: Temporal Web and the `temporal` command line ask it, the product never does.

Temporal's codec server protocol: `POST /decode` and `POST /encode` with payloads as protobuf JSON and the namespace in
`X-Namespace`. A reader shows a token of Entra ID; what is opened is what their roles allow for the company that stands
in the payload's authenticated workflow id, the rest comes back sealed. What is encoded here belongs to no workflow and
counts as the argument of a query only: nobody starts, signals or answers anything with it.

Without a sign-in it serves the sandbox on the loopback address, and refuses to start for anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action, RightsPolicy
from dynamics.core.network import is_loopback
from runs.codec import SealingCodec
from runs.codec_keys import KeyMissing
from web.problems import Problem, unauthorized
from web.tokens import InvalidToken, KeysUnavailable, SigningKeys, TokenVerifier
from workers.mode import is_sandbox
from workers.rules import load_policy
from workers.sealing import codec_keys
from workers.serving import serve, stop_signals, unready_once
from workers.settings import Settings, SettingsError
from workers.telemetry import Telemetry

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_PAYLOADS: Final = 1_000

_OF_HTTP: Final = {404: Refusal.NOT_FOUND, 405: Refusal.METHOD_NOT_ALLOWED, 413: Refusal.TOO_LARGE}
_COMPANY_AT: Final = {
    **dict.fromkeys(("q2c", "approval", "credit", "collections", "review", "audit", "parallel"), 1),
    "feed": 2,
}
"""Where the company stands in the workflow ids of each process (runs.names)."""

Reader = Callable[[Request], Awaitable[Person | None]]
"""Who asks; None: the sandbox, where anybody on this machine may read."""


def company_of(workflow_id: str) -> str:
    """The company whose run it is; empty where the id does not say: then only roles of every company read it."""
    parts = workflow_id.split("/")
    at = _COMPANY_AT.get(parts[0], len(parts))
    return parts[at] if at < len(parts) else ""


def may_read(rights: RightsPolicy, person: Person, workflow_id: str) -> bool:
    """Whether a person's roles cover the company of a run; a run of no company needs a role of all of them."""
    readable = rights.companies_of(person, Action.READ_RUN)
    return readable is None or company_of(workflow_id) in readable


def codec_app(
    codec: SealingCodec, rights: RightsPolicy, reader: Reader, origins: Sequence[str], *, hosts: Sequence[str] = ("*",)
) -> Starlette:
    """The two endpoints, and live and ready.

    Args:
        codec: opens and seals.
        rights: who may read runs, and ask them.
        reader: tells who asks, or raises a `Problem`.
        origins: of Temporal Web, for CORS.
        hosts: names this server may be called by.
    """

    async def decode(request: Request) -> Response:
        person, namespace, payloads = await _asked(request, reader)
        if person is not None and not _may_somewhere(rights, person, Action.READ_RUN):
            raise Problem(Refusal.NO_AUTHORITY, "Your roles do not let you read the contents of runs.")
        opened: set[str] = set()
        shown = [_shown(codec, rights, payload, namespace, person, opened) for payload in payloads]
        log.info("payloads opened", reader=person.oid if person else "sandbox", runs=sorted(opened)[:20])
        return _answer(shown)

    async def encode(request: Request) -> Response:
        person, namespace, payloads = await _asked(request, reader)
        if person is not None and not _may_somewhere(rights, person, Action.ASK_RUN):
            raise Problem(Refusal.NO_AUTHORITY, "Only operators may ask runs from Temporal Web or the command line.")
        return _answer([codec.seal_by_hand(payload, namespace) for payload in payloads])

    async def healthy(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/decode", decode, methods=["POST"]),
            Route("/encode", encode, methods=["POST"]),
            Route("/health/live", healthy),
            Route("/health/ready", healthy),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["POST"],
                allow_headers=["authorization", "content-type", "x-namespace"],
                max_age=600,
            ),
        ],
        exception_handlers={Problem: _problem, HTTPException: _http_error},
        max_body_size=MAX_BODY_BYTES,
    )


async def _asked(request: Request, reader: Reader) -> tuple[Person | None, str, list[Payload]]:
    person = await reader(request)
    namespace = request.headers.get("x-namespace", "")
    if not namespace:
        raise Problem(Refusal.BAD_ARGUMENT, "The header X-Namespace is missing: it says which namespace to read.")
    try:
        body = from_json(await request.body())
        if not isinstance(body, dict):
            raise ValueError("not an object")
        payloads = list(ParseDict(body, Payloads()).payloads)
    except (ValueError, ParseError) as error:
        raise Problem(Refusal.BAD_ARGUMENT, 'The body is not {"payloads": […]} as protobuf JSON.') from error
    if len(payloads) > MAX_PAYLOADS:
        raise Problem(Refusal.TOO_LARGE, f"Ask for at most {MAX_PAYLOADS} payloads at a time.")
    return person, namespace, payloads


def _may_somewhere(rights: RightsPolicy, person: Person, action: Action) -> bool:
    covered = rights.companies_of(person, action)
    return covered is None or bool(covered)


def _shown(
    codec: SealingCodec,
    rights: RightsPolicy,
    payload: Payload,
    namespace: str,
    person: Person | None,
    opened: set[str],
) -> Payload:
    """A payload as this reader may see it: opened, or as it came."""
    try:
        sealed = codec.unseal(payload, namespace)
    except KeyMissing as error:
        raise Problem(Refusal.KEY_MISSING, f"A payload was {error}.") from error
    if isinstance(sealed, str) or not (person is None or may_read(rights, person, sealed.workflow_id)):
        return payload
    opened.add(sealed.workflow_id)
    return sealed.payload


def _answer(payloads: Sequence[Payload]) -> Response:
    return JSONResponse(MessageToDict(Payloads(payloads=payloads)))


def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = Problem(_OF_HTTP.get(error.status_code, Refusal.BAD_ARGUMENT), error.detail)
    problem.headers |= dict(error.headers or {})
    return problem.response()


def signed_in(verifier: TokenVerifier) -> Reader:
    """Readers who show a token of Entra ID for this application."""

    async def reader(request: Request) -> Person:
        try:
            return (await verifier.identify(request.headers.get("authorization"))).person
        except InvalidToken as error:
            raise unauthorized(str(error)) from error
        except KeysUnavailable as error:
            raise Problem(Refusal.ENTRA_UNAVAILABLE, str(error)) from error

    return reader


async def _anybody(_request: Request) -> None:
    return None


def codec_server_app(settings: Settings) -> Starlette:
    """The codec server, as the settings say.

    Raises:
        SettingsError: the keys cannot be used, or it would serve without a sign-in what is not the local sandbox.
        PolicyError: the rules cannot be used.
    """
    rights = load_policy(settings).rights
    codec = SealingCodec(codec_keys(settings.codec), compress=settings.codec.compress)
    origins = [origin.strip().rstrip("/") for origin in settings.codec.origins.split(",") if origin.strip()]
    if settings.codec.sign_in:
        keys = SigningKeys(settings.entra.authority, settings.ca_file)
        return codec_app(codec, rights, signed_in(TokenVerifier(keys, settings.web.client_id)), origins)
    if not (is_loopback(settings.codec.host) and is_sandbox(settings)):
        raise SettingsError(
            "Q2C_CODEC_SIGN_IN: may be off only for the sandbox on this machine: every Q2C_*_URL and Q2C_CODEC_HOST "
            "must be a loopback address. Remove it, so that readers sign in."
        )
    # A page of another site must not reach it by a name of its own that points here.
    return codec_app(codec, rights, _anybody, origins, hosts=("localhost", "127.0.0.1", "::1"))


async def run_codec_server(settings: Settings, telemetry: Telemetry) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Raises:
        SettingsError: see `codec_server_app`.
        CannotListen: the port is taken.
    """
    app: Any = codec_server_app(settings)
    with stop_signals() as stop:
        async with serve(
            unready_once(stop, app), settings.codec.host, settings.codec.port, variables="Q2C_CODEC"
        ) as port:
            log.info("codec server ready", port=port, sign_in=settings.codec.sign_in)
            await stop.wait()
    telemetry.close()
    return 0
