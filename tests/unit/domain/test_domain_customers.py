"""Customers that Finance does not know: how alike two are, what is missing, and who may say what becomes of one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import policies
from domain import customer_setup_facts as setup
from domain import facts
from domain.audit import facts_of
from domain.commands import fact_of
from domain.customer_problems import problems_of
from domain.customers import (
    AccountInSales,
    Candidate,
    CustomerWork,
    KnownCustomer,
    Proposal,
    UnknownCustomer,
    customer_key,
    proposal_of,
)
from domain.deal import apply
from domain.deal_state import DealState, QuoteStatus
from domain.explain import explain, view
from domain.facts import Event, Fact
from domain.likeness import compared, mail_domain, normal_form, search_word, tax_form
from domain.marks import wanted_mark
from domain.moves import QuoteMove, in_quote
from domain.people import Person
from domain.views import WaitingFor
from tests.deals import RITA, T0, assessment, new_deal, put
from tests.rights import said

POLICY = policies.load().customers
FORMS = POLICY.legal_forms
AMY = Person(oid="amy", name="amy", roles=("ar_manager.usmf",))
ACCOUNT = AccountInSales(account_id="a-1", name="Contoso Limited", city="Boston", street="1 Quay", country="USA")
NAMES = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from(list(" .,&-'LtdINCGmbHéßÄ株式会社"))), max_size=40
) | st.sampled_from(["Contoso Ltd", "GmbH & Co. KG", "Ltd Ltd Ltd", "İstanbul A.Ş.", "ﬀ Ltd", "co and"])


# How alike two names are


@given(NAMES)
def test_a_normal_form_is_its_own_normal_form(name: str) -> None:
    once = normal_form(name, FORMS)
    assert normal_form(once, FORMS) == once


@given(NAMES, NAMES)
def test_the_score_is_symmetric_and_from_0_to_100(one: str, other: str) -> None:
    def score(mine: str, theirs: str) -> int:
        account = ACCOUNT.model_copy(update={"name": mine})
        return compared(account, KnownCustomer(account="1", name=theirs), POLICY, key="").score

    assert score(one, other) == score(other, one)
    assert 0 <= score(one, other) <= 100
    assert not normal_form(one, FORMS) or score(one, one) == 100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Contoso Ltd", "CONTOSO LIMITED"),
        ("Müller GmbH & Co. KG", "MULLER"),
        ("S.A.P. AG", "SAP"),
        ("O'Neil, Inc.", "ONeil Incorporated"),
        ("株式会社さくら音響", "さくら音響"),
        ("Société d’Étude S.A.R.L.", "Societe dEtude"),
    ],
)
def test_case_accents_punctuation_and_legal_forms_tell_no_customers_apart(one: str, other: str) -> None:
    assert normal_form(one, FORMS) == normal_form(other, FORMS) != ""


def test_a_name_that_is_only_a_legal_form_stays() -> None:
    assert (normal_form("Ltd", FORMS), normal_form("", FORMS)) == ("ltd", "")


@pytest.mark.parametrize(
    ("name", "word"),
    [("Contoso Ltd", "Contoso"), ("Müller AG", "ller"), ("S.A.P. AG", "sap"), ("さくら音響", "さくら音響"), ("", "")],
)
def test_finance_is_searched_by_the_longest_plain_run_of_a_name(name: str, word: str) -> None:
    assert search_word(name, FORMS) == word


def known(**more: str) -> KnownCustomer:
    return KnownCustomer(**{"account": "US-1", "name": "Contoso Ltd"} | more)


@pytest.mark.parametrize(
    ("mine", "theirs", "score", "kinds"),
    [
        ({}, {}, 100, {"same_name"}),
        ({"name": "Contoso Retail"}, {}, None, {"like_name"}),
        ({"name": "Fabrikam", "tax_number": "DE 1-2"}, {"tax_number": "de12"}, 95, {"same_tax_number"}),
        ({"tax_number": "DE1"}, {"tax_number": "DE2"}, 80, {"same_name", "other_tax_number"}),
        ({"email": "a@x.example"}, {"email": "b@X.example"}, 100, {"same_name", "same_email_domain"}),
        ({"email": "a@gmail.com"}, {"email": "b@gmail.com"}, 100, {"same_name"}),
        ({"postal_code": "0 1"}, {"street": "1, quay", "postal_code": "01"}, 100, {"same_name", "same_address"}),
        ({"name": "Fabrikam"}, {"key": "K"}, 100, {"made_for_it"}),
    ],
)
def test_each_reason_counts_as_the_policy_says(
    mine: dict[str, str], theirs: dict[str, str], score: int | None, kinds: set[str]
) -> None:
    found = compared(ACCOUNT.model_copy(update=mine), known(**theirs), POLICY, key="k")
    assert {reason.kind for reason in found.reasons} == kinds
    assert found.score == score if score is not None else found.score < POLICY.likeness.threshold


def test_numbers_and_mail_domains_are_compared_as_they_are_meant() -> None:
    assert tax_form("US-84 1234/567") == "US841234567"
    assert (mail_domain("a@B.example", ()), mail_domain("a@gmail.com", POLICY.public_mail), mail_domain("x", ())) == (
        "b.example",
        "",
        "",
    )


# What a customer is created with


def proposal(**more: str) -> Proposal:
    return proposal_of(
        ACCOUNT.model_copy(update=more),
        company="usmf",
        environment="e",
        currency="USD",
        defaults=POLICY.companies["usmf"],
        required=POLICY.required,
    )


def test_a_proposal_has_what_sales_says_and_the_policy_gives_under_one_key() -> None:
    found = proposal()
    assert found.key == found.account == customer_key("e", "usmf", "A-1") and len(found.key) <= 20
    assert (found.name, found.group, found.currency, found.city) == ("Contoso Limited", "10", "USD", "Boston")
    assert found.faults == {} and proposal(currency="EUR").currency == "EUR"
    assert found.corrected({"group": "20", "nonsense": "x"}) == found.model_copy(update={"group": "20"})


@pytest.mark.parametrize(
    ("more", "field", "text"),
    [
        ({"city": ""}, "city", "missing"),
        ({"name": "x" * 101}, "name", "Shorten"),
        ({"name": ""}, "name", "missing"),
    ],
)
def test_what_is_missing_or_too_long_is_named(more: dict[str, str], field: str, text: str) -> None:
    faults = proposal(**more).faults
    assert list(faults) == [field] and text in faults[field]
    problem, *rest = problems_of(UnknownCustomer(account_id="a-1", proposal=proposal(**more)))
    assert problem.code == "CUSTOMER_UNMAPPED" and problem.field == f"customer: {field}" and rest == []


# What a person may say


def unknown(*accounts: str, made: Proposal | None = None) -> UnknownCustomer:
    candidates = tuple(Candidate(account=account, name="C", score=90) for account in accounts)
    return UnknownCustomer(account_id="a-1", proposal=made or proposal(), candidates=candidates)


def stopped(found: UnknownCustomer, *more: Any) -> DealState:
    stuck = assessment().model_copy(
        update={"problems": (*problems_of(found), *more), "unknown_customer": found, "plan": None}
    )
    return put(new_deal(), facts.Assessed(assessment=stuck, asked="q"))


def told(state: DealState, fact: Fact, by: Person = AMY) -> str:
    return apply(state, Event(at=T0, actor=by, fact=fact)).code


APPROVED = setup.CustomerApproved(by=AMY)


def test_the_deal_waits_for_accounts_receivable_and_sales_shows_that_it_is_asked() -> None:
    state = stopped(unknown())
    assert state.quote is QuoteStatus.INVALID and in_quote(state) is QuoteMove.MARK
    assert explain(state).waiting_for is WaitingFor.CUSTOMER_SETUP and "ar_manager" in explain(state).who
    mark = wanted_mark(state)
    assert mark is not None and mark.status == "pending" and "Accounts receivable" in mark.reason
    assert view(state).unknown_customer == unknown()


def test_what_the_rep_has_to_enter_goes_back_to_the_rep_and_may_be_entered_by_who_approves() -> None:
    state = stopped(unknown(made=proposal(city="")))
    mark = wanted_mark(state)
    assert mark is not None and mark.status == "rejected" and explain(state).waiting_for is WaitingFor.REP
    assert told(state, APPROVED) == "CUSTOMER_INCOMPLETE"
    assert told(state, setup.CustomerApproved(by=AMY, changes={"city": "Salem"})) == ""


def test_who_made_the_quote_never_decides_about_its_customer() -> None:
    for fact in (
        setup.CustomerApproved(by=RITA),
        setup.CustomerChosen(by=RITA, account="US-1"),
        setup.CustomerIsNew(by=RITA),
        setup.CustomerDenied(by=RITA),
    ):
        assert told(stopped(unknown("US-1")), fact, RITA) == "MAKER_CANNOT_SET_UP"


def test_a_deal_without_an_unknown_customer_takes_none_of_it() -> None:
    for state in (new_deal(), put(new_deal(), facts.Assessed(assessment=assessment(), asked="q"))):
        assert told(state, APPROVED) == "NO_CUSTOMER_ASKED"
        for fact in (
            setup.CustomerCreated(account="1", found=False),
            setup.CustomerMapped(account="1"),
        ):
            assert told(state, fact) == "ILLEGAL_TRANSITION"
        assert told(state, setup.CustomerNotSetUp(reason="r")) == "ILLEGAL_TRANSITION"


def test_an_approved_customer_is_created_then_mapped_then_the_quote_is_looked_at_again() -> None:
    state = put(stopped(unknown()), facts.QuoteMarked(status="pending"), APPROVED)
    assert state.customer == CustomerWork(account_id="a-1", create=proposal(), by=AMY)
    assert in_quote(state) is QuoteMove.CREATE_CUSTOMER and view(state).unknown_customer is None
    state = put(state, setup.CustomerCreated(account="US-9", found=True))
    assert in_quote(state) is QuoteMove.MAP_CUSTOMER
    submitted = put(state, facts.Submitted(revision=0, quote_id="q"))
    assert in_quote(submitted) is QuoteMove.MAP_CUSTOMER
    for before in (state, submitted):
        after = put(before, setup.CustomerMapped(account="US-9"))
        assert after.quote is QuoteStatus.SUBMITTED and in_quote(after) is QuoteMove.ASSESS and after.customer is None
    assert put(state, setup.CustomerMapped(account="US-9")).marked_over == "pending"


def test_what_a_system_got_meanwhile_has_the_quote_looked_at_again_with_what_was_dismissed() -> None:
    state = put(stopped(unknown("US-1")), setup.CustomerIsNew(by=AMY))
    assert state.assessment and [problem.code for problem in state.assessment.problems] == ["CUSTOMER_UNMAPPED"]
    state = put(state, APPROVED)
    assert state.customer is not None and state.customer.dismissed == ("US-1",)
    again = put(state, setup.CustomerSeenMeanwhile(reason="Finance has it by now"))
    assert in_quote(again) is QuoteMove.ASSESS and again.customer is None
    assert told(again, setup.CustomerSeenMeanwhile(reason="r")) == "ILLEGAL_TRANSITION"


def test_the_audit_says_who_decided_as_what_and_what_was_corrected() -> None:
    approved = setup.CustomerApproved(by=AMY, role="ar_manager", changes={"city": "Salem", "group": "20"})
    assert facts_of(approved) == {"role": "ar_manager", "corrected": "city,group"}
    assert facts_of(setup.CustomerChosen(by=AMY, role="r", account="US-1")) == {"role": "r", "customer": "US-1"}
    assert facts_of(setup.CustomerCreated(account="US-2", found=True)) == {"customer": "US-2"}
    assert facts_of(setup.CustomerIsNew(by=AMY, role="r")) == facts_of(setup.CustomerDenied(by=AMY, role="r"))


def test_a_customer_of_a_company_that_the_policy_leaves_out_is_not_created() -> None:
    found = unknown().model_copy(update={"proposal": None})
    assert problems_of(found)[0].message.endswith("enter its account number on the account.")
    assert told(stopped(found), APPROVED) == "NO_CUSTOMER_ASKED"
    assert explain(stopped(found)).waiting_for is WaitingFor.REP


@pytest.mark.parametrize("role", ["ar_manager", "credit_manager"])
def test_the_commands_say_what_the_person_said(role: str) -> None:
    who = Person(oid="amy", name="amy", roles=(f"{role}.usmf",))
    state = stopped(unknown("US-1"))

    def meant(name: str, **args: str) -> Fact:
        return fact_of(said(who, name, args), state, deal_id="d", at=T0)

    by = {"by": who.named, "role": role}
    assert meant("create_customer", city=" Salem ", reason="r") == setup.CustomerApproved(
        changes={"city": "Salem"}, reason="r", **by
    )
    assert meant("choose_customer", account="US-1") == setup.CustomerChosen(account="US-1", **by)
    assert meant("new_customer", reason="r") == setup.CustomerIsNew(reason="r", **by)
    assert meant("reject_customer", reason="r") == setup.CustomerDenied(reason="r", **by)
    refused = meant("create_customer", city="x" * 61)
    assert isinstance(refused, facts.Refused) and refused.code == "BAD_ARGUMENT"
