"""Who decides in whose place, and when: delegations of a company's approvers, with their first and last day.

A delegation gives nobody a right: it changes only who is asked. Who is asked in somebody's place has to be one who
could decide the step by themselves, by the policy (approvers.yaml names them for a role of that company) and by the
roles of their token when they decide. It is followed from one person to the next, and never to or through somebody who
made the quote; where it leads to nobody who could decide, it does not count for that quote.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime
from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints, ValidationError

from domain.approvals import ApprovalState
from domain.messages import Id, VerifiedMessage
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Subject, judge, weak_sign_in

DELEGATE: Final = "delegate"
"""Name of a message: somebody delegates their own decisions."""
DELEGATE_FOR: Final = "delegate_for"
"""Name of a message: an administrator delegates somebody else's."""
END_DELEGATION: Final = "end_delegation"
END_DELEGATION_FOR: Final = "end_delegation_for"

MOST: Final = 500
"""Delegations of a company that are kept; those that are over fall out."""
LONGEST_DAYS: Final = 366


class Delegation(Record):
    """That somebody's decisions are asked of somebody else, from the first day to the last, both included."""

    of: Person = Field(description="Who is away")
    to: Person = Field(description="Who is asked in their place")
    first: date = Field(description="In the calendar of the company")
    last: date = Field(description="In the calendar of the company")
    set_by: Person
    set_at: datetime = Field(description="UTC")
    reason: str = ""

    def covers(self, day: date) -> bool:
        """Whether it counts on a day."""
        return self.first <= day <= self.last


class Delegations(Record):
    """The delegations of one company; of one person there is one at most."""

    entries: tuple[Delegation, ...] = ()

    def of(self, person: Person) -> Delegation | None:
        """A person's own delegation, whenever it counts."""
        return next((entry for entry in self.entries if entry.of.is_same(person)), None)

    def stand_in(
        self, person: Person, day: date, *, allowed: Collection[Person], excluded: Callable[[Person], bool]
    ) -> Person | None:
        """Who is asked in a person's place.

        Args:
            person: whose turn it is.
            day: in the calendar of the company.
            allowed: who may decide by themselves.
            excluded: who may be neither reached nor passed through.

        Returns:
            None where the person is asked themselves: nobody is delegated to, or it leads to nobody who may decide.
        """
        met, there = {person.oid.lower()}, person
        while (entry := self.of(there)) is not None and entry.covers(day):
            there = entry.to
            if there.oid.lower() in met or excluded(there):
                return None
            met.add(there.oid.lower())
        if there.is_same(person):
            return None
        return next((candidate for candidate in allowed if candidate.is_same(there)), None)

    def leads_back(self, new: Delegation) -> bool:
        """Whether a new delegation would come back to its own person on some day."""
        first, last, there = new.first, new.last, new.to
        met: set[str] = set()
        while not there.is_same(new.of):
            entry = self.of(there)
            if entry is None or there.oid.lower() in met:
                return False
            first, last = max(first, entry.first), min(last, entry.last)
            if first > last:
                return False
            met.add(there.oid.lower())
            there = entry.to
        return True

    def with_new(self, new: Delegation, today: date) -> Delegations:
        """With one more; it takes the place of the person's last, and what is over by today falls out."""
        kept = tuple(entry for entry in self.without(new.of).entries if entry.last >= today)
        return Delegations(entries=(*kept, new))

    def without(self, person: Person) -> Delegations:
        """Without a person's own."""
        return Delegations(entries=tuple(entry for entry in self.entries if not entry.of.is_same(person)))

    def kept_on(self, day: date) -> Delegations:
        """Without those that are over."""
        return Delegations(entries=tuple(entry for entry in self.entries if entry.last >= day))


NOBODY_AWAY: Final = Delegations()

_Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)]


class DelegateArgs(Record):
    """What a person says who delegates; ``of`` is who is away, where somebody else says it."""

    of: Id = ""
    to: Id = Field(min_length=1)
    first: date
    last: date
    reason: _Reason = ""


class EndArgs(Record):
    """What a person says who ends a delegation; ``of`` is whose, where somebody else says it."""

    of: Id = ""
    reason: _Reason = ""


class DelegationVerdict(NamedTuple):
    """The delegations after a message, and in words what it changed; the code and the reason where it did not count."""

    after: Delegations
    text: str = ""
    code: Refusal | None = None
    detail: str = ""
    new: Delegation | None = None
    """What was delegated; None where nothing was."""


class BadDelegation(ValueError):
    """A delegation that cannot be; the text names the field and what to do."""


