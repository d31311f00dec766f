"""Differences and clusters in a ledger, for the pages about data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.customers import Standing
from domain.entities.clusters import Cluster, MatchedCustomer, MatchedPair, SalesAccount
from domain.entities.comparing import Difference, DifferenceClass
from domain.entities.comparison_view import ComparisonFigures
from domain.entities.lags import LagBucket, bucket_of
from domain.entities.model import Owner
from ledger import differences, lags, matches
from ledger.comparison_runs import ComparisonRun
from ledger.database import Database, open_database
from ledger.match_records import MatchRun
from ledger.tables import LETTERS

NOW = datetime.now(UTC)
ACCOUNT = "5c0a6b9e-0000-4000-8000-00000000000{}"


def difference(key: str, field: str, finance: str, sales: str, **more: object) -> Difference:
    given = {"kind": "DIFF", "key": key, "field": field, "finance_value": finance, "sales_value": sales}
    return Difference.model_validate(given | {"owner": Owner.FINANCE, "sales_ids": ACCOUNT.format(1)} | more)


FOUND = (
    difference("US-001", "credit_limit", "50000", "45000"),
    difference("US-001", "phone", "+1 206 555 0100", "+1 206 555 0199", owner=Owner.SALES, pii=True),
    difference("US-002", "name", "Contoso Ltd", "=Contoso", owner=Owner.MANUAL),
    difference("US-003", "", "", "", kind=DifferenceClass.MISSING, lacking="sales", owner=Owner.MANUAL),
)


def customer(
    number: str, place: int, *, name: str = "Contoso Retail", owed: int = 0, company: str = "usmf"
) -> MatchedCustomer:
    return MatchedCustomer(
        company=company,
        number=number,
        finance_name=name,
        accounts=(SalesAccount(id=ACCOUNT.format(place), name=f"{name} (Sales)"),),
        finance=Standing(open_receivables=Decimal(owed), currency="USD", open_orders=1, orders=(f"SO-{place}",)),
        sales=Standing(open_orders=0),
    )


def cluster(*customers: MatchedCustomer, score: float = 97.4) -> Cluster:
    reasons = ("name differs by one letter +20.1", "same street and postal code +20.0", "another tax number -1.4")
    pair = MatchedPair(one=customers[0].ref, other=customers[1].ref, score=score, reasons=reasons)
    return Cluster(customers=customers, pairs=(pair,))


def quiet(each: MatchedCustomer) -> MatchedCustomer:
    """The same, with nothing open on it."""
    return each.model_copy(update={"finance": Standing(open_receivables=Decimal(0), currency="USD")})


OWING = cluster(customer("US-010", 2, owed=12_000), customer("US-011", 3, owed=350), score=100)
PLAIN = cluster(*(quiet(customer(f"US-02{n}", 4 + n, name="Fabrikam")) for n in range(3)))
GERMAN = cluster(*(customer(f"DE-1{n}", 7 + n, name="Adventure Works", company="demf") for n in range(2)))


async def add_lags(database: Database) -> None:
    """A hundred changes of customers of USMF, some of them slow, an order of DEMF, and what is too old to be shown."""
    day = f"{NOW:%Y-%m-%d}"
    counted = {
        LagBucket(day, "usmf", "customer", "to_sales", bucket_of(4)): 60,
        LagBucket(day, "usmf", "customer", "to_sales", bucket_of(45)): 38,
        LagBucket(day, "usmf", "customer", "to_sales", bucket_of(5_000)): 2,
        LagBucket(day, "demf", "order", "to_sales", bucket_of(8)): 1,
        LagBucket(f"{NOW - timedelta(days=10):%Y-%m-%d}", "usmf", "customer", "to_finance", bucket_of(8)): 1,
    }
    await lags.add(database, counted, NOW.date())


async def add_letters(database: Database) -> None:
    """Three letters of USMF that stand, of two causes, and one that has ended."""
    same: dict[str, Any] = dict.fromkeys(
        ("sales_id", "field", "text", "finance_value", "sales_value", "proposed_by", "replay"), ""
    )
    same |= {"entity": "customer", "company": "usmf", "reason": "r", "pii": False, "seen": 1, "ended_by": ""}
    same |= {"first_at": "2026-11-27", "last_at": "2026-11-27", "proposed": None, "ended_at": ""}
    told = (("CONFLICT", "open"), ("CONFLICT", "open"), ("TOO_LONG", "open"), ("EMPTY", "done"))
    rows = [
        same | {"letter_id": f"{n:012x}", "key": f"US-{n}", "cause": cause, "status": status}
        for n, (cause, status) in enumerate(told)
    ]
    async with database.writing() as connection:
        await connection.execute(LETTERS.insert(), rows)


async def fill(url: str) -> None:
    """Two comparisons, one of them older, and a matching."""
    database = await open_database(url)
    for days, found, whole in ((20, FOUND[:1], True), (0, FOUND, True)):
        run = ComparisonRun(
            run_id=f"run-{days}",
            entity="customer",
            company="usmf",
            map_hash="h",
            began_at=NOW - timedelta(days=days, minutes=5),
            ended_at=NOW - timedelta(days=days),
            whole=whole,
            figures=ComparisonFigures(finance_records=10_000, sales_records=9_000),
        )
        await differences.keep(database, run, [found])
    made = MatchRun(run_id="match-1", model="h", ended_at=NOW, companies=("demf", "usmf"))
    await matches.keep(database, made, [OWING, PLAIN, GERMAN])
    await add_lags(database)
    await add_letters(database)
    await database.close()
