"""Matching, judged by the truth of a generated population: what is one is found, what is not is left alone."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from cleansing.faces import MOST_OF_A_BLOCK, make_faces
from cleansing.matching import MOST_OF_A_CLUSTER, Cluster, Kind, Matches, match
from cleansing.model import MatchModel, read_model, train
from cleansing.plans import Standings, for_people, plans, reasons, write_lists
from cleansing.relations import Relations, RelationsError
from cli.match import MODEL
from policies.loading import load
from policies.map_files import load_maps
from policies.quality_files import own_or_packaged
from sandbox.data.population import RATES
from sandbox.generate import write
from tests.population import as_parquet, judged, relations, truth

MAPS = load_maps().all
POLICY = load().customers
SHIPPED = read_model(own_or_packaged(None, MODEL).read_text(), MODEL)
DOUBLES = ("same_tax_number", "near_name", "sales_twin", "other_company")
CONTOSO = {
    "company": "usmf", "key": "US-1", "account_number": "US-1", "name": "Contoso Ltd", "tax_number": "US12",
    "phone": "+12065550100", "email": "ap@contoso.example", "street": "1 Main St.", "postal_code": "98101",
}  # fmt: skip
NOBODY = dict.fromkeys(("tax_number", "phone", "email", "street", "postal_code"), "")


def found(
    finance: list[dict[str, str]],
    sales: list[dict[str, str]],
    model: MatchModel = SHIPPED,
    verdicts: Mapping[tuple[str, str], bool] | None = None,
) -> Matches:
    given = Relations(MAPS)
    for side, rows in (("finance", finance), ("sales", sales)):
        if rows:
            given.database.register(f"given_{side}", pa.Table.from_pylist(rows))
            given.add("customer", "finance" if side == "finance" else "sales", f"SELECT * FROM given_{side}")
    return match(given, model, POLICY, verdicts)


def clusters(
    finance: list[dict[str, str]], sales: list[dict[str, str]], verdicts: Mapping[tuple[str, str], bool] | None = None
) -> list[Cluster]:
    return list(found(finance, sales, verdicts=verdicts).clusters())


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 customers, a tenth of them doubles; differences, conflicts and strangers as always."""
    folder = tmp_path_factory.mktemp("population")
    write(folder / "made", 3_000, seed=5, rates=dict.fromkeys(DOUBLES, 0.03) | {"different": 0.05})
    as_parquet(folder / "made", folder / "read")
    return folder


def test_doubles_of_a_population_are_found_and_nobody_else(population: Path) -> None:
    assert set(DOUBLES) < set(RATES)
    result = match(relations(population / "read"), SHIPPED, POLICY)
    judgement = judged(result.clusters(), truth(population / "made"))
    assert judgement.true > 300
    assert judgement.precision >= 0.99, judgement.wrong
    assert judgement.recall >= 0.95, judgement.missed


def test_a_run_comes_to_the_same_again(population: Path) -> None:
    first, second = (match(relations(population / "read"), SHIPPED, POLICY) for _ in range(2))
    assert first.pairs == second.pairs
    assert list(first.clusters()) == list(second.clusters())


def test_a_model_is_learnt_without_labels_and_kept_with_its_hash(population: Path) -> None:
    given = relations(population / "read")
    make_faces(given, POLICY)
    learnt = train(given, "test", pairs=200_000)
    assert all(sum(level.m for level in levels) == pytest.approx(1) for levels in learnt.levels.values())
    kept = read_model(learnt.model_dump_json(), "a file")
    assert kept == learnt
    judgement = judged(match(relations(population / "read"), kept, POLICY).clusters(), truth(population / "made"))
    assert judgement.precision >= 0.99, judgement.wrong
    assert judgement.recall >= 0.95, judgement.missed


def test_a_model_that_somebody_changed_is_refused() -> None:
    with pytest.raises(RelationsError, match="its hash does not match"):
        found([CONTOSO], [], SHIPPED.model_copy(update={"prior": 0.5}))
    fewer = {name: levels[1:] for name, levels in SHIPPED.levels.items()}
    with pytest.raises(RelationsError, match="trained for other comparisons"):
        found([CONTOSO], [], MatchModel.of("x", 1, 0.1, fewer))
    with pytest.raises(RelationsError, match=r"customer\.json: not a model"):
        read_model("{}", "customer.json")


def test_too_few_customers_teach_nothing() -> None:
    given = Relations(MAPS)
    given.database.register("given", pa.Table.from_pylist([CONTOSO]))
    given.add("customer", "finance", "SELECT * FROM given")
    make_faces(given, POLICY)
    with pytest.raises(RelationsError, match="nothing can be learnt"):
        train(given, "test")


def test_twins_of_sales_and_their_customer_are_one_with_the_reason() -> None:
    """S39: two accounts with one tax number, one customer in Finance."""
    account = CONTOSO | {"key": "guid-1"}
    twin = CONTOSO | NOBODY | {"key": "guid-2", "account_number": "", "name": "CONTOSO LIMITED", "tax_number": "us-12"}
    (cluster,) = clusters([CONTOSO], [account, twin])
    assert cluster.kind is Kind.DOUBLE
    assert [(member.side, member.key) for member in cluster.members] == [
        ("sales", "guid-2"),
        ("finance", "US-1"),
        ("sales", "guid-1"),
    ]
    (pair,) = cluster.pairs
    assert pair.score == 100
    assert pair.reasons[0].text == "rule: same tax number"
    said = {reason.text: reason.weight for reason in pair.reasons[1:]}
    assert (said["same name"] or 0) > 10
    assert said["phone not known"] == 0


