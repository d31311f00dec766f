"""Which quotes of the past two versions of the rules decide otherwise; Northwind's orders are counted twice."""

from __future__ import annotations

import csv
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

import policies
from cli.main import app
from domain.policy import Policy
from policies.comparison import Change, as_data, as_text, compare
from policies.quote_files import AskedQuote, read_quotes
from tests.unit.domain.makers import POLICY

D = Decimal
PACKAGED = Path(policies.__file__).parent
NORTHWIND = next(
    (folder for above in Path(__file__).parents if (folder := above / "shared/data/northwind").is_dir()), None
)


def changed(folder: Path, *edits: tuple[str, str], name: str = "discount.yaml") -> Policy:
    text = (PACKAGED / name).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / name).write_text(text, encoding="utf-8")
    return policies.load(folder)


def quote(number: str, pct: int, *, currency: str = "USD", list_price: int = 100, **more: Any) -> AskedQuote:
    lines = [{"item": "P", "quantity": 10, "list_price": list_price, "cost": 50, "discount_pct": pct} | more]
    header = {"quote": number, "company": "usmf", "currency": currency, "payment_days": 30, "lines": lines}
    return AskedQuote.model_validate(header)


QUOTES = [
    quote("A", 5),
    quote("B", 12),
    quote("C", 12, currency="EUR"),
    quote("D", 18),
    quote("E", 22),
    quote("F", 12, currency="EUR", list_price=200),
    quote("G", 5, floor_price=99),
]


def test_quotes_that_are_decided_otherwise_are_counted_with_their_money(tmp_path: Path) -> None:
    after = changed(
        tmp_path,
        ("than: 10}", "than: 15}"),
        ("than: 20}", "than: 25}"),
        ("      - {value: below_floor}", "      - {value: disc_pct, op: '>', than: 90}"),
    )
    found = compare(QUOTES, POLICY, after)
    assert [(each.quote, each.change, each.before, each.after) for each in found.changed] == [
        ("B", Change.NOBODY_NOW, "Mona Meyer", "nobody"),
        ("C", Change.NOBODY_NOW, "Mona Meyer", "nobody"),
        ("E", Change.FEWER, "Mona Meyer, then Dirk Dorn", "Mona Meyer"),
        ("F", Change.NOBODY_NOW, "Mona Meyer", "nobody"),
        ("G", Change.NOBODY_NOW, "Mona Meyer, then Dirk Dorn, then Cora Chen", "nobody"),
    ]
    assert [(total.change, total.currency, total.quotes, total.net) for total in found.totals] == [
        (Change.NOBODY_NOW, "EUR", 2, D("2640.00")),
        (Change.NOBODY_NOW, "USD", 2, D("1830.00")),
        (Change.FEWER, "USD", 1, D("780.00")),
    ]
    assert (found.quotes, found.same, found.otherwise) == (7, 2, 5)
    back = compare(QUOTES, after, POLICY)
    assert [total.change for total in back.totals] == [Change.SOMEBODY_NOW, Change.SOMEBODY_NOW, Change.MORE]


def test_other_people_and_comments_are_a_difference_too(tmp_path: Path) -> None:
    people = changed(tmp_path, ("[dirk, dina, drew]", "[dina, dirk, drew]"), name="approvers.yaml")
    assert [(each.quote, each.change, each.after) for each in compare(QUOTES, POLICY, people).changed] == [
        ("E", Change.OTHERS, "Mona Meyer, then Dina Diaz"),
        ("G", Change.OTHERS, "Mona Meyer, then Dina Diaz, then Cora Chen"),
    ]
    (tmp_path / "approvers.yaml").unlink()
    comment = changed(tmp_path, ("role: sales_director\n", "role: sales_director\n    comment_required: true\n"))
    assert [each.quote for each in compare(QUOTES, POLICY, comment).changed] == ["E"]


def test_the_same_rules_decide_nothing_otherwise() -> None:
    found = compare(QUOTES, POLICY, POLICY)
    assert (found.otherwise, found.totals, found.changed) == (0, (), ())
    assert as_text(found, 20).endswith("7 quotes: 7 decided as before, 0 otherwise")


def test_the_table_is_limited_and_the_counts_are_not(tmp_path: Path) -> None:
    found = compare(QUOTES, POLICY, changed(tmp_path, ("than: 10}", "than: 15}")))
    text = as_text(found, 1)
    assert "7 quotes: 4 decided as before, 3 otherwise" in text
    assert text.splitlines()[-1] == "… and 2 more; --limit 0 shows all"
    assert "B " in text and "\nF " not in text
    assert len(as_data(found, 2)["changed"]) == 2 and len(as_data(found, 0)["changed"]) == 3  # type: ignore[arg-type]
    assert as_data(found, 2)["otherwise"] == 3


# Northwind: 830 orders, with the cost of everything taken as 70 % of its price.


