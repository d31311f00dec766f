"""A flood of junk harms none of the runs that people speak to, whoever sends it: as ``test_junk`` for the others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import policies
from bench import junk
from domain.after_end_start import AfterEndStart
from domain.collections import CollectionsStart, InvoicesShown, ShownInvoice
from domain.credit_review_said import CreditReviewStart
from domain.delegation_start import DelegationsStart
from domain.entities.history_run import HistoryStart, HistoryView
from domain.entities.initial_run import InitialRunStart, InitialRunView
from domain.entities.parallel_run import ParallelStart, ParallelState
from domain.entities.sync_run import SyncStart, SyncView
from domain.messages import CustomerChanged, SignedMessage
from domain.unclaimed import Unclaimed
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.conftest import World, dev_server, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit, ScriptedNotices
from tests.workflows.test_collections import PLAN
from tests.workflows.test_lasting_runs import Doubtful
from tests.workflows.trusting import OTTO
from workers.worker import workflow_runner
from workflows.after_end import AfterEnd
from workflows.audit import AuditDelivery
from workflows.collections import Collections
from workflows.credit_review import CreditReview
from workflows.delegations import CompanyDelegations
from workflows.history import History
from workflows.initial_run import RunInitialSync
from workflows.parallel import ParallelRun
from workflows.sync import Sync

PIECES = 500
NOW = datetime.now(UTC)
Made = Callable[[int], Any]

pytestmark = [
    pytest.mark.parametrize("sender", ["insider", "stranger"]),
    pytest.mark.timeout(300),
]


class Kind(NamedTuple):
    """A kind of run, how it begins, and what an insider says to it beside unsigned messages and nonsense."""

    workflow: type
    name: str
    start: Any
    words: tuple[tuple[str, Made], ...] = ()


def _invoice(n: int) -> InvoicesShown:
    """One of the customer's, of another customer's, or in a currency that is none."""
    invoice = ShownInvoice(
        number=f"I-{n}", due_on=NOW.date(), currency=("USD", "???")[n % 2], total=Decimal(n), open_amount=Decimal(n)
    )
    account = ("C-1", "C-2")[n % 3 == 0]
    return InvoicesShown(company="usmf", account=account, quote_number=f"Q-{n}", invoices=(invoice,), as_of=NOW)


def _report(n: int) -> Unclaimed:
    return Unclaimed(
        id=f"r-{n % 50}", company="usmf", what="w", reference=f"O-{n}", reason="x" * 1_000, help="h", code="X"
    )


RULES = policies.parallel().model_copy(update={"tolerated": {}})
KINDS: Sequence[Kind] = (
    Kind(
        Collections,
        names.COLLECTIONS,
        CollectionsStart(company="usmf", account="C-1", plan=PLAN),
        (
            (names.INVOICES_SHOWN, _invoice),
            (names.CUSTOMER_CHANGED, lambda n: CustomerChanged(event_id=f"e-{n}", reason="junk")),
        ),
    ),
    Kind(AfterEnd, names.AFTER_END, AfterEndStart(company="usmf"), ((names.REPORT_UNCLAIMED, _report),)),
    Kind(CompanyDelegations, names.DELEGATIONS, DelegationsStart(company="usmf")),
    Kind(CreditReview, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC")),
    Kind(
        ParallelRun,
        names.PARALLEL,
        ParallelStart(
            company="usmf",
            state=ParallelState(company="usmf", began_at=NOW, rules=RULES),
            next_at=NOW + timedelta(days=1),
        ),
    ),
    Kind(
        Sync,
        names.SYNC,
        SyncStart(entity="customer", company="usmf", view=SyncView(entity="customer", company="usmf", running=False)),
    ),
    Kind(
        History,
        names.HISTORY,
        HistoryStart(company="usmf", view=HistoryView(kind="invoice", company="usmf", running=False)),
    ),
    Kind(
        RunInitialSync,
        names.INITIAL_RUN,
        InitialRunStart(
            entity="customer",
            company="usmf",
            view=InitialRunView(entity="customer", company="usmf", status="paused"),
        ),
    ),
)


@pytest.fixture(scope="module")
async def narrow() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose limits are a twentieth of Temporal's."""
    async with dev_server(**{name: str(limit) for name, limit in junk.share(PIECES).items()}) as server:
        yield server


def _unsigned(n: int) -> SignedMessage:
    return SignedMessage(message_id=f"junk-{n}", token="no token" * 40)


def _nonsense(n: int) -> dict[str, Any]:
    return {"event_id": f"e-{n}", "message_id": "", "status": "completed", "padding": "x" * 200}


async def _heard(run: WorkflowHandle[Any, Any]) -> None:
    """A person's word, said again until the run has room for it, is judged by what the person may."""
    message = SignedMessage(message_id=uuid.uuid4().hex, token=f"{OTTO.oid}|none_of_its_words|reason=true")
    async with asyncio.timeout(PATIENCE):
        while True:
            await junk._until_taken(lambda: run.signal(names.COMMAND, message))
            for _ in range(20):
                became, _ = await junk._until_taken(lambda: run.query(names.OUTCOME, message.message_id))
                if became:
                    assert became["code"] == "UNKNOWN_COMMAND", became
                    return
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_run_that_people_speak_to(
    narrow: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch, kind: Kind, sender: str
) -> None:
    queues_of_its_own(monkeypatch)
    sure = Doubtful(0)
    worker = Worker(
        narrow.client,
        task_queue=names.DEAL_QUEUE,
        workflows=[kind.workflow, AuditDelivery],
        activities=[
            sure.verify_messages,
            sure.read_approvers,
            ScriptedAudit(world).record_audit,
            ScriptedNotices(world).tell_people,
        ],
        workflow_runner=workflow_runner(),
    )
    async with worker:
        run = await narrow.client.start_workflow(
            kind.name, kind.start, id=f"{kind.name}/{uuid.uuid4().hex[:8]}", task_queue=names.DEAL_QUEUE
        )
        words = ((names.COMMAND, _unsigned), *kind.words, (names.COMMAND, _nonsense), ("invented", _nonsense))
        target = junk.Target(run, words, lambda: _heard(run), None)  # type: ignore[arg-type]  # its worker stays
        found = await junk.flood(narrow.client, target, sender, PIECES)
        assert found.problems == [], found
        await run.terminate()
    await replays(narrow.client, (kind.name,))
