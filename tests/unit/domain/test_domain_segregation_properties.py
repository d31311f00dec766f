"""Separation of duties over random organisations with random delegations (I8, I9): whatever is said, in any order.

A random company has people with random roles, some named in the policy and some not, some of them makers of the quote,
with delegations drawn at random: chains, loops, to makers, through makers. Random people then say random things to a
request, time passes at random. However it goes, nobody who made the quote decides, nobody decides without the role in
that company and a name in the plan, and nothing hangs.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from domain.approval_people import said_to_request
from domain.approval_rules import decided, next_deadline, opened, overdue, reminded
from domain.approvals import ApprovalPlan, ApprovalRequest, ApprovalState, ApprovalStatus, StepPlan, StepState
from domain.authority import eligible
from domain.calendar import local_date
from domain.delegations import Delegation, Delegations, said_to_delegations
from domain.people import Person
from tests.rights import said
from tests.unit.domain.makers import POLICY, T0, request, working_time

NAMES = tuple("abcdefgh")
LADDER = ("sales_manager", "sales_director", "cfo")
ROLES = (*LADDER, "sales_rep", "legal")
CALENDAR = working_time("usmf")
COMPANIES = ("usmf", "demf")


def someone(name: str) -> Person:
    return Person(oid=f"oid-{name}", name=name)


@st.composite
def organisations(draw: st.DrawFn) -> tuple[ApprovalRequest, dict[str, tuple[str, ...]], Delegations]:
    """A request, the roles of everybody's token, and who delegates to whom."""
    roles = st.sampled_from([f"{role}.{company}" for role in ROLES for company in COMPANIES] + ["ops"])
    # Often the role that the last level asks for, so that decisions count often enough to be worth a test.
    usual = st.just(("cfo.usmf",)) | st.lists(roles, max_size=3, unique=True).map(tuple)
    tokens = {name: draw(usual) for name in NAMES}
    makers = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    levels = draw(st.integers(1, 3))
    steps = []
    for level in range(1, levels + 1):
        named = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
        # Makers among them, though a plan names none: what is asked must not rest on that.
        candidates = tuple(someone(name) for name in named)
        needed = draw(st.integers(1, len(candidates)))
        steps.append(
            StepPlan(
                step=level,
                chain="sales",
                level=level,
                role=LADDER[level - 1],
                accepted_roles=LADDER[level - 1 :],
                sla_business_hours=POLICY.discount.sla_business_hours[level],
                on_timeout=draw(st.sampled_from(["escalate", "expire"])),
                candidates=candidates,
                needed=needed,
                at_once=draw(st.integers(needed, len(candidates))),
            )
        )
    plan = ApprovalPlan(policy_version="1", steps=tuple(steps), calendar=CALENDAR, reminders_pct=(50, 80))
    made = request(plan, requester="rita").model_copy(
        update={"requester": someone(makers[0]), "makers": tuple(someone(name) for name in makers[1:])}
    )
    return made, tokens, draw(delegations())


@st.composite
def delegations(draw: st.DrawFn) -> Delegations:
    """One per person at most; loops and makers included, as if no check had ever been made."""
    entries = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=8, unique=True)):
        first = draw(st.integers(-3, 5))
        entries.append(
            Delegation(
                of=someone(name),
                to=someone(draw(st.sampled_from(NAMES))),
                first=date(2026, 11, 23) + timedelta(days=first),
                last=date(2026, 11, 23) + timedelta(days=first + draw(st.integers(0, 10))),
                set_by=someone(name),
                set_at=T0,
            )
        )
    return Delegations(entries=tuple(entries))


SAYINGS = st.one_of(
    st.tuples(st.just("decide"), st.sampled_from(["approve", "approve", "approve", "reject"])),
    st.tuples(st.just("reassign"), st.tuples(st.sampled_from(NAMES), st.booleans())),
    st.tuples(st.just("ask"), st.just("")),
    st.tuples(st.just("answer"), st.just("")),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 9, 30])),
)


