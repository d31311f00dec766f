"""The checks of `q2c doctor`: each talks to the system it checks, as the product would.

A check that fails says what was found and what to do, and names the variable, the file or the registration to correct.
What cannot be checked because something before it failed says so instead of failing too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli import (
    bulk_checks,
    bus_checks,
    event_checks,
    notice_checks,
    reach,
    reading_checks,
    telemetry_checks,
    web_checks,
)
from cli.check import Check, failed, not_checked, ok
from domain.policy import Policy, PolicyError
from dynamics.core.auth import ClientCredentials
from dynamics.core.errors import DynamicsError, NotFound, Refused, Transient
from dynamics.finance.client import Finance
from dynamics.finance.queries import ENTITY_SETS
from dynamics.sales.client import Dataverse
from dynamics.sales.setup.environment import examine
from dynamics.sales.setup.findings import Finding
from dynamics.sales.setup.webhook import Receiver
from ledger.opening import Ledger, LedgerAway
from workers import composition, mode, sealing
from workers.audit_keys import DOWNLOADS, EXPORTS
from workers.keys import KeyFileUnusable, key_of, keys_of
from workers.rules import load_policy
from workers.settings import Settings, SettingsError, load_settings, unknown_variables, variable_name
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect, missing_attributes, register_command
from workers.vault import VaultKey

UNKNOWN_RESOURCE = frozenset(
    {"AADSTS50001", "AADSTS500011", "AADSTS500014", "AADSTS650057", "AADSTS70011", "AADSTS1002012", "invalid_resource"}
)
"""Entra ID knows the application but not the system a token is asked for: its URL is wrong, not the registration."""
ENTRA_REMEDIES: Mapping[str, str] = {
    "AADSTS700016": "correct Q2C_ENTRA_CLIENT_ID: the tenant has no such application.",
    "AADSTS7000215": "correct Q2C_ENTRA_CLIENT_SECRET: give the secret's value, not its id.",
    "AADSTS7000222": "make a new client secret and set Q2C_ENTRA_CLIENT_SECRET: this one has expired.",
    "AADSTS90002": "correct Q2C_ENTRA_TENANT.",
    "AADSTS900023": "correct Q2C_ENTRA_TENANT.",
}


class _Lacks(Exception):
    """A system answers but lacks something; the text says what."""


async def run_checks() -> AsyncIterator[Check]:
    """Run every check, one after the other."""
    try:
        settings, unknown = load_settings(), unknown_variables()
    except SettingsError as error:
        yield failed("settings", str(error))
        yield not_checked("everything else", "no system can be asked without settings")
        return
    if unknown:
        yield failed("settings", f"Unknown setting {', '.join(unknown)}.", "correct its name or remove it.")
    else:
        yield ok("settings", "valid")
    yield _mode(settings)
    policy, check = _policies(settings)
    yield check
    yield _decision_keys(settings)
    for where in (EXPORTS, DOWNLOADS):
        if getattr(settings.audit, where[1]):
            yield await asyncio.to_thread(_audit_key, settings, where)
    yield _codec_keys(settings)
    async for check in _temporal(settings):
        yield check
    async for check in _dynamics(settings, policy):
        yield check
    yield await _audit_store(settings)
    for part in (web_checks, bus_checks, reading_checks, notice_checks, bulk_checks):
        async for check in part.run(settings):
            yield check
    async for check in telemetry_checks.run():
        yield check


def _mode(settings: Settings) -> Check:
    """Whether what is given would be good enough for production, where it is one."""
    problems = mode.weaknesses(settings) if settings.mode == "production" else []
    return failed("mode", " ".join(problems)) if problems else ok("mode", settings.mode)


def _policies(settings: Settings) -> tuple[Policy | None, Check]:
    try:
        policy = load_policy(settings)
    except PolicyError as error:
        return None, failed("policies", str(error))
    companies = ", ".join(sorted(set(policy.entity_map.business_units.values())))
    shadow = ", ".join(policy.entity_map.shadow)
    said = f"version {policy.version}, companies {companies}" + (f"; in shadow mode: {shadow}" if shadow else "")
    return policy, ok("policies", said)


def _decision_keys(settings: Settings) -> Check:
    """Whether the worker would believe what the web application signs."""
    name = "decision keys"
    private_file, public_file = settings.decision.private_key_file, settings.decision.public_keys_file
    where: object = settings.decision.vault_key or private_file
    try:
        if settings.decision.vault_key:
            signs = VaultKey.read(settings).kid
        else:
            signs = key_of(private_file).thumbprint()
        public = keys_of(public_file)
    except SettingsError as error:
        return failed(name, str(error))
    except KeyFileUnusable as error:
        return failed(name, f"{error}.", "make a pair with `q2c keys`.")
    if signs not in {key.thumbprint() for key in public.keys}:
        return failed(name, f"{public_file} does not hold the public part of {where}.", "add it with `q2c keys`.")
    return ok(name, f"{len(public.keys)} public, the private one among them")


def _audit_key(settings: Settings, where: tuple[str, str]) -> Check:
    """Whether what a key in a vault signs would be believed by who verifies it."""
    name, public_file = f"audit key {variable_name(where)}", settings.audit.public_keys_file
    try:
        signs = VaultKey.read(settings, where).kid
        public = keys_of(public_file)
    except SettingsError as error:
        return failed(name, str(error))
    except KeyFileUnusable as error:
        return failed(name, f"{error}.", "make it with `q2c keys`.")
    if signs not in {key.kid for key in public.keys}:
        return failed(name, f"{public_file} does not hold its public part.", "add it with `q2c keys`.")
    return ok(name, f"{signs} is among the {len(public.keys)} public ones")


def _codec_keys(settings: Settings) -> Check:
    """Whether this process could seal and open what is in Temporal."""
    try:
        ring = sealing.codec_keys(settings.codec)
    except SettingsError as error:
        return failed("codec keys", str(error))
    return ok("codec keys", f"{len(ring.keys)} read, {ring.writes} writes")


async def _temporal(settings: Settings) -> AsyncIterator[Check]:
    try:
        client = await connect(start_telemetry("q2c-doctor", environment={}), settings.codec)
    except (SettingsError, TemporalUnusable) as error:
        yield failed("Temporal", str(error))
        yield not_checked("namespace, search attributes", "Temporal cannot be asked")
        return
    yield ok("Temporal", client.service_client.config.target_host)
    namespace = await _namespace(client)
    yield namespace
    if namespace.status != "ok":
        yield not_checked("search attributes", "they are the namespace's")
        return
    try:
        missing = await missing_attributes(client)
    except TemporalUnusable as error:
        yield failed("search attributes", str(error))
        return
    if missing:
        commands = "; ".join(register_command(name, kind, client.namespace) for name, kind in missing.items())
        yield failed("search attributes", f"Missing: {', '.join(missing)}.", f"run: {commands}")
    else:
        yield ok("search attributes", "all registered")


async def _namespace(client: Client) -> Check:
    try:
        answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        return failed("namespace", f"{client.namespace}: {error.message}.", "create it or set TEMPORAL_NAMESPACE.")
    days = answer.config.workflow_execution_retention_ttl.ToTimedelta().days
    return ok("namespace", f"{client.namespace}, keeps closed runs {days} days")


async def _dynamics(settings: Settings, policy: Policy | None) -> AsyncIterator[Check]:
    try:
        composition.authority_file(settings)
    except SettingsError as error:
        yield failed("certificates", str(error))
        yield not_checked("Entra ID, Dataverse, Finance", "their certificates cannot be verified")
        return
    signed_in, refusals = await _entra(settings)
    yield signed_in
    if signed_in.status != "ok" or policy is None:
        why = "without Entra ID there is no token" if policy else "the policies cannot be used"
        yield not_checked("Dataverse, Finance", why)
        return
    companies = sorted(set(policy.entity_map.business_units.values()))
    async with composition.dataverse(settings) as dataverse:
        async for check in _dataverse(settings, dataverse, policy, refusals["Dataverse"]):
            yield check
    async with composition.finance(settings) as finance:
        async for check in _finance(settings, finance, companies, refusals["Finance"]):
            yield check


async def _entra(settings: Settings) -> tuple[Check, dict[str, DynamicsError | None]]:
    """Sign in for both systems.

    Returns:
        The check of Entra ID itself, and by system why Entra ID does not know it; None: it gave a token.
    """
    problem = await reach.openid_configuration(settings.entra.authority, settings.ca_file)
    if problem:
        remedy = "correct Q2C_ENTRA_TENANT." if problem.answered else f"set Q2C_ENTRA_URL. {problem.hint}"
        return failed("Entra ID", problem.text, remedy.strip()), {}
    refusals: dict[str, DynamicsError | None] = {}
    for system, url in (("Dataverse", settings.dataverse.url), ("Finance", settings.finance.url)):
        try:
            await ClientCredentials(composition.credentials(settings), url).token()
            refusals[system] = None
        except DynamicsError as error:
            if error.code not in UNKNOWN_RESOURCE:
                remedy = ENTRA_REMEDIES.get(error.code, "check Q2C_ENTRA_TENANT, _CLIENT_ID and _CLIENT_SECRET.")
                return failed("Entra ID", said(error), remedy), {}
            refusals[system] = error
    return ok("Entra ID", f"signed in as {settings.entra.client_id}"), refusals


async def _dataverse(
    settings: Settings, dataverse: Dataverse, policy: Policy, refusal: DynamicsError | None
) -> AsyncIterator[Check]:
    name, variable = "Dataverse", "Q2C_DATAVERSE_URL"
    problem = await _unreachable(name, settings.dataverse.url, variable, settings, refusal)
    if problem:
        yield problem
        return
    remedy = "create an application user for Q2C_ENTRA_CLIENT_ID (docs/tenant-set-up.md, step 2)."
    user = await _answer(name, _application_user(dataverse), variable, remedy)
    yield user
    if user.status != "ok":
        return
    try:
        # Nothing is repaired here, so that no key is needed.
        async for finding in examine(dataverse.odata, settings.entra.client_id, Receiver(settings.web.url, "")):
            yield _part(finding)
    except DynamicsError as error:
        yield failed("Dataverse set-up", said(error), "try again later.")
    remedy = "correct business_units in entity_map.yaml, or create the business unit."
    units = _business_units(dataverse, tuple(policy.entity_map.business_units))
    yield await _answer("Dataverse business units", units, variable, remedy)


async def _finance(
    settings: Settings, finance: Finance, companies: Sequence[str], refusal: DynamicsError | None
) -> AsyncIterator[Check]:
    name, variable = "Finance", "Q2C_FINANCE_URL"
    problem = await _unreachable(name, settings.finance.url, variable, settings, refusal)
    if problem:
        yield problem
        return
    remedy = "register the application in Finance (docs/tenant-set-up.md, step 2)."
    access = await _answer(name, _entity_sets(finance), variable, remedy)
    yield access
    if access.status == "ok":
        remedy = "deploy the service of docs/posting-service.md."
        yield await _answer("Finance posting", _posting_service(finance, companies[0]), variable, remedy)
        yield await event_checks.active(finance, companies)


async def _unreachable(
    name: str, url: str, variable: str, settings: Settings, refusal: DynamicsError | None
) -> Check | None:
    """Why a system cannot even be asked, where its address is to blame."""
    problem = await reach.origin(url, settings.ca_file)
    if problem:
        return failed(name, problem.text, f"set {variable}. {problem.hint}".strip())
    if refusal:
        return failed(name, f"Entra ID knows no system {url}.", f"correct {variable}.")
    return None


async def _answer(name: str, check: Awaitable[str], variable: str, remedy: str) -> Check:
    try:
        return ok(name, await check)
    except NotFound as error:
        return failed(name, said(error), f"correct {variable}: is it the address of this system?")
    except Transient as error:
        return failed(name, said(error), "try again later: the system answers but cannot work now.")
    except (DynamicsError, _Lacks) as error:
        return failed(name, said(error), remedy)


def said(error: Exception) -> str:
    """What a system said, without the ids Entra ID adds for Microsoft's support."""
    return str(error).split(" Trace ID:")[0]


