"""A web application of the real code, before the sandbox's Entra ID and stand-in workflows on a real server."""

from __future__ import annotations

import asyncio
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.bulk import BulkWork
from activities.signatures import AuditActivities, DecisionActivities, Proofs, Verified
from domain.approvals import ApprovalRequest
from domain.audit import AuditBatch, AuditReceipt
from domain.views import DealView, TimelineEntry
from runs import attributes, names, query
from runs.attributes import Attribute
from runs.deals import Deals
from runs.labels import LABELS, DealLabels
from sandbox import tls
from sandbox.entra.app import EntraId
from sandbox.entra.directory import TENANT_ID, WEB_CLIENT_ID, Application, Directory
from sandbox.entra.directory import Person as User
from sandbox.entra.routes import build_app
from sandbox.entra.tokens import TokenAuthority
from sandbox.serving import HttpServer
from tests.deadlines import PATIENCE
from tests.rights import POLICY
from tests.sealing import SEALING
from tests.webworld.claims import verified
from tests.webworld.standins import WORKFLOWS, Scene, SceneStart
from web.app import create_app
from web.config import WebConfig
from workers.keys import ensure_decision_keys
from workflows.audit import AuditDelivery
from workflows.bulk import BulkRun
from workflows.parallel import ParallelRun

WEBHOOK_KEY = "webhook-key-of-the-test"
EVENTS_SECRET = "events-secret-of-the-test"
OLD_WEBHOOK_KEY, OLD_EVENTS_SECRET = "webhook-key-before", "events-secret-before"
CLIENT_SECRET = "web-secret-of-the-test"
USERS = (
    User("rita", "Rita Reyes", ("sales_rep.usmf",)),
    User("mona", "Mona Meyer", ("sales_manager.usmf",)),
    User("dirk", "Dirk Dorn", ("sales_director.usmf",)),
    User("dina", "Dina Diaz", ("sales_director.usmf",)),
    User("ada", "Ada Abel", ("admin",)),
    User("carl", "Carl Cole", ("credit_manager.usmf",)),
    User("ines", "Ines Iqbal", ("ar_manager.usmf",)),
    User("amy", "Amy Ames", ("ar_manager.usmf",)),
    User("otto", "Otto Olsen", ("ops",)),
    User("cleo", "Cleo Crane", ("cfo.usmf",)),
    User("greta", "Greta Gross", ("sales_manager.demf",)),
    User("nemo", "Nemo Nobody", ()),
    User("audra", "Audra Ames", ("auditor",)),
    User("aldo", "Aldo Abt", ("auditor.demf",)),
    User("cleo", "Cleo Cruz", ("cfo.usmf", "cfo.demf")),
)


class Tenant:
    """The sandbox's Entra ID, and tokens from it without asking."""

    def __init__(self, server: HttpServer, authority: TokenAuthority, directory: Directory, ca_file: Path) -> None:
        self.url = f"{server.origin}/{TENANT_ID}"
        self.authority = authority
        self.directory = directory
        self.ca_file = ca_file

    def token(self, name: str, /, **claims: object) -> str:
        user = self.directory.people[name]
        content: dict[str, Any] = {
            "name": user.display_name,
            "preferred_username": user.upn,
            "roles": list(user.roles),
            "scp": "access_as_user",
            "auth_time": int(time.time()),
        }
        return self.authority.issue(
            WEB_CLIENT_ID, app_id=WEB_CLIENT_ID, object_id=user.oid, version="2.0", claims={**content, **claims}
        )

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(name)}"}


@pytest.fixture(scope="session")
async def tenant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenant]:
    files = tls.prepare(tmp_path_factory.mktemp("entra"), "127.0.0.1")
    server = HttpServer("entra", "127.0.0.1", 0, files)
    authority = TokenAuthority(server.origin, TENANT_ID)
    directory = Directory()
    directory.replace_people(USERS)
    directory.applications = {WEB_CLIENT_ID: Application(WEB_CLIENT_ID, "Approvals", CLIENT_SECRET)}
    await server.start(build_app(EntraId(authority, directory, ())))
    yield Tenant(server, authority, directory, files.ca_file)
    await server.stop()


async def dev_server() -> WorkflowEnvironment:
    """A development server of Temporal with the product's search attributes."""
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        search_attributes=[attribute.key for attribute in attributes.ATTRIBUTES],
        plugins=[SEALING],
        dev_server_log_level="never",
    )