def args_of(name: str, what: Any, step: int, seen_hash: str) -> dict[str, Any]:
    match name:
        case "decide":
            return {"decision": what, "step": step, "seen_hash": seen_hash, "comment": "c"}
        case "reassign":
            return {"step": step, "to": f"oid-{what[0]}", "add": what[1], "reason": "r"}
        case "ask":
            return {"step": step, "question": "q"}
        case _:
            return {"step": step, "answer": "a"}


def check(state: ApprovalState, tokens: dict[str, tuple[str, ...]]) -> None:
    """I8 and I9 of a request as it stands, and that as many decide a step as it needs."""
    for step in state.steps:
        deciders = [word.person for word in step.decisions]
        assert len({person.oid for person in deciders}) == len(deciders), "nobody counts twice"
        if step.status == "approved":
            assert len(step.approved_by) == step.plan.needed
        if step.status == "pending":
            others = [person for person in step.plan.candidates if not state.request.is_made_by(person)]
            assert step.missing <= len(step.assignees) or len(others) < step.plan.needed, "who is asked is enough"
        assert not {person.oid for person in deciders} & {person.oid for person in step.assignees} or step.decided_by
        for person in (*step.assignees, *deciders):
            assert not state.request.is_made_by(person), f"{person.name} made the quote"
            assert any(person.is_same(candidate) for candidate in step.plan.candidates)
        assert len({person.oid for person in step.assignees}) == len(step.assignees)
        for word in step.decisions:
            if word.role:
                assert word.role in step.plan.accepted_roles
                assert f"{word.role}.usmf" in tokens.get(word.person.name, ())


@settings(max_examples=200, deadline=None)
@given(
    organisations(), st.lists(st.tuples(SAYINGS, st.sampled_from(NAMES), st.integers(1, 3), st.booleans()), max_size=25)
)
def test_nobody_who_made_the_quote_or_lacks_the_role_decides_and_nothing_hangs(
    organisation: tuple[ApprovalRequest, dict[str, tuple[str, ...]], Delegations],
    sayings: list[tuple[tuple[str, Any], str, int, bool]],
) -> None:
    made, tokens, standing_in = organisation
    now = T0
    start = ApprovalState(request=made, steps=tuple(StepState(plan=plan) for plan in made.plan.steps))
    state = opened(start, now, standing_in)
    check(state, tokens)
    for (name, what), who, step, often in sayings:
        if state.status is not ApprovalStatus.PENDING:
            break
        if name == "wait":
            now += timedelta(hours=what)
            state = reminded(overdue(state, now, standing_in), now)
        else:
            if often and state.pending and state.pending[0].assignees:
                turn = state.pending[0]
                who, step = turn.assignees[0].name, turn.plan.step
            actor = someone(who).model_copy(update={"roles": tokens.get(who, ())})
            message = said(actor, name, args_of(name, what, step, made.snapshot_hash), at=now)
            if name == "decide":
                state = decided(state, message, now, standing_in).state
            else:
                state = said_to_request(state, message, now).state
        check(state, tokens)
    event(f"decided steps: {sum(step.decided_by is not None for step in state.steps)}")
    event(f"approvals on the way: {sum(len(step.approvals) for step in state.steps)}")
    rounds = 0
    while state.status is ApprovalStatus.PENDING:  # left alone it ends: nothing is approved by time, nothing hangs
        approved = sum(step.status == "approved" for step in state.steps)
        state = overdue(state, next_deadline(state), standing_in)
        assert sum(step.status == "approved" for step in state.steps) == approved
        rounds += 1
        assert rounds <= 3 * len(NAMES) + 3
        check(state, tokens)


