"""How a request for approval moves on: pure steps from one state of it to the next.

Chains run beside each other, the steps of a chain one after another; a rejection in any chain ends the request.
Nothing is ever approved by the passing of time: a step that is not decided in its working hours is asked of the next
person as well, and in the end the request expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from domain import approval_clock as clock
from domain.approvals import ApprovalState, ApprovalStatus, Decision, StepApproval, StepState, StepStatus
from domain.authority import Assignment, check_decision, escalation, next_assignees, subject_of
from domain.calendar import local_date
from domain.delegations import NOBODY_AWAY, Delegations
from domain.messages import VerifiedMessage
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import weak_sign_in

LONGEST_COMMENT = 4_000


def opened(state: ApprovalState, now: datetime, delegations: Delegations = NOBODY_AWAY) -> ApprovalState:
    """The request with the first undecided step of each chain asked.

    A step that is covered by an earlier approval of the same person is taken at once; where nothing is left to decide,
    the request is completed.

    Args:
        state: the request.
        now: UTC.
        delegations: who stands in for whom in the company.
    """
    again = True
    while again and state.status is ApprovalStatus.PENDING:
        again = False
        for chain in dict.fromkeys(step.plan.chain for step in state.steps):
            step = _turn(state, chain)
            if step is not None and step.status is StepStatus.WAITING:
                state = put(state, _asked(state, step, now, delegations))
                again = True
        if all(step.status is StepStatus.APPROVED for step in state.steps):
            state = ended(state, ApprovalStatus.COMPLETED, _approvers(state), now)
    return state


def overdue(state: ApprovalState, now: datetime, delegations: Delegations = NOBODY_AWAY) -> ApprovalState:
    """The request after its deadlines up to now: steps are escalated, or it expires. Takes what ``opened`` takes."""
    if now >= state.request.expires_at:
        return ended(state, ApprovalStatus.EXPIRED, "nobody decided before the quote expired", now)
    for step in state.pending:
        if step.deadline is None or now < step.deadline:
            continue
        asked = _next_person(state, step, now, delegations)
        if asked is None:
            text = f"nobody decided level {step.plan.level} of {step.plan.chain} in time"
            return ended(state, ApprovalStatus.EXPIRED, text, now)
        more = {
            "assignees": (*step.assignees, *asked.assignees),
            "stand_ins": (*step.stand_ins, *asked.stand_ins),
            "escalations": step.escalations + 1,
        }
        state = put(state, clock.started(step.model_copy(update=more), state.request, now))
    return state


def reminded(state: ApprovalState, now: datetime) -> ApprovalState:
    """The request after the reminders that are due: who is asked is told how much of the time is over."""
    for step in state.pending:
        if step.deadline is not None and now < step.deadline:
            state = put(state, clock.reminded(step, state.request, now))
    return state


def next_reminder(state: ApprovalState, now: datetime) -> datetime | None:
    """When somebody is reminded next, UTC; None: nobody is, or not any more: a step's time is over. ``now``: UTC."""
    in_time = (step for step in state.pending if step.deadline is not None and now < step.deadline)
    found = (clock.next_reminder(step, state.request) for step in in_time)
    return min((at for at in found if at is not None), default=None)


def may_ask(state: ApprovalState) -> bool:
    """Whether somebody may have to be asked who is not yet: a step waits for its turn."""
    return any(step.status is StepStatus.WAITING for step in state.steps)


def is_overdue(state: ApprovalState, now: datetime) -> bool:
    """Whether a step's hours are over, and somebody else may have to be asked."""
    return now < state.request.expires_at and any(step.deadline and step.deadline <= now for step in state.pending)


def next_deadline(state: ApprovalState) -> datetime:
    """When the request has to be looked at next, UTC."""
    return min([*(step.deadline for step in state.pending if step.deadline), state.request.expires_at])


def ended(
    state: ApprovalState, status: ApprovalStatus, reason: str, now: datetime, *, by_revision: int | None = None
) -> ApprovalState:
    """The request ended: steps that were not decided are skipped.

    Args:
        state: the request.
        status: how it ended.
        reason: why, in words.
        now: UTC.
        by_revision: the revision of the quote that takes its place, if there is one.
    """
    steps = tuple(
        step.model_copy(update={"status": StepStatus.SKIPPED})
        if step.status in (StepStatus.WAITING, StepStatus.PENDING)
        else step
        for step in state.steps
    )
    return state.model_copy(
        update={"status": status, "reason": reason, "steps": steps, "superseded_by": by_revision, "ended_at": now}
    )


class Verdict(NamedTuple):
    """The request after a decision; the code and the reason where it did not count."""

    state: ApprovalState
    code: Refusal | None = None
    detail: str = ""


