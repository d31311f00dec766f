"""What an approval asks, of whom, and what became of it.

The models only; which steps a quote needs is decided in ``domain.discount``, who may decide them in
``domain.authority``, and when they fall due in ``domain.calendar``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.line_change import MOST_LINES, LineChange
from domain.people import Person
from domain.phrases import Phrase
from domain.quote_header import QuoteHeader
from domain.record import Record
from domain.refusals import Refusal
from domain.sign_in import SignIn


class Reason(Record):
    """Why a rule of the discount matrix asks for a step, in words with numbers."""

    rule: str = Field(description="Id of the rule, e.g. D2")
    tested: str = Field("", description="What it tests, e.g. margin_pct (domain.policy.Tested)")
    text: str = Field(description='e.g. "22 % > 20 %" or "margin 23.08 % < 25 %"')
    sentence: str = Field("", description='e.g. "Discount 22 % is above the 20 % a sales manager may give alone"')
    product_groups: tuple[str, ...] = Field((), description="Only their lines are tested; empty: the whole quote")
    said: Phrase | None = Field(None, description="The sentence with its numbers apart, for readers of other languages")


class Coverage(Record):
    """An earlier approval that covers a step, so that nobody is asked again (``domain.reapproval``)."""

    n: int = Field(description="Number of the request it was given to")
    revision: int
    person: Person = Field(description="Who gave it last")
    others: tuple[Person, ...] = Field((), description="Who gave it before, where several had to")
    at: datetime = Field(description="UTC")

    @property
    def people(self) -> tuple[Person, ...]:
        """All who gave it, in order."""
        return (*self.others, self.person)

    @property
    def words(self) -> str:
        """Which approval it is."""
        names = " and ".join(f"{person.name}'s" for person in self.people)
        return f"covered by {names} approval of revision {self.revision} on {self.at:%Y-%m-%d}"


class StepPlan(Record):
    """One step of an approval: a level of a chain, asked of one role."""

    step: int = Field(description="1, 2, … in the order asked within the whole request")
    chain: str
    level: int
    role: str
    accepted_roles: tuple[str, ...] = Field((), description="Roles that may decide: the step's, then higher ones")
    reasons: tuple[Reason, ...] = Field((), description="Empty where a higher level of the chain implies this one")
    comment_required: bool = False
    at_once: int = Field(1, description="How many are asked when its turn comes (domain.quorum)")
    needed: int = Field(1, description="How many different people must approve; one rejection rejects")
    sla_business_hours: Decimal
    on_timeout: str = Field(description="escalate or expire; never approve")
    candidates: tuple[Person, ...] = Field(
        description="Who may decide, in order: holders of the role, then of higher roles of the chain, without the "
        "requester and co-owners. The first at_once are asked; the next when it escalates"
    )
    covered_by: Coverage | None = Field(None, description="Not None: nobody is asked, an earlier approval counts")

    @property
    def deciding_roles(self) -> tuple[str, ...]:
        """The roles of which one is needed to decide."""
        return self.accepted_roles or (self.role,)


class BusinessHours(Record):
    """Working time of a legal entity, pinned with the plan so that a later change moves no running deadline."""

    timezone: str = Field(description="IANA name")
    workdays: tuple[int, ...] = Field(description="0 = Monday")
    opens: str = Field(description="HH:MM local")
    closes: str = Field(description="HH:MM local")
    holidays: tuple[str, ...] = Field((), description="ISO dates, local")


class ApprovalPlan(Record):
    """The steps a quote needs under one version of the policy."""

    policy_version: str
    steps: tuple[StepPlan, ...]
    calendar: BusinessHours
    max_age_days: int = Field(14, description="A request older than this expires, as it does with its quote")
    reminders_pct: tuple[int, ...] = Field(
        (),
        description="Who is asked is reminded when so much of a step's working hours is over, in per cent, ascending",
    )

    @property
    def needed(self) -> bool:
        """Whether the matrix asks for a step."""
        return bool(self.steps)

    @property
    def asked(self) -> tuple[StepPlan, ...]:
        """The steps that no earlier approval covers."""
        return tuple(step for step in self.steps if step.covered_by is None)

    @property
    def asked_first(self) -> tuple[str, ...]:
        """Who is asked when the request begins, where nobody is away: of each chain's first step."""
        chains = {step.chain: step for step in reversed(self.asked)}
        first = (step for step in self.asked if chains[step.chain] is step)
        return names_of(person.label for step in first for person in step.candidates[: step.at_once])


class ItemTerms(Record):
    """An item of a quote, all its lines together."""

    item: str
    quantity: Decimal
    discount_pct: Decimal = Field(description="Of its worst line")