def test_a_customer_is_no_double_of_its_own_account_however_both_are_written() -> None:
    assert clusters([CONTOSO], [CONTOSO | {"key": "guid-1", "phone": "+12065550199", "name": "Contoso"}]) == []


def test_a_name_with_a_mail_domain_is_enough_where_the_domain_is_somebodys() -> None:
    known = CONTOSO | NOBODY | {"email": "ap@contoso.example"}
    other = known | {"key": "US-2", "account_number": "US-2", "name": "CONTOSO, Limited", "email": "x@contoso.example"}
    (cluster,) = clusters([known, other], [])
    assert cluster.pairs[0].reasons[0].text == "rule: same name and mail domain"
    public = [row | {"email": f"{row['key']}@gmail.com".lower()} for row in (known, other)]
    assert clusters(public, []) == []


def test_one_party_in_two_companies_is_no_double() -> None:
    (cluster,) = clusters([CONTOSO, CONTOSO | {"company": "demf", "key": "DE-1", "account_number": "DE-1"}], [])
    assert cluster.kind is Kind.PARTY
    assert plans(cluster, Standings()) == ()


def test_strangers_who_share_little_are_left_alone() -> None:
    same_name = CONTOSO | NOBODY | {"key": "US-2", "account_number": "US-2"}
    same_mail = (
        CONTOSO | NOBODY | {"key": "US-3", "account_number": "US-3", "name": "Fabrikam", "email": "ap@gmail.com"}
    )
    other = same_mail | {"key": "US-4", "account_number": "US-4", "name": "Northwind"}
    assert clusters([CONTOSO, same_mail, other, same_name | {"name": "Contosa Foods"}], []) == []


def test_what_too_many_share_is_not_compared_by_and_is_told() -> None:
    many = [
        CONTOSO
        | NOBODY
        | {"key": f"U{n}", "account_number": f"U{n}", "name": f"{chr(65 + n % 26) * 9} {n}", "tax_number": "N/A"}
        for n in range(MOST_OF_A_BLOCK + 1)
    ]
    result = found(many, [])
    assert result.pairs == ()
    assert [(each.block, each.values, each.faces) for each in result.left_out if each.values] == [
        ("tax_number", 1, MOST_OF_A_BLOCK + 1)
    ]


def test_a_chain_too_large_to_decide_is_listed_without_a_plan(tmp_path: Path) -> None:
    number = MOST_OF_A_CLUSTER + 1
    # Each shares its tax number with the one before it, or its name and address with the one after it.
    chain = [
        CONTOSO | NOBODY | {"key": f"U{n:03}", "account_number": f"U{n:03}", "tax_number": f"T{n // 2}"}
        | {"name": f"Same {(n + 1) // 2}", "street": f"{(n + 1) // 2} Elm", "postal_code": "1"}
        for n in range(number)
    ]  # fmt: skip
    (cluster,) = clusters(chain, [])
    assert cluster.too_large and cluster.customers == number
    written = write_lists([cluster], Standings(), tmp_path)
    assert (written.too_large, written.plans) == (1, 0)
    with (tmp_path / "clusters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == number
    assert {row["kind"] for row in rows} == {"double (too large to decide)"}


def test_customers_without_names_or_none_at_all_are_refused() -> None:
    with pytest.raises(RelationsError, match="no customers were read"):
        found([], [])
    with pytest.raises(RelationsError, match="without a name"):
        found([{"company": "usmf", "key": "1"}], [])


def test_pairs_and_clusters_do_not_depend_on_the_order_of_records() -> None:
    rows = [
        CONTOSO,
        CONTOSO | {"key": "US-2", "account_number": "US-2"},
        CONTOSO | {"key": "US-3", "account_number": "US-3"},
    ]
    forward, backward = clusters(rows, []), clusters(rows[::-1], [])
    assert [replace(each) for each in forward] == backward
    assert forward[0].customers == 3


def test_what_people_decided_is_not_proposed_again_but_holds_customers_together() -> None:
    finance = [CONTOSO, CONTOSO | {"key": "US-2", "account_number": "US-2", "name": "Contoso Lt"}]
    sales = [CONTOSO | {"key": "A9", "account_number": "", "name": "Contosso Ltd"}]
    one, two, account = "usmf/US-1", "usmf/US-2", "usmf/account:a9"

    (cluster,) = clusters(finance, sales)
    shown = for_people(cluster, Standings())
    assert shown is not None
    assert [customer.ref for customer in shown.customers] == [account, one, two]
    assert {(pair.one, pair.other) for pair in shown.pairs} >= {(one, two), (account, one)}
    assert shown.needs_two, "nobody read what is open"
    assert found(finance, sales).companies == ("usmf",)

    (again,) = clusters(finance, sales, {(one, two): True, ("usmf/US-7", "usmf/US-9"): True})
    assert {reasons(pair) for pair in again.pairs if pair.decided} == {"decided: the same"}
    assert again.customers == 3
    decided = dict.fromkeys(((account, one), (account, two)), False)
    assert clusters(finance, sales, decided | {(one, two): True}) == []
    (apart,) = clusters(finance, sales, {(one, two): False})
    assert [pair.score for pair in apart.pairs if pair.decided] == [0], "it is shown beside what is proposed"
    assert clusters(finance, [], {(one, two): False}) == []
