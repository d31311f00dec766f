"""Can an address be reached at all? Asked before anything else, so that a wrong URL is called a wrong URL."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from dynamics.finance.client import Finance
    from dynamics.sales.client import Dataverse
    from workers.settings import Settings

PATIENCE_SECONDS = 10.0
CERTIFICATE_HINT = "Where its certificate is of an authority of your own, Q2C_CA_FILE names that authority's file."


@dataclass(frozen=True)
class Problem:
    """Why an address cannot be used.

    Attributes:
        text: what happened, in words.
        hint: what else may help; empty: nothing.
        answered: whether a server answered.
    """

    text: str
    hint: str = ""
    answered: bool = False


async def openid_configuration(authority: str, ca_file: Path | None) -> Problem | None:
    """Whether Entra ID knows the tenant of an authority (`https://…/{tenant}`); None: it does."""
    answer = await _get(f"{authority}/v2.0/.well-known/openid-configuration", ca_file)
    if isinstance(answer, Problem) or answer.is_success:
        return answer if isinstance(answer, Problem) else None
    try:
        said = str(answer.json().get("error_description", "")).split(" Trace ID:")[0]
    except (ValueError, AttributeError):
        said = ""
    return Problem(f"{authority} answers {answer.status_code}. {said}".strip(), answered=True)


async def origin(url: str, ca_file: Path | None) -> Problem | None:
    """Whether a server answers at an origin, with whatever status; None: it does."""
    answer = await _get(url, ca_file)
    return answer if isinstance(answer, Problem) else None


async def both(
    settings: Settings,
    ask_finance: Callable[[Finance], Awaitable[None]],
    ask_sales: Callable[[Dataverse], Awaitable[None]],
) -> list[str]:
    """Ask both systems, each for itself; in words, why one could not be asked."""
    from dynamics.core.errors import DynamicsError
    from workers import composition

    async def finance() -> None:
        async with composition.finance(settings) as client:
            await ask_finance(client)

    async def sales() -> None:
        async with composition.dataverse(settings) as client:
            await ask_sales(client)

    problems = []
    for name, url, variable, ask in (
        ("Finance", settings.finance.url, "Q2C_FINANCE_URL", finance),
        ("Dataverse", settings.dataverse.url, "Q2C_DATAVERSE_URL", sales),
    ):
        if problem := await origin(url, settings.ca_file):
            problems.append(f"{problem.text} To do: set {variable}. {problem.hint}".strip())
            continue
        try:
            await ask()
        except DynamicsError as error:
            problems.append(f"{name}: {error}")
    return problems


async def ready(url: str, headers: Mapping[str, str] | None = None) -> httpx.Response | Problem:
    """The answer of a health endpoint, or of another address of ours."""
    return await _send("GET", url, None, headers=dict(headers or {}))


async def page(url: str, ca_file: Path | None) -> httpx.Response | Problem:
    """The answer of a page, redirects not followed."""
    return await _get(url, ca_file)


async def report(url: str, body: object, headers: Mapping[str, str]) -> httpx.Response | Problem:
    """The answer of an intake to something reported to it."""
    return await _send("POST", url, None, json=body, headers=dict(headers))


async def export(url: str, headers: Mapping[str, str], ca_file: Path | None) -> httpx.Response | Problem:
    """The answer of a collector to an export of nothing."""
    sent = dict(headers) | {"content-type": "application/x-protobuf"}
    return await _send("POST", url, ca_file, content=b"", headers=sent)


async def _get(url: str, ca_file: Path | None) -> httpx.Response | Problem:
    return await _send("GET", url, ca_file)


async def _send(method: str, url: str, ca_file: Path | None, **content: Any) -> httpx.Response | Problem:
    try:
        tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        loopback = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
        async with httpx.AsyncClient(verify=tls, timeout=PATIENCE_SECONDS, trust_env=not loopback) as http:
            return await http.request(method, url, **content)
    except httpx.HTTPError as error:
        return _problem(url, error)


def _problem(url: str, error: httpx.HTTPError) -> Problem:
    """An error of the HTTP library in the words of the person who wrote the URL."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if isinstance(error, httpx.TimeoutException):
        return Problem(f"{url} gave no answer within {PATIENCE_SECONDS:.0f} s.")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Problem(f"{url}: no computer has the name {urlsplit(url).hostname}.")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Problem(f"{url}: nothing listens there.")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Problem(f"{url}: its certificate is not trusted.", CERTIFICATE_HINT)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Problem(f"{url}: it does not speak TLS.", "Is it http instead of https?")
    return Problem(f"{url} does not answer ({type(error).__name__}).")
