"""An approval covers a later content that is no worse; only what got worse is asked again (lifecycle 4.4)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.approval_proof import given as approvals_of
from domain.approval_proof import unproved
from domain.approval_rules import decided, opened
from domain.approvals import (
    ApprovalPlan,
    ApprovalState,
    ApprovalStatus,
    AskedTerms,
    Coverage,
    ItemTerms,
    StepPlan,
    StepState,
)
from domain.money import round_money
from domain.people import Person
from domain.pricing import PricedQuote
from domain.quote import QuoteSnapshot
from domain.reapproval import (
    MOST_ITEMS,
    GivenApproval,
    PastRequest,
    answered,
    changes,
    remembered,
    terms_of,
    with_coverage,
)
from domain.rights import Grant, Granted
from domain.sign_in import SignIn
from tests.rights import said
from tests.unit.domain.makers import (
    POLICY,
    PRICES,
    T0,
    actor,
    discounted,
    line,
    names,
    person,
    plan,
    priced,
    quote,
    request,
)

TOTAL = Decimal(1_000)
ANY_AMOUNT = Granted(grants=tuple(Grant(role=role) for role in ("sales_manager", "sales_director", "cfo", "legal")))


def asked(of: PricedQuote, **more: Any) -> AskedTerms:
    terms = terms_of(of, POLICY, customer_account="US-001")
    return terms.model_copy(update=more)


def gave(who: str, level: int, *, chain: str = "sales", **more: Any) -> GivenApproval:
    fields: dict[str, Any] = {"at": T0, "granted": ANY_AMOUNT, "sign_in": SignIn(at=T0), "signed_at": T0} | more
    return GivenApproval(chain=chain, level=level, person=person(who), **fields)


def past(terms: AskedTerms, *given_approvals: GivenApproval, n: int = 1) -> PastRequest:
    return PastRequest(n=n, revision=n, terms=terms, given=given_approvals)


def covered(of: PricedQuote, *requests: PastRequest, terms: AskedTerms | None = None, **more: Any) -> list[str]:
    """Step by step: who gave the approval that covers it, or a dash."""
    facts: dict[str, Any] = {"total": TOTAL, "now": T0 + timedelta(days=1)} | more
    found = with_coverage(plan(of), terms or asked(of), requests, **facts)
    return [step.covered_by.person.name if step.covered_by else "-" for step in found.steps]


AT_22 = priced(discounted("P250", 100, 22))


def test_a_revision_at_less_discount_is_covered_and_one_at_more_is_asked_anew() -> None:
    """S09: mona approved 22 %; 18 % needs nobody, 22.5 % needs both again."""
    given_by_mona = past(asked(AT_22), gave("mona", 1))
    assert covered(priced(discounted("P250", 100, 18)), given_by_mona) == ["mona"]
    assert covered(priced(discounted("P250", 100, "22.5")), given_by_mona) == ["-", "-"]


def test_only_the_step_whose_value_got_worse_is_asked_again() -> None:
    both = past(asked(AT_22), gave("mona", 1), gave("dirk", 2))
    cheaper_to_buy = asked(AT_22).model_copy(update={"margin_pct": AT_22.margin_pct - 1})
    assert covered(AT_22, both, terms=cheaper_to_buy) == ["mona", "-"], "the manager is asked for the discount alone"
    assert covered(AT_22, both) == ["mona", "dirk"]


@pytest.mark.parametrize(
    "change",
    [
        {"policy_version": "another"},
        {"rules": ("D1",)},
        {"company": "demf"},
        {"customer_account": "US-002"},
        {"currency": "EUR"},
        {"list_net": AT_22.list_net + 1},
    ],
)
def test_another_deal_a_larger_one_or_other_rules_are_asked_in_full(change: dict[str, Any]) -> None:
    assert covered(AT_22, past(asked(AT_22), gave("mona", 1), gave("dirk", 2)), terms=asked(AT_22, **change)) == [
        "-",
        "-",
    ]


def lines(*off: object) -> QuoteSnapshot:
    """Ten each of P100 and P250, with so much money off each line."""
    return quote(line(1, "P100", 10, off=off[0]), line(2, "P250", 10, off=off[1]))


def test_a_discount_that_moved_to_another_item_is_a_new_one() -> None:
    before, moved = priced(lines(150, 0)), priced(lines(0, 375))
    assert before.disc_pct == moved.disc_pct == Decimal(15)
    assert covered(before, past(asked(before), gave("mona", 1))) == ["mona"]
    assert covered(moved, past(asked(before), gave("mona", 1))) == ["-"]


def test_of_more_items_than_are_kept_a_discount_is_asked_again() -> None:
    of = priced(discounted("P250", 100, 15))
    unknown = asked(of, items=None)
    assert covered(of, past(unknown, gave("mona", 1)), terms=unknown) == ["-"]
    many = of.model_copy(update={"lines": [of.lines[0].model_copy(update={"item": f"I{n}"}) for n in range(101)]})
    assert (MOST_ITEMS, asked(many).items) == (100, None)
    assert changes(unknown, asked(of))[-1].text.startswith("More than 100 items")


@pytest.mark.parametrize(
    "approval",
    [
        gave("mona", 2),
        gave("mona", 1, chain="legal"),
        gave("cora", 1).model_copy(update={"person": person("rita")}),
        gave("mona", 1, at=T0 - timedelta(days=13, seconds=1)),
        gave("mona", 1, granted=Granted()),
        gave("mona", 1, granted=Granted(grants=(Grant(role="sales_manager", up_to={"USD": TOTAL - 1}),))),
    ],
    ids=["other level", "other chain", "made the quote", "too old", "no right", "above the limit"],
)
def test_an_approval_that_could_not_be_given_now_covers_nothing(approval: GivenApproval) -> None:
    at_15 = priced(discounted("P250", 100, 15))
    assert covered(at_15, past(asked(at_15), gave("mona", 1))) == ["mona"]
    assert covered(at_15, past(asked(at_15), approval)) == ["-"]


def test_a_rejection_ends_what_was_given_before_it() -> None:
    before = (past(asked(AT_22), gave("mona", 1)), past(asked(AT_22), n=2))
    after = answered(before, 2, ApprovalStatus.REJECTED, (gave("mona", 1),))
    assert covered(priced(discounted("P250", 100, 18)), *after) == ["-"]
    after = answered(before, 2, ApprovalStatus.WITHDRAWN, (gave("mona", 1),))
    assert covered(priced(discounted("P250", 100, 18)), *after) == ["mona"]


def test_what_changed_is_said_in_figures_and_item_by_item() -> None:
    before = asked(priced(lines(150, 0)), payment_days=30)
    after = asked(priced(quote(line(1, "P250", 12, off=300), line(2, "P099", 1))), payment_days=60)
    assert tuple(change.text for change in changes(after, before)) == (
        "Discount 15 % → 10 %",
        "Margin 37.31 % → 33.57 %",
        "Net 3,350.00 USD → 2,799.99 USD",
        "Payment 30 days → 60 days",
        "P099 added: 1 at 0 % discount",
        "P100 removed",
        "P250: quantity 10 → 12",
        "P250: discount 0 % → 10 %",
    )
    assert changes(before, before) == ()


def test_a_covered_step_is_taken_at_once_and_needs_no_signature_of_its_own() -> None:
    by_mona = Coverage(n=1, revision=1, person=person("mona"), at=T0)
    needed = plan(AT_22)
    reused = needed.steps[0].model_copy(update={"covered_by": by_mona})
    the_request = request(needed.model_copy(update={"steps": (reused, *needed.steps[1:])}))
    first = opened(ApprovalState(request=the_request, steps=tuple(map(_step, the_request.plan.steps))), T0)
    assert [state.decided_by and state.decided_by.name for state in first.steps] == ["mona", None]
    signed = said(actor("dirk"), "decide", {"decision": "approve", "step": 2, "seen_hash": the_request.snapshot_hash})
    done = decided(first, signed, T0).state
    assert done.status is ApprovalStatus.COMPLETED
    assert unproved(the_request, done, (signed,)) == ""
    assert [(given.person.name, given.level) for given in approvals_of(the_request, done, (signed,))] == [("dirk", 2)]
    forged = done.model_copy(
        update={"steps": (done.steps[0].model_copy(update={"decided_by": person("cora")}), done.steps[1])}
    )
    assert unproved(the_request, forged, (signed,)) == "nobody who was asked signed step 1"


def test_only_what_is_proved_is_remembered_as_given() -> None:
    asked_for = request(plan(AT_22))
    state = opened(ApprovalState(request=asked_for, steps=tuple(map(_step, asked_for.plan.steps))), T0)
    message = said(actor("mona"), "decide", {"decision": "approve", "step": 1, "seen_hash": asked_for.snapshot_hash})
    state = decided(state, message, T0).state
    assert [each.person.name for each in approvals_of(asked_for, state, (message,))] == ["mona"]
    assert approvals_of(asked_for, state, ()) == ()
    assert approvals_of(asked_for, state, (message.model_copy(update={"refused": "forged"}),)) == ()
    assert approvals_of(asked_for.model_copy(update={"n": 2}), state, (message,)) == ()


def _step(of: StepPlan) -> StepState:
    return StepState(plan=of)


percents = st.decimals(0, 60, places=2)


@st.composite
def terms_strategy(draw: st.DrawFn) -> AskedTerms:
    items = draw(st.dictionaries(st.sampled_from("ABC"), percents, max_size=3))
    return asked(
        AT_22,
        disc_pct=max([*items.values(), draw(percents)]),
        margin_pct=draw(st.decimals(-50, 60, places=2)),
        net=draw(st.decimals(1, 10**6, places=2)),
        list_net=draw(st.decimals(1, 10**6, places=2)),
        payment_days=draw(st.integers(0, 120)),
        below_floor=draw(st.booleans()),
        items=tuple(ItemTerms(item=i, quantity=Decimal(1), discount_pct=pct) for i, pct in items.items()),
    )


EVERYBODY = tuple(
    gave(who, level, chain=chain)
    for who, level, chain in (("mona", 1, "sales"), ("dirk", 2, "sales"), ("cora", 3, "sales"), ("leo", 1, "legal"))
)
FULL: ApprovalPlan = plan(priced(discounted("P250", 1000, 60), payment_days=90))


def _worse(now: AskedTerms, then: AskedTerms) -> set[str]:
    """The tested values that got worse, written out a second time."""
    before = {entry.item: entry.discount_pct for entry in then.items or ()}
    items_worse = any(entry.discount_pct > before.get(entry.item, 0) for entry in now.items or ())
    found = {
        "disc_pct": now.disc_pct > then.disc_pct or items_worse,
        "margin_pct": now.margin_pct < then.margin_pct,
        "net": now.net > then.net,
        "payment_days": now.payment_days > then.payment_days,
        "below_floor": not then.below_floor or items_worse,
    }
    return {name for name, is_worse in found.items() if is_worse}


@given(terms_strategy(), terms_strategy())
def test_coverage_is_monotone(now: AskedTerms, then: AskedTerms) -> None:
    """No worse on every value is covered in full; a step one of whose values got worse is never covered."""
    found = with_coverage(FULL, now, (past(then, *EVERYBODY),), total=TOTAL, now=T0)
    worse = _worse(now, then)
    for step in found.steps:
        of_chain = sorted(
            (s for s in FULL.steps if s.chain == step.chain and s.level >= step.level), key=lambda s: s.level
        )
        tested = {reason.tested for reason in next(s for s in of_chain if s.reasons).reasons}
        larger = now.list_net > then.list_net
        assert (step.covered_by is None) == bool(larger or worse & tested)


@given(st.lists(terms_strategy(), min_size=2, max_size=4))
def test_small_steps_reach_nowhere_that_one_step_does_not(chain: list[AskedTerms]) -> None:
    """Coverage does not add up: what is covered by a covered content is covered by what people approved."""
    first = past(chain[0], *EVERYBODY)
    for now in chain[1:]:
        found = with_coverage(FULL, now, (first,), total=TOTAL, now=T0)
        for step in found.steps:
            if step.covered_by is not None:
                assert step.covered_by.n == first.n
                assert not (now.list_net > chain[0].list_net)


def test_people_are_the_candidates_of_now() -> None:
    """Who edited the quote meanwhile is no candidate any more, and their approval covers nothing."""
    at_15 = priced(discounted("P250", 100, 15))
    needed = plan(at_15, co_owner="mona")
    found = with_coverage(needed, asked(at_15), (past(asked(at_15), gave("mona", 1)),), total=TOTAL, now=T0)
    people: list[Person | None] = [step.covered_by.person if step.covered_by else None for step in found.steps]
    assert people == [None]


@st.composite
def quotes(draw: st.DrawFn) -> PricedQuote:
    """A quote of the sample items, priced as the run prices it."""
    found = draw(st.dictionaries(st.sampled_from(["P100", "P250"]), st.tuples(st.integers(1, 1_200), percents)))
    found = found or {"P100": (10, Decimal(5))}
    rows = [
        line(number, item, quantity, off=round_money(PRICES[item].list_price * quantity * pct / 100, "USD"))
        for number, (item, (quantity, pct)) in enumerate(found.items(), start=1)
    ]
    return priced(quote(*rows), payment_days=draw(st.sampled_from([30, 60, 61, 90])))


def approved_by_all(of: PricedQuote) -> tuple[PastRequest, ...]:
    """What the deal remembers of a request that everybody asked has approved."""
    given_by = tuple(gave(names((step.candidates[0],))[0], step.level, chain=step.chain) for step in plan(of).steps)
    return answered(remembered((), past(asked(of))), 1, ApprovalStatus.COMPLETED, given_by)


@given(quotes(), quotes())
@example(priced(discounted("P250", 1200, 3)), priced(discounted("P250", 1200, 12)))  # level 1 anew, 2 and 3 not
@settings(deadline=None)
def test_of_real_quotes_no_worse_is_asked_of_nobody_and_each_worsening_is_asked_again(
    before: PricedQuote, now: PricedQuote
) -> None:
    """Through what the run uses: pricing, matrix, plan, coverage, opening."""
    gained = with_coverage(plan(now), asked(now), approved_by_all(before), total=TOTAL, now=T0)
    worse = _worse(asked(now), asked(before)) | ({"below_floor"} if now.price_hash != before.price_hash else set())
    was_asked = {(step.chain, step.level) for step in plan(before).steps}
    for step in gained.steps:
        above = [s for s in gained.steps if s.chain == step.chain and s.level >= step.level and s.reasons]
        tested = {reason.tested for reason in min(above, key=lambda s: s.level).reasons}
        again = now.list_net > before.list_net or worse & tested or (step.chain, step.level) not in was_asked
        assert (step.covered_by is None) == bool(again)
    opened_now = opened(ApprovalState(request=request(gained), steps=tuple(map(_step, gained.steps))), T0)
    reached: dict[str, bool] = {}
    for state in opened_now.steps:
        behind = reached.get(state.plan.chain, False)
        anew = state.plan.covered_by is None
        assert state.status == ("waiting" if behind else "pending" if anew else "approved"), (
            "a covered step is taken in its turn: behind one that is asked it waits, for nobody of its own"
        )
        reached[state.plan.chain] = behind or anew
    if gained.steps and not gained.asked:
        assert opened_now.status is ApprovalStatus.COMPLETED and not any(s.assignees for s in opened_now.steps)


@given(quotes())
@settings(deadline=None, max_examples=40)
def test_the_same_quote_is_asked_of_nobody_again(of: PricedQuote) -> None:
    found = with_coverage(plan(of), asked(of), approved_by_all(of), total=TOTAL, now=T0)
    assert [step for step in found.steps if step.covered_by is None] == []


@given(quotes(), st.sampled_from(["policy_version", "rules", "company", "customer_account", "currency"]))
@settings(deadline=None, max_examples=60)
def test_under_another_policy_or_of_another_deal_everything_is_asked(of: PricedQuote, other: str) -> None:
    value: Any = ("D1",) if other == "rules" else "another"
    for terms, remembered_of in ((asked(of, **{other: value}), asked(of)), (asked(of), asked(of, **{other: value}))):
        history = tuple(each.model_copy(update={"terms": remembered_of}) for each in approved_by_all(of))
        found = with_coverage(plan(of), terms, history, total=TOTAL, now=T0)
        assert found.asked == found.steps


@given(terms_strategy(), terms_strategy(), st.text(max_size=3), st.text(max_size=3))
def test_no_figure_makes_up_for_another_policy(now: AskedTerms, then: AskedTerms, is_now: str, was: str) -> None:
    terms, before = (of.model_copy(update={"policy_version": v}) for of, v in ((now, is_now), (then, was)))
    found = with_coverage(FULL, terms, (past(before, *EVERYBODY),), total=TOTAL, now=T0)
    assert is_now == was or found.asked == FULL.steps
