"""Whether the answer of a request for approval rests on what people signed, and on nothing else.

A request is a workflow of its own. The deal believes its "approved" only where it has checked itself, step by step,
that a person who was asked signed it, for this request and this content (architecture: no decision without proof).
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.approvals import ApprovalRequest, ApprovalState, Decision, StepState, StepStatus
from domain.authority import subject_of
from domain.messages import VerifiedMessage
from domain.rights import judge, weak_sign_in


def unproved(asked: ApprovalRequest, answer: ApprovalState, signed: Sequence[VerifiedMessage]) -> str:
    """Why an answer that everybody agreed is not believed; empty where it is.

    Args:
        asked: the request as the deal made it.
        answer: how it ended.
        signed: the decisions it rests on, their proofs checked for this request.
    """
    if answer.request != asked:
        return "it is about another request"
    if [step.plan for step in answer.steps] != list(asked.plan.steps):
        return "it has other steps"
    approvals = [said for said in signed if _approves(said, asked)]
    missing = [step.plan.step for step in answer.steps if not _is_proved(step, answer, asked, approvals)]
    return f"nobody who was asked signed step {missing[0]}" if missing else ""


def _approves(said: VerifiedMessage, asked: ApprovalRequest) -> bool:
    return (
        not said.refused
        and said.name == "decide"
        and said.args.get("decision") == Decision.APPROVE
        and said.args.get("seen_hash") == asked.snapshot_hash
    )


def _is_proved(
    step: StepState, answer: ApprovalState, asked: ApprovalRequest, approvals: Sequence[VerifiedMessage]
) -> bool:
    """Signed by a candidate who did not ask for it, after a sign-in that is good enough for it.

    An approval of a lower level of the chain covers a higher one.
    """
    person = step.decided_by
    if step.status is not StepStatus.APPROVED or person is None:
        return False
    if not any(person.is_same(candidate) for candidate in step.plan.candidates):
        return False
    if asked.is_made_by(person):
        return False
    covered = {
        str(other.plan.step): other.plan
        for other in answer.steps
        if other.plan.chain == step.plan.chain and other.plan.level <= step.plan.level
    }
    return any(
        said.person.is_same(person)
        and (plan := covered.get(str(said.args.get("step")))) is not None
        and judge(said.granted, subject_of(asked), roles=plan.deciding_roles).allowed
        and not weak_sign_in(said.granted, subject_of(asked), sign_in=said.sign_in, said_at=said.signed_at)
        for said in approvals
    )
