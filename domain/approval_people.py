"""What people say to a request beside their decision: ask somebody else, ask the rep, answer.

None of it decides anything. Who is asked may change, among those the policy names for the step; what decides stays a
signed decision of one of them. Pure steps from one state of a request to the next, as ``domain.approval_rules``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from domain import approval_clock as clock
from domain.approval_rules import Verdict, put, too_late
from domain.approvals import ApprovalState, Question, Reassignment, StandIn, StepState
from domain.authority import Check, check_answer, check_question, check_reassignment, subject_of
from domain.messages import Id, VerifiedMessage
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import weak_sign_in

REASSIGN: Final = "reassign"
ASK: Final = "ask"
ANSWER: Final = "answer"
"""Names of the messages."""

MOST_REASSIGNMENTS: Final = 20
"""Reassignments of one step that are kept; what falls out is in the audit."""

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
_StepNumber = Annotated[int, Field(ge=1, le=1_000)]


class ReassignArgs(Record):
    """Have a step asked of somebody else."""

    step: _StepNumber
    to: Id = Field(min_length=1, description="Entra object id")
    add: bool = Field(False, description="True: besides those who are asked; False: in their place")
    reason: _Words


class AskArgs(Record):
    """Ask the rep before deciding."""

    step: _StepNumber
    question: _Words


class AnswerArgs(Record):
    """Answer what was asked."""

    step: _StepNumber
    answer: _Words


def said_to_request(state: ApprovalState, said: VerifiedMessage, now: datetime) -> Verdict:
    """What a person's message that is no decision makes of a request.

    Args:
        state: the request.
        said: the message, its proof checked.
        now: UTC.
    """
    if said.refused:
        return Verdict(state, Refusal.UNAUTHENTICATED, said.refused)
    try:
        match said.name:
            case "reassign":
                return _reassigned(state, said, ReassignArgs.model_validate(said.args), now)
            case "ask":
                return _asked(state, said, AskArgs.model_validate(said.args), now)
            case "answer":
                return _answered(state, said, AnswerArgs.model_validate(said.args), now)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Verdict(state, Refusal.BAD_ARGUMENT, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return Verdict(state, Refusal.UNKNOWN_COMMAND, said.name)


def candidate(step: StepState, oid: str) -> Person:
    """Who of those who may decide a step has an Entra object id; a person without a name where none has it."""
    asked = Person(oid=oid)
    return next((person for person in step.plan.candidates if person.is_same(asked)), asked)


def step_of(state: ApprovalState, number: int) -> StepState | None:
    """The step of a number."""
    return next((step for step in state.steps if step.plan.step == number), None)


def _reassigned(state: ApprovalState, said: VerifiedMessage, asked: ReassignArgs, now: datetime) -> Verdict:
    step = step_of(state, asked.step)
    if step is None:
        return _no_step(state, asked.step)
    to = candidate(step, asked.to)
    check = check_reassignment(step, said.person, said.granted, state, to, add=asked.add)
    if refused := _refused(state, step, said, check, now):
        return refused
    reassignment = Reassignment(to=to, by=said.person.named, at=now, added=asked.add, reason=asked.reason)
    changed = {"reassignments": (*step.reassignments, reassignment)[-MOST_REASSIGNMENTS:]}
    if asked.add:
        more = {"assignees": (*step.assignees, to), "replaced": _without(step.replaced, to)}
        return Verdict(put(state, step.model_copy(update={**changed, **more})))
    gone = (*step.assignees, *(pair.stands_for for pair in step.stand_ins))
    replaced = {person.oid.lower(): person for person in (*step.replaced, *gone) if not person.is_same(to)}
    kept: tuple[StandIn, ...] = tuple(pair for pair in step.stand_ins if pair.person.is_same(to))
    moved = {"assignees": (to,), "replaced": tuple(replaced.values()), "stand_ins": kept}
    after = step.model_copy(update={**changed, **moved})
    waits = step.question is not None and step.question.stops_clock
    return Verdict(put(state, clock.renewed(after) if waits else clock.started(after, state.request, now)))


def _asked(state: ApprovalState, said: VerifiedMessage, asked: AskArgs, now: datetime) -> Verdict:
    step = step_of(state, asked.step)
    if step is None:
        return _no_step(state, asked.step)
    if refused := _refused(state, step, said, check_question(step, said.person, said.granted, state), now):
        return refused
    first = not step.questions
    question = Question(text=asked.question, asked_by=said.person.named, asked_at=now, stops_clock=first)
    after = step.model_copy(update={"questions": (*step.questions, question)})
    return Verdict(put(state, clock.stopped(after, state.request, now) if first else after))


def _answered(state: ApprovalState, said: VerifiedMessage, asked: AnswerArgs, now: datetime) -> Verdict:
    step = step_of(state, asked.step)
    if step is None:
        return _no_step(state, asked.step)
    if refused := _refused(state, step, said, check_answer(step, said.person, said.granted, state), now):
        return refused
    answer = {"answer": asked.answer, "answered_by": said.person.named, "answered_at": now}
    *before, question = step.questions
    after = step.model_copy(update={"questions": (*before, question.model_copy(update=answer))})
    return Verdict(put(state, clock.gone_on(after, state.request, now) if question.stops_clock else after))


def _refused(
    state: ApprovalState, step: StepState, said: VerifiedMessage, check: Check, now: datetime
) -> Verdict | None:
    """The verdict of what does not count; None where it does."""
    if check.code is not None:
        return Verdict(state, check.code, check.detail)
    if late := too_late(state, step, min(said.signed_at or now, now)):
        return Verdict(state, Refusal.EXPIRED, late)
    if weak := weak_sign_in(said.granted, subject_of(state.request), sign_in=said.sign_in, said_at=said.signed_at):
        return Verdict(state, Refusal.SIGN_IN_TOO_OLD, weak)
    return None


def _no_step(state: ApprovalState, number: int) -> Verdict:
    return Verdict(state, Refusal.NOT_ASSIGNED, f"there is no step {number}")


def _without(people: tuple[Person, ...], person: Person) -> tuple[Person, ...]:
    return tuple(other for other in people if not other.is_same(person))
