"""What the gate finds in records: rules they break, accounts that lead to one customer, what people said of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cleansing.gate import Held, look
from cleansing.model import read_model
from cli.match import MODEL
from domain.entities.cross_reference import CrossReference, PairVerdict, customer_ref
from domain.entities.gate import Look
from policies.activation_files import load_limits
from policies.loading import load
from policies.map_files import load_maps
from policies.quality_files import load_quality_rules, own_or_packaged

MAPS = load_maps().all
FIELDS = ("account_number", "name", "tax_number", "currency", "payment_terms", "country")
Row = tuple[str, str, str, str]


def held(*apart: tuple[str, str]) -> Held:
    pairs = tuple(PairVerdict(one=min(pair), other=max(pair), same=False) for pair in apart)
    return Held(
        maps=MAPS,
        rules=load_quality_rules(MAPS),
        model=read_model(own_or_packaged(None, MODEL).read_text(encoding="utf-8"), MODEL),
        limits=load_limits(MAPS),
        customers=load().customers,
        companies=frozenset({"usmf"}),
        countries={},
        today=date(2026, 11, 27),
        decided=CrossReference(pairs=pairs),
    )


def looked(folder: Path, held: Held, finance: list[Row], sales: list[Row], plan: list[tuple[str, str, str]]) -> Look:
    """``finance`` and ``sales``: key, number, name, tax number; ``plan``: key, ids of Sales, action."""
    folder.mkdir(exist_ok=True)
    files: dict[str, list[str]] = {}
    for side, rows in (("finance", finance), ("sales", sales)):
        files[side] = [str(folder / f"{side}.parquet")]
        terms = "Net 30" if side == "finance" else "1"
        columns = {"company": ["usmf"] * len(rows), "key": [row[0] for row in rows]}
        values = [dict(zip(FIELDS, (*row[1:], "USD", terms, "USA"), strict=True)) for row in rows]
        columns |= {name: [value[name] for value in values] for name in FIELDS}
        for name in ("email", "phone", "street", "city", "postal_code"):
            columns[name] = [""] * len(rows)
        pq.write_table(
            pa.table({name: pa.array(given, pa.string()) for name, given in columns.items()}), files[side][0]
        )
    change = pa.struct([(name, pa.string()) for name in ("field", "to", "finance", "sales", "value", "trouble")])
    differs = [{"field": "currency", "to": "", "finance": "EUR", "sales": "USD", "value": "", "trouble": ""}]
    table = pa.table(
        {
            "key": [row[0] for row in plan],
            "sales_ids": [row[1] for row in plan],
            "action": [row[2] for row in plan],
            "changes": pa.array([differs if row[2] == "conflict" else [] for row in plan], pa.list_(change)),
        }
    )
    pq.write_table(table, folder / "plan.parquet")
    return look(
        "customer", "usmf", held, [str(folder / "plan.parquet")], {"finance": files["finance"], "sales": files["sales"]}
    )


FINANCE: list[Row] = [
    ("US-1", "US-1", "Contoso", "US778899"),
    ("US-2", "US-2", "Fabrikam", ""),
    ("US-3", "US-3", "", ""),
]
SALES: list[Row] = [
    ("a", "US-1", "Contoso", "US 778899"),
    ("b", "", "Contoso Ltd", "us-778899"),
    ("c", "US-2", "Fabrikam", ""),
    ("d", "US-2", "Fabrikam Twin", ""),
]
PLAN = [("US-1", "a", "skip"), ("b", "b", "unmapped"), ("US-2", "c d", "duplicate"), ("US-3", "", "conflict")]


def test_each_record_with_something_critical_counts_once_and_targets_are_named(tmp_path: Path) -> None:
    found = looked(tmp_path, held(), FINANCE, SALES, PLAN)
    again = looked(tmp_path, held(), FINANCE, SALES, PLAN)

    twice, contoso = found.ambiguous
    assert (twice.customers, [each.id for each in twice.accounts]) == (("US-2",), ["c", "d"])
    assert (contoso.customers, [each.name for each in contoso.accounts]) == (("US-1",), ["Contoso Ltd", "Contoso"])
    assert contoso.score == 100
    assert "same tax number" in contoso.reasons[0]
    assert {rule.number: rule.records for rule in found.broken} == {1: 1, 7: 2}
    assert found.conflicts == {"currency": 1}
    assert found.critical == 4, "the empty name and the currency are of one record"
    assert found.not_checked == ()
    assert found.quality_hash == again.quality_hash


def test_an_account_that_people_said_is_another_customer_leads_nowhere_twice(tmp_path: Path) -> None:
    apart = (customer_ref("usmf", "", "b"), customer_ref("usmf", "US-1"))

    found = looked(tmp_path, held(apart), FINANCE, SALES, PLAN)

    assert [target.customers for target in found.ambiguous] == [("US-2",)]
    assert found.critical == 2