def decided(
    state: ApprovalState, said: VerifiedMessage, now: datetime, delegations: Delegations = NOBODY_AWAY
) -> Verdict:
    """What a person's decision makes of a request.

    Whether it was in time is decided by when it was signed, whenever we get to see it.

    Args:
        state: the request.
        said: the message, its proof checked.
        now: UTC.
        delegations: who stands in for whom in the company, for those who are asked next.
    """
    if said.refused:
        return Verdict(state, Refusal.UNAUTHENTICATED, said.refused)
    try:
        decision = Decision(str(said.args.get("decision")))
        number = int(str(said.args.get("step")))
    except ValueError:
        return Verdict(state, Refusal.BAD_DECISION, "decision must be approve or reject, step a number")
    step = next((s for s in state.steps if s.plan.step == number), None)
    if step is None:
        return Verdict(state, Refusal.NOT_ASSIGNED, f"there is no step {number}")
    comment = str(said.args.get("comment") or "")[:LONGEST_COMMENT]
    seen_hash = str(said.args.get("seen_hash") or "")
    code, detail, role = check_decision(step, said.person, said.granted, state, decision, seen_hash, comment)
    if code is None and step.status is not StepStatus.PENDING:
        code = Refusal.NOT_ASSIGNED
    if code is not None:
        return Verdict(state, code, detail or f"step {number} is {step.status}")
    at = min(said.signed_at or now, now)
    if late := too_late(state, step, at):
        return Verdict(state, Refusal.EXPIRED, late)
    subject = subject_of(state.request)
    if weak := weak_sign_in(said.granted, subject, sign_in=said.sign_in, said_at=said.signed_at):
        return Verdict(state, Refusal.SIGN_IN_TOO_OLD, weak)
    person = said.person.named
    word = StepApproval(
        person=person,
        stands_for=step.stands_for(person),
        at=at,
        role=role,
        sign_in=said.sign_in,
        comment=comment,
    )
    if decision is Decision.APPROVE and step.missing > 1:
        return Verdict(put(state, _with_approval(step, word)))
    settled = _settled(step, StepStatus.APPROVED if decision is Decision.APPROVE else StepStatus.REJECTED, word)
    after = put(state, settled)
    if decision is Decision.APPROVE:
        return Verdict(opened(after, now, delegations))
    return Verdict(ended(after, ApprovalStatus.REJECTED, f"rejected by {settled.decider}: {comment}", now))


def _with_approval(step: StepState, word: StepApproval) -> StepState:
    """The step with one approval more, of several that it needs: who gave it is not asked any more."""
    return step.model_copy(
        update={
            "approvals": (*step.approvals, word),
            "assignees": tuple(person for person in step.assignees if not person.is_same(word.person)),
            "stand_ins": tuple(pair for pair in step.stand_ins if not pair.person.is_same(word.person)),
        }
    )


def _settled(step: StepState, status: StepStatus, word: StepApproval) -> StepState:
    """The step as a decision settles it."""
    return step.model_copy(
        update={
            "status": status,
            "decided_by": word.person,
            "decided_for": word.stands_for,
            "decided_at": word.at,
            "decided_as": word.role,
            "sign_in": word.sign_in,
            "comment": word.comment,
        }
    )


def too_late(state: ApprovalState, step: StepState, at: datetime) -> str:
    """Why what was signed at a moment, UTC, comes too late for a pending step; empty where it does not.

    A deadline after which somebody else is asked is not the last.
    """
    last = state.request.expires_at
    if step.deadline is not None and _next_person(state, step, at, NOBODY_AWAY) is None:
        last = min(step.deadline, last)
    return f"signed {at:%Y-%m-%d %H:%M:%S} UTC, after the deadline" if at > last else ""


def _next_person(state: ApprovalState, step: StepState, now: datetime, delegations: Delegations) -> Assignment | None:
    if step.plan.on_timeout != "escalate":
        return None
    approved = _approved_in(state, step)
    return escalation(step, state.request, already_approved=approved, delegations=delegations, day=_day(state, now))


def _approved_in(state: ApprovalState, step: StepState) -> list[Person]:
    """Who decided other levels of a step's chain."""
    others = (s for s in state.steps if s.plan.chain == step.plan.chain and s.plan.step != step.plan.step)
    return [person for other in others for person in other.approved_by]


def _day(state: ApprovalState, now: datetime) -> date:
    """Today in the calendar of the company."""
    return local_date(now, state.request.plan.calendar.timezone)


def _turn(state: ApprovalState, chain: str) -> StepState | None:
    steps = (step for step in state.steps if step.plan.chain == chain)
    return next((step for step in steps if step.status in (StepStatus.WAITING, StepStatus.PENDING)), None)


def _asked(state: ApprovalState, step: StepState, now: datetime, delegations: Delegations) -> StepState:
    if (given := step.plan.covered_by) is not None and not any(map(state.request.is_made_by, given.people)):
        return _counted(
            step, [StepApproval(person=person, at=given.at, comment=given.words) for person in given.people]
        )
    approved = _approved_in(state, step)
    assignment = next_assignees(step, approved, state.request, delegations=delegations, day=_day(state, now))
    lower = [
        StepApproval(person=person, at=now, comment=f"covered by {person.name}'s approval of a lower level")
        for person in assignment.counted
    ]
    step = _counted(step, lower)
    if not step.missing:
        return step
    asked = {"assignees": assignment.assignees, "stand_ins": assignment.stand_ins, "asked_at": now}
    return clock.started(step.model_copy(update={"status": StepStatus.PENDING, **asked}), state.request, now)


def _counted(step: StepState, words: Sequence[StepApproval]) -> StepState:
    """The step with approvals that were given before its turn; it is approved where they are enough."""
    for word in words:
        step = _with_approval(step, word) if step.missing > 1 else _settled(step, StepStatus.APPROVED, word)
    return step


def put(state: ApprovalState, after: StepState) -> ApprovalState:
    """The request with one step as it is from now on."""
    steps = tuple(after if step.plan.step == after.plan.step else step for step in state.steps)
    return state.model_copy(update={"steps": steps})


def _approvers(state: ApprovalState) -> str:
    names = [step.decider for step in state.steps if step.decided_by]
    return "approved by " + ", ".join(dict.fromkeys(names))