def said_to_delegations(
    before: Delegations, said: VerifiedMessage, approvers: Collection[Person], *, today: date, now: datetime
) -> DelegationVerdict:
    """What a person's message makes of a company's delegations.

    Args:
        before: as they stand.
        said: the message, its proof checked.
        approvers: who is named in approvers.yaml for a role of the company that decides.
        today: in the calendar of the company.
        now: UTC.
    """
    if said.refused:
        return DelegationVerdict(before, code=Refusal.UNAUTHENTICATED, detail=said.refused)
    if said.name not in (DELEGATE, DELEGATE_FOR, END_DELEGATION, END_DELEGATION_FOR):
        return DelegationVerdict(before, code=Refusal.UNKNOWN_COMMAND, detail=said.name)
    verdict = judge(said.granted, Subject())
    if verdict.code is not None:
        return DelegationVerdict(before, code=verdict.code, detail=verdict.detail)
    if weak := weak_sign_in(said.granted, Subject(), sign_in=said.sign_in, said_at=said.signed_at):
        return DelegationVerdict(before, code=Refusal.SIGN_IN_TOO_OLD, detail=weak)
    try:
        if said.name in (END_DELEGATION, END_DELEGATION_FOR):
            return _ended(before, said, EndArgs.model_validate(said.args))
        new = delegation(said, DelegateArgs.model_validate(said.args), approvers, today=today, now=now)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return DelegationVerdict(before, code=Refusal.BAD_ARGUMENT, detail=detail)
    except BadDelegation as error:
        return DelegationVerdict(before, code=Refusal.BAD_ARGUMENT, detail=str(error))
    except NotAnApprover as error:
        return DelegationVerdict(before, code=error.code, detail=str(error))
    if before.leads_back(new):
        detail = f"{new.to.label} delegates to {new.of.label} in these days, directly or through others"
        return DelegationVerdict(before, code=Refusal.LOOP, detail=detail)
    after = before.with_new(new, today)
    if len(after.entries) > MOST:
        return DelegationVerdict(before, code=Refusal.TOO_MANY_REQUESTS, detail=f"{MOST} delegations are kept")
    return DelegationVerdict(after, _told(new), new=new)


def made_quote(requests: Iterable[ApprovalState], away: Person, to: Person, approvers: Collection[Person]) -> str:
    """The number of a quote that somebody made whom who is away would have decide it; empty where there is none.

    Args:
        requests: the open ones of the company.
        away: who delegates.
        to: who would be asked in their place. Of an approver only what who is away is asked now counts: of other quotes
            they may well take the place.
        approvers: who is named in approvers.yaml for a role of the company that decides.
    """
    approves = any(person.is_same(to) for person in approvers)
    for state in requests:
        asked = [step.assignees if approves else step.plan.candidates for step in state.steps]
        if state.request.is_made_by(to) and any(person.is_same(away) for people in asked for person in people):
            return state.request.quote_number
    return ""


def to_is_requester(before: Delegations, quote: str) -> DelegationVerdict:
    """That nothing is delegated to who made a quote that waits for who is away."""
    code = Refusal.TO_IS_REQUESTER
    return DelegationVerdict(before, code=code, detail=f"{code.sentence} It is {quote}.")


class NotAnApprover(ValueError):
    """Somebody who is named for no role that decides; the text says who, and what to do."""

    def __init__(self, code: Refusal, text: str) -> None:
        self.code = code
        super().__init__(text)


def delegation(
    said: VerifiedMessage, asked: DelegateArgs, approvers: Collection[Person], *, today: date, now: datetime
) -> Delegation:
    """The delegation that a message asks for. Takes what ``said_to_delegations`` takes.

    Raises:
        BadDelegation: its days or people cannot be.
        NotAnApprover: one of the two decides nothing in the company.
    """
    of_oid = said.person.oid if said.name == DELEGATE else asked.of
    if not of_oid:
        raise BadDelegation("of: name who is away, by Entra object id")
    if of_oid.lower() == asked.to.lower():
        raise BadDelegation("to: name somebody else than who is away")
    if asked.last < asked.first:
        raise BadDelegation("last: must not be before first")
    if asked.last < today:
        raise BadDelegation(f"last: {asked.last} is over; it is {today} in this company")
    if (asked.last - asked.first).days >= LONGEST_DAYS:
        raise BadDelegation(f"last: at most {LONGEST_DAYS} days from first")
    named = {person.oid.lower(): person.named for person in approvers}
    of, to = named.get(of_oid.lower()), named.get(asked.to.lower())
    if of is None:
        who = "You are" if said.name == DELEGATE else f"{asked.of} is"
        raise NotAnApprover(
            Refusal.NOT_NAMED, f"{who} named for no role that decides approvals of this company in approvers.yaml"
        )
    if to is None:
        raise NotAnApprover(
            Refusal.NO_AUTHORITY,
            f"to: {asked.to} decides no approvals of this company: name one of its approvers (approvers.yaml)",
        )
    return Delegation(
        of=of,
        to=to,
        first=asked.first,
        last=asked.last,
        set_by=said.person.named,
        set_at=now,
        reason=asked.reason,
    )


def _ended(before: Delegations, said: VerifiedMessage, asked: EndArgs) -> DelegationVerdict:
    of = said.person.oid if said.name == END_DELEGATION else asked.of
    entry = before.of(Person(oid=of)) if of else None
    if entry is None:
        return DelegationVerdict(before, code=Refusal.NO_DELEGATION, detail="nothing is delegated")
    return DelegationVerdict(before.without(entry.of), f"ended: {_told(entry)}")


def _told(entry: Delegation) -> str:
    return f"{entry.to.label} decides for {entry.of.label} from {entry.first} to {entry.last}"
