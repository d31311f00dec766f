"""Whether the answer of a request for approval rests on what people signed, and on nothing else.

A request is a workflow of its own. The deal believes its "approved" only where it has checked itself, step by step,
that a person who was asked signed it, for this request and this content (architecture: no decision without proof).
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.approvals import ApprovalRequest, ApprovalState, Decision, StepState, StepStatus
from domain.authority import subject_of
from domain.messages import VerifiedMessage
from domain.reapproval import GivenApproval
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
    missing = [
        step.plan.step
        for step in answer.steps
        if not (_is_covered(step) or _proof_of(step, answer, asked, approvals) is not None)
    ]
    return f"nobody who was asked signed step {missing[0]}" if missing else ""


def given(
    asked: ApprovalRequest, answer: ApprovalState, signed: Sequence[VerifiedMessage]
) -> tuple[GivenApproval, ...]:
    """The approvals of steps that an answer rests on, however the request ended; what is not proved is left out.

    The arguments are those of ``unproved``.
    """
    if answer.request != asked or [step.plan for step in answer.steps] != list(asked.plan.steps):
        return ()
    approvals = [said for said in signed if _approves(said, asked)]
    proofs = [(step, _proof_of(step, answer, asked, approvals)) for step in answer.steps if not _is_covered(step)]
    return tuple(
        GivenApproval(
            chain=step.plan.chain,
            level=step.plan.level,
            person=said.person.named,
            at=step.decided_at or said.signed_at,
            granted=said.granted,
            sign_in=said.sign_in,
            signed_at=said.signed_at,
        )
        for step, said in proofs
        if said is not None and said.signed_at is not None
    )


def _is_covered(step: StepState) -> bool:
    """Approved by who gave the earlier approval that the deal itself found to cover it."""
    covers, person = step.plan.covered_by, step.decided_by
    if covers is None or person is None:
        return False
    return step.status is StepStatus.APPROVED and covers.person.is_same(person)


def _approves(said: VerifiedMessage, asked: ApprovalRequest) -> bool:
    return (
        not said.refused
        and said.name == "decide"
        and said.args.get("decision") == Decision.APPROVE
        and said.args.get("seen_hash") == asked.snapshot_hash
    )


def _proof_of(
    step: StepState, answer: ApprovalState, asked: ApprovalRequest, approvals: Sequence[VerifiedMessage]
) -> VerifiedMessage | None:
    """What a candidate who did not ask for it signed, after a sign-in that is good enough for it; None: nothing.

    An approval of a lower level of the chain covers a higher one.
    """
    person = step.decided_by
    if step.status is not StepStatus.APPROVED or person is None:
        return None
    if not any(person.is_same(candidate) for candidate in step.plan.candidates):
        return None
    if asked.is_made_by(person):
        return None
    covered = {
        str(other.plan.step): other.plan
        for other in answer.steps
        if other.plan.chain == step.plan.chain and other.plan.level <= step.plan.level
    }
    proving = (
        said
        for said in approvals
        if said.person.is_same(person)
        and (plan := covered.get(str(said.args.get("step")))) is not None
        and judge(said.granted, subject_of(asked), roles=plan.deciding_roles).allowed
        and not weak_sign_in(said.granted, subject_of(asked), sign_in=said.sign_in, said_at=said.signed_at)
    )
    return next(proving, None)
