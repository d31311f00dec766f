"""`q2c doctor`: does everything the product needs work, for real, with these settings?

Each check talks to the system it checks, as the product would. Every line that fails says what to do about it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from rich.console import Console
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.policy import Policy, PolicyError
from dynamics.core.auth import ClientCredentials
from dynamics.core.errors import DynamicsError, Refused
from dynamics.finance.client import Finance
from dynamics.finance.queries import ENTITY_SETS
from dynamics.sales.client import Dataverse
from workers import composition
from workers.rules import load_policy
from workers.settings import Settings, SettingsError, load_settings, unknown_variables
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect, missing_attributes, register_command


@dataclass(frozen=True)
class Check:
    """Outcome of one check: what was found, or what to do."""

    name: str
    ok: bool
    text: str


OWN_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "quote": ("q2c_approvalstatus", "q2c_approvalreason", "q2c_caseid", "q2c_creditstatus"),
    "salesorder": ("q2c_financeordernumber", "q2c_fulfilmentstatus"),
    "invoice": ("q2c_financeinvoicenumber", "q2c_paymentstatus", "q2c_openamount"),
}
"""The product's own columns in Dataverse, by logical name of their table."""


async def run_doctor(console: Console | None = None) -> int:
    """Run every check and print one line each.

    Args:
        console: where the lines go; standard output when absent.

    Returns:
        Exit code: 0 when all is well, 1 otherwise.
    """
    out = console or Console(highlight=False, soft_wrap=True)
    failed = 0
    async for check in _checks():
        failed += not check.ok
        mark = "[green]ok  [/]" if check.ok else "[red]FAIL[/]"
        out.print(f"{mark} {check.name}: ", end="")
        out.print(check.text, markup=False)
    out.print("All is well." if not failed else f"{failed} of the checks failed.")
    return 1 if failed else 0


async def _checks() -> AsyncIterator[Check]:
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Check("settings", False, str(error))
        return
    unread = unknown_variables()
    if unread:
        yield Check("settings", False, f"nobody reads {', '.join(unread)}: correct or remove them")
    else:
        yield Check("settings", True, "valid")
    policy, check = _policies(settings)
    yield check
    yield _decision_keys(settings)
    async for check in _temporal():
        yield check
    if policy is not None:
        async for check in _dynamics(settings, policy):
            yield check
    yield await _web(settings)


def _policies(settings: Settings) -> tuple[Policy | None, Check]:
    try:
        policy = load_policy(settings)
    except PolicyError as error:
        return None, Check("policies", False, str(error))
    companies = ", ".join(sorted(set(policy.entity_map.business_units.values())))
    return policy, Check("policies", True, f"version {policy.version}, companies {companies}")


def _decision_keys(settings: Settings) -> Check:
    """Whether the worker would believe what the web application signs."""
    name = "decision keys"
    private_file, public_file = settings.decision.private_key_file, settings.decision.public_keys_file
    try:
        private = OKPKey.import_key(json.loads(private_file.read_text()))
        public = KeySet.import_key_set(json.loads(public_file.read_text()))
    except (OSError, ValueError, JoseError) as error:
        return Check(name, False, f"{error}: make a pair with `q2c keys`")
    if private.thumbprint() not in {key.thumbprint() for key in public.keys}:
        return Check(name, False, f"{public_file} does not hold the public part of {private_file}: add it")
    return Check(name, True, f"{len(public.keys)} public, the private one among them")


async def _temporal() -> AsyncIterator[Check]:
    try:
        client = await connect(start_telemetry("q2c-doctor", environment={}))
    except TemporalUnusable as error:
        yield Check("Temporal", False, str(error))
        return
    yield Check("Temporal", True, client.service_client.config.target_host)
    yield await _namespace(client)
    try:
        missing = await missing_attributes(client)
    except TemporalUnusable as error:
        yield Check("search attributes", False, str(error))
        return
    if missing:
        commands = "; ".join(register_command(name, kind, client.namespace) for name, kind in missing.items())
        yield Check("search attributes", False, f"missing {', '.join(missing)}. Run: {commands}")
    else:
        yield Check("search attributes", True, "all registered")