class _Believing(DecisionActivities):
    """Believes what a message says, as the stand-ins do; the real proof is tested with real keys."""

    @activity.defn(name="verify_messages")
    async def verify_messages(self, proofs: Proofs) -> Verified:
        now = datetime.now(UTC)
        return Verified(said=tuple(verified(message, proofs.company, now) for message in proofs.messages))


class _Audit(AuditActivities):
    """Takes what runs of the product's own hand over; nothing is kept here."""

    @activity.defn(name="record_audit")
    async def record_audit(self, batch: AuditBatch) -> AuditReceipt:
        return AuditReceipt(through=batch.records[-1].n, stored=len(batch.records))


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A server with stand-ins for deals and the like, and the product's own bulk runs over them."""
    async with await dev_server() as environment:
        bulk = BulkWork(Deals(environment.client))
        worker = Worker(
            environment.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[*WORKFLOWS, BulkRun, AuditDelivery, ParallelRun],
            activities=[
                _Believing().verify_messages,
                _Audit().record_audit,
                bulk.check_deals,
                bulk.tell_deals,
                bulk.look_at_deals,
            ],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            yield environment.client


@pytest.fixture(scope="session")
def config(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> WebConfig:
    keys = tmp_path_factory.mktemp("keys")
    ensure_decision_keys(keys / "private.json", keys / "public.json")
    return WebConfig(
        public_url="http://localhost:8000",
        entra_authority=tenant.url,
        ca_file=tenant.ca_file,
        client_id=WEB_CLIENT_ID,
        client_secret=CLIENT_SECRET,
        session_secret="session-secret-of-the-test",
        dataverse_webhook_keys=(WEBHOOK_KEY, OLD_WEBHOOK_KEY),
        finance_events_secrets=(EVENTS_SECRET, OLD_EVENTS_SECRET),
        decision_private_key_file=keys / "private.json",
        temporal_ui="http://localhost:8233",
        policy=POLICY,
    )


@pytest.fixture(scope="session")
def app(config: WebConfig, temporal: Client) -> Starlette:
    return create_app(config, temporal)


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        yield client


class Stage:
    """Puts stand-in deals and requests on stage and waits until the lists show them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def deal(self, view: DealView, timeline: tuple[TimelineEntry, ...] = ()) -> WorkflowHandle[Any, Any]:
        values: dict[Attribute[Any], Any] = {
            attributes.STAGE: view.stage.value,
            attributes.WAITING_FOR: view.explanation.waiting_for.value,
            attributes.COMPANY: view.company,
            attributes.CUSTOMER: view.customer_account,
            attributes.QUOTE: view.quote_number,
            attributes.QUOTE_ID: view.quote_id or None,
            attributes.ORDER: view.order_number or None,
            attributes.ERROR: view.parked.cause if view.parked else None,
            attributes.DEADLINE: view.explanation.deadline,
            attributes.AMOUNT: view.total,
            attributes.CURRENCY: view.currency or None,
            attributes.PEOPLE: sorted({person.oid for person in (view.owner, view.submitted_by) if person}),
        }
        scene = Scene(view=view, timeline=timeline)
        handle = await self.client.start_workflow(
            names.QUOTE_TO_CASH,
            SceneStart(
                company=view.company,
                quote_number=view.quote_number,
                quote_id=view.quote_id,
                revision=view.revision,
                scene=scene,
            ),
            id=names.deal_id(view.company, view.quote_number),
            memo={LABELS: DealLabels.of(view.name, view.customer_name, view.owner.name, view.customer_reference)},
            task_queue=names.DEAL_QUEUE,
            search_attributes=attributes.typed({a: value for a, value in values.items() if value is not None}),
        )
        await until(lambda: self._listed(query.equals(attributes.QUOTE, view.quote_number)))
        return handle

    async def approval(self, request: ApprovalRequest) -> WorkflowHandle[Any, Any]:
        workflow_id = names.approval_id(request.company, request.quote_number, request.n)
        handle = await self.client.start_workflow(names.APPROVAL, request, id=workflow_id, task_queue=names.DEAL_QUEUE)
        await until(lambda: self._listed(f"WorkflowId = '{workflow_id}' AND {attributes.APPROVERS.name} IS NOT NULL"))
        return handle

    async def _listed(self, query: str) -> bool:
        return (await self.client.count_workflows(query)).count > 0


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so; fail where it is not in time."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def stage(temporal: Client) -> Stage:
    return Stage(temporal)
