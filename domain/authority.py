"""Who may decide a step, and whether a decision counts.

Authority comes from two sides that must agree: the policy names who is asked, and the table of rights says what the
roles of the person's token allow now. Nobody decides a quote they asked for or made, whatever roles they hold.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

from pydantic import Field

from domain import quorum
from domain.approvals import LATE, ApprovalRequest, ApprovalState, Decision, StandIn, StepState, StepStatus
from domain.delegations import NOBODY_AWAY, Delegations
from domain.people import Person
from domain.policy import Policy
from domain.quorum import Asked
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Granted, Subject, judge

MOST_QUESTIONS = 5
"""Questions to the rep that one step takes."""


class NoApprover(LookupError):
    """Too few people in the company may decide a step; the text says which role to fill."""


class Assignment(Record):
    """Who is asked to decide a step, and whose earlier approval counts for it."""

    assignees: tuple[Person, ...] = ()
    stand_ins: tuple[StandIn, ...] = Field((), description="Whose place an assignee takes")
    counted: tuple[Person, ...] = Field(
        (), description="Who is not asked again: their approval of a lower level counts"
    )


def candidates(
    company: str, chain: str, level: int, *, requester: Person, makers: Collection[Person], policy: Policy
) -> tuple[Person, ...]:
    """Who may decide a level of a chain in a company, in the order they are asked.

    Holders of the level's role come first, then those of the higher roles of the chain, each person once, without the
    requester and whoever else made the quote.

    Raises:
        NoApprover: too few people are left.
    """
    roles = policy.discount.ladder(chain)[level - 1 :]
    excluded = {_same(person) for person in (requester, *makers)}
    found: dict[str, Person] = {}
    for role in roles:
        for person in policy.authority.holders(company, role):
            if _same(person) not in excluded:
                found.setdefault(_same(person), person)
    needed = quorum.least(policy.discount.quorum_of(chain, level))
    if len(found) < needed:
        few = f"{len(found)} of {needed} eligible approvers" if found else "No eligible approver"
        raise NoApprover(
            f"{few} for level {level} of chain {chain!r} in {company} for {requester.label}: "
            f"add a holder of {' or '.join(roles)} to approvers.yaml"
        )
    return tuple(found.values())


def asked_at_once(company: str, chain: str, level: int, who: Collection[Person], policy: Policy) -> Asked:
    """How many of those who may decide a level are asked at the same time, and how many must approve."""
    role = policy.discount.ladder(chain)[level - 1]
    holding = {_same(person) for person in policy.authority.holders(company, role)}
    holders = sum(_same(person) in holding for person in who)
    return quorum.asked(policy.discount.quorum_of(chain, level), holders=holders, candidates=len(who))


_MADE_IT = "You made or edited this quote, so someone else has to decide it."


class Check(NamedTuple):
    """Why a decision does not count, as a code and in words; no code where it does, and the role it counts by."""

    code: Refusal | None = None
    detail: str = ""
    role: str = ""


def check_decision(
    step: StepState,
    actor: Person,
    granted: Granted,
    decided: ApprovalState,
    decision: Decision,
    seen_hash: str,
    comment: str,
) -> Check:
    """Whether a decision counts (lifecycle: events and messages).

    The order matters: who may never decide learns nothing of the state, and a late decision learns that it is late
    before anything else about it is judged.

    Args:
        step: The step decided on.
        actor: Who decides.
        granted: What the table of rights grants them for decisions in the request's company.
        decided: The request as it stands.
        decision: What they decide; a rejection needs a comment, which the rep reads.
        seen_hash: Hash of the quote the person had in front of them.
        comment: What they said with it.
    """
    request = decided.request
    if request.is_made_by(actor):
        return Check(Refusal.REQUESTER_CANNOT_APPROVE, "" if request.requester.is_same(actor) else _MADE_IT)
    if late := _lateness(step, decided):
        return Check(late)
    if seen_hash != request.snapshot_hash:
        return Check(Refusal.SEEN_HASH_MISMATCH)
    if any(actor.is_same(other) for other in step.approved_by):
        return Check(Refusal.ALREADY_DECIDED, f"You approved step {step.plan.step}; {step.missing} more must.")
    if not any(actor.is_same(assignee) for assignee in step.assignees):
        return Check(Refusal.NOT_ASSIGNED)
    verdict = judge(granted, subject_of(request), roles=step.plan.deciding_roles)
    if verdict.code is not None:
        return Check(verdict.code, verdict.detail)
    if not comment.strip() and decision is Decision.REJECT:
        return Check(Refusal.REASON_REQUIRED)
    if not comment.strip() and step.plan.comment_required:
        return Check(Refusal.COMMENT_REQUIRED)
    return Check(role=verdict.role)


def check_question(step: StepState, actor: Person, granted: Granted, decided: ApprovalState) -> Check:
    """Whether a person may ask the rep a question before deciding a step: whoever may decide it now."""
    if decided.request.is_made_by(actor):
        return Check(Refusal.REQUESTER_CANNOT_APPROVE, _MADE_IT)
    if late := _lateness(step, decided):
        return Check(late)
    if not any(actor.is_same(assignee) for assignee in step.assignees):
        return Check(Refusal.NOT_ASSIGNED)
    verdict = judge(granted, subject_of(decided.request), roles=step.plan.deciding_roles)
    if verdict.code is not None:
        return Check(verdict.code, verdict.detail)
    if step.question is not None:
        return Check(Refusal.QUESTION_OPEN)
    if len(step.questions) >= MOST_QUESTIONS:
        return Check(Refusal.TOO_MANY_QUESTIONS)
    return Check(role=verdict.role)


def check_answer(step: StepState, actor: Person, granted: Granted, decided: ApprovalState) -> Check:
    """Whether a person may answer the question of a step: who asked for the approval, or made the quote with them."""
    subject = subject_of(decided.request).model_copy(update={"own": decided.request.is_made_by(actor)})
    verdict = judge(granted, subject)
    if verdict.code is not None:
        return Check(verdict.code, verdict.detail)
    if not subject.own:
        return Check(Refusal.NOT_OWN_DEAL)
    if late := _lateness(step, decided):
        return Check(late)
    return Check(role=verdict.role) if step.question is not None else Check(Refusal.NO_QUESTION)


def check_reassignment(
    step: StepState, actor: Person, granted: Granted, decided: ApprovalState, to: Person, *, add: bool
) -> Check:
    """Whether a person may have a step asked of somebody else.

    Args:
        step: The step.
        actor: Who says it: nobody who made the quote, whose approver would then be of their own choice.
        granted: What the table of rights grants them for it.
        decided: The request as it stands.
        to: Who is to be asked: one who could be asked by the policy, and did not make the quote.
        add: Besides those who are asked, and not in their place.
    """
    request = decided.request
    if request.is_made_by(actor):
        return Check(Refusal.REQUESTER_CANNOT_APPROVE, _MADE_IT)
    subject = subject_of(request).model_copy(update={"higher_roles": step.plan.accepted_roles[1:]})
    verdict = judge(granted, subject)
    if verdict.code is not None:
        return Check(verdict.code, verdict.detail)
    if late := _lateness(step, decided):
        return Check(late)
    if step.status is not StepStatus.PENDING:
        return Check(Refusal.ILLEGAL_TRANSITION, f"Step {step.plan.step} is not asked yet; nothing changed.")
    if request.is_made_by(to):
        return Check(Refusal.TO_IS_REQUESTER)
    if not any(to.is_same(candidate) for candidate in step.plan.candidates):
        roles = " or ".join(step.plan.deciding_roles)
        detail = f"The person named is not among those who may decide this step: holders of {roles} in approvers.yaml."
        return Check(Refusal.NO_AUTHORITY, detail)
    if any(to.is_same(person) for person in step.approved_by):
        return Check(Refusal.ILLEGAL_TRANSITION, "They approved this step; nothing changed.")
    lower = (person for s in decided.steps if s.plan.chain == step.plan.chain for person in s.approved_by)
    if any(to.is_same(person) for person in lower):
        return Check(Refusal.ILLEGAL_TRANSITION, "They decided a lower level; two levels are decided by two people.")
    if not add and step.missing > 1:
        detail = f"{step.missing} more people must approve this step: ask one more besides them, not instead."
        return Check(Refusal.ILLEGAL_TRANSITION, detail)
    already = any(to.is_same(assignee) for assignee in step.assignees)
    if already and (add or len(step.assignees) == 1):
        return Check(Refusal.ILLEGAL_TRANSITION, "They are asked already; nothing changed.")
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


def eligible(step: StepState, request: ApprovalRequest) -> tuple[Person, ...]:
    """Who of a step's candidates may be asked, themselves or in somebody's place: nobody who made the quote.

    A plan names no maker of the quote it was made for. That is not relied on: whoever is asked is chosen from here.
    """
    return tuple(person for person in step.plan.candidates if not request.is_made_by(person))


def next_assignees(
    step: StepState,
    already_approved: Sequence[Person],
    request: ApprovalRequest,
    *,
    delegations: Delegations = NOBODY_AWAY,
    day: date | None = None,
) -> Assignment:
    """Whom to ask when a step's turn comes.

    Two levels are meant to be two people: who approved a lower level is passed over as long as there are enough others
    who may decide. If there are not, their earlier approval counts once, for this level too.

    Args:
        step: The step whose turn it is.
        already_approved: Who approved lower levels of the same chain of this request, in order.
        request: What is asked: nobody who made it is asked in somebody's place.
        delegations: Who stands in for whom in the company.
        day: Today in the company's calendar; None: nobody is away.

    Returns:
        Nobody to ask, and no approval that counts, where everybody left made the quote: the step then expires.
    """
    approved = {_same(person) for person in already_approved}
    people = eligible(step, request)
    asked: dict[str, Person] = {}
    pairs: dict[str, StandIn] = {}

    def ask(person: Person, stands_for: Person | None = None) -> None:
        if len(asked) < step.plan.at_once and _same(person) not in approved | asked.keys():
            asked[_same(person)] = person
            if stands_for is not None:
                pairs[_same(stands_for)] = StandIn(person=person, stands_for=stands_for)

    for person in people:
        stand_in = _stand_in(person, step, request, delegations, day)
        ask(stand_in or person, person if stand_in else None)
    for person in people:  # whoever is away, and their stand-in was asked or has approved already
        if _same(person) not in pairs:
            ask(person)
    if len(asked) < step.plan.needed:  # nobody counts twice: who stands in counts for themselves, and both are asked
        asked |= {key: pair.stands_for for key, pair in pairs.items() if key not in approved}
        pairs = {key: pair for key, pair in pairs.items() if key not in asked}
    short = step.plan.needed - len(asked)
    counted = [person for person in people if _same(person) in approved][: max(short, 0)]
    return Assignment(assignees=tuple(asked.values()), stand_ins=tuple(pairs.values()), counted=tuple(counted))


def escalation(
    step: StepState,
    request: ApprovalRequest,
    *,
    already_approved: Sequence[Person] = (),
    delegations: Delegations = NOBODY_AWAY,
    day: date | None = None,
) -> Assignment | None:
    """The next candidate of a pending step who was not asked yet, or who stands in for them; None where all were.

    Who approved a lower level of the chain is asked last. Takes what ``next_assignees`` takes.
    """
    approved = {_same(person) for person in already_approved}
    candidates = sorted(eligible(step, request), key=lambda person: _same(person) in approved)
    asked = {_same(person) for person in (*step.assignees, *step.replaced, *step.approved_by)}
    asked |= {_same(pair.stands_for) for pair in step.stand_ins}
    for person in candidates:
        if _same(person) in asked:
            continue
        stand_in = _stand_in(person, step, request, delegations, day)
        if stand_in is None:
            return Assignment(assignees=(person,))
        if _same(stand_in) not in asked | approved:
            return Assignment(assignees=(stand_in,), stand_ins=(StandIn(person=stand_in, stands_for=person),))
    # All who are left are away, and who stands in for them was asked: they are asked themselves.
    left = next((person for person in candidates if _same(person) not in asked), None)
    return None if left is None else Assignment(assignees=(left,))


def _stand_in(
    person: Person, step: StepState, request: ApprovalRequest, delegations: Delegations, day: date | None
) -> Person | None:
    if day is None:
        return None
    return delegations.stand_in(person, day, allowed=eligible(step, request), excluded=request.is_made_by)


def _same(person: Person) -> str:
    return person.oid.lower()