@settings(max_examples=100, deadline=None)
@given(organisations(), st.sampled_from(NAMES), st.integers(-4, 16))
def test_a_delegation_is_followed_to_somebody_who_may_decide_or_not_at_all(
    organisation: tuple[ApprovalRequest, dict[str, tuple[str, ...]], Delegations], who: str, day: int
) -> None:
    made, _, standing_in = organisation
    allowed = eligible(StepState(plan=made.plan.steps[0]), made)
    assert not any(made.is_made_by(person) for person in allowed)
    on = date(2026, 11, 23) + timedelta(days=day)
    found = standing_in.stand_in(someone(who), on, allowed=allowed, excluded=made.is_made_by)
    if found is None:
        return
    assert found in allowed and not made.is_made_by(found) and not found.is_same(someone(who))
    there, met = someone(who), set[str]()
    while not there.is_same(found):
        entry = standing_in.of(there)
        assert entry is not None and entry.covers(on) and there.oid not in met
        met.add(there.oid)
        there = entry.to
        assert not made.is_made_by(there), "never through somebody who made the quote"


@st.composite
def chains(draw: st.DrawFn) -> dict[str, tuple[str, bool]]:
    """From `a` on to others, each arrow of today or of yesterday; the last may point back."""
    way = ["a", *draw(st.permutations("bcde"))][: draw(st.integers(2, 5))]
    ends = draw(st.sampled_from(["", "", "a", way[len(way) // 2]]))
    arrows = dict(zip(way, [*way[1:], ends], strict=True))
    today = st.sampled_from([True, True, True, True, False])
    return {of: (to, draw(today)) for of, to in arrows.items() if to and to != of}


@settings(max_examples=150, deadline=None)
@given(chains(), st.sets(st.sampled_from("bcde"), max_size=2), st.sets(st.sampled_from("abcde"), min_size=3))
def test_who_stands_in_is_the_end_of_the_chain_or_nobody(
    book: dict[str, tuple[str, bool]], makers: set[str], approvers: set[str]
) -> None:
    """Written out a second time: `a` is away; each arrow counts today or does not; a maker or a loop ends it."""
    today = date(2026, 11, 23)
    entries = [
        Delegation(
            of=someone(of),
            to=someone(to),
            first=today - timedelta(days=2),
            last=today if counts else today - timedelta(days=1),
            set_by=someone("admin"),
            set_at=T0,
        )
        for of, (to, counts) in book.items()
    ]
    arrows = {of: to for of, (to, counts) in book.items() if counts}
    way = ["a"]
    while way[-1] in arrows and way.count(way[-1]) == 1:
        way.append(arrows[way[-1]])
    leads = len(set(way)) == len(way) > 1 and not makers & set(way) and way[-1] in approvers
    found = Delegations(entries=tuple(entries)).stand_in(
        someone("a"),
        today,
        allowed=tuple(someone(name) for name in sorted(approvers)),
        excluded=lambda person: person.name in makers,
    )
    assert (found.name if found else None) == (way[-1] if leads else None)
    event("leads" if leads else "through a maker" if makers & set(way) else "a loop or nobody")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 9)), max_size=20
    )
)
def test_what_people_delegate_never_becomes_a_loop(wishes: list[tuple[str, str, int, int]]) -> None:
    approvers = tuple(someone(name) for name in NAMES)
    book, now = Delegations(), T0
    today = local_date(now, CALENDAR.timezone)
    for of, to, first, length in wishes:
        actor = someone(of).model_copy(update={"roles": ("sales_director.usmf",)})
        begins = today + timedelta(days=first)
        args = {"to": f"oid-{to}", "first": str(begins), "last": str(begins + timedelta(days=length))}
        verdict = said_to_delegations(book, said(actor, "delegate", args, at=now), approvers, today=today, now=now)
        assert verdict.code in (None, "LOOP", "BAD_ARGUMENT")
        book = verdict.after
    for offset in range(20):
        day = today + timedelta(days=offset)
        for person in approvers:
            met, there = set[str](), person
            while (entry := book.of(there)) is not None and entry.covers(day):
                assert there.oid not in met, f"a loop on {day}"
                met.add(there.oid)
                there = entry.to