class AskedTerms(Record):
    """What was asked for, as far as it decides whether an approval of it covers something else."""

    policy_version: str
    rules: tuple[str, ...] = Field(description="Ids of the rules for this company and group of customers on that day")
    company: str
    customer_account: str
    currency: str
    list_net: Decimal
    net: Decimal
    disc_pct: Decimal
    margin_pct: Decimal
    payment_days: int
    below_floor: bool
    price_hash: str
    items: tuple[ItemTerms, ...] | None = Field(description="None: more than are kept")


class Change(Record):
    """What differs between two contents that were asked for."""

    tested: str = Field("", description="The value that differs (domain.policy.Tested); empty where none is tested")
    text: str = Field(description='e.g. "Discount 18 % → 22.5 %"')


class LineFinding(Record):
    """A line as an approver sees it. Money in the quote's currency, per unit where said."""

    line_no: int
    item: str
    group: str = Field("", description="ProductGroupId in Finance")
    description: str
    product_name: str = Field("", description="Of the product in Sales")
    quantity: Decimal
    unit: str
    price: Decimal
    list_price: Decimal
    floor_price: Decimal | None
    cost: Decimal
    discount_pct: Decimal
    net: Decimal
    margin_pct: Decimal
    below_floor: bool


class Decision(StrEnum):
    """What an approver may say."""

    APPROVE = "approve"
    REJECT = "reject"


class StepStatus(StrEnum):
    """Where a step stands; all but waiting and pending are final."""

    WAITING = "waiting"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class Reminder(Record):
    """That those who are asked were reminded."""

    pct: int = Field(description="How much of the step's working hours was over, in per cent")
    at: datetime = Field(description="UTC")
    who: tuple[Person, ...]


class Reassignment(Record):
    """That somebody else was asked to decide a step."""

    to: Person
    by: Person
    at: datetime = Field(description="UTC")
    added: bool = Field(description="True: may decide instead of those asked before; False: takes their place")
    reason: str = ""


class StandIn(Record):
    """Who is asked in the place of somebody who delegated their decisions."""

    person: Person
    stands_for: Person


class Question(Record):
    """What an assignee wants to know from the rep before deciding."""

    text: str
    asked_by: Person
    asked_at: datetime = Field(description="UTC")
    stops_clock: bool = Field(description="Whether the step's hours stand still until it is answered; once per step")
    answer: str = ""
    answered_by: Person | None = None
    answered_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether an answer is waited for."""
        return self.answered_at is None


class StepApproval(Record):
    """A person's approval of a step, where more than one is needed."""

    person: Person
    stands_for: Person | None = Field(None, description="Who had delegated the decision; None: nobody")
    at: datetime = Field(description="UTC")
    role: str = Field("", description="The role by which it counts; empty: an earlier approval counts")
    sign_in: SignIn = SignIn()
    comment: str = ""

    @property
    def words(self) -> str:
        """Who gave it: ``dina for dirk``."""
        return in_place_of(self.person, self.stands_for)


class StepState(Record):
    """A step as it stands."""

    plan: StepPlan
    status: StepStatus = StepStatus.WAITING
    assignees: tuple[Person, ...] = Field((), description="Each of them may decide")
    asked_at: datetime | None = None
    deadline: datetime | None = Field(None, description="UTC; None as well while the step's hours stand still")
    clock_from: datetime | None = Field(
        None, description="Since when the hours left count, UTC; None: they stand still"
    )
    left: timedelta = Field(timedelta(0), description="Working time left when they began to count")
    reminded_pct: int = Field(0, description="The last reminder of this count of the hours, in per cent")
    reminders: tuple[Reminder, ...] = ()
    questions: tuple[Question, ...] = ()
    reassignments: tuple[Reassignment, ...] = ()
    replaced: tuple[Person, ...] = Field((), description="Who is not asked any more, nor again when it escalates")
    stand_ins: tuple[StandIn, ...] = Field((), description="Which of the assignees are asked for somebody else")
    approvals: tuple[StepApproval, ...] = Field(
        (), description="Given before the decision that settled the step, where several people must approve"
    )
    decided_by: Person | None = Field(None, description="Whose decision settled it")
    decided_for: Person | None = Field(None, description="Who had delegated the decision; None: nobody")
    decided_at: datetime | None = None
    decided_as: str = Field("", description="The role by which the decision counts")
    sign_in: SignIn = Field(SignIn(), description="How and when who decided had signed in")
    comment: str = ""
    escalations: int = 0

    @property
    def question(self) -> Question | None:
        """The question whose answer is waited for; there is one at most."""
        last = self.questions[-1] if self.questions else None
        return last if last is not None and last.is_open else None

    def stands_for(self, person: Person) -> Person | None:
        """For whom a person is asked; None: for themselves."""
        return next((pair.stands_for for pair in self.stand_ins if pair.person.is_same(person)), None)

    @property
    def asked_of(self) -> str:
        """Who is asked, in words: ``dina for dirk, drew``."""
        return ", ".join(in_place_of(person, self.stands_for(person)) for person in self.assignees)

    @property
    def decisions(self) -> tuple[StepApproval, ...]:
        """What people decided, in order: the approvals, and the decision that settled it."""
        if self.decided_by is None or self.decided_at is None:
            return self.approvals
        last = StepApproval(
            person=self.decided_by,
            stands_for=self.decided_for,
            at=self.decided_at,
            role=self.decided_as,
            sign_in=self.sign_in,
            comment=self.comment,
        )
        return (*self.approvals, last)

    def decision_of(self, person: Person) -> StepApproval | None:
        """What a person decided; None: nothing."""
        return next((said for said in self.decisions if said.person.is_same(person)), None)

    @property
    def approved_by(self) -> tuple[Person, ...]:
        """Who approved it, whether or not more must."""
        rejected = self.status is StepStatus.REJECTED
        return tuple(said.person for said in (self.approvals if rejected else self.decisions))

    @property
    def missing(self) -> int:
        """How many more people must approve it."""
        return max(self.plan.needed - len(self.approved_by), 0)

    @property
    def approved_so_far(self) -> str:
        """How far a step is that several must approve, in words; empty for every other, and when it is settled."""
        if self.plan.needed == 1 or self.decided_by is not None:
            return ""
        names = ", ".join(word.words for word in self.approvals)
        return f"{len(self.approvals)} of {self.plan.needed} approvals" + (f": {names}" if names else "")

    @property
    def decider(self) -> str:
        """Who decided, in words: ``dina for dirk, cora``; empty while nobody settled it."""
        if self.decided_by is None:
            return ""
        settled = self.decisions[-1:] if self.status is StepStatus.REJECTED else self.decisions
        return ", ".join(said.words for said in settled)


