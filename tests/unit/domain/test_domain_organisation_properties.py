"""Separation of duties from the policy to the decision, over random organisations (I8, I9).

A random company has random holders of its roles and a matrix whose rules are narrowed at random to companies, groups of
customers and periods. A random quote is priced and judged, its plan is made, approvers and an administrator delegate at
random, and then whoever is asked approves, or lets the time pass. Who made the quote is met nowhere on the way.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from hypothesis import event, given, settings
from hypothesis import strategies as st

from domain.approval_rules import decided, next_deadline, opened, overdue
from domain.approvals import ApprovalPlan, ApprovalState, ApprovalStatus, StepPlan, StepState
from domain.authority import NoApprover
from domain.calendar import local_date
from domain.delegations import Delegations, said_to_delegations
from domain.discount import approval_plan, asked_levels
from domain.people import Person
from domain.policy import Policy
from domain.pricing import PricedQuote
from domain.scope import Scope
from tests.rights import said
from tests.unit.domain.makers import POLICY, T0, discounted, priced, request, working_time

NAMES = tuple("abcdef")
ROLES = ("sales_manager", "sales_director", "cfo", "legal")
CALENDAR = working_time("usmf")
TODAY = local_date(T0, CALENDAR.timezone)
ADMIN = Person(oid="oid-admin", name="admin", roles=("admin",))


def someone(name: str) -> Person:
    return Person(oid=f"oid-{name}", name=name)


class Organisation(NamedTuple):
    """A company's rules and people, and a quote that was made there."""

    policy: Policy
    quote: PricedQuote
    requester: Person
    makers: tuple[Person, ...]

    def made(self, person: Person) -> bool:
        return any(person.is_same(maker) for maker in (self.requester, *self.makers))

    def roles(self, person: Person) -> tuple[str, ...]:
        """The roles of a person's token: those the policy names them for."""
        named = self.policy.authority.companies["usmf"]
        return tuple(f"{role}.usmf" for role, keys in named.items() if person.name in keys)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    day = st.none() | st.integers(-5, 5).map(lambda days: TODAY + timedelta(days=days))
    first, last = draw(day), draw(day)
    if first and last and last < first:
        first, last = last, first
    return Scope(
        companies=draw(st.sampled_from([(), (), ("usmf",), ("demf",), ("demf", "usmf")])),
        customer_groups=draw(st.sampled_from([(), (), ("30",), ("80",)])),
        valid_from=first,
        valid_until=last,
    )


@st.composite
def organisations(draw: st.DrawFn) -> Organisation:
    # Enough holders and discount, often, that there is a plan: else nothing is tried.
    few, many = (st.lists(st.sampled_from(NAMES), min_size=n, max_size=6, unique=True) for n in (0, 4))
    holders = {role: tuple(draw(few if draw(st.integers(0, 4)) == 0 else many)) for role in ROLES}
    people = {name: someone(name) for name in NAMES}
    authority = POLICY.authority.model_copy(update={"people": people, "companies": {"usmf": holders, "demf": {}}})
    narrowed = {rule.id: draw(scopes()) for rule in POLICY.discount.rules if draw(st.integers(0, 3)) == 0}
    rules = tuple(rule.model_copy(update={"only": narrowed.get(rule.id, rule.only)}) for rule in POLICY.discount.rules)
    policy = POLICY.model_copy(
        update={"authority": authority, "discount": POLICY.discount.model_copy(update={"rules": rules})}
    )
    snapshot = discounted("P250", draw(st.integers(1, 1_500)), draw(st.integers(8, 60)))
    quote = priced(snapshot, payment_days=draw(st.sampled_from([30, 90])))
    made_by = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    requester, *makers = map(someone, made_by)
    quote = quote.model_copy(update={"customer_group": draw(st.sampled_from(["", "30"]))})
    return Organisation(policy, quote, requester, tuple(makers))


def planned(of: Organisation) -> ApprovalPlan | None:
    """The plan of the quote; None: a level has nobody who may decide it."""
    try:
        return approval_plan(
            of.quote,
            requester=of.requester,
            makers=of.makers,
            company="usmf",
            calendar=CALENDAR,
            policy=of.policy,
        )
    except NoApprover:
        return None


@settings(max_examples=150, deadline=None)
@given(organisations())
def test_a_plan_names_whom_the_policy_names_and_nobody_who_made_the_quote(of: Organisation) -> None:
    levels = asked_levels(of.quote, of.policy)
    for match in (match for level in levels for match in level.matches):
        only = match.rule.only
        assert only.companies in ((), ("usmf",), ("demf", "usmf"))
        assert only.customer_groups in ((), (of.quote.customer_group,))
        assert (only.valid_from or TODAY) <= TODAY <= (only.valid_until or TODAY)
    may = [
        [
            someone(name)
            for role in of.policy.discount.ladder(level.chain)[level.level - 1 :]
            for name in of.policy.authority.companies["usmf"][role]
            if not of.made(someone(name))
        ]
        for level in levels
    ]
    plan = planned(of)
    if plan is None:
        assert [] in may, "refused only where nobody is left"
        return
    assert [{person.oid for person in step.candidates} for step in plan.steps] == [
        {person.oid for person in people} for people in may
    ]
    assert all(len({p.oid for p in step.candidates}) == len(step.candidates) for step in plan.steps)


