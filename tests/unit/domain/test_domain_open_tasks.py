"""Everything that waits for a person is told to those who can act: once, by one table that nothing is missing from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import policies.loading
from domain import facts, notices
from domain.collecting import waits_of
from domain.collection_words import DISPUTE, PROMISE
from domain.collections import Account
from domain.customers import Candidate
from domain.deal_state import DealState
from domain.explain import explain
from domain.fixed_by import FixedBy
from domain.money import format_money
from domain.notices import TELLS, TELLS_NOBODY, Kind, Notice, of_deal
from domain.notices_policy import tellings
from domain.refusals import Refusal
from domain.views import WaitingFor
from tests import deals
from tests.rights import POLICY
from tests.unit.domain import test_domain_collecting as collecting
from tests.unit.domain import test_domain_commands as credit
from tests.unit.domain import test_domain_customers as customers
from tests.unit.domain import test_domain_payments as payments
from tests.unit.domain.makers import T0


def told(before: DealState, after: DealState) -> dict[Kind, Notice]:
    found = list(of_deal(before, after))
    assert len({notice.kind for notice in found}) == len(found), "one notice of a kind"
    return {notice.kind: notice for notice in found}


def between(before: DealState, after: DealState) -> set[Kind]:
    return set(told(before, after))


# One table


def test_whatever_a_deal_waits_for_is_told_or_says_why_not() -> None:
    assert {*TELLS} | {*TELLS_NOBODY} == {*WaitingFor} and not {*TELLS} & {*TELLS_NOBODY}
    assert all(TELLS.values()) and all(TELLS_NOBODY.values())


def test_every_kind_that_waits_for_a_role_is_in_the_table_or_is_about_no_running_deal() -> None:
    tabled = {kind for kinds in TELLS.values() for kind in kinds}
    about_none = {Kind.LATE_OPENED, Kind.ACCOUNT_WAITS, Kind.PARALLEL_DIGEST}
    follow = {Kind.APPROVAL_REMINDER, Kind.APPROVAL_ANSWERED, Kind.APPROVAL_OVER}
    assert {kind for kind in Kind if kind.right} <= tabled | about_none | follow


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.right])
def test_the_shipped_policy_tells_every_such_kind_to_a_role_that_may_act(kind: Kind) -> None:
    shipped, rights = policies.loading.notices(), policies.loading.load().rights
    may = {row.role for row in rights.rights if kind.right in row.may}
    assert [role for role, wanted in shipped.roles.items() if role in may and kind in (wanted.kinds or ())]


@pytest.mark.parametrize("code", [code for code in Refusal if code.fixed_by is FixedBy.OPERATOR])
def test_an_exception_that_operations_must_mend_is_told_to_them(code: Refusal) -> None:
    before = deals.put(deals.new_deal(), *deals.TO_ORDER)
    found = told(before, replace(before, exceptions=(f"{code}: something is not as it should be",)))
    assert Kind.EXCEPTION_OPENED in found and Kind.DEAL_EXCEPTION in found


# Each wait: told when it begins, not again while it is the same


def _held() -> tuple[DealState, DealState]:
    before = deals.put(deals.new_deal(), *deals.TO_ORDER[:4])
    return before, deals.put(before, facts.CreditDecided(decision=deals.decision(False)))


def _asked_to_release() -> tuple[DealState, DealState]:
    return credit.LARGE, credit.releases(credit.LARGE, credit.CARL)


def _unknown() -> tuple[DealState, DealState]:
    return deals.new_deal(), customers.stopped(customers.unknown("US-1"))


def _overpaid() -> tuple[DealState, DealState]:
    return deals.put(deals.new_deal(), *deals.TO_ORDER, payments.read(*payments.OVERPAID)), payments.OVER


def _refund() -> tuple[DealState, DealState]:
    return payments.OVER, deals.put(payments.OVER, payments.proposed())


BEGINS: dict[Kind, Callable[[], tuple[DealState, DealState]]] = {
    Kind.CREDIT_HELD: _held,
    Kind.CREDIT_SECOND: _asked_to_release,
    Kind.CUSTOMER_UNKNOWN: _unknown,
    Kind.REFUND_PROPOSED: _refund,
}


@pytest.mark.parametrize("kind", BEGINS)
def test_what_begins_to_wait_is_told_once(kind: Kind) -> None:
    before, after = BEGINS[kind]()
    assert kind in between(before, after)
    assert kind not in between(after, replace(after, version=after.version + 1)), "it waits still"
    assert kind in TELLS[explain(after).waiting_for]


def test_s31_credit_that_nobody_decided_about_is_told_to_who_may_propose_a_refund() -> None:
    state, seen = deals.new_deal(), list[Notice]()
    fact_s = (*deals.TO_ORDER, payments.read(*payments.OVERPAID))
    for fact in fact_s:
        before, state = state, deals.put(state, fact)
        seen += of_deal(before, state)
    seen += of_deal(state, payments.OVER)
    (notice,) = [each for each in seen if each.kind is Kind.CREDIT_UNAPPLIED]
    assert format_money(payments.OVER.delivery.unapplied, "USD") in notice.text


def test_a_customer_who_may_be_another_one_now_is_told_again() -> None:
    _, state = _unknown()
    more = Candidate(account="US-2", name="C", score=95)
    assert state.assessment is not None and state.assessment.unknown_customer is not None
    unknown = state.assessment.unknown_customer
    found = unknown.model_copy(update={"candidates": (*unknown.candidates, more)})
    after = replace(state, assessment=state.assessment.model_copy(update={"unknown_customer": found}))
    assert Kind.CUSTOMER_UNKNOWN in between(state, after)


def test_who_asked_for_a_second_person_is_not_asked_to_be_it() -> None:
    before, after = _asked_to_release()
    notice = told(before, after)[Kind.CREDIT_SECOND]
    assert notice.but is not None and notice.but.is_same(credit.CARL) and "carl wants to let pass" in notice.text
    shipped = policies.loading.notices()
    some = POLICY.authority.holders("usmf", "credit_manager")
    assert some
    asked = notice.model_copy(update={"company": "usmf", "but": some[0]})
    names = {telling.oid for telling in tellings(asked, POLICY, shipped, {"mail": True})}
    everybody = {
        telling.oid for telling in tellings(asked.model_copy(update={"but": None}), POLICY, shipped, {"mail": True})
    }
    assert everybody - names == {some[0].oid}


def test_no_notice_of_what_waits_holds_cost_or_margin() -> None:
    for begins in BEGINS.values():
        for notice in of_deal(*begins()):
            assert "margin" not in notice.text.casefold() and "cost" not in notice.text.casefold()


# Accounts that are collected


def test_letters_disputes_and_broken_promises_are_told_to_who_collects() -> None:
    one = collecting.Collector()
    seen: list[tuple[int, Notice]] = []

    def after(day: int, do: Callable[[], object]) -> None:
        before: Account = one.account
        do()
        seen.extend((day, notice) for notice in waits_of(before, one.account, T0))

    for day in range(11):
        after(day, lambda day=day: one.look(day))  # type: ignore[misc]
    after(
        11,
        lambda: one.say(11, collecting.CLEO, PROMISE, invoice="INV-1", amount="1045", until="2026-12-14", reason="r"),
    )
    for day in range(12, 15):
        after(day, lambda day=day: one.look(day))  # type: ignore[misc]
    after(16, lambda: one.say(16, collecting.CLEO, DISPUTE, invoice="INV-1", amount="200.00", reason="two are missing"))
    assert {notice.kind for _, notice in seen} == {Kind.ACCOUNT_WAITS}
    assert [(day, notice.text.split(":")[0]) for day, notice in seen] == [
        (5, "Letter 1 (reminder) is written"),
        (14, "Nothing came by 2026-12-14"),
        (16, "200.00 USD of INV-1 disputed"),
    ]
    first, _, dispute = (notice for _, notice in seen)
    assert (first.about, first.quote_number, first.but) == ("US-001", "", None)
    assert dispute.but is not None and dispute.but.is_same(collecting.CLEO)


def test_every_kind_has_words() -> None:
    assert set(notices.HEADINGS) == set(Kind)
