"""A request for approval that says "approved" without what people signed approves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment

with workflow.unsafe.imports_passed_through():
    from domain.approval_start import ApprovalAnswer, ApprovalStart
    from domain.approvals import ApprovalState, ApprovalStatus, StepState, StepStatus
    from domain.causes import Cause
    from domain.messages import SignedMessage
    from runs import names
    from tests.workflows import conftest
    from tests.workflows.acting import until
    from tests.workflows.conftest import Stage, World, queues_of_its_own, step
    from tests.workflows.trusting import MONA
    from workflows.approval import Approval


@workflow.defn(name=names.APPROVAL)
class Forged:
    """Says what nobody signed."""

    @workflow.run
    async def run(self, start: ApprovalStart) -> ApprovalAnswer:
        now = datetime(2026, 11, 26, tzinfo=UTC)
        decided = {"status": StepStatus.APPROVED, "decided_by": MONA, "decided_at": now}
        steps = tuple(StepState(plan=plan).model_copy(update=decided) for plan in start.request.plan.steps)
        state = ApprovalState(request=start.request, status=ApprovalStatus.COMPLETED, steps=steps, ended_at=now)
        proof = SignedMessage(message_id="m", token=f"{MONA.oid}|decide|decision=approve;step=1;seen_hash=other")
        return ApprovalAnswer(state=state, proofs=(proof,))


@pytest.fixture
async def forged(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    genuine = conftest.SCRIPTED
    assert Approval in genuine
    monkeypatch.setattr(conftest, "SCRIPTED", tuple(Forged if each is Approval else each for each in genuine))
    queues_of_its_own(monkeypatch)
    stage = Stage(environment, world)
    await stage.start_work()
    yield stage
    await stage.stop_work()


async def test_an_answer_nobody_signed_parks_the_deal(forged: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await forged.submit()
    view = await until(forged, lambda view: view.parked is not None)
    assert view.parked is not None
    assert view.parked.cause == Cause.REQUEST_LOST
    assert "nobody who was asked signed step 1" in view.parked.message
    assert "approved" not in world.marks()