WISHES = st.lists(
    st.tuples(
        st.sampled_from([*("delegate", "delegate_for") * 3, "end_delegation", "end_delegation_for"]),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.integers(-2, 3),
        st.integers(0, 12),
    ),
    min_size=3,
    max_size=14,
)


def book_of(of: Organisation, wishes: list[tuple[str, str, str, int, int]]) -> Delegations:
    """The company's delegations after what approvers and an administrator said, taken or refused."""
    approvers, book = of.policy.approvers("usmf"), Delegations()
    for name, away, to, first, length in wishes:
        by_admin = name.endswith("_for")
        actor = ADMIN if by_admin else someone(away).model_copy(update={"roles": of.roles(someone(away))})
        begins = TODAY + timedelta(days=first)
        args = {"of": f"oid-{away}"} if by_admin else {}
        if name.startswith("delegate"):
            args |= {"to": f"oid-{to}", "first": str(begins), "last": str(begins + timedelta(days=length))}
        verdict = said_to_delegations(book, said(actor, name, args, at=T0), approvers, today=TODAY, now=T0)
        assert (verdict.code is None) or verdict.after == book, "what is refused changes nothing"
        book = verdict.after
    return book


def leads(book: Delegations, start: Person, end: Person, day: date, of: Organisation) -> bool:
    """Whether delegations lead from one person to another on a day, through nobody who made the quote."""
    there, met = start, set[str]()
    while not there.is_same(end):
        entry = book.of(there)
        if entry is None or not entry.first <= day <= entry.last or there.oid in met:
            return False
        met.add(there.oid)
        there = entry.to
        if of.made(there):
            return False
    return True


def check(state: ApprovalState, book: Delegations, days: set[date], of: Organisation) -> None:
    for step in state.steps:
        assert not any(of.made(person) for person in (*step.assignees, *(p for p in (step.decided_by,) if p)))
        assert all(any(person.is_same(other) for other in step.plan.candidates) for person in step.assignees)
        for pair in step.stand_ins:
            assert any(leads(book, pair.stands_for, pair.person, day, of) for day in days)
            assert not of.made(pair.stands_for)


@settings(max_examples=150, deadline=None)
@given(organisations(), WISHES, st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), max_size=12))
def test_through_no_chain_of_delegations_does_a_maker_decide_and_every_request_ends(
    of: Organisation, wishes: list[tuple[str, str, str, int, int]], turns: list[tuple[bool, str]]
) -> None:
    plan = planned(of)
    if plan is None or not plan.steps:
        return
    book, now = book_of(of, wishes), T0
    for day in range(-3, 16):
        assert not any(leads_back(book, someone(name), TODAY + timedelta(days=day)) for name in NAMES)
    made = request(plan).model_copy(update={"requester": of.requester, "makers": of.makers, "total": Decimal(1)})
    state = opened(ApprovalState(request=made, steps=tuple(map(step_of, plan.steps))), now, book)
    days = {TODAY}
    check(state, book, days, of)
    for waits, stranger in turns:
        if state.status is not ApprovalStatus.PENDING:
            break
        if waits:
            now = next_deadline(state)
            days.add(local_date(now, CALENDAR.timezone))
            state = overdue(state, now, book)
        else:
            for person in (someone(stranger), state.pending[0].assignees[0]):
                state = approved_by(person, state, now, book, of)
        check(state, book, days, of)
    while state.status is ApprovalStatus.PENDING:
        now = next_deadline(state)
        days.add(local_date(now, CALENDAR.timezone))
        state = overdue(state, now, book)
        check(state, book, days, of)
    event(f"{state.status}, with {'a' if any(s.stand_ins for s in state.steps) else 'no'} delegate")


def approved_by(
    person: Person, state: ApprovalState, now: datetime, book: Delegations, of: Organisation
) -> ApprovalState:
    """What a person's approval makes of a request: nothing, where they made the quote or were not asked."""
    if not state.pending:
        return state
    step = state.pending[0]
    actor = someone(person.name).model_copy(update={"roles": of.roles(person)})
    args = {"decision": "approve", "step": step.plan.step, "seen_hash": state.request.snapshot_hash, "comment": "c"}
    verdict = decided(state, said(actor, "decide", args, at=now), now, book)
    if of.made(person):
        assert verdict.code == "REQUESTER_CANNOT_APPROVE"
    elif not any(person.is_same(asked) for asked in step.assignees):
        assert verdict.code is not None
    return verdict.state if verdict.code is None else state


def leads_back(book: Delegations, start: Person, day: date) -> bool:
    there, met = start, set[str]()
    while (entry := book.of(there)) is not None and entry.first <= day <= entry.last:
        if there.oid in met:
            return True
        met.add(there.oid)
        there = entry.to
    return False


def step_of(plan: StepPlan) -> StepState:
    return StepState(plan=plan)
