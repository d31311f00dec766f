"""A generated population (`sandbox.generate`) as relations: what a bulk reader would bring of both systems."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cleansing.matching import Cluster
from cleansing.relations import Relations
from policies.map_files import load_maps
from sandbox.data.ids import row_id
from sandbox.data.population import FIELDS, OUTLET, REGIONS

COMPANIES = ("demf", "jpmf", "kwmf", "usmf")
_FIELDS = [name for name in FIELDS if name not in ("state", "credit_limit")]


def _read(file: Path) -> str:
    return f"read_csv('{file}', all_varchar=true, header=true)"


def _case(column: str, values: dict[str, str]) -> str:
    cases = " ".join(f"WHEN '{key}' THEN '{value}'" for key, value in values.items())
    return f"CASE {column} {cases} ELSE '' END"


def as_parquet(population: Path, target: Path) -> Path:
    """The customers of both sides as `customer_finance.parquet` and `customer_sales.parquet`."""
    target.mkdir(parents=True, exist_ok=True)
    finance = ", ".join(f"{FIELDS[name][0]} AS {name}" for name in _FIELDS)
    sales = ", ".join(f"{FIELDS[name][1]} AS {name}" for name in _FIELDS)
    units = {row_id("businessunit", unit): unit for unit in (*(region.company for region in REGIONS), OUTLET)}
    currencies = {row_id("transactioncurrency", region.currency): region.currency for region in REGIONS}
    selects = {
        "finance": "SELECT lower(dataAreaId) AS company, CustomerAccount AS key, CustomerAccount AS account_number,"
        f" SalesCurrencyCode AS currency, AddressCountryRegionId AS country, PaymentTerms AS payment_terms, {finance}"
        f" FROM {_read(population / 'CustomersV3.csv')}",
        "sales": f"SELECT {_case('_owningbusinessunit_value', units)} AS company, accountid AS key,"
        f" accountnumber AS account_number, {_case('_transactioncurrencyid_value', currencies)} AS currency,"
        f" address1_country AS country, {sales} FROM {_read(population / 'accounts.csv')}",
    }
    database = Relations(()).database
    for side, select in selects.items():
        database.execute(f"COPY ({select}) TO '{target / f'customer_{side}.parquet'}' (FORMAT parquet)")
    return target


def relations(folder: Path, *, memory_mb: int = 2_000) -> Relations:
    """What ``as_parquet`` wrote, to be looked at."""
    read = Relations(load_maps().all, memory_mb=memory_mb)
    read.add_folder(folder)
    return read


@dataclass(frozen=True)
class Judgement:
    """How well doubles were found: pairs of customers, a customer being all that carries one number in a company."""

    true: int
    found: int
    right: int
    missed: tuple[frozenset[str], ...]
    wrong: tuple[frozenset[str], ...]

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0


def truth(population: Path) -> dict[str, list[str]]:
    """Who is one with others: by company and number of the first, or by the id of an account without a number."""
    groups: dict[str, list[str]] = {}
    with (population / "truth.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["same_as"]:
                number = row["finance_account"] or row["sales_accountnumber"]
                groups.setdefault(row["same_as"], []).append(
                    f"{row['company']}/{number}" if number else row["sales_accountid"]
                )
    return groups


def judged(clusters: Iterable[Cluster], groups: dict[str, list[str]]) -> Judgement:
    """Hold clusters against the truth, pair by pair; what has the same number is no pair."""
    pairs = combinations
    true = {frozenset(pair) for first, others in groups.items() for pair in pairs((first, *others), 2)}
    found = set()
    for cluster in clusters:
        names = {f"{each.company}/{each.number}" if each.number else each.key for each in cluster.members}
        found |= {frozenset(pair) for pair in pairs(sorted(names), 2)}
    return Judgement(len(true), len(found), len(true & found), tuple(true - found), tuple(found - true))