def imported(folder: Path, northwind: Path) -> Path:
    """Northwind's orders as a CSV of quotes."""
    with (northwind / "orders.csv").open(encoding="utf-8", newline="") as file:
        orders = {row["OrderID"]: row for row in csv.DictReader(file)}
    columns = ["quote", "company", "customer", "currency", "payment_days", "freight"]
    columns += ["item", "quantity", "list_price", "cost", "discount_pct"]
    with (
        (northwind / "order_details.csv").open(encoding="utf-8", newline="") as file,
        (folder / "quotes.csv").open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(columns)
        for row in csv.DictReader(file):
            order, price = orders[row["OrderID"]], D(row["UnitPrice"])
            header = [order["OrderID"], "usmf", order["CustomerID"], "USD", 30, order["Freight"]]
            writer.writerow(
                [*header, row["ProductID"], row["Quantity"], price, price * D("0.7"), D(row["Discount"]) * 100]
            )
    return folder / "quotes.csv"


COUNTED = """
with line as (
    select OrderID, UnitPrice * Quantity as listed, Discount as entered,
           round(UnitPrice * Quantity * (1 - Discount), 2)::decimal(18, 4) as net
    from read_csv(?, types = {'UnitPrice': 'DECIMAL(10,4)', 'Quantity': 'DECIMAL(8,0)', 'Discount': 'DECIMAL(6,4)'})
), document as (
    select OrderID, sum(net) as net, sum(listed) as listed,
           bool_or(entered > 0.10 or listed - net > listed * 0.10) as over_10,
           bool_or(entered > 0.15 or listed - net > listed * 0.15) as over_15,
           bool_or(entered > 0.20 or listed - net > listed * 0.20) as over_20
    from line group by OrderID
), levels as (
    select OrderID, net + Freight as total,
           case when margin_below_15 then 3 when over_20 or margin_below_25 then 2 when over_10 then 1 else 0 end as a,
           case when margin_below_15 or net + Freight >= 5000 then 3
                when over_20 or margin_below_20 then 2 when over_15 then 1 else 0 end as b
    from (select *, net - listed * 0.7 < net * 0.15 as margin_below_15,
                    net - listed * 0.7 < net * 0.20 as margin_below_20,
                    net - listed * 0.7 < net * 0.25 as margin_below_25 from document)
    join read_csv(?, types = {'Freight': 'DECIMAL(10,2)'}) using (OrderID)
), otherwise as (
    select OrderID, total, case when b = 0 then 'nobody now' when a = 0 then 'somebody now'
                                when b < a then 'fewer levels' else 'more levels' end as change
    from levels where a <> b
)
"""
"""What is asked of both matrices, written out a second time: levels by discount, margin and net of each order."""


OTHER_MATRIX = (
    ("than: 10}", "than: 15}"),
    ('op: "<", than: 25}', 'op: "<", than: 20}'),
    ("{USD: 250000,", "{USD: 5000,"),
)
needs_northwind = pytest.mark.skipif(NORTHWIND is None, reason="Northwind's files are not on this machine")


def counted_of(northwind: Path, question: str) -> list[tuple[Any, ...]]:
    files = [str(northwind / "order_details.csv"), str(northwind / "orders.csv")]
    return duckdb.execute(COUNTED + question, files).fetchall()


@needs_northwind
def test_northwind_is_decided_otherwise_as_often_as_an_independent_query_counts(
    tmp_path: Path,
) -> None:
    assert NORTHWIND is not None
    quotes = read_quotes(imported(tmp_path, NORTHWIND))
    found = compare(quotes, POLICY, changed(tmp_path, *OTHER_MATRIX))
    counted = counted_of(NORTHWIND, "select change, count(*), sum(total) from otherwise group by change")
    assert len(quotes) == 830
    assert {(total.change.value, total.quotes, total.net) for total in found.totals} == set(counted)
    assert len(counted) >= 3, "the two matrices differ in more than one way"
    assert found.otherwise == sum(count for _, count, _ in counted)
    assert found.same == 830 - found.otherwise


@needs_northwind
def test_the_command_names_each_of_northwinds_orders_that_the_query_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert NORTHWIND is not None
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    deals = imported(tmp_path, NORTHWIND)
    changed(tmp_path, *OTHER_MATRIX)
    compared = ["policy", "diff", str(PACKAGED / "discount.yaml"), str(tmp_path / "discount.yaml")]
    found = CliRunner().invoke(app, [*compared, "--deals", str(deals), "--limit", "0", "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    each = counted_of(NORTHWIND, "select change, OrderID, total from otherwise")
    assert {(quote["change"], int(quote["quote"]), D(quote["net"])) for quote in told["changed"]} == set(each)
    assert (told["quotes"], told["otherwise"], len(each)) == (830, len(each), len(told["changed"]))
    words = CliRunner().invoke(app, [*compared, "--deals", str(deals), "--limit", "5"])
    assert f"830 quotes: {830 - len(each)} decided as before, {len(each)} otherwise" in words.stdout


def test_a_quote_of_a_company_that_a_version_does_not_know_is_refused() -> None:
    """Neither version would say anything of it: it is not "decided as before"."""
    stranger = quote("Z", 5).model_copy(update={"company": "zzzz"})
    with pytest.raises(ValueError, match="quote Z: company: 'zzzz' is not in approvers.yaml; there are demf"):
        compare([*QUOTES, stranger], POLICY, POLICY)
