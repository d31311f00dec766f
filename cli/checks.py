"""The checks of `q2c doctor`: each talks to the system it checks, as the product would.

A check that fails says what was found and what to do, and names the variable, the file or the registration to correct.
What cannot be checked because something before it failed says so instead of failing too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Literal

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli import reach
from domain.policy import Policy, PolicyError
from dynamics.core.auth import ClientCredentials
from dynamics.core.errors import DynamicsError, NotFound, Refused, Transient
from dynamics.finance.client import Finance
from dynamics.finance.queries import ENTITY_SETS
from dynamics.sales.client import Dataverse
from ledger.opening import Ledger, LedgerAway
from workers import composition, mode, sealing
from workers.rules import load_policy
from workers.settings import Settings, SettingsError, load_settings, unknown_variables
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect, missing_attributes, register_command

OWN_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "quote": ("q2c_approvalstatus", "q2c_approvalreason", "q2c_caseid", "q2c_creditstatus", "q2c_customerreference"),
    "salesorder": ("q2c_financeordernumber",),
    "invoice": ("q2c_financeinvoicenumber",),
    "q2c_deal": (
        "q2c_name",
        "q2c_caseid",
        "q2c_stage",
        "q2c_creditstatus",
        "q2c_fulfilmentstatus",
        "q2c_paymentstatus",
        "q2c_openamount",
        "q2c_waitingfor",
        "q2c_waitingsince",
        "q2c_link",
        "q2c_quoteid",
        "q2c_salesorderid",
        "q2c_invoiceid",
    ),
}
"""The product's own columns in Dataverse, by logical name of their table."""
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


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes:
        name: what was checked.
        status: how it went.
        text: what was found.
        remedy: what to do, where it failed.
    """

    name: str
    status: Literal["ok", "failed", "not checked"]
    text: str
    remedy: str = ""


class _Lacks(Exception):
    """A system answers but lacks something; the text says what."""


def _ok(name: str, text: str) -> Check:
    return Check(name, "ok", text)


def _failed(name: str, text: str, remedy: str = "") -> Check:
    return Check(name, "failed", text, remedy)


async def run_checks() -> AsyncIterator[Check]:
    """Run every check, one after the other."""
    try:
        settings, unknown = load_settings(), unknown_variables()
    except SettingsError as error:
        yield _failed("settings", str(error))
        yield Check("everything else", "not checked", "no system can be asked without settings")
        return
    if unknown:
        yield _failed("settings", f"Unknown setting {', '.join(unknown)}.", "correct its name or remove it.")
    else:
        yield _ok("settings", "valid")
    yield _mode(settings)
    policy, check = _policies(settings)
    yield check
    yield _decision_keys(settings)
    yield _codec_keys(settings)
    async for check in _temporal(settings):
        yield check
    async for check in _dynamics(settings, policy):
        yield check
    yield await _audit_store(settings)
    yield await _web(settings)


def _mode(settings: Settings) -> Check:
    """Whether what is given would be good enough for production, where it is one."""
    problems = mode.weaknesses(settings) if settings.mode == "production" else []
    return _failed("mode", " ".join(problems)) if problems else _ok("mode", settings.mode)


def _policies(settings: Settings) -> tuple[Policy | None, Check]:
    try:
        policy = load_policy(settings)
    except PolicyError as error:
        return None, _failed("policies", str(error))
    companies = ", ".join(sorted(set(policy.entity_map.business_units.values())))
    return policy, _ok("policies", f"version {policy.version}, companies {companies}")


def _decision_keys(settings: Settings) -> Check:
    """Whether the worker would believe what the web application signs."""
    name = "decision keys"
    private_file, public_file = settings.decision.private_key_file, settings.decision.public_keys_file
    try:
        private = OKPKey.import_key(json.loads(private_file.read_text()))
        public = KeySet.import_key_set(json.loads(public_file.read_text()))
    except OSError as error:
        return _failed(name, f"{error.filename}: {error.strerror}.", "make a pair with `q2c keys`.")
    except (ValueError, JoseError) as error:
        remedy = f"{private_file} must hold a JSON Web Key and {public_file} a key set: make a pair with `q2c keys`."
        return _failed(name, f"{error}.", remedy)
    if private.thumbprint() not in {key.thumbprint() for key in public.keys}:
        return _failed(name, f"{public_file} does not hold the public part of {private_file}.", "add it.")
    return _ok(name, f"{len(public.keys)} public, the private one among them")


def _codec_keys(settings: Settings) -> Check:
    """Whether this process could seal and open what is in Temporal."""
    try:
        ring = sealing.codec_keys(settings.codec)
    except SettingsError as error:
        return _failed("codec keys", str(error))
    return _ok("codec keys", f"{len(ring.keys)} read, {ring.writes} writes")


async def _temporal(settings: Settings) -> AsyncIterator[Check]:
    try:
        client = await connect(start_telemetry("q2c-doctor", environment={}), settings.codec)
    except (SettingsError, TemporalUnusable) as error:
        yield _failed("Temporal", str(error))
        yield Check("namespace, search attributes", "not checked", "Temporal cannot be asked")
        return
    yield _ok("Temporal", client.service_client.config.target_host)
    namespace = await _namespace(client)
    yield namespace
    if namespace.status != "ok":
        yield Check("search attributes", "not checked", "they are the namespace's")
        return
    try:
        missing = await missing_attributes(client)
    except TemporalUnusable as error:
        yield _failed("search attributes", str(error))
        return
    if missing:
        commands = "; ".join(register_command(name, kind, client.namespace) for name, kind in missing.items())
        yield _failed("search attributes", f"Missing: {', '.join(missing)}.", f"run: {commands}")
    else:
        yield _ok("search attributes", "all registered")


async def _namespace(client: Client) -> Check:
    try:
        answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        return _failed("namespace", f"{client.namespace}: {error.message}.", "create it or set TEMPORAL_NAMESPACE.")
    days = answer.config.workflow_execution_retention_ttl.ToTimedelta().days
    return _ok("namespace", f"{client.namespace}, keeps closed runs {days} days")


async def _dynamics(settings: Settings, policy: Policy | None) -> AsyncIterator[Check]:
    try:
        composition.authority_file(settings)
    except SettingsError as error:
        yield _failed("certificates", str(error))
        yield Check("Entra ID, Dataverse, Finance", "not checked", "their certificates cannot be verified")
        return
    signed_in, refusals = await _entra(settings)
    yield signed_in
    if signed_in.status != "ok" or policy is None:
        why = "without Entra ID there is no token" if policy else "the policies cannot be used"
        yield Check("Dataverse, Finance", "not checked", why)
        return
    company = next(iter(policy.entity_map.business_units.values()))
    async with composition.dataverse(settings) as dataverse:
        async for check in _dataverse(settings, dataverse, refusals["Dataverse"]):
            yield check
    async with composition.finance(settings) as finance:
        async for check in _finance(settings, finance, company, refusals["Finance"]):
            yield check


async def _entra(settings: Settings) -> tuple[Check, dict[str, DynamicsError | None]]:
    """Sign in for both systems.

    Returns:
        The check of Entra ID itself, and by system why Entra ID does not know it; None: it gave a token.
    """
    problem = await reach.openid_configuration(settings.entra.authority, settings.ca_file)
    if problem:
        remedy = "correct Q2C_ENTRA_TENANT." if problem.answered else f"set Q2C_ENTRA_URL. {problem.hint}"
        return _failed("Entra ID", problem.text, remedy.strip()), {}
    refusals: dict[str, DynamicsError | None] = {}
    for system, url in (("Dataverse", settings.dataverse.url), ("Finance", settings.finance.url)):
        try:
            await ClientCredentials(composition.credentials(settings), url).token()
            refusals[system] = None
        except DynamicsError as error:
            if error.code not in UNKNOWN_RESOURCE:
                remedy = ENTRA_REMEDIES.get(error.code, "check Q2C_ENTRA_TENANT, _CLIENT_ID and _CLIENT_SECRET.")
                return _failed("Entra ID", _said(error), remedy), {}
            refusals[system] = error
    return _ok("Entra ID", f"signed in as {settings.entra.client_id}"), refusals


async def _dataverse(settings: Settings, dataverse: Dataverse, refusal: DynamicsError | None) -> AsyncIterator[Check]:
    name, variable = "Dataverse", "Q2C_DATAVERSE_URL"
    problem = await _unreachable(name, settings.dataverse.url, variable, settings, refusal)
    if problem:
        yield problem
        return
    remedy = "create an application user for Q2C_ENTRA_CLIENT_ID (docs/tenant-set-up.md, step 2)."
    user = await _answer(name, _application_user(dataverse), variable, remedy)
    yield user
    if user.status == "ok":
        for table, columns in OWN_COLUMNS.items():
            remedy = "add them (docs/tenant-set-up.md, step 3)."
            yield await _answer(f"Dataverse {table}", _columns(dataverse, table, columns), variable, remedy)


async def _finance(
    settings: Settings, finance: Finance, company: str, refusal: DynamicsError | None
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
        yield await _answer("Finance posting", _posting_service(finance, company), variable, remedy)


async def _unreachable(
    name: str, url: str, variable: str, settings: Settings, refusal: DynamicsError | None
) -> Check | None:
    """Why a system cannot even be asked, where its address is to blame."""
    problem = await reach.origin(url, settings.ca_file)
    if problem:
        return _failed(name, problem.text, f"set {variable}. {problem.hint}".strip())
    if refusal:
        return _failed(name, f"Entra ID knows no system {url}: {_said(refusal)}", f"correct {variable}.")
    return None


async def _answer(name: str, check: Awaitable[str], variable: str, remedy: str) -> Check:
    try:
        return _ok(name, await check)
    except NotFound as error:
        return _failed(name, _said(error), f"correct {variable}: is it the address of this system?")
    except Transient as error:
        return _failed(name, _said(error), "try again later: the system answers but cannot work now.")
    except (DynamicsError, _Lacks) as error:
        return _failed(name, _said(error), remedy)


def _said(error: Exception) -> str:
    """What a system said, without the ids Entra ID adds for Microsoft's support."""
    return str(error).split(" Trace ID:")[0]


async def _application_user(dataverse: Dataverse) -> str:
    return f"acts as systemuser {await dataverse.who_am_i()}"


async def _columns(dataverse: Dataverse, table: str, columns: tuple[str, ...]) -> str:
    missing = sorted(set(columns) - await dataverse.columns(table))
    if missing:
        raise _Lacks(f"Columns missing: {', '.join(missing)}.")
    return f"{len(columns)} own columns"


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
        return _failed("audit store", str(error), "correct Q2C_LEDGER_URL, or run `q2c ledger migrate`.")
    finally:
        await ledger.close()
    return _ok("audit store", f"records of {', '.join(companies)}" if companies else "empty")


async def _web(settings: Settings) -> Check:
    """The web application's own readiness: it also says whether Entra ID knows its registration."""
    url = f"{settings.web.url}/health/ready"
    answer = await reach.ready(url)
    if isinstance(answer, reach.Problem):
        return _failed("web", answer.text, "start `q2c web`, or set Q2C_WEB_URL.")
    if not answer.is_success:
        return _failed("web", f"{url} answers {answer.status_code}: {answer.text[:200]}", "see the log of `q2c web`.")
    return _ok("web", f"{url} answers {answer.status_code}")
