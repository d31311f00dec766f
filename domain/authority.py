"""Who may decide a step, and whether a decision counts.

Authority comes from two sides that must agree: the policy names who is asked, and the table of rights says what the
roles of the person's token allow now. Nobody decides their own request or one they co-own, whatever roles they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from domain.approvals import ApprovalRequest, ApprovalState, StepState, StepStatus
from domain.people import Person
from domain.policy import Policy
from domain.record import Record
from domain.refusals import LATE, Refusal
from domain.rights import Granted, Subject, judge


class NoApprover(LookupError):
    """Nobody in the company may decide a step; the text says which role to fill."""


class Assignment(Record):
    """Who is asked to decide a step, or whose earlier approval covers it."""

    assignees: tuple[Person, ...] = ()
    covered_by: Person | None = Field(None, description="Not None: nobody is asked, this person's approval counts")


def candidates(
    company: str, chain: str, level: int, *, requester: Person, co_owner: Person | None, policy: Policy
) -> tuple[Person, ...]:
    """Who may decide a level of a chain in a company, in the order they are asked.

    Holders of the level's role come first, then those of the higher roles of the chain, each person once, without the
    requester and a co-owner.

    Raises:
        NoApprover: nobody is left.
    """
    roles = policy.discount.ladder(chain)[level - 1 :]
    excluded = {_same(requester), *(() if co_owner is None else (_same(co_owner),))}
    found: dict[str, Person] = {}
    for role in roles:
        for person in policy.authority.holders(company, role):
            if _same(person) not in excluded:
                found.setdefault(_same(person), person)
    if not found:
        raise NoApprover(
            f"No eligible approver for level {level} of chain {chain!r} in {company} for {requester.label}: "
            f"add a holder of {' or '.join(roles)} to approvers.yaml"
        )
    return tuple(found.values())


class Check(NamedTuple):
    """Why a decision does not count, as a code and in words; no code where it does, and the role it counts by."""

    code: Refusal | None = None
    detail: str = ""
    role: str = ""


def check_decision(
    step: StepState, actor: Person, granted: Granted, decided: ApprovalState, seen_hash: str, comment: str
) -> Check:
    """Whether a decision counts (lifecycle: events and messages).

    The order matters: who may never decide learns nothing of the state, and a late decision learns that it is late
    before anything else about it is judged.

    Args:
        step: The step decided on.
        actor: Who decides.
        granted: What the table of rights grants them for decisions in the request's company.
        decided: The request as it stands.
        seen_hash: Hash of the quote the person had in front of them.
        comment: What they said with it.
    """
    request = decided.request
    if request.is_made_by(actor):
        return Check(Refusal.REQUESTER_CANNOT_APPROVE)
    if late := _lateness(step, decided):
        return Check(late)
    if seen_hash != request.snapshot_hash:
        return Check(Refusal.SEEN_HASH_MISMATCH)
    if not any(actor.is_same(assignee) for assignee in step.assignees):
        return Check(Refusal.NOT_ASSIGNED)
    verdict = judge(granted, subject_of(request), roles=step.plan.deciding_roles)
    if verdict.code is not None:
        return Check(verdict.code, verdict.detail)
    if step.plan.comment_required and not comment.strip():
        return Check(Refusal.COMMENT_REQUIRED)
    return Check(role=verdict.role)


def subject_of(request: ApprovalRequest) -> Subject:
    """What a decision is about: the whole quote, which is never the own one of who decides."""
    return Subject(amount=request.total, currency=request.currency)


def _lateness(step: StepState, decided: ApprovalState) -> Refusal | None:
    if step.status in (StepStatus.APPROVED, StepStatus.REJECTED):
        return Refusal.ALREADY_DECIDED
    if decided.status in LATE:
        return LATE[decided.status]
    return Refusal.ALREADY_DECIDED if step.status is StepStatus.SKIPPED else None


def next_assignees(step: StepState, already_approved: Sequence[Person]) -> Assignment:
    """Whom to ask when a step's turn comes.

    Two levels are meant to be two people: who approved a lower level is passed over as long as anybody else may
    decide. If nobody else may, their earlier approval counts once, for this level too, and nobody is asked.

    Args:
        step: The step whose turn it is.
        already_approved: Who approved lower levels of the same chain of this request, in order.
    """
    approved = {_same(person) for person in already_approved}
    for person in step.plan.candidates:
        if _same(person) not in approved:
            return Assignment(assignees=(person,))
    return Assignment(covered_by=step.plan.candidates[0])


def escalation(step: StepState) -> Person | None:
    """The next candidate of a pending step who was not asked yet; None where all were."""
    asked = {_same(person) for person in step.assignees}
    return next((person for person in step.plan.candidates if _same(person) not in asked), None)


def _same(person: Person) -> str:
    return person.oid.lower()
