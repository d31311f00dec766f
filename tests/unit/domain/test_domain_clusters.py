"""Customers that may be one: what a word on them comes to, and when two persons have to say it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.customers import Standing
from domain.entities.clusters import Cluster, MatchedCustomer, Proposal, Said, SalesAccount, Status, Word, judge
from domain.entities.cross_reference import CrossReference, Link, PairVerdict, customer_ref
from domain.people import Person
from domain.refusals import Refusal

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
INES, AMY = Person(oid="ines", name="Ines"), Person(oid="AMY", name="Amy")
NOTHING = Standing(open_receivables=Decimal(0), currency="USD")
OWED = Standing(open_receivables=Decimal(90), currency="USD")


def customer(
    number: str, *accounts: str, company: str = "usmf", finance: Standing | None = NOTHING, there: bool = True
) -> MatchedCustomer:
    return MatchedCustomer(
        company=company,
        number=number,
        finance_name="Contoso" if there else None,
        accounts=tuple(SalesAccount(id=account) for account in accounts),
        finance=finance if there else None,
        sales=Standing() if accounts else None,
    )


def word(cluster: Cluster, said: Said = Said.SAME, person: Person = INES, why: str = "one firm", **kw: object) -> Word:
    chosen = tuple(each.ref for each in cluster.customers) if said is Said.SAME else ()
    given = {"message_id": "m", "person": person, "at": NOON, "chosen": chosen, "seen": cluster.digest}
    return Word.model_validate(given | {"said": said, "why": why} | kw)


PLAIN = Cluster(customers=(customer("US-1", "A1"), customer("US-2", "a2"), customer("", "a3", there=False)))
OWING = Cluster(customers=(customer("US-1", finance=OWED), customer("US-2", finance=OWED)))


@pytest.mark.parametrize(
    ("cluster", "two"),
    [
        (PLAIN, False),
        (OWING, True),
        (Cluster(customers=(customer("US-1", finance=OWED), customer("US-2"))), False),
        (Cluster(customers=(customer("US-1"), customer("US-2", finance=None))), True),
    ],
)
def test_two_persons_decide_where_something_is_open_on_several_or_it_is_not_known(cluster: Cluster, two: bool) -> None:
    assert cluster.needs_two is two
    assert judge(cluster, Status.OPEN, None, word(cluster)) == (Status.PROPOSED if two else Status.DECIDED)


def test_the_second_person_is_another_one_and_says_the_same() -> None:
    said = word(OWING)
    waiting = Proposal(decision="m", person=INES, at=NOON, said=said.said, chosen=said.chosen)
    assert judge(OWING, Status.PROPOSED, waiting, said) is Refusal.NEEDS_SECOND_PERSON
    assert judge(OWING, Status.PROPOSED, waiting, word(OWING, person=AMY)) is Status.DECIDED
    assert judge(OWING, Status.PROPOSED, waiting, word(OWING, Said.DIFFERENT, AMY)) is Status.PROPOSED
    assert judge(OWING, Status.PROPOSED, waiting, word(OWING, Said.LATER, AMY, why="")) is Status.LATER


@pytest.mark.parametrize(
    ("status", "said", "refusal"),
    [
        (Status.DECIDED, word(PLAIN), Refusal.ALREADY_DECIDED),
        (Status.GONE, word(PLAIN), Refusal.NOT_OPEN_ANY_MORE),
        (Status.OPEN, word(PLAIN, seen="another"), Refusal.CHANGED_MEANWHILE),
        (Status.OPEN, word(PLAIN, why=" "), Refusal.BAD_ARGUMENT),
        (Status.OPEN, word(PLAIN, chosen=("usmf/US-1",)), Refusal.BAD_ARGUMENT),
        (Status.OPEN, word(PLAIN, chosen=("usmf/US-1", "usmf/US-9")), Refusal.BAD_ARGUMENT),
    ],
)
def test_a_word_that_does_not_fit_counts_for_nothing(status: Status, said: Word, refusal: Refusal) -> None:
    assert judge(PLAIN, status, None, said) is refusal


def test_chosen_customers_are_one_and_the_others_none_of_them() -> None:
    one, two, three = (each.ref for each in PLAIN.customers)
    assert three == "usmf/account:a3"
    said = {(pair.one, pair.other): pair.same for pair in PLAIN.verdicts(Said.SAME, (one, three))}
    assert said == {(one, two): False, (one, three): True, (two, three): False}
    assert {pair.same for pair in PLAIN.verdicts(Said.DIFFERENT, ())} == {False}
    assert PLAIN.links((one, three)) == (("a1", "usmf", "US-1"), ("a3", "usmf", "US-1"))


def test_an_account_of_no_company_belongs_to_each_and_companies_never_mix() -> None:
    lost = customer("", "a9", company="", there=False)
    party = Cluster(customers=(lost, customer("DE-1", "d1", company="demf"), customer("US-1", "a1")))
    assert party.is_to_decide
    assert party.companies == ("demf", "usmf")
    assert set(party.links([each.ref for each in party.customers])) == {
        ("a9", "demf", "DE-1"), ("d1", "demf", "DE-1"), ("a9", "usmf", "US-1"), ("a1", "usmf", "US-1"),
    }  # fmt: skip
    assert not Cluster(customers=party.customers[1:]).is_to_decide


def test_a_cluster_has_the_same_id_however_it_is_found_and_another_digest_when_a_decision_would_be_another() -> None:
    turned = Cluster(customers=PLAIN.customers[::-1])
    assert (turned.id, turned.digest) == (PLAIN.id, PLAIN.digest)
    dearer = Cluster(customers=(PLAIN.customers[0], customer("US-2", "a2", finance=OWED), PLAIN.customers[2]))
    assert dearer.id == PLAIN.id
    assert dearer.digest != PLAIN.digest


def test_the_newest_decision_counts() -> None:
    def link(number: str) -> Link:
        return Link(account="A1", company="usmf", number=number, since=NOON, by="Ines", decision="d")

    one, other = customer_ref("USMF", "us-2"), customer_ref("usmf", "US-1")
    assert one == "usmf/US-2"
    pairs = [PairVerdict(one=other, other=one, same=same) for same in (False, True)]
    found = CrossReference(links=(link("US-2"), link("US-1")), pairs=tuple(pairs))
    assert found.number_of("a1", "USMF") == "US-2"
    assert found.number_of("a1", "demf") == ""
    assert found.accounts_of("usmf", "US-2") == ("A1",)
    assert found.accounts_of("usmf", "US-1") == ()
    assert found.verdict(one, other) is False
    assert found.verdict(one, "usmf/US-3") is None
