"""Whether the answer of a request for approval rests on what people signed, and on nothing else.

A request is a workflow of its own. The deal believes its "approved" only where it has checked itself, step by step,
that a person who was asked signed it, for this request and this content (architecture: no decision without proof).
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.approvals import ApprovalRequest, ApprovalState, Decision, StepApproval, StepState, StepStatus
from domain.authority import subject_of
from domain.messages import VerifiedMessage
from domain.people import Person
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
    for step in answer.steps:
        if _is_covered(step):
            continue
        missing = step.plan.needed - len(_proofs_of(step, answer, asked, approvals))
        if missing > 0:
            number = step.plan.step
            several = f"of {step.plan.needed} people who must sign step {number}, {missing} did not"
            return several if step.plan.needed > 1 else f"nobody who was asked signed step {number}"
    return ""


def given(
    asked: ApprovalRequest, answer: ApprovalState, signed: Sequence[VerifiedMessage]
) -> tuple[GivenApproval, ...]:
    """The approvals of steps that an answer rests on, however the request ended; what is not proved is left out.

    The arguments are those of ``unproved``.
    """
    if answer.request != asked or [step.plan for step in answer.steps] != list(asked.plan.steps):
        return ()
    approvals = [said for said in signed if _approves(said, asked)]
    return tuple(
        GivenApproval(
            chain=step.plan.chain,
            level=step.plan.level,
            person=said.person.named,
            at=word.at,
            granted=said.granted,
            sign_in=said.sign_in,
            signed_at=said.signed_at,
        )
        for step in answer.steps
        if not _is_covered(step)
        for word, said in _proofs_of(step, answer, asked, approvals)
    )


def _is_covered(step: StepState) -> bool:
    """Approved by those who gave the earlier approval that the deal itself found to cover it."""
    covers = step.plan.covered_by
    if covers is None or step.status is not StepStatus.APPROVED or len(covers.people) < step.plan.needed:
        return False
    return [person.oid.lower() for person in step.approved_by] == [person.oid.lower() for person in covers.people]


def _approves(said: VerifiedMessage, asked: ApprovalRequest) -> bool:
    return (
        not said.refused
        and said.name == "decide"
        and said.args.get("decision") == Decision.APPROVE
        and said.args.get("seen_hash") == asked.snapshot_hash
    )


def _proofs_of(
    step: StepState, answer: ApprovalState, asked: ApprovalRequest, approvals: Sequence[VerifiedMessage]
) -> list[tuple[StepApproval, VerifiedMessage]]:
    """The approvals of a step for which its person's signature is there, one for each person.

    A proof is what a candidate signed who did not make the quote, after a sign-in that is good enough for it. An
    approval of a lower level of the chain covers a higher one.
    """
    if step.status is not StepStatus.APPROVED:
        return []
    covered = {
        str(other.plan.step): other.plan
        for other in answer.steps
        if other.plan.chain == step.plan.chain and other.plan.level <= step.plan.level
    }

    def proof_of(person: Person) -> VerifiedMessage | None:
        if asked.is_made_by(person) or not any(person.is_same(candidate) for candidate in step.plan.candidates):
            return None
        proving = (
            said
            for said in approvals
            if said.person.is_same(person)
            and (plan := covered.get(str(said.args.get("step")))) is not None
            and judge(said.granted, subject_of(asked), roles=plan.deciding_roles).allowed
            and not weak_sign_in(said.granted, subject_of(asked), sign_in=said.sign_in, said_at=said.signed_at)
        )
        return next(proving, None)

    words = {word.person.oid.lower(): word for word in step.decisions}
    found = ((word, proof_of(word.person)) for word in words.values())
    return [(word, said) for word, said in found if said is not None]