def _part(finding: Finding) -> Check:
    """One part of what `q2c setup dataverse` creates."""
    name = f"Dataverse {finding.part}"
    if not finding.problem:
        return ok(name, "as it should be")
    if finding.unknown:
        return not_checked(name, finding.problem)
    remedy = f"run `q2c setup dataverse`: it will {finding.doing}." if finding.repair else finding.remedy
    return failed(name, f"{finding.problem}.", remedy)


async def _business_units(dataverse: Dataverse, mapped: Sequence[str]) -> str:
    """Whether every business unit the rules name is there, by its name or its id."""
    units = await dataverse.business_units()
    known = {text.casefold() for unit, name in units.items() for text in (str(unit), name)}
    missing = [name for name in mapped if name.strip().casefold() not in known]
    if missing:
        raise _Lacks(f"Business units missing: {', '.join(missing)}.")
    return f"{len(mapped)} of entity_map.yaml are there"


async def _application_user(dataverse: Dataverse) -> str:
    return f"acts as systemuser {await dataverse.who_am_i()}"


async def _entity_sets(finance: Finance) -> str:
    missing = sorted(ENTITY_SETS - await finance.entity_sets())
    if missing:
        raise _Lacks(f"Entity sets missing: {', '.join(missing)}.")
    return f"{len(ENTITY_SETS)} entity sets"


async def _posting_service(finance: Finance, company: str) -> str:
    """Ask it to confirm an order that cannot exist: a service that refuses is a service that is there."""
    try:
        await finance.post("confirm", {"DataAreaId": company, "SalesOrderId": "Q2C-DOCTOR"})
    except Refused as refusal:
        return f"answers ({refusal})"
    raise _Lacks("It confirmed an order that does not exist.")


async def _audit_store(settings: Settings) -> Check:
    """Whether the ledger's database answers and its tables are up to date."""
    ledger = Ledger(settings.ledger.url.get_secret_value())
    try:
        companies = await ledger.companies()
    except LedgerAway as error:
        return failed("audit store", str(error), "correct Q2C_LEDGER_URL, or run `q2c ledger migrate`.")
    finally:
        await ledger.close()
    return ok("audit store", f"records of {', '.join(companies)}" if companies else "empty")