async def _namespace(client: Client) -> Check:
    try:
        answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        return Check("namespace", False, f"{client.namespace}: {error.message}. Create it or set TEMPORAL_NAMESPACE.")
    days = answer.config.workflow_execution_retention_ttl.ToTimedelta().days
    return Check("namespace", True, f"{client.namespace}, keeps closed runs {days} days")


async def _dynamics(settings: Settings, policy: Policy) -> AsyncIterator[Check]:
    try:
        dataverse, finance = composition.dataverse(settings), composition.finance(settings)
    except OSError as error:
        yield Check("certificates", False, f"{settings.ca_file}: {error}. Set Q2C_CA_FILE, or leave it empty.")
        return
    company = next(iter(policy.entity_map.business_units.values()))
    async with dataverse, finance:
        sign_in = await _answer("Entra ID", _token(settings), "check Q2C_ENTRA_*")
        yield sign_in
        if not sign_in.ok:
            yield Check("Dataverse and Finance", False, "not asked: without Entra ID there is no token")
            return
        user = await _answer(
            "Dataverse", _application_user(dataverse), "create an application user for Q2C_ENTRA_CLIENT_ID"
        )
        yield user
        for table, columns in OWN_COLUMNS.items() if user.ok else ():
            yield await _answer(
                f"Dataverse {table}", _columns(dataverse, table, columns), "add them as docs/tenant-set-up.md says"
            )
        access = await _answer(
            "Finance", _entity_sets(finance), "register the application in Finance (Microsoft Entra applications)"
        )
        yield access
        if access.ok:
            yield await _answer(
                "Finance posting", _posting_service(finance, company), "deploy the service of docs/posting-service.md"
            )


class Missing(Exception):
    """A system answers but lacks something; the text says what."""


async def _answer(name: str, check: Awaitable[str], remedy: str) -> Check:
    try:
        return Check(name, True, await check)
    except (DynamicsError, Missing) as error:
        return Check(name, False, f"{error}. To do: {remedy}.")


async def _token(settings: Settings) -> str:
    await ClientCredentials(composition.credentials(settings), settings.dataverse.url).token()
    return f"signed in as {settings.entra.client_id}"


async def _application_user(dataverse: Dataverse) -> str:
    return f"acts as systemuser {await dataverse.who_am_i()}"


async def _columns(dataverse: Dataverse, table: str, columns: tuple[str, ...]) -> str:
    missing = sorted(set(columns) - await dataverse.columns(table))
    if missing:
        raise Missing(f"columns missing: {', '.join(missing)}")
    return f"{len(columns)} own columns"


async def _entity_sets(finance: Finance) -> str:
    missing = sorted(ENTITY_SETS - await finance.entity_sets())
    if missing:
        raise Missing(f"entity sets missing: {', '.join(missing)}")
    return f"{len(ENTITY_SETS)} entity sets"


async def _posting_service(finance: Finance, company: str) -> str:
    """Ask it to confirm an order that cannot exist: a service that refuses is a service that is there."""
    try:
        await finance.post("confirm", {"DataAreaId": company, "SalesOrderId": "Q2C-DOCTOR"})
    except Refused as refusal:
        return f"answers ({refusal})"
    raise Missing("it confirmed an order that does not exist")


async def _web(settings: Settings) -> Check:
    """The web application's own readiness: it also says whether Entra ID knows its registration."""
    url = f"{settings.web.url}/health/ready"
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            answer = await http.get(url)
    except httpx.HTTPError as error:
        return Check(
            "web", False, f"{url} does not answer ({type(error).__name__}): start `q2c web`, or set Q2C_WEB_URL"
        )
    return Check("web", answer.is_success, f"{url} answers {answer.status_code}")