def names_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in their order."""
    return tuple(dict.fromkeys(labels))


def in_place_of(person: Person, stands_for: Person | None) -> str:
    """A person's name, with whose place they take."""
    return f"{person.label} for {stands_for.label}" if stands_for else person.label


class ApprovalStatus(StrEnum):
    """Where a request stands; all but pending are final and absorb later decisions."""

    PENDING = "pending"
    COMPLETED = "completed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    LOST = "lost"
    """Ended from outside, without an answer: only the deal says so of a request, which then is asked again."""


LATE: Final[dict[ApprovalStatus, Refusal]] = {
    ApprovalStatus.COMPLETED: Refusal.ALREADY_DECIDED,
    ApprovalStatus.REJECTED: Refusal.ALREADY_DECIDED,
    ApprovalStatus.EXPIRED: Refusal.EXPIRED,
    ApprovalStatus.WITHDRAWN: Refusal.WITHDRAWN,
    ApprovalStatus.SUPERSEDED: Refusal.SUPERSEDED,
    ApprovalStatus.LOST: Refusal.REQUEST_ENDED,
}
"""What a decision is told that comes after its request has ended."""


class ApprovalRequest(QuoteHeader):
    """What is asked for: approval of one revision of a quote."""

    n: int = Field(description="1, 2, … within the deal")
    requester: Person
    makers: tuple[Person, ...] = Field(
        (), description="Who else made the quote, from first to last; none of them decides"
    )
    makers_known: bool = Field(False, description="Sales' audit tells all of them; else those who were seen")
    credit_text: str = Field("", description="The soft credit check in words")
    changes: tuple[Change, ...] = Field((), description="What differs from what was asked for before")
    order_number: str = Field("", description="The order that is to become larger; empty: the quote is asked about")
    order_lines: tuple[LineChange, ...] = Field(
        (), max_length=MOST_LINES, description="Lines that the larger order has in other quantities than the quote"
    )
    expires_at: datetime = Field(description="UTC; the request dies with the quote or its maximum age")
    plan: ApprovalPlan

    def is_made_by(self, person: Person) -> bool:
        """Whether a person asked for it or made the quote: then somebody else has to decide."""
        return any(person.is_same(maker) for maker in (self.requester, *self.makers))


class ApprovalState(Record):
    """What the approval workflow answers to the query ``state``, and what it returns at its end."""

    request: ApprovalRequest
    status: ApprovalStatus = ApprovalStatus.PENDING
    steps: tuple[StepState, ...]
    reason: str = ""
    superseded_by: int | None = None
    requested_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def asked_now(self) -> tuple[str, ...]:
        """Who is asked now, in words: ``dina for dirk``."""
        return names_of(
            in_place_of(person, step.stands_for(person)) for step in self.pending for person in step.assignees
        )

    @property
    def was_late(self) -> bool:
        """Whether somebody did not decide in time what is asked now, so that others are asked."""
        return any(step.escalations for step in self.pending)

    @property
    def pending(self) -> tuple[StepState, ...]:
        """The steps somebody is asked to decide now, one per chain."""
        return tuple(step for step in self.steps if step.status is StepStatus.PENDING)
