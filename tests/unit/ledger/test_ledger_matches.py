"""Clusters in the ledger, on both databases: kept, decided by one person or two, taken back; and what readers get."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from domain.customers import Standing
from domain.entities.clusters import Cluster, MatchedCustomer, MatchedPair, Said, SalesAccount, Status, Word
from domain.people import Person
from domain.refusals import Refusal
from ledger import cross_reference, matches
from ledger.audit import AuditStore
from ledger.database import Database
from ledger.match_records import MatchRun
from ledger.reads import AuditReader
from ledger.tables import MATCH_DECISIONS

MONDAY = datetime(2026, 11, 23, 14, tzinfo=UTC)
INES, AMY = Person(oid="ines", name="Ines Iqbal"), Person(oid="amy", name="Amy Ames")


def customer(number: str, account: str = "", *, company: str = "usmf", owed: int = 0) -> MatchedCustomer:
    return MatchedCustomer(
        company=company,
        number=number,
        finance_name=f"Contoso {number}",
        accounts=(SalesAccount(id=account),) if account else (),
        finance=Standing(open_receivables=Decimal(owed), currency="USD"),
        sales=Standing() if account else None,
    )


def cluster(*customers: MatchedCustomer, score: float = 97) -> Cluster:
    one, other = customers[0].ref, customers[1].ref
    return Cluster(customers=customers, pairs=(MatchedPair(one=one, other=other, score=score, reasons=("name",)),))


PLAIN = cluster(customer("US-1", "a1"), customer("US-2", "a2"))
OWING = cluster(customer("US-3", "a3", owed=90), customer("US-4", "a4", owed=10), score=100)
GERMAN = cluster(customer("DE-1", company="demf"), customer("DE-2", company="demf"), customer("US-7"))


async def matched(
    database: Database, day: int, *found: Cluster, companies: tuple[str, ...] = ("demf", "usmf")
) -> MatchRun:
    run = MatchRun(run_id=f"run-{day}", model="h", ended_at=MONDAY + timedelta(days=day), companies=companies)
    return await matches.keep(database, run, found)


def word(of: Cluster, message: str, person: Person = INES, said: Said = Said.SAME) -> Word:
    chosen = tuple(each.ref for each in of.customers) if said is Said.SAME else ()
    return Word(
        message_id=message,
        person=person,
        at=MONDAY,
        said=said,
        chosen=chosen,
        seen=of.digest,
        why="one firm",
        proof="p",
    )


async def test_clusters_are_listed_for_who_may_see_all_their_companies(database: Database) -> None:
    party = cluster(customer("DE-5", company="demf"), customer("US-5"))
    run = await matched(database, 0, PLAIN, OWING, GERMAN, party)
    assert (run.found, run.kept, run.new, run.gone) == (3, 3, 3, 0)

    page = await matches.page(database, companies=None)
    assert [row.id for row in page.rows] == [OWING.id, *sorted([PLAIN.id, GERMAN.id])]
    assert page.counts == {"open": 3}
    assert page.last_run == run
    assert {row.id for row in (await matches.page(database, companies=["usmf"])).rows} == {OWING.id, PLAIN.id}
    assert [row.companies for row in (await matches.page(database, companies=None, company="demf")).rows] == [
        ("demf", "usmf")
    ]
    rest = await matches.page(database, companies=None, after=page.rows[1].id)
    assert [row.id for row in rest.rows] == [page.rows[2].id]

    again = await matched(database, 1, PLAIN, companies=("usmf",))
    assert (again.new, again.gone) == (0, 1), "another company's clusters stay"
    back = await matched(database, 2, OWING, PLAIN, GERMAN)
    assert (back.new, back.gone) == (1, 0)

    await matches.decide(database, PLAIN.id, word(PLAIN, "m-1", said=Said.LATER))
    assert (await matched(database, 3)).gone == 3
    await matched(database, 3 + matches.GONE_KEPT.days)
    assert [await matches.one(database, each.id) is None for each in (OWING, GERMAN, PLAIN)] == [True, True, False]


async def test_one_person_decides_where_no_money_hangs_and_takes_it_back(
    database: Database, reader: AuditReader
) -> None:
    await matched(database, 0, PLAIN)
    said = word(PLAIN, "m-1")
    assert await matches.decide(database, PLAIN.id, said) is Status.DECIDED
    assert await matches.decide(database, PLAIN.id, said) is Status.DECIDED, "said twice, it counts once"
    assert await matches.decide(database, PLAIN.id, word(PLAIN, "m-2")) is Refusal.ALREADY_DECIDED
    assert await matches.decide(database, "no cluster", said) is Refusal.NOT_FOUND

    found = await cross_reference.read(database, "USMF")
    assert found.number_of("a2", "usmf") == "US-1"
    assert set(found.accounts_of("usmf", "US-1")) == {"a1", "a2"}
    assert found.verdict("usmf/US-1", "usmf/US-2") is True
    assert (found.links[0].by, found.links[0].second, found.links[0].why) == ("Ines Iqbal", "", "one firm")
    assert await cross_reference.read(database, "demf") == found.model_copy(update={"links": ()})

    await matched(database, 1)
    kept = await matches.one(database, PLAIN.id)
    assert kept is not None and kept.row.status is Status.DECIDED and kept.in_force is not None
    assert await matches.end(database, PLAIN.id, word(PLAIN, "m-3", AMY)) is Status.OPEN
    assert await matches.end(database, PLAIN.id, word(PLAIN, "m-4", AMY)) is Refusal.NOT_OPEN_ANY_MORE
    assert await cross_reference.read(database) == found.model_copy(update={"links": (), "pairs": ()})
    rows = await reader.newest("usmf", limit=10)
    assert [(row.event, row.actor.name, row.why) for row in rows] == [
        ("MatchTakenBack", "Amy Ames", "one firm"),
        ("MatchDecided", "Ines Iqbal", "one firm"),
    ]


async def test_two_persons_decide_where_money_hangs(database: Database, store: AuditStore) -> None:
    await matched(database, 0, OWING)
    assert await matches.decide(database, OWING.id, word(OWING, "m-1")) is Status.PROPOSED
    assert await matches.decide(database, OWING.id, word(OWING, "m-2")) is Refusal.NEEDS_SECOND_PERSON
    assert (await cross_reference.read(database)).links == ()
    # Somebody pays: what was proposed is not what would be decided now.
    paid = cluster(customer("US-3", "a3"), customer("US-4", "a4", owed=10), score=100)
    await matched(database, 1, paid)
    assert await matches.decide(database, OWING.id, word(OWING, "m-3", AMY)) is Refusal.CHANGED_MEANWHILE
    await matched(database, 2, OWING)
    assert await matches.decide(database, OWING.id, word(OWING, "m-4")) is Status.PROPOSED
    confirmed = word(OWING, "m-5", AMY).model_copy(update={"why": "as ines iqbal says"})
    assert await matches.decide(database, OWING.id, confirmed) is Status.DECIDED

    links = (await cross_reference.read(database)).links
    assert {(link.account, link.number, link.by, link.second) for link in links} == {
        ("a3", "US-3", "Ines Iqbal", "Amy Ames"),
        ("a4", "US-3", "Ines Iqbal", "Amy Ames"),
    }
    await store.erase("INES")
    async with database.reading() as connection:
        kept = (await connection.execute(select(MATCH_DECISIONS))).mappings().all()
    assert {(row["by"], row["by_name"], row["proof"]) for row in kept} == {("", "(erased)", "")}
    assert {row["second_why"] for row in kept} == {"", "as (erased) says"}
    assert len((await cross_reference.read(database)).links) == 2


async def test_what_is_put_off_waits_until_it_changes(database: Database) -> None:
    await matched(database, 0, PLAIN)
    assert await matches.decide(database, PLAIN.id, word(PLAIN, "m-1", said=Said.LATER)) is Status.LATER
    await matched(database, 1, PLAIN)
    assert (await matches.page(database, companies=None)).counts == {"later": 1}
    await matched(database, 2, cluster(customer("US-1", "a1", owed=5), customer("US-2", "a2", owed=5)))
    assert (await matches.page(database, companies=None)).counts == {"open": 1}
    assert (
        await matches.decide(database, PLAIN.id, word(PLAIN, "m-2", said=Said.DIFFERENT)) is Refusal.CHANGED_MEANWHILE
    )
