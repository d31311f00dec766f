"""The checks of `q2c doctor` on what people and systems send to the web application: sign-in, webhooks, events."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from cli import reach
from cli.check import Check, failed, not_checked, ok
from dynamics.business_events import TEST_PING
from dynamics.sales.setup.blueprint import INTAKE, KEY_HEADER
from workers.settings import Settings, variable_name

_UNKNOWN_REDIRECT = "AADSTS50011"
_UNKNOWN_APPLICATION = "AADSTS700016"
_ENTRA_CODE = re.compile(r"AADSTS\d+[^<\"]{0,200}")
_UNAUTHENTICATED = 401


async def run(settings: Settings) -> AsyncIterator[Check]:
    """Whether the web application works, people can sign in, and Dynamics can report to it."""
    yield await _redirect(settings)
    web = await _web(settings)
    yield web
    if web.status == "ok":
        yield await _intake_of_dataverse(settings)
        yield await _intake_of_finance(settings)
    else:
        yield not_checked("webhooks, business events", "the web application takes them, and cannot be asked")


async def _redirect(settings: Settings) -> Check:
    """Ask Entra ID for a sign-in that shows no page: it refuses an address that is not registered before all else."""
    name = "Entra ID redirect URI"
    address = f"{settings.web.url}/auth/callback"
    asked = {
        "client_id": settings.web.client_id,
        "response_type": "code",
        "redirect_uri": address,
        "scope": "openid",
        "response_mode": "query",
        "prompt": "none",
    }
    try:
        answer = await reach.page(
            f"{settings.entra.authority}/oauth2/v2.0/authorize?{urlencode(asked)}", settings.ca_file
        )
    except OSError as error:
        return not_checked(name, f"{settings.ca_file}: {error}")
    if isinstance(answer, reach.Problem):
        return not_checked(name, answer.text)
    if answer.is_redirect and answer.headers.get("location", "").startswith(address):
        return ok(name, f"{address} is registered")
    if _UNKNOWN_REDIRECT in answer.text:
        remedy = f"add {address} to the web registration, platform Web (docs/tenant-set-up.md, step 1)."
        return failed(name, f"{address} is not registered for {settings.web.client_id}.", remedy)
    if _UNKNOWN_APPLICATION in answer.text:
        remedy = "correct Q2C_WEB_CLIENT_ID."
        return failed(name, f"The tenant has no application {settings.web.client_id}.", remedy)
    said = _ENTRA_CODE.search(answer.text)
    if said or not answer.is_success:
        return not_checked(name, said.group() if said else f"Entra ID answers {answer.status_code}")
    return ok(name, f"{address} is accepted")


async def _web(settings: Settings) -> Check:
    """The web application's own readiness: it also says whether Entra ID knows its registration."""
    url = f"{settings.web.url}/health/ready"
    answer = await reach.ready(url)
    if isinstance(answer, reach.Problem):
        return failed("web", answer.text, "start `q2c web`, or set Q2C_WEB_URL.")
    if not answer.is_success:
        return failed("web", f"{url} answers {answer.status_code}: {answer.text[:200]}", "see the log of `q2c web`.")
    return ok("web", f"{url} answers {answer.status_code}")


async def _intake_of_dataverse(settings: Settings) -> Check:
    """Report a record of a table nobody follows: it is taken and ignored."""
    key = _given(settings, ("dataverse", "webhook_key"))
    body = {"MessageName": "Create", "PrimaryEntityName": "q2c_doctor"}
    headers = {KEY_HEADER: key or ""}
    return await _intake(f"{settings.web.url}{INTAKE}", ("dataverse", "webhook_key"), key, body, headers)


async def _intake_of_finance(settings: Settings) -> Check:
    """Send the event by which Finance tries an endpoint."""
    secret = _given(settings, ("finance", "events_secret"))
    body = {"BusinessEventId": TEST_PING, "ControlNumber": -(2**63), "EventId": "Q2C-DOCTOR"}
    address = f"{settings.web.url}/intake/finance?code={quote(secret or '', safe='')}"
    return await _intake(address, ("finance", "events_secret"), secret, body, {})


async def _intake(
    url: str, location: tuple[str, str], secret: str | None, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Check:
    name, variable = {"dataverse": "webhooks", "finance": "business events"}[location[0]], variable_name(location)
    shown = url.partition("?")[0]
    if secret is None:
        return not_checked(f"{name} at the web application", f"{variable} is not given to this command")
    answer = await reach.report(url, body, headers)
    if isinstance(answer, reach.Problem):
        return failed(f"{name} at the web application", answer.text, "see the log of `q2c web`.")
    if answer.status_code == _UNAUTHENTICATED:
        remedy = f"give `q2c web` the same {variable} as this command."
        return failed(f"{name} at the web application", f"{shown} refuses the value of {variable}.", remedy)
    if not answer.is_success:
        text = f"{shown} answers {answer.status_code}: {answer.text[:200]}"
        return failed(f"{name} at the web application", text, "see the log of `q2c web`.")
    return ok(f"{name} at the web application", f"{shown} takes them")


def _given(settings: Settings, location: tuple[str, str]) -> str | None:
    """A secret, where this command was given it; None: the sandbox's public one stands in its place."""
    group = getattr(settings, location[0])
    value = getattr(group, location[1])
    return value.get_secret_value() if location[1] in group.model_fields_set and isinstance(value, SecretStr) else None
