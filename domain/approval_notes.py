"""What a request for approval tells its deal, as a fact for the deal.

None of it decides anything: it is on record, and the rep is shown a question. What a person said to the request is
checked again before the deal writes it down as theirs.
"""

from __future__ import annotations

from pydantic import ValidationError

from domain import facts
from domain.approval_people import ANSWER, ASK, REASSIGN, AnswerArgs, AskArgs, ReassignArgs
from domain.deal_state import DealState
from domain.facts import Fact
from domain.messages import RequestNote, VerifiedMessage
from domain.people import Person


def fact_of_note(note: RequestNote, said: VerifiedMessage | None, state: DealState) -> Fact | None:
    """What a note of a request means for its deal.

    Args:
        note: as the request sent it.
        said: what a person said to the request, its proof checked; None where the note is of the request alone.
        state: the deal as it stands.

    Returns:
        None where the note says nothing, or its proof does not hold.
    """
    if note.reminding is not None:
        return facts.ApproverReminded(n=note.n, reminding=note.reminding)
    if note.asked is not None:
        return facts.ApproversAsked(n=note.n, asked=note.asked)
    if note.question_closed is not None:
        return facts.QuestionClosed(n=note.n, step=note.question_closed)
    if said is None or said.refused or not said.granted.grants:
        return None
    try:
        if said.name == ASK:
            ask = AskArgs.model_validate(said.args)
            person = said.person.named
            return facts.QuestionAsked(n=note.n, step=ask.step, by=person, question=ask.question, at=note.at)
        if said.name == ANSWER:
            answer = AnswerArgs.model_validate(said.args)
            return facts.QuestionAnswered(n=note.n, step=answer.step, answer=answer.answer)
        if said.name == REASSIGN:
            moved = ReassignArgs.model_validate(said.args)
            to = _named(moved.to, state)
            return facts.StepReassigned(n=note.n, step=moved.step, to=to, added=moved.add, reason=moved.reason)
    except ValidationError:
        return None
    return None


def _named(oid: str, state: DealState) -> Person:
    """The person of an Entra object id, with the name the plan gives them."""
    plan, asked = state.assessment.plan if state.assessment else None, Person(oid=oid)
    steps = plan.steps if plan else ()
    found = (person for step in steps for person in step.candidates if person.is_same(asked))
    return next(found, asked)
